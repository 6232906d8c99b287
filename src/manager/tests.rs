//! Which manager a free function finds, how one ends, and what the macros' functions do.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::{Instant, timeout};

use super::config::{ConfigError, ConfigFault};
use super::{BuildError, Manager, ShutdownError, runtime, table};
use crate::deferral::MatchError;
use crate::label::Label;
use crate::scout::Scout;
use crate::{ConnectError, Error, ListenError};

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn offline() -> Manager {
    let builder = Manager::builder().scout(Scout::fixed([]));
    builder.build().await.unwrap()
}

fn same(a: &Manager, b: &Manager) -> bool {
    Arc::ptr_eq(&a.0, &b.0)
}

fn wrong() -> BuildError {
    let fault = ConfigFault::Invalid {
        file: "mancom.toml".into(),
        line: 3,
        column: 9,
        field: "networks.wlan0.kind".into(),
        fault: "unknown kind `wfi`, did you mean `wifi`?".into(),
    };
    BuildError::from(ConfigError::from(fault))
}

// behaviour: R8
#[test]
fn runtimes_share_the_accounts_of_the_systems_networks_alone() {
    let accounts = |scout: Scout| {
        let built = one_thread().block_on(Manager::builder().scout(scout).build().into_future());
        let manager = built.unwrap();
        Arc::clone(&manager.0.accounts)
    };
    let shared = accounts(Scout::system());
    assert!(Arc::ptr_eq(&shared, &accounts(Scout::system())));
    let fixed = Scout::fixed([]);
    let own = accounts(fixed.clone());
    assert!(!Arc::ptr_eq(&own, &shared));
    assert!(!Arc::ptr_eq(&own, &accounts(Scout::fixed([]))));
    assert!(Arc::ptr_eq(&own, &accounts(fixed)));
}

#[test]
fn outside_a_runtime_everything_fails_and_nothing_panics() {
    use futures::executor::block_on;

    let manager = one_thread().block_on(offline());
    assert!(matches!(Manager::current(), Err(BuildError::NoRuntime)));
    assert!(matches!(manager.install(), Err(BuildError::NoRuntime)));
    let built = block_on(Manager::builder().build());
    assert!(matches!(built, Err(BuildError::NoRuntime)));
    let connected = block_on(crate::connect("mem://x").into_future());
    assert!(matches!(connected, Err(ConnectError::NoRuntime)));
    let listening = block_on(crate::listen("mem://x").into_future());
    assert!(matches!(listening, Err(ListenError::NoRuntime)));
    let matched = block_on(crate::matching(Label::ANY).into_future());
    assert!(matches!(matched, Err(MatchError::NoRuntime)));
    let ran = crate::run(Label::ANY, |_| async { Ok::<_, Error>(()) });
    assert!(block_on(ran.into_future()).is_err());
    assert_eq!(crate::cancel(Label::ANY), 0);
    assert!(crate::label("photos").is_err());
}

#[test]
fn each_runtime_has_one_manager_and_no_other_runtimes() {
    let (first, second) = (one_thread(), one_thread());
    let current = |runtime: &Runtime| {
        let _entered = runtime.enter();
        offline_in(runtime);
        Manager::current().unwrap()
    };
    let (a, b) = (current(&first), current(&second));
    assert!(!same(&a, &b));
    let again = first.block_on(async { Manager::current().unwrap() });
    assert!(same(&a, &again));
}

/// Installs a manager without networks, so that a test does not look at those of its host.
fn offline_in(runtime: &Runtime) {
    runtime.block_on(async { offline().await.install().unwrap() });
}

#[test]
fn the_first_use_makes_one_manager_for_all_threads() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    let uses = (0..16).map(|_| runtime.spawn(async { Manager::current().unwrap() }));
    let uses: Vec<_> = uses.collect();
    let managers = runtime.block_on(futures::future::join_all(uses));
    let managers: Vec<_> = managers.into_iter().map(Result::unwrap).collect();
    assert!(managers.iter().all(|manager| same(manager, &managers[0])));
    let late = runtime.block_on(async { offline().await.install() });
    assert!(matches!(late, Err(BuildError::AlreadyInstalled)));
}

#[test]
fn an_entry_goes_with_its_runtime() {
    let several = || Builder::new_multi_thread().enable_all().build().unwrap();
    for runtime in [one_thread(), several()] {
        let id = runtime.handle().id();
        assert!(!table::knows(id));
        offline_in(&runtime);
        let manager = runtime.block_on(async { Manager::current().unwrap() });
        let left = Arc::downgrade(&manager.0);
        drop(manager);
        assert!(table::knows(id) && left.strong_count() > 0);
        drop(runtime);
        assert!(!table::knows(id));
        assert_eq!(left.strong_count(), 0);
    }
}

#[test]
fn a_runtime_that_has_ended_gets_no_entry() {
    let runtime = one_thread();
    let handle = runtime.handle().clone();
    drop(runtime);
    let _entered = handle.enter();
    let _ = table::install(Err(wrong()));
    assert!(!table::knows(handle.id()));
}

#[test]
fn a_second_install_is_refused_and_the_first_stays() {
    one_thread().block_on(async {
        let (first, second) = (offline().await, offline().await);
        first.install().unwrap();
        assert!(matches!(
            second.install(),
            Err(BuildError::AlreadyInstalled)
        ));
        assert!(same(&Manager::current().unwrap(), &first));
    });
}

// behaviour: R4
#[tokio::test(start_paused = true)]
async fn the_last_handle_takes_every_task_with_it() {
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let manager = offline().await;
    let clone = manager.clone();
    let pending = tokio::spawn(manager.matching(Label::ANY).into_future());
    tokio::task::yield_now().await;
    drop(manager);
    drop(clone);
    pending.abort();
    let ended = async {
        while tasks() > before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), ended).await.unwrap();
}

#[tokio::test]
async fn a_wrong_configuration_is_told_where_it_is_awaited() {
    table::install(Err(wrong())).unwrap();
    let error = crate::matching(Label::ANY).await.unwrap_err();
    assert!(matches!(&error, MatchError::Manager(_)));
    let text = format!("{:?}", Error::from(error));
    assert!(
        text.contains("mancom.toml:3:9: networks.wlan0.kind: unknown kind `wfi`"),
        "{text}"
    );
    assert!(crate::connect("mem://x").await.is_err());
    assert!(crate::listen("mem://x").await.is_err());
}

// behaviour: D9
#[test]
fn every_error_of_this_layer_has_a_kind_and_its_sources() {
    let missing = ConfigError::from(ConfigFault::Unreadable {
        path: "mancom.toml".into(),
        source: io::ErrorKind::NotFound.into(),
    });
    let error = Error::from(BuildError::from(missing));
    let reached = error.source().and_then(|e| e.downcast_ref::<io::Error>());
    assert_eq!(reached.map(io::Error::kind), Some(io::ErrorKind::NotFound));
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);
    let late = io::Error::from(ShutdownError::Unfinished { sessions: 2 });
    assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    assert_eq!(late.to_string(), "2 sessions were not finished in time");
    assert!(Error::from(late).is_timed_out());
}

// behaviour: D9
#[test]
fn an_operations_own_error_is_found_inside_an_io_error() {
    let alone = io::Error::other(MatchError::NoRuntime);
    let error = Error::from(alone);
    assert!(matches!(error.downcast(), Ok(MatchError::NoRuntime)));
    let through = io::Error::from(MatchError::NoRuntime);
    assert!(matches!(
        Error::from(through).downcast(),
        Ok(MatchError::NoRuntime)
    ));
}

#[tokio::test(start_paused = true)]
async fn shutdown_stops_listeners_and_waits_for_sessions() {
    let manager = offline().await;
    let session = manager.0.tracker.enter();
    let started = Instant::now();
    let bound = Duration::from_secs(5);
    let refused = manager.shutdown(bound).await;
    assert_eq!(refused, Err(ShutdownError::Unfinished { sessions: 1 }));
    assert_eq!(started.elapsed(), bound);
    assert!(manager.0.tracker.is_closing());
    let waiting = tokio::spawn(manager.shutdown(bound));
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(session);
    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!(started.elapsed(), bound);
}

#[test]
fn main_returns_what_its_body_returns_after_the_sessions_ended() {
    static ENDED: AtomicBool = AtomicBool::new(false);
    for options in [
        runtime::Main::default().current_thread(),
        runtime::Main::default().worker_threads(2),
    ] {
        ENDED.store(false, Ordering::Relaxed);
        let answer = runtime::main(options.without_networks(), async {
            let manager = Manager::current().unwrap();
            let session = manager.0.tracker.enter();
            tokio::spawn(async move {
                manager.0.tracker.closing().await;
                tokio::task::yield_now().await;
                ENDED.store(true, Ordering::Relaxed);
                drop(session);
            });
            42
        });
        assert_eq!(answer, 42);
        assert!(ENDED.load(Ordering::Relaxed));
    }
}

#[test]
fn main_gives_up_on_sessions_at_its_bound() {
    let options = runtime::Main::default().current_thread();
    let options = options.without_networks().shutdown_millis(0);
    runtime::main(options, async {
        let manager = Manager::current().unwrap();
        std::mem::forget(manager.0.tracker.enter());
    });
}

#[cfg(feature = "config")]
mod configured {
    use super::*;
    use crate::label::LabelError;
    use crate::manager::config::Config;

    #[test]
    fn main_tells_of_a_missing_file_at_the_first_operation() {
        let options = runtime::Main::default().current_thread();
        let options = options.config("/nonexistent/mancom.toml");
        let error =
            runtime::main(options, async { crate::matching(Label::ANY).await }).unwrap_err();
        let text = format!("{:?}", Error::from(error));
        assert!(
            text.contains("cannot read the configuration /nonexistent/mancom.toml"),
            "{text}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_named_label_brings_its_deadline() {
        let text = "[labels.photos]\nlabel = 'background'\nwithin = '5s'";
        let config = Config::parse(text, "mancom.toml").unwrap();
        let builder = Manager::builder().scout(Scout::fixed([])).config(config);
        let manager = builder.build().await.unwrap();
        let photos = manager.label("photos").unwrap();
        let unknown = manager.label("photo").unwrap_err();
        let nearest = Some("photos".to_owned());
        assert!(matches!(unknown, LabelError::NotDefined { nearest: n, .. } if n == nearest));
        let started = Instant::now();
        let error = manager.matching(photos).await.unwrap_err();
        assert!(Error::from(error).is_timed_out());
        assert_eq!(started.elapsed(), Duration::from_secs(5));
        let own = manager.matching(photos).within(Duration::from_secs(1));
        assert!(own.await.is_err());
        assert_eq!(started.elapsed(), Duration::from_secs(6));
    }

    #[tokio::test]
    async fn a_file_that_was_asked_for_must_exist() {
        let builder = Manager::builder().config_file("/nonexistent/mancom.toml");
        let error = builder.build().await.unwrap_err();
        assert!(matches!(error, BuildError::Config(_)));
    }
}

#[cfg(feature = "test-util")]
mod scripted {
    use super::*;
    use crate::network::Network;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn panic_of(test: impl FnOnce()) -> String {
        let panic = catch_unwind(AssertUnwindSafe(test)).expect_err("it opens a real socket");
        panic.downcast_ref::<String>().expect("a message").clone()
    }

    // behaviour: G5, X2
    #[cfg(feature = "config")]
    #[tokio::test]
    async fn an_explanation_has_the_name_of_the_label_and_what_was_before() {
        use crate::label::matching::Destination;

        let text = "[labels.photos]\nlabel = 'require=wifi'";
        let config = crate::manager::config::Config::parse(text, "mancom.toml").unwrap();
        let (scout, networks) = crate::scout::scripted();
        networks.up(Network::wifi("wlan0"));
        let builder = Manager::builder().scout(scout).config(config);
        let manager = builder.build().await.unwrap();
        let photos = manager.label("photos").unwrap();
        assert_eq!(manager.label_name(&photos).as_deref(), Some("photos"));
        assert_eq!(manager.label_name(&Label::ANY), None);
        let found = manager.explain(&photos, &Destination::Unnamed).unwrap();
        assert_eq!(found[0].name(), "wlan0");
        networks.down("wlan0");
        let blocked = manager.explain(&photos, &Destination::Unnamed).unwrap_err();
        assert_eq!(blocked.name.as_deref(), Some("photos"));
        assert_eq!(blocked.history.len(), 2, "came and went: {blocked}");
    }

    // behaviour: R8
    #[test]
    fn a_hundred_tests_in_parallel_see_only_their_own_networks() {
        let threads = (0..100).map(|i| {
            std::thread::spawn(move || {
                runtime::test(|networks| async move {
                    let waiting = tokio::spawn(crate::matching(Label::ANY).into_future());
                    tokio::task::yield_now().await;
                    assert!(!waiting.is_finished());
                    let name = format!("wlan{i}");
                    networks.up(Network::wifi(&name));
                    assert_eq!(waiting.await.unwrap().unwrap().name(), name);
                });
            })
        });
        let threads: Vec<_> = threads.collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }

    #[test]
    fn time_is_paused_and_an_hour_costs_nothing() {
        let real = std::time::Instant::now();
        runtime::test(|_| tokio::time::sleep(Duration::from_secs(3600)));
        assert!(real.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_real_socket_panics() {
        for endpoint in ["tcp://127.0.0.1:1", "unix:/nonexistent"] {
            let scheme = endpoint.split(':').next().unwrap();
            let message = panic_of(|| {
                runtime::test(|_| async move {
                    let _ = crate::connect(endpoint).await;
                });
            });
            assert!(
                message.contains(&format!("`{scheme}:` opens a real socket")),
                "{message}"
            );
            assert!(message.contains("#[mancom::test(real)]"), "{message}");
        }
    }

    #[test]
    fn a_real_socket_panics_also_in_another_task_and_manager() {
        let message = panic_of(|| {
            runtime::test(|_| async {
                let (scout, _networks) = crate::testing::scripted();
                let manager = Manager::builder().scout(scout).build().await.unwrap();
                let opening = manager.connect("tcp://127.0.0.1:1").into_future();
                tokio::spawn(opening);
                std::future::pending::<()>().await;
            });
        });
        assert!(message.contains("`tcp:` opens a real socket"), "{message}");
    }

    #[test]
    fn a_real_test_has_real_time_and_may_open_sockets() {
        runtime::test_real(async {
            offline().await.install().unwrap();
            let refused = crate::connect("tcp://127.0.0.1:1").await;
            assert!(refused.is_err());
        });
    }
}
