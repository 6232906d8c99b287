//! What the configuration says of a label, where a builder says nothing.

use std::time::Duration;

use mancom::manager::config::Config;
use mancom::stream::Settings;
use mancom::testing::Networks;
use mancom::{Label, Manager, Network, SessionError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::support::{Outcome, joined_by, millis, on, secs, soon, with};

const CONFIG: &str = r#"
    [labels.photos]
    label = "background require=wifi"
    within = "5m"
    grace = "30s"

    [labels.news]
    label = "prefer=wifi require=ethernet"
    within = "1h"
    relax_after = "20s"
    relax_to = "any"
"#;

async fn world() -> (Manager, Networks) {
    let (scout, networks) = mancom::testing::scripted();
    let config = Config::parse(CONFIG, "mancom.toml").unwrap();
    let manager = Manager::builder().scout(scout).config(config);
    (manager.build().await.unwrap(), networks)
}

#[mancom::test]
async fn a_label_brings_its_deadline_unless_the_builder_has_one() -> Outcome {
    let (manager, networks) = world().await;
    let _listener = manager.listen("mem://photos").await?;
    networks.up(Network::cellular("wwan0"));
    let photos = manager.label("photos")?;
    let began = Instant::now();
    let late = manager.connect("mem://photos").label(photos).await;
    assert!(late.unwrap_err().is_timed_out());
    assert_eq!(began.elapsed().as_secs(), 300);
    let began = Instant::now();
    let connect = manager.connect("mem://photos").label(photos);
    assert!(connect.within(secs(2)).await.unwrap_err().is_timed_out());
    assert_eq!(began.elapsed().as_secs(), 2);
    // A stream of a session that is open already waits as long.
    let stream = manager.connect("mem://photos").await?;
    let began = Instant::now();
    let late = stream.session().open(photos).await.unwrap_err();
    assert!(late.blocked().is_some(), "{late}");
    assert_eq!(began.elapsed().as_secs(), 300);
    let open = stream.session().open(photos).within(secs(2));
    assert!(open.await.is_err());
    assert_eq!(began.elapsed().as_secs(), 302);
    Ok(())
}

#[mancom::test]
async fn a_label_brings_its_grace_unless_the_builder_has_one() -> Outcome {
    let (manager, networks) = world().await;
    let listener = manager.listen("mem://photos").await?;
    networks.up(Network::wifi("wlan0"));
    let photos = manager.label("photos")?;
    let connect = |grace: Option<Duration>| {
        let connect = manager.connect("mem://photos").label(photos);
        match grace {
            Some(grace) => connect.grace(grace),
            None => connect,
        }
    };
    for (own, expected) in [(None, 30), (Some(secs(90)), 90)] {
        let mut stream = connect(own).await?;
        let _far = listener.accept().await?;
        networks.down("wlan0");
        let began = Instant::now();
        let error = soon(secs(200), "the end of the grace", stream.read_u8()).await;
        assert_eq!(error.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), expected);
        networks.up(Network::wifi("wlan0"));
    }
    Ok(())
}

// behaviour: D8
#[mancom::test]
async fn a_label_brings_its_looser_one() -> Outcome {
    let (manager, networks) = world().await;
    let listener = manager.listen("mem://news").await?;
    networks.up(Network::cellular("wwan0"));
    let news = manager.label("news")?;
    let began = Instant::now();
    let mut near = manager.connect("mem://news").label(news).await?;
    assert_eq!(began.elapsed().as_secs(), 20);
    assert_eq!(
        (near.label(), on(&near)),
        (Label::ANY, vec!["wwan0".into()])
    );
    let mut far = listener.accept().await?;
    near.write_all(b"x").await?;
    far.read_u8().await?;
    let began = Instant::now();
    let more = near.session().open(news).await?;
    assert_eq!(began.elapsed().as_secs(), 20);
    assert_eq!(more.label(), Label::ANY);
    // The builder's own comes first.
    let began = Instant::now();
    let connect = manager.connect("mem://news").label(news);
    connect.relax_after(millis(500), Label::BACKGROUND).await?;
    assert!(began.elapsed() < secs(1), "{:?}", began.elapsed());
    sleep(secs(1)).await;
    Ok(())
}

// behaviour: D6 D8
#[mancom::test]
async fn a_label_brings_a_message_its_lifetime_and_its_looser_one() -> Outcome {
    let (manager, networks) = world().await;
    let listener = manager.listen("mem://words").await?;
    networks.up(Network::cellular("wwan0"));
    let near = manager.connect("mem://words").await?;
    let far = listener.accept().await?;
    let (here, there) = (near.session(), far.session());
    let (photos, news) = (manager.label("photos")?, manager.label("news")?);
    for (own, expected) in [(None, 300), (Some(secs(2)), 2)] {
        let began = Instant::now();
        let send = here.send(photos, &b"photo"[..]);
        let id = match own {
            Some(own) => send.lifetime(own).await?,
            None => send.await?,
        };
        let late = soon(secs(400), "its end", here.delivered(id)).await;
        assert!(late.unwrap_err().is_timed_out());
        assert_eq!(began.elapsed().as_secs(), expected);
    }
    let began = Instant::now();
    let id = here.send(news, &b"news"[..]).await?;
    let message = soon(secs(30), "the news", there.recv()).await?;
    assert_eq!(began.elapsed().as_secs(), 20);
    assert_eq!((message.id, message.label), (id, Label::ANY));
    Ok(())
}

async fn settled_by(change: impl FnOnce(&mut Settings)) -> (Manager, Networks) {
    let mut settings = Settings::default();
    change(&mut settings);
    let (manager, networks) = with(settings).await;
    networks.up(Network::wifi("wlan0"));
    (manager, networks)
}

#[tokio::test(start_paused = true)]
async fn settings_of_no_streams_and_no_backlog_are_taken_as_one() -> Outcome {
    let none = |settings: &mut Settings| (settings.max_streams, settings.backlog) = (0, 0);
    let (manager, _networks) = settled_by(none).await;
    let (mut near, mut far) = soon(
        secs(5),
        "a session",
        joined_by(&manager, "mem://one", Label::ANY),
    )
    .await?;
    near.write_all(b"x").await?;
    assert_eq!(soon(secs(5), "a byte", far.read_u8()).await?, b'x');
    let more = near.session().open(Label::ANY).await;
    assert!(
        matches!(more, Err(SessionError::TooManyStreams(1))),
        "{more:?}"
    );
    Ok(())
}

// behaviour: S1
#[tokio::test(start_paused = true)]
async fn a_stall_without_end_is_waited_for_and_never_a_panic() -> Outcome {
    let (manager, networks) = settled_by(|settings| settings.stall = Duration::MAX).await;
    let (mut near, mut far) = joined_by(&manager, "mem://patient", Label::ANY).await?;
    for _ in 0..3 {
        networks.down("wlan0");
        near.write_all(b"x").await?;
        sleep(secs(2)).await;
        networks.up(Network::wifi("wlan0"));
        assert_eq!(soon(secs(5), "a byte", far.read_u8()).await?, b'x');
    }
    Ok(())
}
