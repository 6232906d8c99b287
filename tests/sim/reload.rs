//! A policy that changes while operations wait.

use mancom::network::Fact;
use mancom::{Label, Manager, Network, Prop};
use std::fs;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// A waker that counts.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls with a waker of its own.
struct Polled<F>(Pin<Box<F>>, Arc<Wakes>);

impl<F: Future> Polled<F> {
    fn new(future: F) -> Self {
        Polled(Box::pin(future), Arc::default())
    }

    fn poll(&mut self) -> Poll<F::Output> {
        let waker = Waker::from(self.1.clone());
        self.0.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn wakes(&self) -> usize {
        self.1.0.load(Ordering::SeqCst)
    }
}

/// Lets everything else come to rest.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

// behaviour: G4
#[tokio::test(start_paused = true)]
async fn a_reload_judges_what_waits_once() {
    let (scout, networks) = mancom::testing::scripted();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mancom.toml");
    let allowed = "[labels.photos]\nlabel = 'background prohibit=metered'\n";
    fs::write(&path, format!("unknown = 'deny'\n{allowed}")).unwrap();
    let builder = Manager::builder().scout(scout).config_file(&path);
    let manager = builder.build().await.unwrap();
    networks.up(Network::ethernet("eth0").metered(Fact::Unknown));
    let photos = manager.label("photos").unwrap();
    let mut going = Polled::new(manager.matching(photos).into_future());
    let wifi = photos.require(Prop::Wifi);
    let mut staying = Polled::new(manager.matching(wifi).into_future());
    assert!(going.poll().is_pending() && staying.poll().is_pending());
    settle().await;

    fs::write(&path, allowed).unwrap();
    assert!(manager.reload().unwrap());
    settle().await;
    assert_eq!((going.wakes(), staying.wakes()), (1, 0));
    let Poll::Ready(Ok(network)) = going.poll() else {
        panic!("an unknown fact counts for it now");
    };
    assert_eq!(network.name(), "eth0");
    assert!(staying.poll().is_pending());

    // The same again is no news, and a wrong text neither.
    assert!(!manager.reload().unwrap());
    fs::write(&path, "unknown = 'dny'").unwrap();
    assert!(manager.reload().is_err());
    settle().await;
    assert_eq!((going.wakes(), staying.wakes()), (1, 0));
    assert!(manager.matching(photos).no_wait().await.is_ok());
}

// behaviour: G4, M13
#[tokio::test(start_paused = true)]
async fn an_operation_keeps_its_label_and_a_new_rule_stops_it() {
    let (scout, networks) = mancom::testing::scripted();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mancom.toml");
    fs::write(&path, "[labels.photos]\nlabel = 'background'\n").unwrap();
    let builder = Manager::builder().scout(scout).config_file(&path);
    let manager = builder.build().await.unwrap();
    let photos = manager.label("photos").unwrap();
    let mut waiting = pin!(manager.matching(photos).into_future());
    let poll =
        |waiting: Pin<&mut _>| Future::poll(waiting, &mut Context::from_waker(Waker::noop()));
    assert!(poll(waiting.as_mut()).is_pending());
    let rule = "[labels.photos]\nlabel = 'interactive'\n[[policy]]\nforbid = 'background'\non = 'cellular'\n";
    fs::write(&path, rule).unwrap();
    assert!(manager.reload().unwrap());
    assert_eq!(manager.label("photos").unwrap(), Label::INTERACTIVE);
    networks.up(Network::cellular("wwan0"));
    settle().await;
    assert!(
        poll(waiting.as_mut()).is_pending(),
        "it is background still"
    );
    let refused = manager.matching(photos).no_wait().await.unwrap_err();
    let why = format!("{:?}", mancom::Error::from(refused));
    assert!(why.contains(&format!("{}:3", path.display())), "{why}");
    assert!(manager.matching(Label::INTERACTIVE).no_wait().await.is_ok());
    fs::write(&path, "").unwrap();
    assert!(manager.reload().unwrap());
    settle().await;
    assert!(poll(waiting.as_mut()).is_ready());
}

// behaviour: G5
#[tokio::test(start_paused = true)]
async fn what_is_told_of_a_label_names_it_as_the_configuration_does_now() {
    let (scout, _networks) = mancom::testing::scripted();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mancom.toml");
    let named = |name: &str| format!("[labels.{name}]\nlabel = 'background prohibit=metered'\n");
    fs::write(&path, named("photos")).unwrap();
    let builder = Manager::builder().scout(scout).config_file(&path);
    let manager = builder.build().await.unwrap();
    let photos = manager.label("photos").unwrap();
    for name in ["photos", "pictures"] {
        fs::write(&path, named(name)).unwrap();
        manager.reload().unwrap();
        let refused = manager.matching(photos).no_wait().await.unwrap_err();
        let told = mancom::Error::from(refused)
            .blocked()
            .map(|blocked| blocked.to_string());
        let told = told.expect("an explanation");
        assert!(told.contains(name), "{told}");
    }
    let gone = manager.label("photos").unwrap_err();
    assert!(gone.to_string().contains("`photos`"), "{gone}");
}

#[tokio::test(start_paused = true)]
async fn a_named_label_brings_what_it_relaxes_to() {
    let (scout, networks) = mancom::testing::scripted();
    let text = "[labels.photos]\nlabel = 'background prohibit=metered'\nrelax_after = '1h'\nrelax_to = 'background'";
    let config = mancom::manager::config::Config::parse(text, "mancom.toml").unwrap();
    let builder = Manager::builder().scout(scout).config(config);
    let manager = builder.build().await.unwrap();
    networks.up(Network::cellular("wwan0").metered(true));
    let photos = manager.label("photos").unwrap();
    let started = tokio::time::Instant::now();
    assert_eq!(manager.matching(photos).await.unwrap().name(), "wwan0");
    let hour = std::time::Duration::from_secs(3600);
    assert!(started.elapsed() >= hour, "{:?}", started.elapsed());
    let ran = manager.run(photos, |network| async move {
        Ok::<_, mancom::Error>(network.name().to_owned())
    });
    assert_eq!(ran.await.unwrap(), "wwan0");
    assert!(started.elapsed() >= 2 * hour);
}
