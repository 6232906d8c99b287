//! `mancom why LABEL [--to HOST]`: which network a label takes, and why not another.
//!
//! Every network is listed, those that match in the order in which they are taken, each with the
//! first thing that puts it behind the one before; then those that do not, with every reason. Exit 0
//! if one matches, 3 if none does. [`JSON`] and [`view::BLOCKED`] say what `--json`
//! prints.

use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::{Global, destination, label, view};
use mancom::label::matching::{
    Admission, Blocked, Destination, RankKey, Reason, admit, assumes_metric, candidates, rank,
};
use mancom::{Label, Manager, Network, Snapshot};
use serde_json::{Value, json};
use std::sync::Arc;

/// What `--json` prints.
const JSON: &str = r#"One object; a key is never left out:
  { "label": "require=wifi", "label_name": "photos", "to": ["192.0.2.1"], "generation": 7,
    "complete": true,
    "networks": [ { "name": "wlan0", "id": "3.1", "place": 1, "behind": null, "reasons": [],
    "assumptions": [] }, { "name": "eth0", "id": "2.1", "place": null, "behind": null,
    "reasons": [ { "reason": "kind", "text": ".." } ], "assumptions": [] } ],
    "hint": null, "blocked": null }
label_name is the configuration's name of the label, if it has one; to is "anywhere", "host" (this
host: no network is used), "name" or a list of addresses; behind names what decided against it. hint
is the smallest change that would help, and blocked the whole explanation, both null where a network
matches."#;

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

impl Why {
    pub(crate) async fn run(&self, global: &Global, output: &Output) -> Result<Exit, Failure> {
        let manager = global.manager().await?;
        let label = label::parse(&self.label, |name| manager.label(name))?;
        let to = match &self.to {
            Some(text) => destination::resolved(text, manager.scout()).await?,
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

/// What is to be said.
struct Answer {
    label: Label,
    name: Option<Arc<str>>,
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
        let name = manager.label_name(&label);
        let blocked = candidates(snapshot, &label, &to, &policy).err();
        let blocked = blocked.map(|mut blocked| {
            // What is shown is one moment; what is explained of another is no part of it.
            let dated = manager.explain(&label, &to).err();
            let dated = dated.filter(|dated| dated.generation == blocked.generation);
            blocked.name.clone_from(&name);
            dated.unwrap_or(blocked)
        });
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
        let mut before: Option<(RankKey, bool)> = None;
        let mut networks = Vec::new();
        for (place, (key, network, admission)) in fit.into_iter().enumerate() {
            let now = (key, assumes_metric(&network, &label));
            networks.push(Judged {
                network,
                admission,
                place: Some(place + 1),
                behind: before.as_ref().map(|before| decided(before, &now)),
            });
            before = Some(now);
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
            name,
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
            "label_name": self.name,
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
        let called = match &self.name {
            Some(name) => format!("`{name}` is {}\n", self.label),
            None => String::new(),
        };
        called + &output.table(&rows)
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

/// The first axis on which the second comes behind, each with whether its speed is assumed.
fn decided((first, a): &(RankKey, bool), (second, b): &(RankKey, bool)) -> &'static str {
    let speed = match *a || *b {
        true => "speed (assumed by kind)",
        false => "speed",
    };
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
        (speed, first.metric != second.metric),
        ("kind", first.kind != second.kind),
    ];
    let axis = axes.iter().find(|(_, differs)| *differs);
    axis.map_or("id", |(axis, _)| axis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn network(index: u32, spec: mancom::NetworkSpec) -> Network {
        Network::new(mancom::NetworkId::new(index, 1), spec)
    }

    #[test]
    fn what_decided_is_said_as_it_is() {
        let to = Destination::Unnamed;
        let behind = |label: Label, first: mancom::NetworkSpec, second: mancom::NetworkSpec| {
            let key = |index, spec| {
                let network = network(index, spec);
                let key = rank(&network, &label, &to, &Default::default());
                (key, assumes_metric(&network, &label))
            };
            decided(&key(1, first), &key(2, second))
        };
        let (eth, wlan) = (Network::ethernet("eth0"), Network::wifi("wlan0"));
        let assumed = "speed (assumed by kind)";
        assert_eq!(behind(Label::ANY, eth.clone(), wlan.clone()), assumed);
        assert_eq!(behind(Label::ANY, eth.clone(), eth.clone()), "id");
        let [near, far] = [1, 9].map(Duration::from_millis);
        let known = || (eth.clone().rtt(near), wlan.clone().rtt(far));
        assert_eq!(behind(Label::ANY, known().0, known().1), "speed");
        assert_eq!(behind(Label::ANY, known().0, wlan.clone()), assumed);
        // Bandwidth is what counts here.
        assert_eq!(behind(Label::BACKGROUND, known().0, known().1), assumed);
    }
}
