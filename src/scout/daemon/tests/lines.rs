//! Lines, from any bytes and in any pieces.

use crate::network::{Network, NetworkId, Snapshot};
use crate::scout::daemon::wire::{Line, Lines, VERSION};
use proptest::prelude::*;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;

fn some_lines() -> Vec<Line> {
    let wlan0 = Network::wifi("wlan0\n\"\u{e9}\"").metered(true);
    let network = Network::new(NetworkId::new(2, 9), wlan0);
    vec![
        Line {
            mancom_scout: Some(VERSION),
            instance: Some("0123".to_owned()),
            network_namespace: Some("4:5".to_owned()),
            ..Line::default()
        },
        Line::default(),
        Line {
            snapshot: Some(Arc::new(Snapshot::new(3, true, vec![network]))),
            ..Line::default()
        },
        Line {
            look: Some(u64::MAX),
            ..Line::default()
        },
        Line {
            looked: Some(0),
            ..Line::default()
        },
        Line {
            refused: Some("no".to_owned()),
            ..Line::default()
        },
    ]
}

/// All lines until the end or the first error; the bytes come in pieces of this size.
async fn read(bytes: &[u8], piece: usize, longest: usize) -> Vec<Result<Line, std::io::ErrorKind>> {
    let (mut near, far) = tokio::io::duplex(piece.max(1));
    let mut lines = Lines::new(far, longest);
    let write = async move {
        // The reader goes at the first error.
        let _ = near.write_all(bytes).await;
    };
    let read = async move {
        let mut all = Vec::new();
        loop {
            match lines.next().await {
                Ok(Some(line)) => all.push(Ok(line)),
                Ok(None) => return all,
                Err(error) => {
                    all.push(Err(error.kind()));
                    return all;
                }
            }
        }
    };
    tokio::join!(write, read).1
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(future)
}

#[test]
fn lines_arrive_in_pieces_of_any_size() {
    let sent = some_lines();
    let bytes: Vec<u8> = sent.iter().flat_map(Line::encode).collect();
    assert_eq!(bytes.iter().filter(|b| **b == b'\n').count(), sent.len());
    for piece in [1, 2, 3, 7, 64, 100_000] {
        let heard = block_on(read(&bytes, piece, 10_000));
        let heard: Result<Vec<Line>, _> = heard.into_iter().collect();
        assert_eq!(heard.expect("no error"), sent);
    }
}

#[test]
fn what_is_not_known_is_ignored_and_an_empty_line_says_nothing() {
    let text = b"\n  \n{\"mood\": {\"good\": [1, 2]}, \"looked\": 4}\n";
    let heard = block_on(read(text, 9, 1000));
    let looked = Line {
        looked: Some(4),
        ..Line::default()
    };
    assert_eq!(
        heard,
        [Ok(Line::default()), Ok(Line::default()), Ok(looked)]
    );
}

#[test]
fn a_long_line_is_an_error_before_it_is_kept() {
    let (mut near, far) = tokio::io::duplex(1 << 16);
    let mut lines = Lines::new(far, 1000);
    let error = block_on(async move {
        let endless = async move { while near.write_all(&[b'a'; 4096]).await.is_ok() {} };
        let heard = lines.next();
        tokio::select! {
            heard = heard => heard.expect_err("too long"),
            () = endless => panic!("it read on"),
        }
    });
    assert_eq!(error.to_string(), "a line of more than 1000 bytes");
}

proptest! {
    #[test]
    fn any_bytes_are_lines_or_an_error(
        bytes in proptest::collection::vec(any::<u8>(), 0..2000),
        piece in 1..300_usize,
    ) {
        let lines = block_on(read(&bytes, piece, 500));
        prop_assert!(lines.len() <= bytes.len() + 1);
    }

    #[test]
    fn a_line_that_was_damaged_is_a_line_or_an_error(
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<proptest::sample::Index>(),
    ) {
        for line in some_lines() {
            let mut bytes = line.encode();
            let place = at.index(bytes.len());
            bytes[place] = byte;
            let _ = Line::decode(&bytes);
            let _ = Line::decode(&bytes[..cut.index(bytes.len())]);
        }
    }
}
