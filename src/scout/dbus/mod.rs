//! The system bus: what NetworkManager, ModemManager and systemd-resolved say of the networks.
//!
//! ```text
//!               ┌─ owners and signals ─▶ hear ──news──▶ attend NetworkManager ──┐
//! system bus ───┤                             ──news──▶ attend ModemManager ────┼─▶ hearsay
//!               └─ answers ◀──────────────────news──▶ attend systemd-resolved ──┘
//! ```
//!
//! A signal only tells that something is new: the service is then read again as a whole, at most
//! once in 100 ms and for a tenth of the time, and every 30 s for what no signal tells (every 5 s
//! while it makes no sense). So a service that floods costs little, and the last state is right.
//!
//! # What is believed
//!
//! The bus may be another network namespace's. A service that is known to live in another one is not
//! heard; of one of which that cannot be known (a bus that counts processes otherwise, a hidden
//! `/proc`), only what it says of a hardware address counts, and thus neither modems nor name
//! servers by link. What is malformed counts as not said.
//!
//! # When it goes
//!
//! Nothing holds of what a service said once its name has no owner, or the bus is gone; one that is
//! merely slow keeps what it said. Without a bus nothing is awaited. Its socket is looked for, and a
//! lost bus tried again, after 1 s, then after twice as long each time, 30 s at most. No service is
//! ever started by this.
//!
//! # Limits
//!
//! Answers of 16 MiB, 1,024 interfaces a service, 64 bearers, lists of 1,024; 5 s for an answer; 16
//! messages that have arrived and are not taken yet, of which none is larger than the bus allows
//! (32 MiB on a system bus).

mod bus;
mod modem_manager;
mod namespace;
mod network_manager;
mod objects;
mod resolved;
#[cfg(test)]
mod tests;

use super::hearsay::{Hearsay, Saying, Sayings, Teller};
use bus::{BUS, Bus, Service, Trouble};
use futures_util::StreamExt;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use zbus::message::Type;
use zbus::{Address, Message};

/// Who is heard, and under which name.
const TELLERS: [(Teller, &str); 3] = [
    (Teller::NetworkManager, "org.freedesktop.NetworkManager"),
    (Teller::ModemManager, "org.freedesktop.ModemManager1"),
    (Teller::Resolved, "org.freedesktop.resolve1"),
];
/// A service is read no more often than this.
const PACE: Duration = Duration::from_millis(100);
/// And so many times as long as reading takes it is left alone, this long at most.
const REST: u32 = 9;
const LONGEST_REST: Duration = Duration::from_secs(1);
/// A service is read at least so often, and so often while it cannot be.
const REREAD: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_secs(5);
/// Pauses between attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// More interfaces of one service are not looked at.
const MOST: usize = 1024;

/// What one service said.
#[derive(Debug, Default)]
struct Told {
    sayings: Sayings,
    /// What made no sense.
    ignored: usize,
}

impl Told {
    /// Keeps this if it may be believed.
    fn say(&mut self, name: &str, saying: Saying, is_here: Option<bool>) {
        let is_believed = is_here.unwrap_or(saying.hardware.is_some());
        if !is_believed {
            return;
        }
        if self.sayings.len() == MOST && !self.sayings.contains_key(name) {
            self.ignored += 1;
            return;
        }
        self.sayings.insert(name.to_owned(), saying);
    }
}

/// Whether the kernel could give an interface this name.
fn is_name(name: &str) -> bool {
    let strange = |c: char| c == '/' || c.is_whitespace() || c.is_control();
    (1..16).contains(&name.len()) && !name.contains(strange) && name != "." && name != ".."
}

/// Percent in fifths, so that noise is no news.
fn percent(of: u32) -> Option<u8> {
    let percent = u8::try_from(of).ok().filter(|percent| *percent <= 100)?;
    Some(percent / 20 * 20)
}

/// The owner of a service's name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Owner {
    #[default]
    Unknown,
    Nobody,
    Is(String),
}

impl Owner {
    fn of(name: Option<String>) -> Self {
        name.filter(|name| !name.is_empty())
            .map_or(Owner::Nobody, Owner::Is)
    }
}

type News = watch::Sender<Owner>;

/// Hears the services on this bus (`None`: the system's) for as long as it is polled.
///
/// Those that may be there are awaited from the moment of the call.
pub(super) fn listen<'a>(
    setting: Option<&str>,
    hearsay: &'a Hearsay,
) -> impl Future<Output = Infallible> + use<'a> {
    let address = bus::address(setting);
    if address.as_ref().is_ok_and(bus::is_there) {
        for (teller, _) in TELLERS {
            hearsay.await_first(teller);
        }
    }
    async move {
        match address {
            Ok(address) => keep_hearing(&address, hearsay).await,
            Err(error) => {
                tracing::debug!(target: "mancom::scout", %error, "no system bus");
                pending().await
            }
        }
    }
}

async fn keep_hearing(address: &Address, hearsay: &Hearsay) -> Infallible {
    let mut pause = Duration::ZERO;
    loop {
        let began = Instant::now();
        if bus::is_there(address) {
            let error = serve(address, hearsay).await;
            tracing::debug!(target: "mancom::scout", %error, "the system bus is not heard");
        }
        for (teller, _) in TELLERS {
            hearsay.unsay(teller);
        }
        pause = next_pause(pause, began.elapsed());
        sleep(pause).await;
    }
}

/// The pause after an attempt that lasted so long, by the one before it.
fn next_pause(before: Duration, lasted: Duration) -> Duration {
    match lasted > LONGEST_PAUSE {
        true => FIRST_PAUSE,
        false => (2 * before).clamp(FIRST_PAUSE, LONGEST_PAUSE),
    }
}

/// Hears the services for as long as the connection lasts.
async fn serve(address: &Address, hearsay: &Hearsay) -> Trouble {
    let bus = match Bus::connect(address).await {
        Ok(bus) => bus,
        Err(trouble) => return trouble,
    };
    let news = TELLERS.map(|_| News::default());
    let all = async {
        tokio::join!(
            attend(&bus, TELLERS[0].0, &news[0], hearsay),
            attend(&bus, TELLERS[1].0, &news[1], hearsay),
            attend(&bus, TELLERS[2].0, &news[2], hearsay),
        )
    };
    tokio::select! {
        trouble = hear(&bus, &news) => trouble,
        Err(trouble) = subscribe(&bus, &news) => trouble,
        (never, _, _) = all => match never {},
    }
}

/// Has the bus tell of owners and signals, and asks it for the owners of now.
async fn subscribe(bus: &Bus, news: &[News]) -> Result<Infallible, Trouble> {
    for ((_, name), news) in TELLERS.iter().zip(news) {
        let owners = "interface='org.freedesktop.DBus',member='NameOwnerChanged'";
        bus.subscribe(&format!(
            "type='signal',sender='{BUS}',{owners},arg0='{name}'"
        ))
        .await?;
        bus.subscribe(&format!("type='signal',sender='{name}'"))
            .await?;
        let owner = Owner::of(bus.owner(name).await?);
        // A signal that came meanwhile is as new as the answer, or newer.
        news.send_if_modified(|known| {
            let is_first = *known == Owner::Unknown;
            if is_first {
                *known = owner;
            }
            is_first
        });
    }
    pending().await
}

/// Takes what arrives, and tells those whom it concerns.
async fn hear(bus: &Bus, news: &[News]) -> Trouble {
    let mut messages = bus.messages();
    while let Some(message) = messages.next().await {
        match message {
            Ok(message) if message.message_type() == Type::Signal => tell(&message, news),
            Ok(_) => {}
            Err(error) => return error.into(),
        }
        // A flood leaves the rest of the scout its time.
        tokio::task::coop::consume_budget().await;
    }
    Trouble::Closed
}

fn tell(signal: &Message, news: &[News]) {
    let header = signal.header();
    let Some(sender) = header.sender() else {
        return;
    };
    if sender.as_str() != BUS {
        for news in news {
            let concerns = matches!(&*news.borrow(), Owner::Is(owner) if owner == sender.as_str());
            if concerns {
                news.send_modify(|_| {});
            }
        }
        return;
    }
    let body = signal.body();
    let member = header.member().map(|member| member.as_str());
    if let (Some("NameOwnerChanged"), Ok(changed)) = (member, body.deserialize()) {
        let (name, _, new): (&str, &str, &str) = changed;
        for ((_, known), news) in TELLERS.iter().zip(news) {
            if *known == name {
                news.send_replace(Owner::of(Some(new.to_owned())));
            }
        }
    }
}

/// Reads a service whenever there is news of it.
async fn attend(bus: &Bus, teller: Teller, news: &News, hearsay: &Hearsay) -> Infallible {
    let mut heard = news.subscribe();
    let mut service: Option<Service> = None;
    let mut rested = Instant::now();
    loop {
        let mut again = REREAD;
        let owner = heard.borrow_and_update().clone();
        match &owner {
            Owner::Unknown => {}
            Owner::Nobody => hearsay.unsay(teller),
            Owner::Is(name) => {
                let work = async {
                    sleep_until(rested).await;
                    heard.mark_unchanged();
                    let began = Instant::now();
                    // Also if it is not read to the end.
                    rested = began + PACE;
                    if !read(bus, teller, name, &mut service, hearsay).await {
                        again = RETRY;
                    }
                    rested += (REST * began.elapsed()).min(LONGEST_REST);
                };
                let mut other = news.subscribe();
                tokio::select! {
                    () = work => {}
                    // The other end lives as long as this.
                    _ = other.wait_for(|now| *now != owner) => continue,
                }
            }
        }
        // The other end lives as long as this, and at the end of the time it is read anyhow.
        let _ = timeout(again, heard.changed()).await;
    }
}

/// Reads a service and passes on what it says; false if it says nothing.
async fn read(
    bus: &Bus,
    teller: Teller,
    owner: &str,
    service: &mut Option<Service>,
    hearsay: &Hearsay,
) -> bool {
    let service = match service {
        Some(service) if service.owner == owner => service,
        _ => service.insert(bus.service(owner.to_owned()).await),
    };
    let told = match teller {
        Teller::NetworkManager => network_manager::read(bus, service).await,
        Teller::ModemManager => modem_manager::read(bus, service).await,
        _ => resolved::read(bus, service).await,
    };
    let teller_word = teller.word();
    match told {
        Ok(told) => {
            if told.ignored > 0 {
                let ignored = told.ignored;
                tracing::debug!(target: "mancom::scout", teller = teller_word, ignored, "makes no sense");
            }
            hearsay.say(teller, told.sayings);
            true
        }
        Err(error) => {
            tracing::debug!(target: "mancom::scout", teller = teller_word, %error, "says nothing");
            if !matches!(error, Trouble::Slow) {
                hearsay.unsay(teller);
            }
            false
        }
    }
}
