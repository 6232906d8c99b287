//! Messages over sessions: what arrives, in which order, what does not, and what everybody is told.

mod ends;
mod fate;
mod order;
mod pieces;
mod room;

use futures::poll;
use mancom::stream::Fate;
use mancom::testing::Networks;
use mancom::{Label, McStream, Message, MessageError, MessageId, Prop, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::support::{
    Chance, Outcome, cellular, joined, millis, secs, sent_over, settle, soon, wifi,
};

pub(crate) const UNMETERED: Label = Label::new().prohibit(Prop::Metered);
pub(crate) const WIFI: Label = Label::new().require(Prop::Wifi);

/// Both ends of a session, each with its first stream.
pub(crate) struct Two {
    pub(crate) near: McStream,
    pub(crate) far: McStream,
    pub(crate) here: Session,
    pub(crate) there: Session,
}

pub(crate) async fn two(at: &str) -> Result<Two, mancom::Error> {
    let (near, far) = joined(at, Label::ANY).await?;
    Ok(Two {
        here: near.session(),
        there: far.session(),
        near,
        far,
    })
}

/// The next `count` messages.
pub(crate) async fn receive(from: &Session, count: usize) -> Vec<Message> {
    let mut received = Vec::new();
    for at in 0..count {
        let what = format!("message {at} of {count}");
        received.push(soon(secs(120), &what, from.recv()).await.expect("it lives"));
    }
    received
}

pub(crate) fn ids(messages: &[Message]) -> Vec<MessageId> {
    messages.iter().map(|message| message.id).collect()
}

/// Nothing is there to receive, nor will be soon.
pub(crate) async fn nothing_comes(to: &Session) {
    let message = tokio::time::timeout(secs(30), to.recv()).await;
    assert!(message.is_err(), "{message:?}");
}

// behaviour: I5 I6 EV-01
#[mancom::test]
async fn a_message_arrives_whole_with_its_label_and_its_number(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two { here, there, .. } = two("mem://hello").await?;
    let labels = [
        Label::INTERACTIVE,
        Label::ANY,
        Label::BACKGROUND.large().prohibit(Prop::Roaming),
    ];
    let mut chance = Chance(1);
    for size in [1, 1_000, 100_000, 1_000_000] {
        for label in labels {
            let bytes = chance.bytes(size);
            let began = Instant::now();
            let id = here.send(label, bytes.clone()).await?;
            assert_eq!(began.elapsed(), millis(0), "taken at once");
            let message = soon(secs(5), "the message", there.recv()).await?;
            assert_eq!((message.id, message.label), (id, label));
            assert!(message.bytes == bytes, "{size} bytes, as they were sent");
            soon(secs(1), "word of it", here.delivered(id)).await?;
        }
    }
    // And the other way: its numbers are its own.
    let id = there.send(Label::ANY, &b"answer"[..]).await?;
    let answer = soon(secs(1), "the answer", here.recv()).await?;
    assert_eq!((answer.id, &answer.bytes[..]), (id, &b"answer"[..]));
    Ok(())
}

// behaviour: I6
#[mancom::test]
async fn delivered_takes_a_round_trip_and_no_reader(networks: Networks) -> Outcome {
    networks.up(wifi().rtt(millis(100)));
    let Two { here, there, .. } = two("mem://there").await?;
    let began = Instant::now();
    let id = here.send(Label::INTERACTIVE, &b"now"[..]).await?;
    here.delivered(id).await?;
    assert!(began.elapsed() >= millis(100), "{:?}", began.elapsed());
    assert!(began.elapsed() < millis(150), "{:?}", began.elapsed());
    // The peer's program was not there: acknowledged is not received.
    assert_eq!(receive(&there, 1).await[0].id, id);
    // Asked again, it is said again.
    here.delivered(id).await?;
    Ok(())
}

// behaviour: I1
#[mancom::test]
async fn long_messages_side_by_side_never_mix(networks: Networks) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let Two { here, there, .. } = two("mem://mix").await?;
    let labels = [Label::INTERACTIVE, Label::ANY, Label::BACKGROUND];
    let mut sent = Vec::new();
    for turn in 0..30_u8 {
        let label = labels[usize::from(turn) % 3];
        let bytes = vec![turn; 20_000 + 3_000 * usize::from(turn)];
        let id = here.send(label, bytes).after([]).await?;
        sent.push((id, label, turn));
    }
    let mut received = receive(&there, 30).await;
    received.sort_by_key(|message| message.id);
    for (message, (id, label, turn)) in received.iter().zip(sent) {
        assert_eq!((message.id, message.label), (id, label));
        assert_eq!(message.bytes.len(), 20_000 + 3_000 * usize::from(turn));
        assert!(message.bytes.iter().all(|byte| *byte == turn));
    }
    Ok(())
}

// behaviour: I4 S1
#[mancom::test]
async fn every_message_arrives_once_through_the_loss_of_any_and_all_networks(
    networks: Networks,
) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let Two { here, there, .. } = two("mem://losses").await?;
    let sending = tokio::spawn(async move {
        let mut chance = Chance(7);
        let mut sent = Vec::new();
        for _ in 0..400 {
            let size = if chance.below(8) == 0 { 60_000 } else { 2_000 };
            let bytes = chance.bytes(chance_size(&mut Chance(chance.0), size));
            sent.push((here.send(Label::ANY, bytes.clone()).await?, bytes));
            sleep(chance.millis(1, 40)).await;
        }
        for (id, _) in &sent {
            soon(secs(120), "its delivery", here.delivered(*id)).await?;
        }
        Ok::<_, mancom::Error>((sent, here))
    });
    let cutting = tokio::spawn(async move {
        let mut chance = Chance(8);
        for _ in 0..12 {
            sleep(chance.millis(50, 900)).await;
            networks.down("wlan0");
            sleep(chance.millis(0, 400)).await;
            networks.down("wwan0");
            sleep(chance.millis(0, 60_000)).await;
            networks.up(cellular());
            sleep(chance.millis(0, 400)).await;
            networks.up(wifi());
        }
    });
    let received = receive(&there, 400).await;
    cutting.await.unwrap();
    let (sent, _here) = sending.await.unwrap()?;
    nothing_comes(&there).await;
    let received: Vec<_> = received
        .into_iter()
        .map(|m| (m.id, m.bytes.to_vec()))
        .collect();
    assert!(received == sent, "each once, in order, as it was");
    Ok(())
}

fn chance_size(chance: &mut Chance, most: u64) -> usize {
    chance.below(most) as usize
}

// behaviour: I7
#[mancom::test]
async fn a_strict_message_never_travels_where_it_may_not(networks: Networks) -> Outcome {
    networks.up(wifi());
    networks.up(cellular().metered(true));
    let Two {
        near,
        far,
        here,
        there,
    } = two("mem://strict").await?;
    let strict = here.send(UNMETERED, vec![1; 50_000]).await?;
    let back = there.send(UNMETERED, vec![2; 50_000]).await?;
    sleep(millis(10)).await;
    // Half of it is on its way: the rest, and what was lost, must wait.
    networks.down("wlan0");
    let free = here.send(Label::ANY, vec![3; 10_000]).after([]).await?;
    soon(secs(5), "what may go", here.delivered(free)).await?;
    assert_eq!(ids(&receive(&there, 1).await), [free]);
    sleep(secs(60)).await;
    assert!(poll!(here.delivered(strict)).is_pending());
    let over = sent_over(&near, "wwan0");
    assert!(over <= 11_000, "only the free one: {over}");
    assert!(sent_over(&far, "wwan0") <= 1_000);
    networks.up(wifi());
    soon(secs(5), "the rest", here.delivered(strict)).await?;
    soon(secs(5), "and back", there.delivered(back)).await?;
    assert_eq!(receive(&there, 1).await[0].bytes, vec![1; 50_000]);
    assert_eq!(receive(&here, 1).await[0].bytes, vec![2; 50_000]);
    assert_eq!(sent_over(&near, "wwan0"), over);
    Ok(())
}

// behaviour: P1
#[mancom::test]
async fn an_interactive_byte_overtakes_background_messages(networks: Networks) -> Outcome {
    networks.up(cellular());
    let Two {
        mut near,
        mut far,
        here,
        there,
    } = two("mem://overtakes").await?;
    // 3 s of the network's bandwidth.
    let bulk = here.send(Label::BACKGROUND, vec![1; 3_000_000]).await?;
    sleep(millis(500)).await;
    near.write_labelled(Label::INTERACTIVE, b"!").await?;
    let began = Instant::now();
    assert_eq!(soon(secs(2), "the byte", far.read_u8()).await?, b'!');
    assert!(began.elapsed() < millis(400), "{:?}", began.elapsed());
    assert!(poll!(here.delivered(bulk)).is_pending(), "it is far ahead");
    assert_eq!(receive(&there, 1).await[0].id, bulk);
    Ok(())
}

// behaviour: P1
#[mancom::test]
async fn an_interactive_message_overtakes_a_background_stream(networks: Networks) -> Outcome {
    networks.up(cellular());
    let Two {
        mut near,
        mut far,
        here,
        there,
    } = two("mem://stream").await?;
    near.write_labelled(Label::BACKGROUND, &vec![1; 3_000_000])
        .await?;
    let reading = tokio::spawn(async move {
        let mut all = vec![0; 3_000_000];
        far.read_exact(&mut all).await?;
        Ok::<_, std::io::Error>(Instant::now())
    });
    sleep(millis(500)).await;
    let began = Instant::now();
    let id = here.send(Label::INTERACTIVE, &b"!"[..]).await?;
    let message = soon(secs(2), "the message", there.recv()).await?;
    assert_eq!(message.id, id);
    assert!(began.elapsed() < millis(400), "{:?}", began.elapsed());
    assert!(!reading.is_finished());
    soon(secs(10), "the stream", reading).await.unwrap()?;
    near.shutdown().await?;
    Ok(())
}

#[mancom::test]
async fn what_messages_weigh_is_counted(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two {
        near, here, there, ..
    } = two("mem://weight").await?;
    let id = here.send(Label::ANY, vec![1; 100_000]).await?;
    here.delivered(id).await?;
    assert_eq!(sent_over(&near, "wlan0"), 100_000);
    let paths = there.paths();
    assert_eq!(paths.len(), 1);
    assert_eq!(paths[0].stats.payload_received, 100_000);
    assert_eq!(near.stats().written, 0, "the stream's own is its own");
    Ok(())
}

#[mancom::test]
async fn a_plain_stream_carries_no_messages() -> Outcome {
    let (manager, networks, _exchange) = crate::line::world().await;
    networks.up(wifi());
    let listener = manager.listen("line://plain").await?;
    let near = manager.connect("line://plain").await?;
    let _far = listener.accept().await?;
    let session = near.session();
    let (other_manager, other, _) = crate::support::world().await;
    other.up(wifi());
    let elsewhere = other_manager.listen("mem://id").await?;
    let stream = other_manager.connect("mem://id").await?;
    let id = stream.session().send(Label::ANY, &b"x"[..]).await?;
    drop(elsewhere);
    let refused = [
        session.send(Label::ANY, &b"x"[..]).await.err(),
        session.message(Label::ANY).await.err(),
        session.delivered(id).await.err(),
        session.cancel(id).await.err(),
        session.relabel(id, Label::ANY).await.err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(MessageError::NotMancom)), "{error:?}");
    }
    let error = session.recv().await.unwrap_err();
    assert!(matches!(error, mancom::SessionError::NotMancom));
    Ok(())
}

#[mancom::test]
async fn a_message_that_waits_for_its_network_is_explained_by_its_session(
    networks: Networks,
) -> Outcome {
    networks.up(cellular());
    let Two { here, there, .. } = two("mem://why").await?;
    assert!(here.operation().blocked().is_none());
    let id = here.send(WIFI, &b"x"[..]).await?;
    settle().await;
    let blocked = here.operation().blocked().expect("it waits for one");
    assert_eq!(blocked.networks[0].network.name(), "wwan0");
    networks.up(wifi());
    soon(secs(2), "the message", here.delivered(id)).await?;
    assert!(here.operation().blocked().is_none());
    assert_eq!(receive(&there, 1).await[0].label, WIFI);
    assert_eq!(here.cancel(id).await?, Fate::Delivered);
    Ok(())
}

// behaviour: P1
#[mancom::test]
async fn a_long_message_takes_no_longer_than_a_stream_of_its_label(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two {
        mut near,
        mut far,
        here,
        there,
    } = two("mem://as-long").await?;
    // What there is to find out about the network is known to both.
    here.send(Label::BACKGROUND, vec![1; 1_000_000]).await?;
    receive(&there, 1).await;
    sleep(secs(30)).await;
    for label in [Label::BACKGROUND, Label::ANY] {
        let mut took = [millis(0); 2];
        for (stream, took) in [false, true].into_iter().zip(&mut took) {
            // Background makes way for a while, whatever carries it.
            let id = here.send(Label::INTERACTIVE, vec![1; 1_000]).await?;
            here.delivered(id).await?;
            receive(&there, 1).await;
            let began = Instant::now();
            if stream {
                near.write_labelled(label, &vec![1; 1_000_000]).await?;
                far.read_exact(&mut vec![0; 1_000_000]).await?;
            } else {
                here.send(label, vec![1; 1_000_000]).await?;
                receive(&there, 1).await;
            }
            *took = began.elapsed();
            sleep(secs(30)).await;
        }
        let [message, stream] = took;
        assert!(message < stream * 5 / 4, "{label}: {message:?} {stream:?}");
    }
    Ok(())
}

#[mancom::test]
async fn an_estimate_tells_time_money_and_energy_beforehand(networks: Networks) -> Outcome {
    networks.up(cellular().metered(true));
    let Two { here, there, .. } = two("mem://estimate").await?;
    let energy = |_: mancom::network::Kind, bytes: u64, _: std::time::Duration| bytes as f64;
    let told = here.estimate(Label::ANY, 1_000_000, Some(&energy));
    let told = told.expect("its network tells its bandwidth");
    assert_eq!((told.metered, told.joules as u64), (1_000_000, 1_000_000));
    let began = Instant::now();
    here.send(Label::ANY, vec![1; 1_000_000]).await?;
    receive(&there, 1).await;
    let took = began.elapsed();
    assert!(told.time < took * 5 / 4, "{:?} {took:?}", told.time);
    assert!(took < told.time * 5 / 4, "{:?} {took:?}", told.time);
    assert!(here.estimate(UNMETERED, 1, None).is_none());
    Ok(())
}
