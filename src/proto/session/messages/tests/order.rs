//! What arrives, and in which order.

use super::*;

const URGENCIES: [Label; 3] = [Label::INTERACTIVE, Label::ANY, Label::BACKGROUND];

// behaviour: I5
#[test]
fn a_message_arrives_whole_with_its_label_and_is_acknowledged() {
    let mut pair = pair(2);
    for length in [0, 1, 1023, 1024, 40_000] {
        let label = Label::INTERACTIVE.prohibit(Prop::Roaming);
        let id = send(&mut pair, label, length, Order::Sent);
        assert_eq!(fate(&mut pair, id), Fate::Pending);
        pair.run(secs(1));
        assert_eq!(fate(&mut pair, id), Fate::Delivered);
        assert!(saw(&mut pair, Dialler, Event::MessageSettled(id)));
        let received = receive(&mut pair, Listener);
        assert_eq!(
            received,
            [Received {
                label,
                id,
                bytes: bytes(length)
            }]
        );
        assert!(saw(&mut pair, Listener, Event::MessageReady));
    }
    assert!(pair.session(Dialler).buffered() == 0);
    assert!(pair.session(Listener).buffered() == 0);
}
