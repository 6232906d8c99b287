//! Limits, figures and estimates, as a program uses them.

use std::time::Duration;

use mancom::account::{Limit, Period};
use mancom::label::matching::RuleError;
use mancom::network::Kind;
use mancom::{BuildError, Label, Manager, Network, NetworkSpec, Prop, Scout};

fn wifi() -> NetworkSpec {
    let wifi = Network::wifi("wlan0").up(16_000_000);
    wifi.rtt(Duration::from_millis(20))
}

fn phone() -> NetworkSpec {
    let phone = Network::cellular("wwan0").metered(true).up(8_000_000);
    phone.rtt(Duration::from_millis(60))
}

async fn over(networks: impl IntoIterator<Item = NetworkSpec>) -> Manager {
    let builder = Manager::builder().scout(Scout::fixed(networks));
    builder.build().await.unwrap()
}

#[tokio::test]
async fn an_estimate_needs_no_session_and_shares_the_best_networks() {
    let manager = over([wifi(), phone()]).await;
    // Cost makes the phone the worse class: 2 MB a second, and half a round trip.
    let free = manager
        .estimate(Label::BACKGROUND, 4_000_000, None)
        .unwrap();
    assert_eq!(free.time, Duration::from_millis(2_010));
    assert_eq!((free.metered, free.joules), (0, 0.0));
    let careless = manager.estimate(Label::ANY.ignore_cost(), 3_000_000, None);
    let careless = careless.unwrap();
    assert!(careless.time < Duration::from_millis(1_100), "{careless:?}");
    assert!(
        (900_000..1_100_000).contains(&careless.metered),
        "{careless:?}"
    );
    let cellular = Label::new().require(Prop::Cellular);
    let radios = |kind: Kind, bytes: u64, time: Duration| {
        assert_eq!((kind, bytes), (Kind::Cellular, 1_000_000));
        2.0 * time.as_secs_f64()
    };
    let dear = manager
        .estimate(cellular, 1_000_000, Some(&radios))
        .unwrap();
    assert_eq!(dear.metered, 1_000_000);
    assert!((dear.joules - 2.06).abs() < 0.001, "{dear:?}");
}

#[tokio::test]
async fn nothing_is_estimated_where_nothing_is_known() {
    let manager = over([Network::wifi("wlan0")]).await;
    assert!(
        manager.estimate(Label::ANY, 1_000, None).is_none(),
        "no bandwidth"
    );
    let manager = over([phone()]).await;
    let free = Label::new().prohibit(Prop::Metered);
    assert!(manager.estimate(free, 1_000, None).is_none(), "no network");
}

#[test]
fn outside_a_runtime_an_estimate_is_an_error() {
    let error = mancom::estimate(Label::ANY, 1_000, None).unwrap_err();
    assert!(matches!(error, BuildError::NoRuntime));
}

#[tokio::test]
async fn limits_given_in_code_are_listed_and_wrong_ones_are_errors() -> Result<(), mancom::Error> {
    let limit = Limit::new("background", "metered")?.rate(64_000);
    let month = Limit::of([Label::INTERACTIVE], "if=wwan*")?.bytes(5_000_000, Period::Month);
    let builder = Manager::builder().scout(Scout::fixed([phone()]));
    let manager = builder.limit(limit.clone()).limit(month).build().await?;
    assert_eq!(manager.limits()[0], limit);
    assert_eq!(
        manager.limits()[1].to_string(),
        "5 MB a month for `interactive` on if=wwan*"
    );
    assert!(manager.spending().is_empty() && manager.traffic().is_empty());
    let mut builder = Manager::builder().scout(Scout::fixed([phone()]));
    for _ in 0..65 {
        builder = builder.limit(limit.clone());
    }
    let error = builder.build().await.unwrap_err();
    assert!(matches!(
        error,
        BuildError::TooManyLimits {
            limits: 65,
            most: 64
        }
    ));
    let wrong = Limit::new("background", "meterd").unwrap_err();
    assert!(matches!(
        wrong,
        RuleError::UnknownWord {
            nearest: Some("metered"),
            ..
        }
    ));
    let error = mancom::Error::from(wrong).to_string();
    assert!(error.contains("did you mean `metered`"), "{error}");
    Ok(())
}
