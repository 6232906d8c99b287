//! Bytes that come in any order, more than once and late.

use super::*;

/// Pieces of a text of which each byte tells its place.
const PIECE: usize = 10;
const PIECES: usize = 60;

fn text() -> Vec<u8> {
    (0..PIECES * PIECE)
        .map(|at| (at / PIECE + at % PIECE) as u8)
        .collect()
}

/// Each piece twice, in an order of chance.
fn shuffled(seed: u64) -> Vec<usize> {
    let mut noise = Noise(seed);
    let mut order: Vec<usize> = (0..2 * PIECES).map(|at| at % PIECES).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, noise.next() as usize % (at + 1));
    }
    order
}

// behaviour: S3, K4
#[tokio::test]
async fn pieces_in_any_order_twice_and_late_over_two_paths_are_read_once() {
    let manager = manager(|_| ()).await;
    let (listener, at) = listen(&manager).await;
    for seed in 0..20 {
        let (mut first, agreed) = session(Raw::dial(at).await).await.unwrap();
        let mut numbers = numbers(&agreed);
        let begun = [opening(0), data(0, 0, b"")].concat();
        first.send(&begun).await;
        let mut served = soon(listener.accept()).await.unwrap();
        let path = numbers.next_path(1);
        let second = attach(Raw::dial(at).await, &agreed.credentials, path);
        let mut second = second.await.unwrap();
        second.send(&[opening(0), resume()].concat()).await;
        let held = served.session();
        until(|| held.paths().len() == 2).await;
        let (text, mut read) = (text(), vec![0; PIECES * PIECE]);
        let piece = |at: usize| data(0, (at * PIECE) as u64, &text[at * PIECE..][..PIECE]);
        for (turn, at) in shuffled(seed).into_iter().enumerate() {
            let raw = match turn % 2 {
                0 => &mut first,
                _ => &mut second,
            };
            raw.send(&piece(at)).await;
        }
        soon(served.read_exact(&mut read)).await.unwrap();
        assert!(read == text, "each byte once, at its place");
        // What was read long ago comes again, and then what follows.
        for at in shuffled(seed + 1) {
            second.send(&piece(at)).await;
        }
        let end = (PIECES * PIECE) as u64;
        second.send(&data(0, end, b"end")).await;
        let mut read = [0; 3];
        soon(served.read_exact(&mut read)).await.unwrap();
        assert_eq!(&read, b"end");
        assert_eq!(held.paths().len(), 2, "no fault of its peer's");
        drop((first, second));
        served.abort();
    }
}
