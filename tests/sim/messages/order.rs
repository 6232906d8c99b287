//! In which order messages arrive.

use mancom::testing::Networks;
use mancom::{Label, MessageError, MessageId};
use tokio::time::sleep;

use super::{Two, WIFI, ids, nothing_comes, receive, two};
use crate::support::{Chance, Outcome, cellular, millis, secs, settle, soon, wifi};

const URGENCIES: [Label; 3] = [Label::INTERACTIVE, Label::ANY, Label::BACKGROUND];

// behaviour: I3
#[mancom::test]
async fn messages_of_one_urgency_arrive_in_the_order_sent_across_a_failover(
    networks: Networks,
) -> Outcome {
    for (turn, both) in [(0, false), (1, true)] {
        networks.up(wifi());
        networks.up(cellular());
        let Two { here, there, .. } = two(&format!("mem://order{turn}")).await?;
        let mut chance = Chance(turn);
        let mut sent: [Vec<MessageId>; 3] = Default::default();
        for _ in 0..300 {
            let urgency = chance.below(3) as usize;
            let bytes = chance.bytes(10);
            let bytes = bytes.repeat(1 + chance.below(500) as usize);
            sent[urgency].push(here.send(URGENCIES[urgency], bytes).await?);
        }
        sleep(millis(30)).await;
        networks.down("wlan0");
        if both {
            networks.down("wwan0");
            sleep(secs(100)).await;
            networks.up(wifi());
        }
        let received = receive(&there, 300).await;
        for (urgency, sent) in sent.iter().enumerate() {
            let label = URGENCIES[urgency];
            let of = received.iter().filter(|message| message.label == label);
            let of: Vec<MessageId> = of.map(|message| message.id).collect();
            assert_eq!(&of, sent, "{label}");
        }
        networks.down("wlan0");
        networks.down("wwan0");
    }
    Ok(())
}

// behaviour: I3
#[mancom::test]
async fn without_a_predecessor_a_message_overtakes_and_after_all_it_comes_last(
    networks: Networks,
) -> Outcome {
    networks.up(cellular());
    let Two { here, there, .. } = two("mem://all").await?;
    // Waits for a network that is not there, and the next one with it.
    let held = here.send(WIFI, &b"held"[..]).await?;
    let behind = here.send(Label::ANY, &b"behind"[..]).await?;
    let free = here.send(Label::ANY, &b"free"[..]).after([]).await?;
    let other = here.send(Label::BACKGROUND, &b"other"[..]).await?;
    let last = here
        .send(Label::INTERACTIVE, &b"last"[..])
        .after_all()
        .await?;
    let mut early = ids(&receive(&there, 2).await);
    early.sort();
    assert_eq!(early, [free, other]);
    nothing_comes(&there).await;
    networks.up(wifi());
    assert_eq!(ids(&receive(&there, 3).await), [held, behind, last]);
    Ok(())
}

// behaviour: I2
#[mancom::test]
async fn a_message_is_held_back_until_what_it_names_was_received(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two { here, there, .. } = two("mem://held").await?;
    let big = here.send(Label::ANY, vec![1; 300_000]).await?;
    let other = here.send(Label::BACKGROUND, vec![2; 10]).await?;
    let after = here.send(Label::INTERACTIVE, &b"!"[..]).after([other]);
    let after = after.after([big]).await?;
    let received = ids(&receive(&there, 3).await);
    let place = |id| received.iter().position(|known| *known == id).unwrap();
    assert!(place(big) < place(after), "{received:?}");
    assert!(place(other) < place(after), "{received:?}");
    Ok(())
}

// behaviour: I2
#[mancom::test]
async fn any_order_asked_for_is_kept_over_networks_that_come_and_go(networks: Networks) -> Outcome {
    networks.up(wifi());
    networks.up(cellular());
    let Two { here, there, .. } = two("mem://linear").await?;
    let sending = tokio::spawn(async move {
        let mut chance = Chance(42);
        let mut sent: Vec<(MessageId, Vec<MessageId>)> = Vec::new();
        for _ in 0..300 {
            let label = URGENCIES[chance.below(3) as usize];
            let mut after = Vec::new();
            for _ in 0..chance.below(4).min(sent.len() as u64) {
                after.push(sent[chance.below(sent.len() as u64) as usize].0);
            }
            let bytes = vec![0; chance.below(20_000) as usize];
            let id = here.send(label, bytes).after(after.clone()).await?;
            sent.push((id, after));
            if chance.below(10) == 0 {
                sleep(millis(20)).await;
            }
        }
        Ok::<_, mancom::Error>((sent, here))
    });
    let cutting = tokio::spawn(async move {
        let mut chance = Chance(43);
        for name in ["wlan0", "wwan0"].repeat(5) {
            sleep(chance.millis(10, 300)).await;
            networks.down(name);
            sleep(chance.millis(10, 300)).await;
            networks.up(if name == "wlan0" { wifi() } else { cellular() });
        }
    });
    let received = ids(&receive(&there, 300).await);
    let (sent, _here) = sending.await.unwrap()?;
    cutting.await.unwrap();
    let place = |id: &MessageId| received.iter().position(|known| known == id);
    for (id, after) in &sent {
        let own = place(id).expect("it arrived");
        for before in after {
            assert!(place(before) < Some(own), "{before} before {id}");
        }
    }
    Ok(())
}

// behaviour: P1
#[mancom::test]
async fn what_waited_for_a_network_goes_by_urgency(networks: Networks) -> Outcome {
    networks.up(cellular());
    let Two { here, there, .. } = two("mem://urgency").await?;
    networks.down("wwan0");
    settle().await;
    let background = here.send(Label::BACKGROUND, vec![1; 200_000]).await?;
    let default = here.send(Label::ANY, vec![2; 200_000]).await?;
    let interactive = here.send(Label::INTERACTIVE, vec![3; 200_000]).await?;
    networks.up(cellular());
    let received = ids(&receive(&there, 3).await);
    assert_eq!(received, [interactive, default, background]);
    Ok(())
}

// behaviour: P1
#[mancom::test]
async fn what_an_urgent_message_waits_for_is_as_urgent(networks: Networks) -> Outcome {
    networks.up(cellular());
    let Two { here, there, .. } = two("mem://inherit").await?;
    networks.down("wwan0");
    settle().await;
    let other = here.send(Label::BACKGROUND, vec![1; 200_000]).await?;
    let needed = here
        .send(Label::BACKGROUND, vec![1; 200_000])
        .after([])
        .await?;
    let default = here.send(Label::ANY, vec![2; 200_000]).await?;
    let urgent = here
        .send(Label::INTERACTIVE, &b"!"[..])
        .after([needed])
        .await?;
    networks.up(cellular());
    let received = ids(&receive(&there, 4).await);
    assert_eq!(received, [needed, urgent, default, other]);
    Ok(())
}

// behaviour: I4
#[mancom::test]
async fn a_message_never_sent_is_nothing_to_come_after(networks: Networks) -> Outcome {
    networks.up(wifi());
    let Two { here, there, .. } = two("mem://never").await?;
    let mut theirs = there.send(Label::ANY, &b"x"[..]).await?;
    for _ in 0..4 {
        theirs = there.send(Label::ANY, &b"x"[..]).await?;
    }
    // A number of the peer's, and none of ours yet.
    let error = here.send(Label::ANY, &b"y"[..]).after([theirs]).await;
    assert!(
        matches!(error, Err(MessageError::UnknownDependency(id)) if id == theirs),
        "{error:?}"
    );
    let error = here.message(Label::ANY).after([theirs]).await.err();
    assert!(matches!(error, Some(MessageError::UnknownDependency(_))));
    assert!(matches!(
        here.delivered(theirs).await,
        Err(MessageError::Unknown)
    ));
    // It took nothing, and the next one has nothing to wait for.
    let id = here.send(Label::ANY, &b"z"[..]).await?;
    assert_eq!(ids(&receive(&there, 1).await), [id]);
    soon(secs(1), "its delivery", here.delivered(id)).await?;
    Ok(())
}
