//! Any bytes as the far end's messages, and honest ends whose messages somebody changes.

use std::time::Duration;

use super::dial::{DialAttach, DialHello, DialProved, Replied, hello};
use super::keys::{CookieKey, Credentials, Entropy};
use super::listen::Greeting;
use super::{Agreed, MAX_MESSAGE, Offer, Security};
use crate::label::matching::PathFacts;
use crate::network::{Fact, Kind, Kinds};
use crate::proto::pair::Seeded;
use crate::proto::script::Script;
use crate::proto::session::{PathId, Role};

const PATH: PathId = PathId { id: 2, epoch: 5 };
const COOKIES: CookieKey = CookieKey([9; 32]);

/// Follows a script; `agreed` is what any two ends agreed on.
///
/// ```text
///   0..3 | messages, each u16 length and body    what a listener or a dialler is sent
///   4..7 | changes, each u8 which, u16 where, u8 xor    of a handshake between honest ends
/// ```
///
/// # Panics
/// If two ends come to think that they agree and do not.
pub(crate) fn handshake(bytes: &[u8], agreed: &[Agreed; 2]) {
    let mut script = Script::new(bytes);
    let mode = script.byte() & 7;
    let [dialler, listener] = agreed;
    match mode {
        0 => listens(&mut script, &listener.credentials),
        1 => dials(&mut script),
        2 => attaches(&mut script, &dialler.credentials),
        3 => proves(&mut script, &dialler.credentials),
        4 | 5 => changed_hello(&Changes::read(script), mode == 5),
        6 => changed_attach(&Changes::read(script), agreed),
        _ => changed_proof(&Changes::read(script), agreed),
    }
}

/// What an end offers, and tells of its network.
fn offer(role: Role) -> Offer {
    let (kind, metered) = match role {
        Role::Dialler => (Kind::Wifi, Fact::LikelyNo),
        Role::Listener => (Kind::Ethernet, Fact::No),
    };
    Offer {
        grace: Duration::from_secs(60),
        receive_window: 64 << 10,
        max_streams: 8,
        facts: PathFacts {
            kinds: Kinds::of(kind),
            metered,
            ..PathFacts::default()
        },
        anonymous: false,
        security: Security::Clear,
        exporter: Vec::new(),
        peer: None,
    }
}

/// The same in TLS.
fn safe(role: Role) -> Offer {
    Offer {
        security: Security::Tls,
        exporter: vec![7; 32],
        ..offer(role)
    }
}

fn entropy(role: Role) -> Entropy {
    Seeded::new(role as u64 + 1).entropy()
}

/// The next message off the wire.
fn message<'a>(script: &mut Script<'a>) -> &'a [u8] {
    let length = script.short();
    script.bytes(length.into())
}

/// The body of a message of ours.
fn body(message: &[u8]) -> &[u8] {
    let (length, body) = message.split_at(2);
    assert_eq!(length, (body.len() as u16).to_be_bytes());
    assert!(message.len() <= MAX_MESSAGE);
    body
}

// ---- whatever the far end says

fn listens(script: &mut Script<'_>, credentials: &Credentials) {
    let first = message(script);
    let entropy = entropy(Role::Listener);
    match Greeting::parse(first) {
        Ok(Greeting::New(greeting)) => {
            assert!(first.starts_with(&hello(&greeting.terms, &greeting.cookie)));
            if !greeting.has_cookie(&COOKIES, b"source", 1) {
                body(&greeting.ask_cookie(&COOKIES, b"source", 1));
            }
            if let Ok((awaiting, reply)) = greeting.reply(entropy, offer(Role::Listener)) {
                body(&reply);
                if let Ok((_, accepted)) = awaiting.confirm(message(script)) {
                    body(&accepted);
                }
            }
        }
        Ok(Greeting::Attach(greeting)) => {
            let known = (greeting.session() == credentials.id()).then_some(credentials);
            let (awaiting, challenge) = greeting.challenge(entropy, known, offer(Role::Listener));
            body(&challenge);
            match awaiting.proof(message(script)) {
                Ok((_, answer)) => assert!(known.is_some() && !body(&answer).is_empty()),
                Err((_, refusal)) => assert!(!body(&refusal).is_empty()),
            }
        }
        Ok(Greeting::Proved(greeting)) => {
            let known = (greeting.session() == credentials.id()).then_some(credentials);
            match greeting.answer(entropy, known, &safe(Role::Listener)) {
                Ok((_, answer)) => assert!(known.is_some() && !body(&answer).is_empty()),
                Err((_, refusal)) => assert!(!body(&refusal).is_empty()),
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn dials(script: &mut Script<'_>) {
    let (state, hello) = DialHello::new(entropy(Role::Dialler), offer(Role::Dialler));
    body(&hello);
    let mut replied = state.reply(message(script));
    if let Ok(Replied::Again(state, hello)) = replied {
        body(&hello);
        replied = state.reply(message(script));
    }
    match replied {
        Ok(Replied::Again(..)) => panic!("a second cookie was taken"),
        Ok(Replied::Confirm(state, confirm)) => {
            body(&confirm);
            assert!(state.agreed().max_streams > 0);
            if let Ok(agreed) = state.accepted(message(script)) {
                assert_eq!(agreed.role, Role::Dialler);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn attaches(script: &mut Script<'_>, credentials: &Credentials) {
    let ours = offer(Role::Dialler);
    let (state, attach) = DialAttach::new(entropy(Role::Dialler), credentials, PATH, &ours);
    body(&attach);
    if let Ok((state, proof)) = state.challenge(message(script)) {
        body(&proof);
        // It is not known who says so.
        let _ = state.accepted(message(script));
    }
}

fn proves(script: &mut Script<'_>, credentials: &Credentials) {
    let ours = safe(Role::Dialler);
    let started = DialProved::new(entropy(Role::Dialler), credentials, PATH, &ours);
    let (state, attach) = started.expect("the path is safe enough");
    body(&attach);
    let _ = state.accepted(message(script));
}

/// What an honest far end says to each of the first four: scripts that come to a good end.
///
/// # Panics
/// If it fails: the messages are its own.
pub(crate) fn honest(agreed: &[Agreed; 2]) -> Vec<(&'static str, Vec<u8>)> {
    let [dialler, listener] = agreed;
    let [us, them] = [Role::Dialler, Role::Listener].map(entropy);
    let (state, hello) = DialHello::new(us.clone(), offer(Role::Dialler));
    let Ok(Greeting::New(greeting)) = Greeting::parse(body(&hello)) else {
        panic!("a hello is read as a hello");
    };
    let cookie = greeting.ask_cookie(&COOKIES, b"source", 1);
    let replied = greeting.reply(them.clone(), offer(Role::Listener));
    let (awaiting, reply) = replied.expect("no weak key");
    let Ok(Replied::Confirm(_, confirm)) = state.reply(body(&reply)) else {
        panic!("a reply is confirmed");
    };
    let (_, accepted) = awaiting.confirm(body(&confirm)).expect("it verifies");

    let ours = offer(Role::Dialler);
    let (state, attach) = DialAttach::new(us.clone(), &dialler.credentials, PATH, &ours);
    let Ok(Greeting::Attach(greeting)) = Greeting::parse(body(&attach)) else {
        panic!("an attach is read as an attach");
    };
    let known = Some(&listener.credentials);
    let theirs = offer(Role::Listener);
    let (awaiting, challenge) = greeting.challenge(them.clone(), known, theirs);
    let (_, proof) = state.challenge(body(&challenge)).expect("it is answered");
    let (_, admitted) = awaiting.proof(body(&proof)).expect("it verifies");

    let ours = safe(Role::Dialler);
    let started = DialProved::new(us, &dialler.credentials, PATH, &ours);
    let (_, proved) = started.expect("the path is safe enough");
    let Ok(Greeting::Proved(greeting)) = Greeting::parse(body(&proved)) else {
        panic!("a proof is read as a proof");
    };
    let answered = greeting.answer(them, known, &safe(Role::Listener));
    let (_, at_once) = answered.expect("it verifies");

    vec![
        ("hello", [&[0], &hello[..], &confirm].concat()),
        ("attach", [&[0], &attach[..], &proof].concat()),
        ("proved", [&[0], &proved[..]].concat()),
        ("reply", [&[1], &reply[..], &accepted].concat()),
        ("cookie", [&[1], &cookie[..], &reply].concat()),
        ("challenge", [&[2], &challenge[..], &admitted].concat()),
        ("at-once", [&[3], &at_once[..]].concat()),
    ]
}

// ---- somebody between honest ends

/// What becomes of messages under way.
struct Changes(Vec<(u8, u16, u8)>);

impl Changes {
    fn read(mut script: Script<'_>) -> Self {
        let mut all = Vec::new();
        while let Some(which) = script.step() {
            all.push((which % 6, script.short(), script.byte()));
        }
        Self(all)
    }

    /// The body of a message as it arrives.
    fn carry(&self, which: u8, message: &[u8]) -> Vec<u8> {
        let mut carried = body(message).to_vec();
        for (_, at, change) in self.0.iter().filter(|(of, ..)| *of == which) {
            match carried.get_mut(usize::from(*at)) {
                Some(byte) => *byte ^= change,
                None if *at < 0x8000 => carried.push(*change),
                None => carried.truncate((*at & 0x7fff).into()),
            }
        }
        carried
    }
}

/// Whether a message arrived as it was sent.
fn same(sent: &[u8], came: &[u8]) -> bool {
    body(sent) == came
}

fn changed_hello(changes: &Changes, cookies: bool) {
    let (state, sent) = DialHello::new(entropy(Role::Dialler), offer(Role::Dialler));
    let came = changes.carry(0, &sent);
    let Ok(Greeting::New(greeting)) = Greeting::parse(&came) else {
        return;
    };
    if !cookies {
        return answered_hello(changes, state, &sent, &came);
    }
    let ask = greeting.ask_cookie(&COOKIES, b"source", 1);
    let cookie = changes.carry(4, &ask);
    let Ok(Replied::Again(state, sent)) = state.reply(&cookie) else {
        return;
    };
    let came = changes.carry(5, &sent);
    if let Ok(Greeting::New(again)) = Greeting::parse(&came)
        && again.has_cookie(&COOKIES, b"source", 1)
    {
        answered_hello(changes, state, &sent, &came);
    }
}

fn answered_hello(changes: &Changes, state: DialHello, sent: &[u8], came: &[u8]) {
    let Ok(Greeting::New(greeting)) = Greeting::parse(came) else {
        return;
    };
    let Ok((awaiting, reply)) = greeting.reply(entropy(Role::Listener), offer(Role::Listener))
    else {
        return;
    };
    let came_back = changes.carry(1, &reply);
    let Ok(Replied::Confirm(state, confirm)) = state.reply(&came_back) else {
        return;
    };
    let Ok((theirs, accepted)) = awaiting.confirm(&changes.carry(2, &confirm)) else {
        return;
    };
    assert!(same(sent, came) && same(&reply, &came_back), "unnoticed");
    let Ok(ours) = state.accepted(&changes.carry(3, &accepted)) else {
        return;
    };
    assert_eq!((ours.id, ours.grace), (theirs.id, theirs.grace));
    assert_eq!(ours.max_streams, theirs.max_streams);
    assert_eq!(ours.peer_receive_window, theirs.receive_window);
    assert_eq!(ours.receive_window, theirs.peer_receive_window);
    assert_eq!(ours.remote, offer(Role::Listener).facts);
    assert_eq!(theirs.remote, offer(Role::Dialler).facts);
    let [ours, theirs] = [ours.credentials, theirs.credentials];
    assert!(ours.dialler == theirs.dialler && ours.listener == theirs.listener);
}

fn changed_attach(changes: &Changes, agreed: &[Agreed; 2]) {
    let [dialler, listener] = agreed;
    let [ours, theirs] = [Role::Dialler, Role::Listener].map(offer);
    let (state, sent) = DialAttach::new(entropy(Role::Dialler), &dialler.credentials, PATH, &ours);
    let Ok(Greeting::Attach(greeting)) = Greeting::parse(&changes.carry(0, &sent)) else {
        return;
    };
    let (session, path) = (greeting.session(), greeting.path());
    let known = (session == listener.id).then_some(&listener.credentials);
    let (awaiting, challenge) = greeting.challenge(entropy(Role::Listener), known, theirs.clone());
    let Ok((state, proof)) = state.challenge(&changes.carry(1, &challenge)) else {
        return;
    };
    if let Ok((facts, accepted)) = awaiting.proof(&changes.carry(2, &proof)) {
        assert_eq!((session, path, facts), (dialler.id, PATH, ours.facts));
        if let Ok(facts) = state.accepted(&changes.carry(3, &accepted)) {
            assert_eq!(facts, theirs.facts);
        }
    }
}

fn changed_proof(changes: &Changes, agreed: &[Agreed; 2]) {
    let [dialler, listener] = agreed;
    let [ours, theirs] = [Role::Dialler, Role::Listener].map(safe);
    let started = DialProved::new(entropy(Role::Dialler), &dialler.credentials, PATH, &ours);
    let (state, sent) = started.expect("the path is safe enough");
    let Ok(Greeting::Proved(greeting)) = Greeting::parse(&changes.carry(0, &sent)) else {
        return;
    };
    let (session, path) = (greeting.session(), greeting.path());
    let known = (session == listener.id).then_some(&listener.credentials);
    if let Ok((facts, accepted)) = greeting.answer(entropy(Role::Listener), known, &theirs) {
        assert_eq!((session, path, facts), (dialler.id, PATH, ours.facts));
        if let Ok(facts) = state.accepted(&changes.carry(1, &accepted)) {
            assert_eq!(facts, theirs.facts);
        }
    }
}
