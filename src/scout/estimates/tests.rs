use super::*;
use crate::network::{Kind, NetworkId};
use proptest::prelude::*;

fn network(index: u32, epoch: u32, name: &str) -> Network {
    let spec = NetworkSpec::described(name, Kind::Wifi);
    Network::new(NetworkId::new(index, epoch), spec)
}

fn rtt(ms: u64) -> Sample {
    Sample {
        rtt: Some(Duration::from_millis(ms)),
        ..Sample::default()
    }
}

fn up(bits: u64) -> Sample {
    Sample {
        up: Some(bits),
        ..Sample::default()
    }
}

fn loss(per_mille: u16) -> Sample {
    Sample {
        loss: Some(per_mille),
        ..Sample::default()
    }
}

fn shown(estimates: &Estimates, now: Instant, index: u32, name: &str) -> NetworkSpec {
    let mut spec = NetworkSpec::new(name, Kind::Wifi);
    estimates.apply(now, index, &mut spec);
    spec
}

#[test]
fn a_round_trip_is_the_moving_average_of_rfc_6298() {
    let (mut estimates, now) = (Estimates::default(), Instant::now());
    let wlan0 = network(3, 1, "wlan0");
    assert!(estimates.report(now, &wlan0, rtt(100)), "the first is news");
    estimates.report(now, &wlan0, rtt(900));
    assert_eq!(
        estimates.list(now)[0].rtt,
        Some(Duration::from_millis(100 * 7 / 8) + Duration::from_micros(113_000))
    );
}

#[test]
fn what_moved_by_less_than_a_fifth_is_not_shown() {
    let (mut estimates, now) = (Estimates::default(), Instant::now());
    let wlan0 = network(3, 1, "wlan0");
    estimates.report(now, &wlan0, rtt(100));
    // Towards 119 ms it never gets a fifth away from 100.
    for _ in 0..1000 {
        assert!(!estimates.report(now, &wlan0, rtt(119)));
    }
    let seen = |estimates: &Estimates| shown(estimates, now, 3, "wlan0").rtt;
    assert_eq!(seen(&estimates), Some(Duration::from_millis(100)));
    assert!(estimates.list(now)[0].rtt > Some(Duration::from_millis(118)));
    let news = (0..1000).filter(|_| estimates.report(now, &wlan0, rtt(200)));
    assert!((1..=4).contains(&news.count()), "100, 120, 144, 173");
    assert!(seen(&estimates) > Some(Duration::from_millis(160)));
}

#[test]
fn what_is_too_small_to_matter_is_not_shown() {
    let (mut estimates, now) = (Estimates::default(), Instant::now());
    let eth0 = network(2, 1, "eth0");
    let micro = |us| Sample {
        rtt: Some(Duration::from_micros(us)),
        loss: Some(0),
        ..Sample::default()
    };
    assert!(estimates.report(now, &eth0, micro(100)));
    for _ in 0..1000 {
        assert!(!estimates.report(now, &eth0, micro(900)));
        assert!(!estimates.report(now, &eth0, loss(4)));
    }
    let news = (0..100).filter(|_| estimates.report(now, &eth0, loss(100)));
    assert!(news.count() >= 1, "a loss of a tenth is");
}

#[test]
fn a_bandwidth_is_the_peak_of_its_window_and_ages() {
    let (mut estimates, start) = (Estimates::default(), Instant::now());
    let wlan0 = network(3, 1, "wlan0");
    let at = |s| start + Duration::from_secs(s);
    let mut seen = |s, bits| {
        estimates.report(at(s), &wlan0, up(bits));
        estimates.list(at(s))[0].up
    };
    assert_eq!(seen(0, 10_000_000), Some(10_000_000));
    assert_eq!(seen(1, 1_000_000), Some(10_000_000), "a slow one");
    assert_eq!(seen(2, 12_000_000), Some(12_000_000));
    assert_eq!(seen(29, 1_000_000), Some(12_000_000));
    assert_eq!(seen(31, 1_000_000), Some(12_000_000), "the pane before");
    assert_eq!(seen(62, 2_000_000), Some(2_000_000), "it is slow now");
    assert_eq!(seen(400, 1_000_000), Some(1_000_000), "after a long time");
}

#[test]
fn the_same_network_at_a_new_epoch_keeps_its_estimate_until_it_has_its_own() {
    let (mut estimates, now) = (Estimates::default(), Instant::now());
    estimates.report(now, &network(3, 1, "wlan0"), rtt(100));
    let seen = |estimates: &Estimates, name| shown(estimates, now, 3, name).rtt;
    assert_eq!(seen(&estimates, "wlan0"), Some(Duration::from_millis(100)));
    assert!(estimates.report(now, &network(3, 2, "wlan0"), rtt(20)));
    assert_eq!(seen(&estimates, "wlan0"), Some(Duration::from_millis(20)));
    assert_eq!(estimates.list(now)[0].samples, 2);
    assert_eq!(seen(&estimates, "wlan1"), None, "another interface");
    estimates.report(now, &network(3, 3, "wlan1"), loss(0));
    assert_eq!(seen(&estimates, "wlan1"), None, "that has its index");
    assert_eq!(estimates.list(now).len(), 1);
}

#[test]
fn measured_wins_over_a_hint_and_both_are_visible() {
    let (mut estimates, now) = (Estimates::default(), Instant::now());
    estimates.report(now, &network(3, 1, "wlan0"), rtt(100));
    let mut spec = NetworkSpec::new("wlan0", Kind::Wifi)
        .rtt(Duration::from_millis(1))
        .up(5);
    spec.notes.said(Aspect::Rtt, "override");
    estimates.apply(now, 3, &mut spec);
    assert_eq!(
        (spec.rtt, spec.up),
        (Some(Duration::from_millis(100)), Some(5))
    );
    let sources: Vec<_> = spec.notes.sources.iter().map(|(_, s)| &**s).collect();
    assert_eq!(sources, ["measured", "override"]);
}

#[test]
fn each_figure_is_forgotten_after_ten_minutes_without_a_sample_of_it() {
    let (mut estimates, start) = (Estimates::default(), Instant::now());
    let wlan0 = network(3, 1, "wlan0");
    estimates.report(start, &wlan0, up(1_000_000));
    let later = start + Duration::from_secs(60);
    estimates.report(later, &wlan0, rtt(100));
    let end = start + KEPT;
    assert_eq!(estimates.stale_at(), Some(end));
    let before = end - Duration::from_millis(1);
    assert!(!estimates.forget(before));
    assert_eq!(shown(&estimates, before, 3, "wlan0").up, Some(1_000_000));
    assert_eq!(shown(&estimates, end, 3, "wlan0").up, None, "also unasked");
    assert!(estimates.forget(end) && !estimates.forget(end));
    let left = &estimates.list(end)[0];
    assert_eq!(
        (left.up, left.rtt),
        (None, Some(Duration::from_millis(100)))
    );
    assert_eq!(left.age, KEPT - Duration::from_secs(60));
    assert!(estimates.forget(later + KEPT));
    assert_eq!(estimates.stale_at(), None);
    assert!(estimates.list(end).is_empty() && estimates.0.is_empty());
}

#[test]
fn the_network_that_was_quiet_longest_makes_room() {
    let (mut estimates, start) = (Estimates::default(), Instant::now());
    for index in 0..2 * NETWORKS as u32 {
        let now = start + Duration::from_millis(index.into());
        estimates.report(now, &network(index, 1, "veth"), rtt(1));
    }
    assert_eq!(estimates.0.len(), NETWORKS);
    assert_eq!(estimates.0.keys().next(), Some(&(NETWORKS as u32)));
}

#[test]
fn nonsense_is_bounded_and_nothing_is_no_sample() {
    let (mut estimates, now) = (Estimates::default(), Instant::now());
    let wlan0 = network(3, 1, "wlan0");
    assert!(!estimates.report(now, &wlan0, Sample::default()));
    assert!(estimates.list(now).is_empty());
    let mad = Sample {
        rtt: Some(Duration::MAX),
        up: Some(u64::MAX),
        down: Some(0),
        loss: Some(u16::MAX),
    };
    for _ in 0..3 {
        estimates.report(now, &wlan0, mad);
    }
    let spec = shown(&estimates, now, 3, "wlan0");
    assert_eq!((spec.rtt, spec.loss), (Some(LONGEST), Some(1000)));
    assert_eq!((spec.up, spec.down), (Some(u64::MAX), Some(0)));
}

proptest! {
    #[test]
    fn what_is_shown_is_never_a_fifth_off_and_a_mean_is_between_its_samples(
        samples in proptest::collection::vec((any::<u64>(), 0_u64..100, 0_u32..2), 1..50),
    ) {
        let (mut estimates, mut now) = (Estimates::default(), Instant::now());
        let (mut least, mut most) = (u64::MAX, 0);
        for (sample, after, epoch) in samples {
            now += Duration::from_secs(after);
            let nanoseconds = sample % 10_000_000_000;
            let sample = Sample {
                rtt: Some(Duration::from_nanos(nanoseconds)),
                up: Some(sample),
                ..Sample::default()
            };
            (least, most) = (least.min(nanoseconds), most.max(nanoseconds));
            estimates.report(now, &network(3, epoch, "wlan0"), sample);
            for (figure, (_, _, matters)) in estimates.0[&3].figures.iter().zip(FIGURES) {
                let Some(figure) = figure else { continue };
                let off = figure.now.abs_diff(figure.shown);
                prop_assert!(off < matters || u128::from(off) * 5 < figure.shown.into());
            }
            let mean = estimates.list(now)[0].rtt.expect("measured").as_nanos() as u64;
            prop_assert!((least..=most).contains(&mean));
        }
    }
}
