use super::*;

#[test]
fn bytes_go_both_ways_and_both_ends_end() {
    let mut pair = pair();
    let now = pair.now();
    let id = pair
        .session(End::Dialler)
        .open(now, Label::ANY)
        .expect("room");
    send_all(&mut pair, End::Dialler, id, &bytes(300_000));
    pair.session(End::Dialler).shutdown(now, id);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.session(End::Listener).accept(), Some((id, Label::ANY)));
    assert_eq!(pair.read_all(End::Listener, id), Ok(true));
    assert_eq!(pair.sides[1].read[&id], bytes(300_000));

    send_all(&mut pair, End::Listener, id, b"and back");
    let now = pair.now();
    pair.session(End::Listener).shutdown(now, id);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.read_all(End::Dialler, id), Ok(true));
    assert_eq!(pair.sides[0].read[&id], b"and back");
    for end in End::BOTH {
        assert_eq!(pair.session(end).is_shut(id), Ok(true));
        assert!(pair.sides[end as usize].saw(Event::Shut(id)));
    }
}

// behaviour: S3
#[test]
fn resumes_after_every_path_was_lost() {
    let mut pair = pair();
    let now = pair.now();
    let id = pair
        .session(End::Dialler)
        .open(now, Label::ANY)
        .expect("room");
    let data = bytes(1_000_000);
    let mut sent = 0;
    for round in 0..2000u64 {
        let now = pair.now();
        sent += pair
            .session(End::Dialler)
            .write(now, id, Label::ANY, &data[sent..])
            .expect("open");
        pair.step(now + LONG);
        if round > 3 {
            let _ = pair.read_all(End::Listener, id);
        }
        if round % 20 == 7 {
            for path in pair.paths() {
                pair.cut(path);
            }
            pair.run(Duration::from_millis(50));
            pair.dial(0).expect("the session lives");
        }
    }
    pair.run(Duration::from_secs(1));
    let _ = pair.read_all(End::Listener, id);
    assert_eq!(sent, data.len());
    assert_eq!(pair.sides[1].read[&id], data);
}
