//! `mancom why LABEL [--to HOST]`: which network a label takes, and why not another.
//!
//! Every network is listed, those that match in the order in which they are taken, each with the
//! first thing that puts it behind the one before; then those that do not, with every reason. Exit 0
//! if one matches, 3 if none does. [`JSON`] and [`view::BLOCKED`] say what `--json`
//! prints.

use crate::exit::{Exit, Failure};
use crate::output::{Output, say};
use crate::{Global, label, view};
use mancom::label::matching::{
    Admission, Blocked, Destination, RankKey, Reason, admit, candidates, rank,
};
use mancom::{Endpoint, Label, Manager, Network, Snapshot};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::Duration;

/// What `--json` prints.
const JSON: &str = r#"One object; a key is never left out:
  { "label": "require=wifi", "to": ["192.0.2.1"], "generation": 7, "complete": true,
    "networks": [ { "name": "wlan0", "id": "3.1", "place": 1, "behind": null, "reasons": [],
    "assumptions": [] }, { "name": "eth0", "id": "2.1", "place": null, "behind": null,
    "reasons": [ { "reason": "kind", "text": ".." } ], "assumptions": [] } ],
    "hint": null, "blocked": null }
to is "anywhere", "host" (this host: no network is used), "name" or a list of addresses; behind
names what decided against it. hint is the smallest change that would help, and blocked the whole
explanation, both null where a network matches."#;

/// Say which network a label takes, and what every other one lacks.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::exit::HELP, after_long_help = crate::exit::help_with(&[JSON, view::BLOCKED]))]
pub(crate) struct Why {
    /// What the traffic needs: `background prohibit=metered require=wifi`, or a configured name.
    label: String,
    /// Where it goes: an address, a name, `HOST:PORT` or an endpoint. Without it, anywhere.
    #[arg(long, value_name = "HOST")]
    to: Option<String>,
}

/// The longest a name is looked up.
const LOOKUP: Duration = Duration::from_secs(5);

impl Why {
    pub(crate) async fn run(&self, global: &Global, output: &Output) -> Result<Exit, Failure> {
        let manager = global.manager().await?;
        let label = label::parse(&self.label, |name| manager.label(name).ok())?;
        let to = match &self.to {
            Some(text) => destination(text).await?,
            None => Destination::Unnamed,
        };
        let snapshot = crate::scan::complete(&manager).await;
        let answer = Answer::new(&manager, &snapshot, label, to);
        output.print(|| answer.object(), |output| answer.text(output))?;
        Ok(match answer.blocked {
            None => Exit::Fine,
            Some(_) => Exit::NoMatch,
        })
    }
}

/// The destination that a text names; a name is looked up as any program would.
async fn destination(text: &str) -> Result<Destination, Failure> {
    let host = match text.contains("://") || text.starts_with("unix:") {
        true => {
            let endpoint: Endpoint = text
                .parse()
                .map_err(|error| Failure::new(Exit::Usage, mancom::Error::from(error)))?;
            match endpoint.host() {
                Some(host) => host.to_owned(),
                None => return Ok(Destination::Host),
            }
        }
        false => host(text).to_owned(),
    };
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(Destination::of([ip]));
    }
    let found = tokio::time::timeout(LOOKUP, tokio::net::lookup_host((host.as_str(), 0))).await;
    match found {
        Ok(Ok(found)) => Ok(Destination::of(found.map(|socket| socket.ip()))),
        Ok(Err(error)) => {
            say(format_args!(
                "{host} is not known here ({error}): explained as a name"
            ));
            Ok(Destination::Name)
        }
        Err(_) => {
            say(format_args!(
                "{host} was not found in {LOOKUP:?}: explained as a name"
            ));
            Ok(Destination::Name)
        }
    }
}

/// The host of `HOST`, `HOST:PORT`, `[V6]`, `[V6]:PORT` or a bare IPv6 address.
fn host(text: &str) -> &str {
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => host,
        _ => text,
    }
}

/// What is to be said.
struct Answer {
    label: Label,
    to: Destination,
    generation: u64,
    complete: bool,
    /// Those that match first, in order; then the others by id.
    networks: Vec<Judged>,
    blocked: Option<Box<Blocked>>,
}

struct Judged {
    network: Network,
    admission: Admission,
    place: Option<usize>,
    behind: Option<&'static str>,
}

impl Answer {
    fn new(manager: &Manager, snapshot: &Snapshot, label: Label, to: Destination) -> Self {
        let policy = manager.policy();
        let blocked = candidates(snapshot, &label, &to, &policy).err();
        let judge = |network: &Network| {
            let admission = admit(snapshot, network, &label, &to, &policy);
            (
                rank(network, &label, &to, &policy),
                network.clone(),
                admission,
            )
        };
        let (mut fit, unfit): (Vec<_>, Vec<_>) = snapshot
            .networks()
            .iter()
            .map(judge)
            .partition(|(_, _, admission)| admission.is_admitted());
        fit.sort_by_key(|(key, _, _)| *key);
        let mut before: Option<RankKey> = None;
        let mut networks = Vec::new();
        for (place, (key, network, admission)) in fit.into_iter().enumerate() {
            networks.push(Judged {
                network,
                admission,
                place: Some(place + 1),
                behind: before.as_ref().map(|before| decided(before, &key)),
            });
            before = Some(key);
        }
        networks.extend(unfit.into_iter().map(|(_, network, admission)| Judged {
            network,
            admission,
            place: None,
            behind: None,
        }));
        if to.is_host() {
            networks.clear();
        }
        Answer {
            label,
            to,
            generation: snapshot.generation(),
            complete: snapshot.is_complete(),
            networks,
            blocked,
        }
    }

    fn object(&self) -> Value {
        let networks = self.networks.iter().map(|judged| {
            json!({
                "name": judged.network.name(),
                "id": judged.network.id(),
                "place": judged.place,
                "behind": judged.behind,
                "reasons": judged.admission.reasons,
                "assumptions": judged.admission.assumptions,
            })
        });
        json!({
            "label": self.label,
            "to": self.to,
            "generation": self.generation,
            "complete": self.complete,
            "networks": networks.collect::<Vec<_>>(),
            "hint": self.blocked.as_ref().map(|blocked| blocked.hint()),
            "blocked": self.blocked,
        })
    }

    fn text(&self, output: &Output) -> String {
        if let Some(blocked) = &self.blocked {
            return format!("{blocked}\n");
        }
        if self.to.is_host() {
            return "this host itself: no network is used\n".to_owned();
        }
        let mut rows = vec![["PLACE", "NETWORK", "WHY"].map(str::to_owned).to_vec()];
        for judged in &self.networks {
            let place = judged
                .place
                .map_or("-".to_owned(), |place| place.to_string());
            rows.push(vec![place, judged.network.name().to_owned(), judged.why()]);
        }
        output.table(&rows)
    }
}

impl Judged {
    fn why(&self) -> String {
        let mut words: Vec<String> = match (self.place, self.behind) {
            (Some(1), _) => vec!["is taken".to_owned()],
            (Some(_), Some(axis)) => vec![format!("matches; behind for its {axis}")],
            _ => self.lacks(),
        };
        let assumed = self.admission.assumptions.iter();
        words.extend(assumed.map(ToString::to_string));
        words.join("; ")
    }
}

impl Judged {
    /// Every reason; of a network that is down, why it is, and not what follows from that.
    fn lacks(&self) -> Vec<String> {
        let reasons = &self.admission.reasons;
        let down = reasons.contains(&Reason::Down);
        let follows = |reason: &&Reason| {
            matches!(
                reason,
                Reason::NoRoute(_) | Reason::NoAddress | Reason::NoFamily { .. }
            )
        };
        let told = reasons.iter().filter(|reason| !(down && follows(reason)));
        let words = told.map(|reason| match reason {
            Reason::Down if !self.network.why_down().is_empty() => {
                format!("{reason}: {}", self.network.why_down().join(", "))
            }
            reason => reason.to_string(),
        });
        words.collect()
    }
}

/// The first axis on which the second comes behind.
fn decided(first: &RankKey, second: &RankKey) -> &'static str {
    let axes = [
        ("route", first.detour != second.detour),
        ("health", first.health != second.health),
        ("being about to go", first.losing != second.losing),
        (
            "place among what is preferred",
            first.prefer_place != second.prefer_place,
        ),
        (
            "lack of what is preferred",
            first.unmet_prefers != second.unmet_prefers,
        ),
        (
            "having what is to be avoided",
            first.avoids != second.avoids,
        ),
        ("speed below what is bearable", first.floor != second.floor),
        ("cost", first.cost != second.cost),
        ("speed", first.metric != second.metric),
        ("kind", first.kind != second.kind),
    ];
    let axis = axes.iter().find(|(_, differs)| *differs);
    axis.map_or("number", |(axis, _)| axis)
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn a_host_is_found_with_and_without_a_port() {
        for (text, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("example.com:80", "example.com"),
            ("example.com", "example.com"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(host(text), expected, "{text}");
        }
    }
}
