//! The attach of one flight in TLS: stolen, replayed, spliced.

use mancom::proto::session::handshake::{Agreed, DialProved, HandshakeError, Offer, Security};

use super::attacks::{Dialled, certified, dial, exporter, lives, session};
use crate::raw::{Raw, entropy, manager, offer};

/// What such an attach says, proved for a connection with this exporter.
fn proved(agreed: &Agreed, exporter: Vec<u8>) -> (DialProved, Vec<u8>) {
    let offer = Offer {
        security: Security::Tls,
        exporter,
        ..offer()
    };
    let path = crate::raw::numbers(agreed).next_path(1);
    DialProved::new(entropy(), &agreed.credentials, path, &offer).unwrap()
}

/// What a listener answers to it.
async fn answer(stream: Dialled, attach: &[u8]) -> (Raw<Dialled>, Vec<u8>) {
    let mut raw = Raw(stream);
    raw.send(attach).await;
    let answer = raw.message().await.unwrap();
    (raw, answer)
}

/// `mcom`, version 1, refused: an unknown session or a bad proof.
const UNKNOWN: &[u8] = b"mcom\x00\x01\x09\x00\x01";

// behaviour: K1, K13
#[tokio::test]
async fn a_stolen_id_opens_nothing_in_one_flight_either() {
    let manager = manager(|_| {}).await;
    let (_authority, at) = certified(&manager).await;
    let (mut first, agreed) = session(&at).await;
    let stream = dial(&at).await;
    let (_, attach) = proved(&agreed, exporter(&stream));
    let head = &attach[..attach.len() - 32];
    // No proof at all, one of zeros, one that is wrong in a bit, and all of it for an id that nobody has.
    let mut short = head.to_vec();
    short[1] -= 32;
    let mut wrong = attach.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let mut unknown = attach.clone();
    unknown[9..25].fill(9);
    let answers = [
        answer(stream, &wrong).await,
        answer(dial(&at).await, &[head, &[0; 32]].concat()).await,
        answer(dial(&at).await, &unknown).await,
    ];
    for (mut path, answer) in answers {
        assert_eq!(answer, UNKNOWN, "known and unknown look the same");
        assert!(!lives(&mut path).await);
    }
    let mut thief = Raw(dial(&at).await);
    thief.send(&short).await;
    assert!(thief.message().await.is_err(), "no answer to what is cut");
    assert!(lives(&mut first).await, "the session notices nothing");
}

// behaviour: K2
#[tokio::test]
async fn an_attach_in_one_flight_serves_once_and_on_its_own_connection() {
    let manager = manager(|_| {}).await;
    let (_authority, at) = certified(&manager).await;
    let (mut first, agreed) = session(&at).await;
    let stream = dial(&at).await;
    let (state, attach) = proved(&agreed, exporter(&stream));
    // Recorded before it arrives, and played first.
    let (_, early) = answer(dial(&at).await, &attach).await;
    assert_eq!(early, UNKNOWN);
    let (mut path, accepted) = answer(stream, &attach).await;
    state.accepted(&accepted).unwrap();
    assert!(lives(&mut path).await);
    // And played afterwards, on another connection and once more on its own.
    for _ in 0..2 {
        let (mut again, late) = answer(dial(&at).await, &attach).await;
        assert_eq!(late, UNKNOWN);
        assert!(!lives(&mut again).await);
    }
    assert!(lives(&mut path).await && lives(&mut first).await);
    path.throw(&attach).await;
    assert!(!lives(&mut path).await, "it is no frame of a session");
    assert!(lives(&mut first).await);
}

// behaviour: K8
#[tokio::test]
async fn an_attach_in_one_flight_spliced_onto_another_connection_is_refused() {
    let manager = manager(|_| {}).await;
    let (_authority, at) = certified(&manager).await;
    let (mut first, agreed) = session(&at).await;
    // Who is between has a connection with the dialler, whose exporter this is, and one with the listener.
    let theirs = exporter(&dial(&at).await);
    let (state, attach) = proved(&agreed, theirs);
    let (mut path, refused) = answer(dial(&at).await, &attach).await;
    assert_eq!(refused, UNKNOWN);
    assert!(!lives(&mut path).await);
    let told = state.accepted(&refused);
    assert_eq!(told.map(drop), Err(HandshakeError::UnknownSession));
    // What the listener answered on one connection is no answer on another.
    let [one, other] = [dial(&at).await, dial(&at).await];
    let [of_one, of_other] = [&one, &other].map(|stream| proved(&agreed, exporter(stream)));
    let (mut path, accepted) = answer(one, &of_one.1).await;
    let told = of_other.0.accepted(&accepted);
    assert_eq!(told.map(drop), Err(HandshakeError::BadProof));
    of_one.0.accepted(&accepted).unwrap();
    assert!(lives(&mut path).await && lives(&mut first).await);
}
