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
