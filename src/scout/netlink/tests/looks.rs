//! When everything is looked at again, and what is lost on the way: nothing.

use super::*;

// behaviour: C1
#[test]
fn is_complete_when_everything_was_dumped_and_not_before() {
    let mut kernel = Kernel::new(ethernet(2, "eth0", None));
    for part in 1..=4 {
        assert!(!kernel.talk.is_complete());
        let request = kernel.talk.request(kernel.now).expect("a request");
        assert_eq!(kernel.talk.request(kernel.now), None, "one dump at a time");
        kernel.answer(&request, 0);
        assert_eq!(kernel.talk.is_complete(), part == 4);
    }
    let eth0 = kernel.network("eth0");
    assert_eq!(eth0.state, State::Up);
    assert_eq!(eth0.kinds, Kinds::of(Kind::Ethernet));
    assert_eq!(eth0.mtu, Some(1500));
    assert_eq!(eth0.addresses, [(ip("10.0.2.2"), 24).into()]);
    assert_eq!(
        ranked(&eth0),
        [
            ("0.0.0.0/0".to_owned(), 32_766),
            ("10.0.2.0/24".to_owned(), 32_766)
        ]
    );
    assert!(!eth0.routes[0].connected && eth0.routes[1].connected);
}

#[test]
fn what_is_not_up_is_listed_with_every_reason() {
    let mut down = link(2, "eth0", None);
    down.header.flags = LinkFlags::Broadcast;
    let mut kernel = Kernel::looked(vec![Message::NewLink(down)]);
    let eth0 = kernel.network("eth0");
    assert_eq!(eth0.state, State::Down);
    assert_eq!(
        eth0.notes.down,
        ["administratively down", "no address", "no route"]
    );
    kernel.tell([Message::NewLink(without_carrier(link(2, "eth0", None)))]);
    assert_eq!(
        kernel.network("eth0").notes.down,
        ["no carrier", "no address", "no route"]
    );
    kernel.tell(ethernet(2, "eth0", None));
    assert_eq!(kernel.network("eth0").state, State::Up);
    assert_eq!(kernel.network("eth0").notes.down, [""; 0]);
}

// behaviour: M14
#[test]
fn a_tentative_failed_or_deprecated_address_does_not_count() {
    let mut kernel = Kernel::looked(vec![
        Message::NewLink(link(2, "eth0", None)),
        Message::NewRoute(route(2, "fd00::", 64, None, MAIN)),
    ]);
    for flags in [
        AddressFlags::Tentative,
        AddressFlags::Dadfailed,
        AddressFlags::Deprecated,
    ] {
        kernel.tell([Message::NewAddress(flagged(2, "fd00::2", 64, flags))]);
        let eth0 = kernel.network("eth0");
        assert_eq!(eth0.state, State::Down);
        assert_eq!(eth0.notes.down, ["no usable address yet"]);
    }
    kernel.tell([Message::NewAddress(address(2, "fd00::2", 64))]);
    assert_eq!(kernel.network("eth0").state, State::Up);
}

// behaviour: C3
#[test]
fn a_carrier_lost_and_back_in_one_datagram_is_a_new_turn() {
    let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
    let before = kernel.find("eth0").turn;
    kernel.tell([
        Message::NewLink(without_carrier(link(2, "eth0", None))),
        Message::NewLink(link(2, "eth0", None)),
    ]);
    assert_eq!(kernel.network("eth0").state, State::Up);
    assert!(kernel.find("eth0").turn > before);
}

// behaviour: C3
#[test]
fn a_carrier_lost_and_back_that_nobody_told_of_is_a_new_turn() {
    let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
    let before = kernel.find("eth0").turn;
    let mut again = link(2, "eth0", None);
    again
        .attributes
        .retain(|a| !matches!(a, LinkAttribute::CarrierDownCount(_)));
    kernel.tell([Message::NewLink(with(
        again,
        LinkAttribute::CarrierDownCount(2),
    ))]);
    assert!(kernel.find("eth0").turn > before);
}

// behaviour: C3
#[test]
fn an_interface_deleted_and_made_again_with_its_index_is_a_new_turn() {
    let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
    let before = kernel.find("eth0").turn;
    kernel.tell([Message::DelLink(link(2, "eth0", None))]);
    assert!(kernel.seen().is_empty());
    kernel.tell(ethernet(2, "eth0", None));
    assert!(kernel.find("eth0").turn > before);
}

// behaviour: C8
#[test]
fn one_of_two_addresses_gone_ends_nothing_and_the_last_ends_it() {
    let mut has = ethernet(2, "eth0", None);
    has.push(Message::NewAddress(address(2, "10.0.2.3", 24)));
    let mut kernel = Kernel::looked(has);
    let turn = kernel.find("eth0").turn;
    kernel.tell([Message::DelAddress(address(2, "10.0.2.2", 24))]);
    assert_eq!(kernel.network("eth0").state, State::Up);
    assert_eq!(kernel.find("eth0").turn, turn);
    kernel.tell([Message::DelAddress(address(2, "10.0.2.3", 24))]);
    let eth0 = kernel.network("eth0");
    assert_eq!(eth0.state, State::Down);
    assert_eq!(
        eth0.notes.down,
        ["no address", "no route"],
        "the routes went in silence"
    );
    assert!(kernel.find("eth0").turn > turn);
}

#[test]
fn routes_that_may_have_gone_in_silence_are_looked_at_again() {
    let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
    kernel.tell([Message::DelAddress(address(2, "10.0.2.2", 24))]);
    assert_eq!(
        kernel.talk.request(kernel.now),
        None,
        "not at once after a look"
    );
    kernel.now += Duration::from_millis(100);
    kernel
        .has
        .retain(|message| !matches!(message, Message::NewAddress(_)));
    assert_eq!(kernel.answer_all(), 1, "the routes alone");
    assert_eq!(
        kernel.network("eth0").notes.down,
        ["no address"],
        "they had not gone"
    );
}

// behaviour: C5
#[test]
fn an_overrun_loses_no_state() {
    let mut has = ethernet(2, "eth0", None);
    has.extend(ethernet(3, "eth1", None));
    let mut kernel = Kernel::looked(has);
    let turn = kernel.find("eth1").turn;
    // Lost with the overrun: eth0 is gone, eth1 has another address, eth2 is new.
    kernel.has = ethernet(3, "eth1", None);
    kernel.has[1] = Message::NewAddress(address(3, "10.0.3.9", 24));
    kernel.has.extend(ethernet(4, "eth2", None));
    kernel.now += Duration::from_secs(1);
    kernel.overrun();
    assert_eq!(kernel.answer_all(), 4);
    let names: Vec<_> = kernel
        .seen()
        .into_iter()
        .map(|seen| seen.spec.name)
        .collect();
    assert_eq!(names, ["eth1", "eth2"]);
    assert_eq!(
        kernel.network("eth1").addresses,
        [(ip("10.0.3.9"), 24).into()]
    );
    assert_eq!(kernel.find("eth1").turn, turn, "the link itself stayed");
}

// behaviour: C5
#[test]
fn after_an_overrun_nothing_is_asked_before_the_socket_was_empty() {
    let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
    kernel.now += Duration::from_secs(1);
    kernel.talk.overrun(kernel.now);
    assert_eq!(kernel.talk.request(kernel.now), None);
    // Nobody is told of this, nor of its being lost.
    kernel.has.clear();
    kernel.talk.drained();
    assert_eq!(kernel.answer_all(), 4);
    assert!(kernel.seen().is_empty());
}

#[test]
fn a_look_that_failed_is_not_begun_again_at_once() {
    let mut kernel = Kernel::looked(Vec::new());
    kernel.now += Duration::from_secs(1);
    for _ in 0..2 {
        kernel.talk.look(kernel.now);
        let request = kernel.talk.request(kernel.now).expect("links");
        let request = NetlinkMessage::<Message>::deserialize(&request).expect("a request");
        let sequence = request.header.sequence_number;
        let busy = refusal(sequence, libc::EBUSY);
        kernel.talk.receive(kernel.now, &busy).expect("a failure");
        assert_eq!(kernel.talk.request(kernel.now), None);
        kernel.now += Duration::from_secs(1);
    }
    assert_eq!(kernel.answer_all(), 4);
}

// behaviour: C5
#[test]
fn an_overrun_in_a_dump_starts_it_again() {
    let mut kernel = Kernel::new(ethernet(2, "eth0", None));
    let lost = kernel.talk.request(kernel.now).expect("a request");
    kernel.now += Duration::from_secs(1);
    kernel.overrun();
    kernel.answer(&lost, 0);
    assert!(
        kernel.seen().is_empty(),
        "the rest of the old dump is not believed"
    );
    assert_eq!(kernel.answer_all(), 4);
    assert!(kernel.talk.is_complete());
}

#[test]
fn an_interrupted_dump_is_asked_for_again_and_takes_nothing_away() {
    let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
    kernel.now += Duration::from_secs(30);
    kernel
        .talk
        .handle_timeout(kernel.now)
        .expect("a regular look");
    let request = kernel.talk.request(kernel.now).expect("links");
    let has = std::mem::take(&mut kernel.has);
    kernel.has = vec![Message::NewLink(link(9, "new0", None))];
    kernel.answer(&request, NLM_F_DUMP_INTR);
    assert_eq!(kernel.seen().len(), 2);
    kernel.has = has;
    kernel.answer_all();
    assert_eq!(kernel.seen().len(), 1);
}

/// Answers every request by an interrupted dump until a look ends; how many that took.
fn look_disturbed(kernel: &mut Kernel) -> usize {
    for answered in 0..100 {
        if kernel.talk.take_ended() {
            return answered;
        }
        let request = kernel.talk.request(kernel.now).expect("a request");
        kernel.answer(&request, NLM_F_DUMP_INTR);
    }
    panic!("no end");
}

// behaviour: C4
#[test]
fn a_table_that_never_rests_is_shown_all_the_same_and_put_right_when_it_does() {
    let mut kernel = Kernel::new(ethernet(2, "eth0", None));
    assert_eq!(look_disturbed(&mut kernel), 2 + 4);
    assert!(kernel.talk.is_complete());
    assert_eq!(kernel.network("eth0").state, State::Up);
    // What was told of meanwhile counts, and what was not shown is not taken away.
    kernel.tell(ethernet(3, "eth1", None));
    let soon = kernel.talk.timeout();
    assert_eq!(soon, kernel.now + Duration::from_millis(300));
    kernel.now = soon;
    kernel.talk.handle_timeout(kernel.now).expect("time");
    assert_eq!(look_disturbed(&mut kernel), 4);
    assert_eq!(kernel.seen().len(), 2);
    kernel.now = kernel.talk.timeout();
    kernel.talk.handle_timeout(kernel.now).expect("time");
    assert_eq!(kernel.answer_all(), 4);
    assert_eq!(kernel.seen().len(), 1, "eth1 had gone");
    assert_eq!(kernel.talk.timeout(), kernel.now + Duration::from_secs(30));
}

// behaviour: C5
#[test]
fn overruns_without_end_do_not_keep_a_look_from_its_end() {
    let mut kernel = Kernel::new(ethernet(2, "eth0", None));
    let mut overruns = 0;
    while !kernel.talk.is_complete() {
        kernel.now += Duration::from_secs(1);
        let request = kernel.talk.request(kernel.now).expect("a request");
        kernel.overrun();
        overruns += 1;
        assert!(overruns < 10, "no end");
        kernel.answer(&request, 0);
    }
    assert_eq!(kernel.network("eth0").state, State::Up);
    // The flood is over: what it washed away is found missing at once.
    kernel.has.clear();
    kernel.now = kernel.talk.timeout();
    kernel.talk.handle_timeout(kernel.now).expect("time");
    assert_eq!(kernel.answer_all(), 4);
    assert!(kernel.seen().is_empty());
}

#[test]
fn a_long_dump_is_waited_for_as_long_as_it_goes_on() {
    let mut kernel = Kernel::new(Vec::new());
    let request = kernel.talk.request(kernel.now).expect("links");
    let request = NetlinkMessage::<Message>::deserialize(&request).expect("a request");
    for index in 1..=5 {
        kernel.now += Duration::from_millis(1900);
        let one = Message::NewLink(link(index, &format!("eth{index}"), None));
        let part = bytes(one, 0, request.header.sequence_number, PORT);
        kernel.talk.receive(kernel.now, &part).expect("a part");
        kernel.talk.handle_timeout(kernel.now).expect("still at it");
    }
    assert_eq!(kernel.seen().len(), 5);
    kernel.now = kernel.talk.timeout();
    let given_up = kernel.talk.handle_timeout(kernel.now);
    given_up.expect_err("two seconds of silence");
}

#[test]
fn everything_is_looked_at_every_30_seconds() {
    let mut kernel = Kernel::looked(Vec::new());
    assert!(kernel.talk.take_ended());
    assert_eq!(kernel.talk.timeout(), kernel.now + Duration::from_secs(30));
    kernel.now += Duration::from_secs(30);
    kernel.talk.handle_timeout(kernel.now).expect("time");
    assert_eq!(kernel.answer_all(), 4);
    assert!(kernel.talk.take_ended() && !kernel.talk.take_ended());
}

#[test]
fn looks_at_the_routes_alone_never_put_off_the_regular_one() {
    let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
    let (regular, end) = (kernel.talk.timeout(), kernel.now + Duration::from_secs(29));
    assert!(kernel.talk.take_ended());
    while kernel.now < end {
        kernel.tell([Message::DelAddress(address(2, "10.0.2.2", 24))]);
        kernel.tell([Message::NewAddress(address(2, "10.0.2.2", 24))]);
        kernel.now += Duration::from_secs(1);
        assert_eq!(kernel.answer_all(), 1);
        assert!(!kernel.talk.take_ended());
    }
    assert_eq!(kernel.talk.timeout(), regular);
}

#[test]
fn a_kernel_without_rules_is_complete_and_looks_in_main() {
    let mut kernel = Kernel::new(ethernet(2, "eth0", None));
    for _ in 0..4 {
        let request = kernel.talk.request(kernel.now).expect("a request");
        let asked = NetlinkMessage::<Message>::deserialize(&request).expect("a request");
        if let NetlinkPayload::InnerMessage(Message::GetRule(_)) = asked.payload {
            let refusal = refusal(asked.header.sequence_number, libc::EOPNOTSUPP);
            kernel
                .talk
                .receive(kernel.now, &refusal)
                .expect("can be done without");
        } else {
            kernel.answer(&request, 0);
        }
    }
    assert!(kernel.talk.is_complete());
    assert_eq!(kernel.network("eth0").state, State::Up);
}

// behaviour: C9
#[test]
fn a_kernel_that_refuses_or_is_silent_is_given_up() {
    let mut kernel = Kernel::new(Vec::new());
    kernel.talk.request(kernel.now).expect("a request");
    let error = kernel
        .talk
        .receive(kernel.now, &refusal(1, libc::EPERM))
        .expect_err("refused");
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);

    let mut kernel = Kernel::new(Vec::new());
    kernel.talk.request(kernel.now).expect("a request");
    let late = kernel.talk.timeout();
    assert_eq!(late, kernel.now + Duration::from_secs(2));
    kernel.talk.handle_timeout(late).expect_err("silent");
}

#[test]
fn a_socket_that_worked_is_given_up_after_three_failures() {
    let mut kernel = Kernel::looked(Vec::new());
    kernel.talk.look(kernel.now);
    for failure in 1..=3 {
        kernel.now = kernel.talk.timeout();
        kernel.talk.request(kernel.now).expect("a request");
        kernel.now = kernel.talk.timeout();
        assert_eq!(
            kernel.talk.handle_timeout(kernel.now).is_err(),
            failure == 3
        );
    }
}

#[test]
fn a_message_that_does_not_decode_leads_to_a_look_but_not_to_an_endless_one() {
    let mut kernel = Kernel::looked(ethernet(2, "eth0", None));
    let mut nameless = link(2, "", None);
    nameless.attributes.remove(0);
    kernel.tell([Message::NewLink(nameless.clone())]);
    assert_eq!(kernel.talk.request(kernel.now), None);
    kernel.now += Duration::from_secs(1);
    kernel.has.push(Message::NewLink(nameless));
    assert_eq!(kernel.answer_all(), 4);
    kernel.now += Duration::from_secs(10);
    assert_eq!(
        kernel.answer_all(),
        0,
        "a dump that shows it again asks for none"
    );
    assert_eq!(kernel.seen().len(), 1);
}
