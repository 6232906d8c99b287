//! `#[mancom::test]` in every form, and what it promises.

use mancom::testing::Networks;
use mancom::{Label, Manager, Network};
use std::time::Duration;
use tokio::time::Instant;

#[mancom::test]
async fn an_hour_of_paused_time_passes_at_once() {
    let started = (Instant::now(), std::time::Instant::now());
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(started.0.elapsed() >= Duration::from_secs(3600));
    assert!(started.1.elapsed() < Duration::from_secs(600));
}

// behaviour: R8
#[mancom::test]
async fn the_free_functions_see_the_scripted_networks(
    networks: Networks,
) -> Result<(), mancom::Error> {
    let waiting = tokio::spawn(mancom::matching(Label::ANY).into_future());
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    networks.up(Network::wifi("wlan0"));
    assert_eq!(waiting.await.unwrap()?.name(), "wlan0");
    Ok(())
}

#[mancom::test]
#[should_panic(expected = "opens a real socket")]
async fn a_real_socket_panics() {
    let _ = mancom::connect("tcp://127.0.0.1:1").await;
}

#[mancom::test(real, crate = mancom)]
async fn a_real_test_has_real_time() -> std::io::Result<()> {
    let started = std::time::Instant::now();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(started.elapsed() >= Duration::from_millis(20));
    Ok(())
}

#[test]
fn main_gives_what_its_body_gives() {
    #[mancom::main(flavor = "current_thread", scout = "none")]
    async fn body() -> Result<bool, mancom::Error> {
        Ok(Manager::current()?.snapshot().is_complete())
    }

    assert!(body().unwrap());
}

/// Every argument of `main`, with every kind of result, none of it worth a warning.
#[deny(warnings)]
mod forms_of_main {
    #[mancom::main(
        flavor = "multi_thread",
        worker_threads = 2,
        scout = "none",
        shutdown = "500ms",
        crate = mancom,
    )]
    async fn main() -> Result<(), mancom::Error> {
        assert!(mancom::Manager::current()?.snapshot().is_complete());
        // A thread of their own, for a runtime cannot be started inside one.
        let others = std::thread::spawn(|| {
            nothing();
            nested::wherever();
            number()
        });
        assert_eq!(others.join().unwrap(), 7);
        Ok(())
    }

    /// Any function will do, documented and with lints of its own.
    #[mancom::main(flavor = "current_thread", scout = "none")]
    #[allow(unused_variables, reason = "to see it kept")]
    async fn nothing() {
        let unused = 1;
    }

    #[mancom::main(flavor = "current_thread", scout = "none", crate = "::mancom")]
    async fn number() -> u8 {
        std::future::ready(7).await
    }

    mod nested {
        use mancom as renamed;

        #[renamed::main(scout = "system", crate = renamed)]
        pub(super) async fn wherever() {}
    }

    #[test]
    fn each_runs_its_body() {
        main().unwrap();
    }
}
