use super::*;

const ETH: Place = Some(2);
const WIFI: Place = Some(3);
const DEFAULT: u8 = 2;
const BACKGROUND: u8 = 4;

/// Nothing is left of anybody.
fn is_empty(accounts: &Accounts) -> bool {
    let counts = [&accounts.members, &accounts.ranked, &accounts.entries];
    counts
        .iter()
        .all(|count| count.load(Ordering::Relaxed) == 0)
        && accounts.lock().said.is_empty()
}

#[test]
fn background_of_the_others_is_told_by_network() {
    let (accounts, now) = (Arc::new(Accounts::default()), Instant::now());
    let (mut one, mut two, three) = (accounts.join(0), accounts.join(0), accounts.join(0));
    assert!(!three.has_others());
    one.say(now, &[(ETH, 1_000, 0), (WIFI, 5, 0)]);
    two.say(now, &[(ETH, 200, 0)]);
    assert_eq!(three.others(now, ETH).background, 1_200);
    assert_eq!(three.others(now, WIFI).background, 5);
    assert_eq!(three.others(now, None).background, 0);
    assert_eq!(
        one.others(now, ETH).background,
        200,
        "its own is no other's"
    );
    assert!(three.has_others() && one.has_others());
    one.say(now, &[(WIFI, 7, 0)]);
    assert_eq!(three.others(now, ETH).background, 200);
    assert!(!two.is_alone());
    drop(one);
    assert!(!two.has_others(), "only its own is left");
}

// behaviour: P4
#[test]
fn more_priority_goes_before_less_within_an_urgency() {
    let (accounts, now) = (Arc::new(Accounts::default()), Instant::now());
    let (mut usual, mut first) = (accounts.join(0), accounts.join(1));
    first.say(now, &[(ETH, 0, DEFAULT)]);
    usual.say(now, &[(ETH, 0, DEFAULT | BACKGROUND)]);
    assert_eq!(usual.others(now, ETH).outranked, DEFAULT);
    assert_eq!(usual.others(now, WIFI).outranked, 0);
    assert_eq!(first.others(now, ETH).outranked, 0);
    assert!(usual.is_ranked());
    first.say(now, &[]);
    assert_eq!(usual.others(now, ETH).outranked, 0);
}

#[test]
fn who_falls_silent_holds_nobody_back() {
    let (accounts, now) = (Arc::new(Accounts::default()), Instant::now());
    let (mut stuck, other) = (accounts.join(5), accounts.join(0));
    stuck.say(now, &[(ETH, 1_000, BACKGROUND)]);
    let later = now + LAPSE;
    assert_ne!(other.others(later, ETH), Others::default());
    let later = later + Duration::from_millis(1);
    assert_eq!(other.others(later, ETH), Others::default());
}

#[test]
fn the_last_sight_of_interactive_traffic_is_everybodys() {
    let (accounts, now) = (Arc::new(Accounts::default()), Instant::now());
    let (one, two) = (accounts.join(0), accounts.join(0));
    assert_eq!(two.interactive(), None);
    one.saw_interactive(now);
    assert_eq!(two.interactive(), Some(now));
    two.saw_interactive(now + LAPSE);
    one.saw_interactive(now);
    assert_eq!(one.interactive(), Some(now + LAPSE), "it does not go back");
}

// behaviour: X6
#[test]
fn nothing_is_left_of_sessions_that_are_gone() {
    let (accounts, now) = (Arc::new(Accounts::default()), Instant::now());
    let threads = (0..4).map(|n: i8| {
        let accounts = Arc::clone(&accounts);
        std::thread::spawn(move || {
            for turn in 0..2_000_u64 {
                let mut member = accounts.join(n - 1);
                member.say(
                    now,
                    &[(Some(turn as u32 % 5), turn, BACKGROUND), (ETH, 0, 0)],
                );
                member.say(now, &[(WIFI, turn % 3, 0)]);
                let _ = member.others(now, WIFI);
            }
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        thread.join().unwrap();
    }
    assert!(is_empty(&accounts));
}

#[test]
fn a_session_has_a_bounded_number_of_places() {
    let (accounts, now) = (Arc::new(Accounts::default()), Instant::now());
    let mut member = accounts.join(0);
    let many: Vec<_> = (0..100).map(|n| (Some(n), 1, 0)).collect();
    member.say(now, &many);
    assert_eq!(member.said().len(), PLACES);
    assert_eq!(accounts.lock().said.len(), PLACES);
    drop(member);
    assert!(is_empty(&accounts));
}

mod limits {
    use std::time::{Duration, Instant};

    use super::super::ledger::{Entry, MAX_PURSES};
    use super::super::*;
    use crate::label::Label;
    use crate::label::matching::Policy;
    use crate::network::{Network, NetworkId};
    use crate::proto::schedule::budget::Budget;

    const NOW: u64 = 1_795_287_600;

    fn network(name: &str) -> Network {
        Network::new(NetworkId::new(7, 0), Network::cellular(name).metered(true))
    }

    fn gates(accounts: &Accounts, limit: &Limit, name: &str, who: u64) -> Vec<Gate> {
        let limits = [limit.clone()];
        accounts.gates(&limits, &network(name), &Policy::default(), (who, NOW))
    }

    fn month(bytes: u64) -> Limit {
        let limit = Limit::new("any", "metered").unwrap();
        limit.bytes(bytes, Period::Month)
    }

    #[test]
    fn a_limit_says_what_it_is_about_and_covers_that_alone() {
        let limit = Limit::new("background large", "metered  if=wwan*").unwrap();
        let limit = limit.rate(64_000);
        assert_eq!(
            limit.to_string(),
            "64 kB/s for background large on metered if=wwan*"
        );
        let policy = Policy::default();
        assert!(limit.covers(&network("wwan3"), &policy));
        assert!(!limit.covers(&network("eth0"), &policy));
        let free = Network::new(NetworkId::new(7, 0), Network::cellular("wwan0"));
        assert!(!limit.covers(&free, &policy), "not known to be metered");
        let large: Label = "background large".parse().unwrap();
        assert!(limit.traffic().includes(&large));
        assert!(!limit.traffic().includes(&Label::BACKGROUND));
        let photos = Limit::of([large], "if=*").unwrap();
        let named: Label = "background large if=wwan0".parse().unwrap();
        assert!(photos.traffic().includes(&named) && photos.traffic().includes(&large));
        assert!(!photos.traffic().includes(&Label::BACKGROUND));
        assert!(Limit::new("backgrund", "metered").is_err());
        assert!(Limit::new("any", "").is_err());
    }

    #[test]
    fn no_more_is_given_than_there_is_however_many_ask() {
        let accounts = Accounts::default();
        let (now, limit) = (Instant::now(), month(1_000));
        let gates: Vec<Gate> = (0..3)
            .flat_map(|who| gates(&accounts, &limit, "wwan0", who))
            .collect();
        let first = gates[0].take(now, 600);
        let second = gates[1].take(now, 600);
        assert_eq!((first.bytes, second.bytes), (600, 400));
        let none = gates[2].take(now, 600);
        assert_eq!(none.bytes, 0);
        assert!(none.again.is_some(), "it may come back");
        gates[0].settle(now, 600, 500, false);
        assert_eq!(gates[2].take(now, 600).bytes, 500);
        gates[2].settle(now, 500, 0, true);
        gates[1].settle(now, 400, 0, false);
        let none = gates[0].take(now, 600);
        assert_eq!((none.bytes, none.again), (0, None), "nothing does");
        let (spending, rule) = accounts.spending(&[limit], NOW).remove(0);
        assert_eq!((spending.used, &*spending.network), (1_000, "wwan0"));
        let rule = rule.expect("it is spent");
        assert_eq!(rule.to_string(), "1 kB a month for any on metered");
    }

    #[test]
    fn nothing_is_asked_where_no_limit_is() {
        let accounts = Accounts::default();
        let elsewhere = [
            Limit::new("any", "if=eth*").unwrap().rate(1_000),
            Limit::new("any", "wifi").unwrap().bytes(1, Period::Day),
            // About this network, without an amount.
            Limit::new("any", "if=*").unwrap(),
        ];
        for limits in [&[][..], &elsewhere] {
            let gates = accounts.gates(limits, &network("wwan0"), &Policy::default(), (0, NOW));
            assert!(gates.is_empty(), "{gates:?}");
            assert!(accounts.spending(limits, NOW).is_empty());
            assert!(accounts.reconcile(limits, Vec::new(), NOW).is_empty());
        }
    }

    #[test]
    fn limits_that_are_the_same_in_two_layers_charge_once() {
        let accounts = Accounts::default();
        let now = Instant::now();
        let rate = || Limit::new("any", "if=*").unwrap().rate(400_000);
        let layers = [rate(), month(2_000_000), rate(), month(1_000_000)];
        let gates = accounts.gates(&layers, &network("wwan0"), &Policy::default(), (0, NOW));
        let [rate, budget] = gates.as_slice() else {
            panic!("a gate a purse: {gates:?}");
        };
        // All that a rate has at once goes, however often it is written.
        let got = rate.take(now, 4_000).bytes;
        rate.settle(now, got, 0, false);
        assert_eq!(got, 4_000);
        // 1 MB beside 2 MB are 1 MB.
        let got = budget.take(now, 5_000_000).bytes;
        budget.settle(now, got, 0, false);
        assert_eq!(got, 1_000_000);
        assert_eq!(budget.take(now, 5_000_000).bytes, 0);
        let told = accounts.spending(&layers, NOW);
        let told = told.iter().map(|(of, rule)| (of.used, rule.is_some()));
        let spent = [(1_000_000, false), (1_000_000, true)];
        assert_eq!(told.collect::<Vec<_>>(), spent);
    }

    #[test]
    fn what_is_spent_is_so_for_that_network_and_that_period() {
        let accounts = Accounts::default();
        let (now, limit) = (Instant::now(), month(1_000));
        gates(&accounts, &limit, "wwan0", 0)[0].charge(now, 5_000);
        assert_eq!(
            gates(&accounts, &limit, "wwan1", 0)[0]
                .take(now, 9_999)
                .bytes,
            1_000
        );
        let renewed = accounts.spending(std::slice::from_ref(&limit), NOW)[0]
            .0
            .renewed;
        let later = accounts.spending(std::slice::from_ref(&limit), renewed);
        assert!(
            later
                .iter()
                .all(|(spending, rule)| spending.used == 0 && rule.is_none())
        );
        assert_eq!(
            gates(&accounts, &limit, "wwan0", 0)[0]
                .take(now, 9_999)
                .bytes,
            1_000
        );
        // Of another amount of the same it is the same that was spent.
        gates(&accounts, &limit, "wwan0", 0)[0].charge(now, 700);
        assert_eq!(accounts.spending(&[month(600)], renewed)[0].0.used, 700);
        assert!(accounts.spending(&[month(600)], renewed)[0].1.is_some());
        assert!(accounts.spending(&[month(6_000)], renewed)[0].1.is_none());
    }

    #[test]
    fn a_rate_is_shared_by_those_who_have_not_enough() {
        let accounts = Accounts::default();
        let limit = Limit::new("any", "if=*").unwrap().rate(1_000_000);
        let both = [0, 1].map(|who| gates(&accounts, &limit, "wwan0", who).remove(0));
        let (begin, mut had) = (Instant::now(), [0, 0]);
        let (mut small, mut wants) = (0, 0);
        // The first asks ten times as often; a third asks for little, and gets it.
        let third = gates(&accounts, &limit, "wwan0", 2).remove(0);
        for tick in 0..20_000_u64 {
            let now = begin + Duration::from_micros(tick * 500);
            for (who, gate) in both.iter().enumerate() {
                if who == 0 || tick % 10 == 0 {
                    let got = gate.take(now, 256 << 10).bytes;
                    gate.settle(now, got, 0, true);
                    had[who] += got;
                }
            }
            wants += if tick % 100 == 0 { 200 } else { 0 };
            if wants > 0 && tick % 10 == 5 {
                let got = third.take(now, wants).bytes;
                third.settle(now, got, 0, got < wants);
                (small, wants) = (small + got, wants - got);
            }
        }
        assert!(had[0].abs_diff(had[1]) < 200_000, "{had:?}");
        assert!(had[0] + had[1] > 9_000_000, "{had:?}");
        assert!(had[0] + had[1] + small <= 9_550_000, "{had:?} {small}");
        assert!(small > 30_000, "{small}");
    }

    #[test]
    fn who_gave_up_asking_holds_nobody_back() {
        let accounts = Accounts::default();
        let limit = Limit::new("any", "if=*").unwrap().rate(1_000_000);
        let [one, two] = [0, 1].map(|who| gates(&accounts, &limit, "wwan0", who).remove(0));
        let now = Instant::now();
        let got = one.take(now, 256 << 10).bytes;
        one.settle(now, got, 0, true);
        two.settle(now, 0, 0, true);
        assert!(got > 0);
        let mut had = 0;
        for tick in 1..100 {
            let now = now + Duration::from_millis(10 * tick);
            let got = one.take(now, 256 << 10).bytes;
            one.settle(now, got, 0, true);
            had += got;
        }
        assert!(had > 800_000, "{had}");
    }

    #[test]
    fn processes_add_up_what_they_spend() {
        let (one, two) = (Accounts::default(), Accounts::default());
        let (now, limit) = (Instant::now(), month(10_000));
        let spend = |accounts: &Accounts, bytes| {
            gates(accounts, &limit, "wwan0", 0)[0].charge(now, bytes);
        };
        let used = |accounts: &Accounts| {
            accounts.spending(std::slice::from_ref(&limit), NOW)[0]
                .0
                .used
        };
        let other = Entry {
            key: "day any on metered".into(),
            network: "wwan0".into(),
            budget: Budget { began: 0, used: 3 },
        };
        spend(&one, 100);
        let file = one.reconcile(std::slice::from_ref(&limit), vec![other.clone()], NOW);
        assert!(!one.is_unsaved(std::slice::from_ref(&limit)) && file.contains(&other));
        let file = two.reconcile(std::slice::from_ref(&limit), file, NOW);
        assert_eq!(used(&two), 100, "known before anything goes");
        spend(&two, 1_000);
        spend(&one, 10);
        assert!(
            [&one, &two]
                .iter()
                .all(|of| of.is_unsaved(std::slice::from_ref(&limit)))
        );
        let file = two.reconcile(std::slice::from_ref(&limit), file, NOW);
        let file = one.reconcile(std::slice::from_ref(&limit), file, NOW);
        assert_eq!((used(&one), used(&two)), (1_110, 1_100));
        // What was spent in the month before is no more.
        let later = NOW + 20 * 86_400;
        let three = Accounts::default();
        let file = three.reconcile(std::slice::from_ref(&limit), file, later);
        assert_eq!(file, [other]);
        assert_eq!(
            three.spending(std::slice::from_ref(&limit), later)[0]
                .0
                .used,
            0
        );
    }

    #[test]
    fn purses_are_bounded_and_used_ones_stay() {
        let accounts = Accounts::default();
        let (now, limit) = (Instant::now(), month(1_000));
        let held = gates(&accounts, &limit, "held", 0);
        held[0].charge(now, 999);
        for n in 0..2 * MAX_PURSES {
            gates(&accounts, &limit, &format!("w{n}"), 0);
        }
        let spending = accounts.spending(std::slice::from_ref(&limit), NOW);
        assert!(spending.len() <= MAX_PURSES);
        assert_eq!(
            gates(&accounts, &limit, "held", 0)[0].take(now, 500).bytes,
            0
        );
        let month = |n: usize| {
            let limit = Limit::new("any", &format!("metered if=h*{}", "*".repeat(n)));
            limit.unwrap().bytes(5, Period::Month)
        };
        let many: Vec<_> = (0..3 * MAX_LIMITS).map(month).collect();
        let of = accounts.gates(&many, &network("held"), &Policy::default(), (0, NOW));
        assert_eq!(of.len(), MAX_LIMITS);
        let all: Vec<_> = (0..MAX_PURSES + 9)
            .map(|n| gates(&accounts, &limit, &format!("u{n}"), 0))
            .collect();
        assert!(accounts.spending(&[limit], NOW).len() <= MAX_PURSES);
        assert!(all.iter().all(|gates| gates.len() == 1));
    }
}
