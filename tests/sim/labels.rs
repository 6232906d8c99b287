//! Labels that travel with the bytes.

use mancom::{Label, Prop};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use crate::support::{Chance, Outcome, cellular, joined, millis, secs, soon, wifi, world};

const LABELS: [Label; 6] = [
    Label::ANY,
    Label::INTERACTIVE,
    Label::BACKGROUND,
    Label::new().small(),
    Label::new().background().avoid(Prop::Metered),
    Label::new().bytes(70_000).prefer(Prop::Wifi),
];

/// What was sent or read under one label without a change.
type Runs = Vec<(Label, Vec<u8>)>;

fn add(runs: &mut Runs, label: Label, bytes: &[u8]) {
    match runs.last_mut() {
        Some((last, run)) if *last == label => run.extend_from_slice(bytes),
        _ => runs.push((label, bytes.to_vec())),
    }
}

// behaviour: I5
#[mancom::test]
async fn labels_read_are_labels_sent_and_change_where_the_sends_did() -> Outcome {
    let (manager, networks, faults) = world().await;
    networks.up(wifi());
    let mut chance = Chance(5);
    for _ in 0..40 {
        faults.cut_next_after(400 + chance.below(60_000));
    }
    let listener = manager.listen("mem://labels").await?;
    let near = manager.connect("mem://labels").await?;
    let far = listener.accept().await?;
    let (mut far_read, mut far_write) = far.into_split();
    let (mut near_read, mut near_write) = near.into_split();
    let sending = tokio::spawn(async move {
        let mut chance = Chance(50);
        let mut sent = Runs::new();
        for _ in 0..600 {
            let label = LABELS[chance.below(6) as usize];
            let most = if chance.below(10) == 0 { 40_000 } else { 900 };
            let count = chance.below(most) as usize;
            let bytes = chance.bytes(count);
            match chance.below(3) {
                0 => {
                    near_write.set_label(label);
                    near_write.write_all(&bytes).await.unwrap();
                }
                1 => {
                    near_write.set_label(label);
                    near_write.write_bytes(bytes.clone().into()).await.unwrap();
                }
                _ => near_write.write_labelled(label, &bytes).await.unwrap(),
            }
            if !bytes.is_empty() {
                add(&mut sent, label, &bytes);
            }
        }
        near_write.shutdown().await.unwrap();
        sent
    });
    let reading = tokio::spawn(async move {
        let mut chance = Chance(51);
        let mut read = Runs::new();
        loop {
            let mut buf = vec![0; 1 + chance.below(20_000) as usize];
            match far_read.read_labelled(&mut buf).await.unwrap() {
                (0, _) => return read,
                (n, label) => add(&mut read, label, &buf[..n]),
            }
        }
    });
    let sent = soon(secs(3600), "the sender", sending).await.unwrap();
    let read = soon(secs(60), "the reader", reading).await.unwrap();
    assert_eq!(sent.len(), read.len());
    for (at, (sent, read)) in sent.iter().zip(&read).enumerate() {
        assert_eq!((sent.0, sent.1.len()), (read.0, read.1.len()), "run {at}");
        assert!(sent.1 == read.1, "bytes of run {at}");
    }
    // The way back has labels of its own.
    far_write.write_labelled(Label::BACKGROUND, b"back").await?;
    let mut buf = [0; 16];
    assert_eq!(
        near_read.read_labelled(&mut buf).await?,
        (4, Label::BACKGROUND)
    );
    Ok(())
}

// behaviour: I5
#[mancom::test]
async fn a_read_never_crosses_a_change_of_label(networks: mancom::testing::Networks) -> Outcome {
    networks.up(wifi());
    let (mut near, mut far) = joined("mem://edge", Label::INTERACTIVE).await?;
    near.write_labelled(Label::BACKGROUND, b"one").await?;
    near.write_labelled(Label::ANY, b"two").await?;
    near.write_all(b"three").await?;
    sleep(millis(100)).await;
    let mut buf = [0; 64];
    assert_eq!(far.read_labelled(&mut buf).await?, (3, Label::BACKGROUND));
    // A plain read keeps to the boundary too.
    assert_eq!(far.read(&mut buf).await?, 3);
    assert_eq!(far.read_labelled(&mut buf).await?, (5, Label::INTERACTIVE));
    Ok(())
}

// behaviour: I5
#[mancom::test]
async fn a_chunk_under_a_label_is_taken_whole_or_not_at_all(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(wifi());
    let (mut near, mut far) = joined("mem://whole", Label::ANY).await?;
    networks.down("wlan0");
    near.write_all(&vec![0; (4 << 20) - 100]).await?;
    let waiting = near.write_labelled(Label::BACKGROUND, &[1; 200]);
    assert!(tokio::time::timeout(secs(1), waiting).await.is_err());
    near.write_labelled(Label::BACKGROUND, &[2; 100]).await?;
    networks.up(wifi());
    let mut rest = vec![0; (4 << 20) - 100];
    soon(secs(60), "the first", far.read_exact(&mut rest)).await?;
    let mut buf = [0; 400];
    assert_eq!(far.read_labelled(&mut buf).await?, (100, Label::BACKGROUND));
    assert!(
        buf[..100].iter().all(|byte| *byte == 2),
        "nothing of what was given up"
    );
    Ok(())
}

// behaviour: I5
#[mancom::test]
async fn a_read_for_a_label_no_path_could_carry_says_so(
    networks: mancom::testing::Networks,
) -> Outcome {
    networks.up(cellular());
    let (mut near, mut far) = joined("mem://never", Label::ANY).await?;
    let wifi_only = Label::new().require(Prop::Wifi);
    let mut buf = [0; 8];
    let refused = near
        .read_labelled(&mut buf)
        .label(wifi_only)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("require=wifi"), "{refused}");
    far.write_all(b"any").await?;
    let read = near
        .read_labelled(&mut buf)
        .label(Label::INTERACTIVE)
        .await?;
    assert_eq!(read, (3, Label::ANY));
    Ok(())
}
