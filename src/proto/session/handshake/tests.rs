use proptest::prelude::*;

use super::*;
use crate::network::{Fact, Kind, Kinds};
use crate::proto::pair::{Seeded, handshake};
use crate::proto::session::tests::cases;

fn offer() -> Offer {
    Offer {
        grace: Duration::from_secs(60),
        receive_window: 1 << 20,
        max_streams: 100,
        facts: PathFacts::default(),
        anonymous: false,
        security: Security::Clear,
        exporter: Vec::new(),
        peer: None,
    }
}

fn body(message: &[u8]) -> &[u8] {
    let length = u16::from_be_bytes([message[0], message[1]]);
    assert_eq!(usize::from(length) + 2, message.len());
    assert!(message.len() <= MAX_MESSAGE);
    &message[2..]
}

fn entropy(seed: u64) -> Entropy {
    Seeded::new(seed).entropy()
}

fn credentials() -> [Credentials; 2] {
    handshake(&mut Seeded::new(1), offer(), offer()).map(|agreed| agreed.credentials)
}

const PATH: PathId = PathId { id: 2, epoch: 5 };

/// The attach as far as the challenge.
fn challenged(
    dialler: &Credentials,
    listener: Option<&Credentials>,
    offers: [Offer; 2],
) -> (Result<(DialProof, Vec<u8>), HandshakeError>, AwaitProof) {
    let (state, attach) = DialAttach::new(entropy(7), dialler, PATH, &offers[0]);
    let Ok(Greeting::Attach(greeting)) = Greeting::parse(body(&attach)) else {
        panic!("an attach is read as one");
    };
    assert_eq!(greeting.session(), dialler.id());
    assert_eq!(greeting.path(), PATH);
    let [_, theirs] = offers;
    let (awaiting, challenge) = greeting.challenge(entropy(8), listener, theirs);
    (state.challenge(body(&challenge)), awaiting)
}

#[test]
fn both_ends_agree_on_the_smaller_values_and_the_same_session() {
    let mut generous = offer();
    generous.grace = Duration::from_secs(3600);
    generous.max_streams = 7;
    generous.receive_window = 4096;
    generous.facts.kinds = Kinds::of(Kind::Wifi);
    generous.facts.metered = Fact::LikelyNo;
    let [ours, theirs] = handshake(&mut Seeded::new(3), offer(), generous.clone());
    assert_eq!(ours.grace, Duration::from_secs(60));
    assert_eq!(theirs.grace, ours.grace);
    assert_eq!((ours.max_streams, theirs.max_streams), (7, 7));
    assert_eq!(
        (ours.peer_receive_window, ours.receive_window),
        (4096, 1 << 20)
    );
    assert_eq!(ours.remote, generous.facts);
    assert_eq!(ours.id, theirs.id);
    assert_eq!((ours.role, theirs.role), (Role::Dialler, Role::Listener));
    let ([a, b], [c, d]) = (
        [&ours.credentials.dialler, &ours.credentials.listener],
        [&theirs.credentials.dialler, &theirs.credentials.listener],
    );
    assert!(a == c && b == d && a != b);
}

#[test]
fn who_is_anonymous_tells_nothing() {
    let mut shy = offer();
    shy.facts.metered = Fact::Yes;
    shy.anonymous = true;
    let [_, theirs] = handshake(&mut Seeded::new(3), shy, offer());
    assert_eq!(theirs.remote, PathFacts::default());
}

#[test]
fn a_cookie_serves_its_source_its_hello_and_its_time_only() {
    let key = CookieKey([9; 32]);
    let (state, hello) = DialHello::new(entropy(1), offer());
    let Ok(Greeting::New(bare)) = Greeting::parse(body(&hello)) else {
        panic!("a hello");
    };
    assert!(!bare.has_cookie(&key, b"source", 10));
    let ask = bare.ask_cookie(&key, b"source", 10);
    let Ok(Replied::Again(state, hello)) = state.reply(body(&ask)) else {
        panic!("a cookie is brought back");
    };
    let Ok(Greeting::New(greeting)) = Greeting::parse(body(&hello)) else {
        panic!("a hello");
    };
    assert!(greeting.has_cookie(&key, b"source", 10));
    assert!(greeting.has_cookie(&key, b"source", 11));
    assert!(!greeting.has_cookie(&key, b"source", 12));
    assert!(!greeting.has_cookie(&key, b"elsewhere", 10));
    assert!(!greeting.has_cookie(&CookieKey([8; 32]), b"source", 10));

    let (awaiting, reply) = greeting.reply(entropy(2), offer()).expect("no weak key");
    let Ok(Replied::Confirm(state, confirm)) = state.reply(body(&reply)) else {
        panic!("a reply is confirmed");
    };
    assert_eq!(state.agreed().id, awaiting.agreed().id);
    let (_, accepted) = awaiting.confirm(body(&confirm)).expect("it verifies");
    assert!(state.accepted(body(&accepted)).is_ok());
}

#[test]
fn a_listener_that_asks_for_cookies_for_ever_is_left() {
    let key = CookieKey([9; 32]);
    let (state, hello) = DialHello::new(entropy(1), offer());
    let Ok(Greeting::New(greeting)) = Greeting::parse(body(&hello)) else {
        panic!("a hello");
    };
    let ask = greeting.ask_cookie(&key, b"", 1);
    let Ok(Replied::Again(state, _)) = state.reply(body(&ask)) else {
        panic!("the first is answered");
    };
    assert_eq!(
        state.reply(body(&ask)).map(|_| ()),
        Err(HandshakeError::Malformed)
    );
}

#[test]
fn a_path_joins_with_a_proof_from_each_end() {
    let [dialler, listener] = credentials();
    let mut theirs = offer();
    theirs.facts.roaming = Fact::Yes;
    let mut ours = offer();
    ours.facts.metered = Fact::Yes;
    let (proved, awaiting) = challenged(&dialler, Some(&listener), [ours.clone(), theirs.clone()]);
    let (state, proof) = proved.expect("it is answered");
    let (facts, accepted) = awaiting.proof(body(&proof)).expect("it verifies");
    assert_eq!(facts, ours.facts);
    assert_eq!(state.accepted(body(&accepted)), Ok(theirs.facts));
}

// behaviour: K1
#[test]
fn a_stolen_id_opens_nothing() {
    let [dialler, listener] = credentials();
    let [mut thief, _] = handshake(&mut Seeded::new(99), offer(), offer()).map(|a| a.credentials);
    thief.id = dialler.id;
    let (proved, awaiting) = challenged(&thief, Some(&listener), [offer(), offer()]);
    let (state, proof) = proved.expect("it is answered");
    let (error, refusal) = awaiting
        .proof(body(&proof))
        .expect_err("it does not verify");
    assert_eq!(error, HandshakeError::BadProof);
    assert_eq!(
        state.accepted(body(&refusal)),
        Err(HandshakeError::UnknownSession)
    );
}

// behaviour: K2
#[test]
fn a_recorded_attach_is_worth_nothing_the_second_time() {
    let [dialler, listener] = credentials();
    let (proved, awaiting) = challenged(&dialler, Some(&listener), [offer(), offer()]);
    let (_, proof) = proved.expect("it is answered");
    awaiting
        .proof(body(&proof))
        .expect("the first time it does");

    let (_, attach) = DialAttach::new(entropy(7), &dialler, PATH, &offer());
    let Ok(Greeting::Attach(replayed)) = Greeting::parse(body(&attach)) else {
        panic!("an attach is read as one");
    };
    let (awaiting, _) = replayed.challenge(entropy(1000), Some(&listener), offer());
    let (error, _) = awaiting.proof(body(&proof)).expect_err("not twice");
    assert_eq!(error, HandshakeError::BadProof);
}

// behaviour: K13
#[test]
fn known_and_unknown_sessions_are_refused_alike() {
    let [dialler, listener] = credentials();
    let [mut thief, _] = handshake(&mut Seeded::new(99), offer(), offer()).map(|a| a.credentials);
    thief.id = dialler.id;
    let answers = [Some(&listener), None].map(|known| {
        let (_, attach) = DialAttach::new(entropy(7), &thief, PATH, &offer());
        let Ok(Greeting::Attach(greeting)) = Greeting::parse(body(&attach)) else {
            panic!("an attach is read as one");
        };
        let (awaiting, challenge) = greeting.challenge(entropy(8), known, offer());
        let (_, proof) = challenged(&thief, known, [offer(), offer()])
            .0
            .expect("answered");
        let (error, refusal) = awaiting.proof(body(&proof)).expect_err("refused");
        (challenge, error, refusal)
    });
    assert_eq!(answers[0], answers[1]);
}

// behaviour: K13
#[test]
fn the_id_is_the_listeners_so_a_hello_cannot_name_one() {
    let mut hello = message::begin(message::Kind::Hello);
    let exchange = keys::Exchange::new([3; 32]);
    Terms::new([1; 32], exchange.public(), &offer()).put(&mut hello);
    hello.push(0);
    // An id put behind what is known is an extension nobody knows.
    hello.extend_from_slice(&[0xaa; 16]);
    let Ok(Greeting::New(greeting)) = Greeting::parse(&hello) else {
        panic!("a hello");
    };
    let (awaiting, _) = greeting.reply(entropy(4), offer()).expect("no weak key");
    assert_ne!(awaiting.agreed().id, SessionId([0xaa; 16]));
}

// behaviour: K12
#[test]
fn a_rogue_listener_cannot_accept() {
    let [dialler, _] = credentials();
    let [_, rogue] = handshake(&mut Seeded::new(99), offer(), offer()).map(|a| a.credentials);
    let (state, attach) = DialAttach::new(entropy(7), &dialler, PATH, &offer());
    let Ok(Greeting::Attach(greeting)) = Greeting::parse(body(&attach)) else {
        panic!("an attach is read as one");
    };
    let (_, challenge) = greeting.challenge(entropy(8), Some(&rogue), offer());
    let (state, _) = state.challenge(body(&challenge)).expect("it is answered");
    let made_up = message::carrying(message::Kind::Accepted, &[0x55; 32]);
    assert_eq!(
        state.accepted(body(&made_up)),
        Err(HandshakeError::BadProof)
    );
}

#[test]
fn a_proof_reflected_to_its_maker_is_refused() {
    let [dialler, listener] = credentials();
    let (proved, _) = challenged(&dialler, Some(&listener), [offer(), offer()]);
    let (state, proof) = proved.expect("it is answered");
    let reflected = message::carrying(
        message::Kind::Accepted,
        &body(&proof)[7..].try_into().expect("32 bytes"),
    );
    assert_eq!(
        state.accepted(body(&reflected)),
        Err(HandshakeError::BadProof)
    );
}

// behaviour: K8
#[test]
fn a_proof_is_bound_to_its_tls_connection() {
    let [dialler, listener] = credentials();
    let spliced = [b"one".to_vec(), b"two".to_vec()].map(|exporter| Offer {
        exporter,
        ..offer()
    });
    let (proved, awaiting) = challenged(&dialler, Some(&listener), spliced);
    let (_, proof) = proved.expect("it is answered");
    let (error, _) = awaiting.proof(body(&proof)).expect_err("spliced");
    assert_eq!(error, HandshakeError::BadProof);
}

#[test]
fn a_path_less_safe_than_the_session_is_refused_by_both_ends() {
    let safe = Offer {
        security: Security::Tls,
        ..offer()
    };
    let [dialler, listener] =
        handshake(&mut Seeded::new(1), safe.clone(), safe.clone()).map(|a| a.credentials);
    let (proved, _) = challenged(&dialler, Some(&listener), [offer(), safe.clone()]);
    assert_eq!(proved.map(|_| ()), Err(HandshakeError::LessSafe));
    let (proved, awaiting) = challenged(&dialler, Some(&listener), [safe, offer()]);
    let (state, proof) = proved.expect("it is answered");
    let (error, refusal) = awaiting.proof(body(&proof)).expect_err("refused");
    assert_eq!(error, HandshakeError::LessSafe);
    assert_eq!(
        state.accepted(body(&refusal)),
        Err(HandshakeError::LessSafe)
    );
}

#[test]
fn a_path_to_somebody_else_than_the_session_began_with_is_refused_by_both_ends() {
    let with = |peer: Option<&[u8]>| Offer {
        peer: peer.map(|key| Peer(key.into())),
        ..offer()
    };
    let [alice, bob] = [with(Some(b"alice")), with(Some(b"bob"))];
    // The dialler is Alice, and knows the listener as Bob.
    let [dialler, listener] =
        handshake(&mut Seeded::new(1), bob.clone(), alice.clone()).map(|a| a.credentials);
    for other in [with(None), with(Some(b"mallory"))] {
        let (proved, _) = challenged(&dialler, Some(&listener), [other.clone(), alice.clone()]);
        assert_eq!(proved.map(|_| ()), Err(HandshakeError::OtherPeer));
        let (proved, awaiting) = challenged(&dialler, Some(&listener), [bob.clone(), other]);
        let (state, proof) = proved.expect("it is answered");
        let (error, refusal) = awaiting.proof(body(&proof)).expect_err("refused");
        assert_eq!(error, HandshakeError::OtherPeer);
        assert_eq!(
            state.accepted(body(&refusal)),
            Err(HandshakeError::OtherPeer)
        );
    }
    let (proved, awaiting) = challenged(&dialler, Some(&listener), [bob, alice]);
    let (_, proof) = proved.expect("it is answered");
    assert!(awaiting.proof(body(&proof)).is_ok());
}

/// An attach in one flight: what the listener makes of it, and the dialler's state.
#[allow(clippy::type_complexity, reason = "it is what both give")]
fn proved(
    dialler: &Credentials,
    listener: Option<&Credentials>,
    offers: [Offer; 2],
) -> (
    DialProved,
    Result<(PathFacts, Vec<u8>), (HandshakeError, Vec<u8>)>,
) {
    let (state, message) = DialProved::new(entropy(7), dialler, PATH, &offers[0]).expect("in TLS");
    let Ok(Greeting::Proved(greeting)) = Greeting::parse(body(&message)) else {
        panic!("an attach with a proof is read as one");
    };
    assert_eq!((greeting.session(), greeting.path()), (dialler.id(), PATH));
    (state, greeting.answer(entropy(8), listener, &offers[1]))
}

// behaviour: K1, K2, K8
#[test]
fn in_tls_an_attach_takes_one_flight_and_is_bound_to_its_connection() {
    let bound = |exporter: &[u8], kinds: Kinds| Offer {
        exporter: exporter.to_vec(),
        facts: PathFacts {
            kinds,
            ..PathFacts::default()
        },
        ..offer()
    };
    let [wifi, wired] = [Kind::Wifi, Kind::Ethernet].map(Kinds::of);
    let [dialler, listener] = credentials();
    let fine = [bound(b"one", wifi), bound(b"one", wired)];
    let (state, answer) = proved(&dialler, Some(&listener), fine.clone());
    let (facts, accepted) = answer.expect("proved");
    assert_eq!(facts.kinds, wifi);
    assert_eq!(
        state.accepted(body(&accepted)).expect("proved").kinds,
        wired
    );

    // Spliced, unknown, or in clear at the listener.
    let spliced = [bound(b"one", wifi), bound(b"two", wired)];
    let clear = [bound(b"one", wifi), bound(b"", wired)];
    for (offers, known) in [(spliced, true), (fine, false), (clear, true)] {
        let (state, answer) = proved(&dialler, known.then_some(&listener), offers);
        let (error, refusal) = answer.expect_err("refused");
        assert_eq!(error, HandshakeError::BadProof);
        let told = state.accepted(body(&refusal));
        assert_eq!(told, Err(HandshakeError::UnknownSession));
    }
    let in_clear = DialProved::new(entropy(7), &dialler, PATH, &offer());
    assert_eq!(in_clear.map(drop), Err(HandshakeError::LessSafe));

    // A rogue listener does not hold the keys.
    let (state, message) =
        DialProved::new(entropy(7), &dialler, PATH, &bound(b"one", wifi)).expect("in TLS");
    let mut rogue = message::begin(message::Kind::AcceptedAtOnce);
    rogue.extend([0; 68]);
    assert_eq!(state.accepted(&rogue), Err(HandshakeError::BadProof));
    assert!(message.len() <= MAX_MESSAGE);
}

#[test]
fn a_public_key_that_agrees_on_nothing_is_refused() {
    let mut hello = message::begin(message::Kind::Hello);
    Terms::new([1; 32], [0; 32], &offer()).put(&mut hello);
    hello.push(0);
    let Ok(Greeting::New(greeting)) = Greeting::parse(&hello) else {
        panic!("a hello");
    };
    let answer = greeting.reply(entropy(4), offer()).map(|_| ());
    assert_eq!(answer, Err(HandshakeError::WeakKey));
}

#[test]
fn a_changed_hello_fails_the_confirmation() {
    let (state, hello) = DialHello::new(entropy(1), offer());
    let mut changed = body(&hello).to_vec();
    // Somebody on the path asks for another grace.
    changed[7 + 64 + 7] ^= 1;
    let Ok(Greeting::New(greeting)) = Greeting::parse(&changed) else {
        panic!("a hello");
    };
    let (awaiting, reply) = greeting.reply(entropy(2), offer()).expect("no weak key");
    let Ok(Replied::Confirm(confirming, confirm)) = state.reply(body(&reply)) else {
        panic!("a reply is confirmed");
    };
    let (error, refusal) = awaiting.confirm(body(&confirm)).expect_err("changed");
    assert_eq!(error, HandshakeError::Spliced);
    let refusal = refusal.expect("it is told");
    assert_eq!(
        confirming.accepted(body(&refusal)).map(drop),
        Err(HandshakeError::Spliced)
    );
}

#[test]
fn other_protocols_and_versions_are_told_apart() {
    let parse = |bytes: &[u8]| Greeting::parse(bytes).map(|_| ());
    assert_eq!(parse(b"GET / HTTP/1.1"), Err(HandshakeError::NotMancom));
    assert_eq!(parse(b""), Err(HandshakeError::NotMancom));
    assert_eq!(parse(b"mcom\0\x02\x01"), Err(HandshakeError::Version(2)));
    assert_eq!(parse(b"mcom\0\x01"), Err(HandshakeError::Malformed));
    assert_eq!(parse(b"mcom\0\x01\x63"), Err(HandshakeError::Malformed));
    assert_eq!(parse(&[b'm'; MAX_MESSAGE]), Err(HandshakeError::Malformed));
}

#[test]
fn secrets_are_not_shown() {
    let [dialler, _] = credentials();
    let shown = format!("{dialler:?} {:?} {:?}", entropy(1), CookieKey([7; 32]));
    assert!(shown.contains("Credentials") && shown.contains("Entropy(..)"));
    let key = format!("{:?}", dialler.dialler.as_slice());
    assert!(!shown.contains(&key[1..20]));
}

proptest! {
    #![proptest_config(cases(500))]

    // behaviour: K4
    #[test]
    fn no_message_panics_any_state(
        mut message in prop::collection::vec(any::<u8>(), 0..200),
        headed: bool,
        kind in 0..13u8,
    ) {
        if headed {
            message.splice(0..0, [b'm', b'c', b'o', b'm', 0, 1, kind]);
        }
        let [dialler, listener] = credentials();
        match Greeting::parse(&message) {
            Ok(Greeting::New(new)) => {
                let key = CookieKey([1; 32]);
                prop_assert!(!new.has_cookie(&key, b"", 0));
                let _ = new.ask_cookie(&key, b"", 0);
                let _ = new.reply(entropy(1), offer());
            }
            Ok(Greeting::Attach(attach)) => {
                let _ = attach.challenge(entropy(1), Some(&listener), offer());
            }
            Ok(Greeting::Proved(proved)) => {
                let _ = proved.answer(entropy(1), Some(&listener), &offer());
            }
            Err(_) => {}
        }
        let (state, hello) = DialHello::new(entropy(1), offer());
        let _ = state.reply(&message);
        let Ok(Greeting::New(new)) = Greeting::parse(body(&hello)) else {
            panic!("a hello");
        };
        let (awaiting, _) = new.reply(entropy(2), offer()).expect("no weak key");
        prop_assert!(awaiting.confirm(&message).is_err());
        let (state, _) = DialAttach::new(entropy(7), &dialler, PATH, &offer());
        let _ = state.challenge(&message);
        let (proved, awaiting) = challenged(&dialler, Some(&listener), [offer(), offer()]);
        let (state, _) = proved.expect("it is answered");
        prop_assert!(state.accepted(&message).is_err());
        prop_assert!(awaiting.proof(&message).is_err());
    }
}
