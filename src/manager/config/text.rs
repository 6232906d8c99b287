//! From TOML to [`Config`]: what each key means.

use super::error::Faults;
use super::limit::Written;
use super::tree::{Entry, Source};
use super::{Config, ConfigError, NamedLabel};
use crate::account::Limit;
use crate::label::Label;
use crate::label::matching::Rule;
use crate::network::Kind;
use crate::scout::Facts;

const KINDS: [(&str, Kind); 8] = [
    ("ethernet", Kind::Ethernet),
    ("wifi", Kind::Wifi),
    ("bluetooth", Kind::Bluetooth),
    ("cellular", Kind::Cellular),
    ("satellite", Kind::Satellite),
    ("vpn", Kind::Vpn),
    ("loopback", Kind::Loopback),
    ("other", Kind::Other),
];

const TOP: [&str; 9] = [
    "labels", "networks", "policy", "limit", "state", "scout", "monitor", "tls", "unknown",
];
const UNKNOWN: [(&str, bool); 2] = [("allow", false), ("deny", true)];
const NETWORK: [&str; 9] = [
    "kind",
    "metered",
    "roaming",
    "constrained",
    "bypass_vpn",
    "rtt",
    "up",
    "down",
    "loss",
];
const LABEL: [&str; 6] = [
    "label",
    "within",
    "grace",
    "relax_after",
    "relax_to",
    "stop",
];
const POLICY: [&str; 2] = ["forbid", "on"];
const LIMIT: [&str; 5] = ["label", "on", "rate", "bytes", "per"];
const STATE: [&str; 1] = ["folder"];
const SCOUT: [&str; 2] = ["socket", "fallback"];
const MONITOR: [&str; 2] = ["enabled", "folder"];

/// All of them.
#[cfg(test)]
pub(super) const KEYS: &[&[&str]] = &[
    &TOP,
    &NETWORK,
    &LABEL,
    &POLICY,
    &LIMIT,
    &STATE,
    &SCOUT,
    &MONITOR,
    #[cfg(feature = "tls")]
    &super::tls::TLS,
];

/// What a text says, also where something in it is wrong.
pub(super) struct Parsed {
    pub(super) config: Config,
    /// The names of labels, also of those that are wrong.
    pub(super) named: Vec<String>,
    /// Whether it was TOML: of what was not, a name may be missing here.
    pub(super) whole: bool,
    pub(super) faults: Faults,
}

impl Config {
    /// Reads one text; `name` is what errors call it.
    ///
    /// ```
    /// use mancom::manager::config::Config;
    ///
    /// let config = Config::parse("[labels.photos]\nlabel = 'background'", "mancom.toml")?;
    /// assert!(config.label("photos").is_some());
    ///
    /// let error = Config::parse("[networks.'wwan*']\nkind = 'celular'", "mancom.toml").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "mancom.toml:2:8: networks.\"wwan*\".kind: unknown kind `celular`, did you mean `cellular`?"
    /// );
    /// # Ok::<_, mancom::manager::config::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Every place that is wrong. Of a text over 64 KiB that is not TOML, the first.
    pub fn parse(text: &str, name: &str) -> Result<Config, ConfigError> {
        let mut parsed = Config::parse_layer(text, name);
        if parsed.whole {
            (parsed.config).check_limits(&parsed.named, &mut parsed.faults);
            parsed.faults.sort();
        }
        match parsed.faults.is_empty() {
            true => Ok(parsed.config),
            false => Err(parsed.faults.into()),
        }
    }

    pub(super) fn parse_layer(text: &str, name: &str) -> Parsed {
        let mut source = Source::new(text, name);
        let tree = source.parse();
        let mut config = Config::default();
        for entry in source.entries("", &tree) {
            match entry.known(&TOP) {
                Some("labels") => config.read_labels(&entry),
                Some("networks") => config.read_networks(&entry),
                Some("policy") => config.read_policy(&entry),
                Some("limit") => config.read_limits(&entry),
                Some("state") => config.read_state(&entry),
                Some("scout") => config.read_scout(&entry),
                Some("monitor") => config.read_monitor(&entry),
                #[cfg(feature = "tls")]
                Some("tls") => config.tls.read(&entry),
                // It is for those who have it; here nothing can come of it.
                #[cfg(not(feature = "tls"))]
                Some("tls") => {}
                Some(_) => config.unknown_denied = entry.word("word", &UNKNOWN),
                None => {}
            }
        }
        let labels = tree.get("labels").and_then(|of| of.get_ref().as_table());
        let names = labels.into_iter().flat_map(|labels| labels.keys());
        Parsed {
            config,
            named: names.map(|name| name.get_ref().to_string()).collect(),
            whole: source.is_whole(),
            faults: source.into_faults(),
        }
    }

    fn read_networks(&mut self, section: &Entry<'_>) {
        for network in section.table() {
            if network.key.is_empty() {
                network.fault_of_key("an interface name or a pattern as in `wwan*`");
            }
            let mut facts = Facts::default();
            for entry in network.table() {
                match entry.known(&NETWORK) {
                    Some("kind") => facts.kind = entry.word("kind", &KINDS),
                    Some("metered") => facts.metered = entry.boolean(),
                    Some("roaming") => facts.roaming = entry.boolean(),
                    Some("constrained") => facts.constrained = entry.boolean(),
                    Some("bypass_vpn") => facts.bypass_vpn = entry.boolean(),
                    Some("rtt") => facts.rtt = entry.duration(),
                    Some("up") => facts.up = entry.rate(),
                    Some("down") => facts.down = entry.rate(),
                    Some(_) => facts.loss = entry.per_mille(),
                    None => {}
                }
            }
            self.networks.push((network.key.to_owned(), facts));
        }
    }

    fn read_labels(&mut self, section: &Entry<'_>) {
        for named in section.table() {
            // It could never be asked for: a text that is a label is taken for one.
            if named.key.trim().is_empty() {
                named.fault_of_key("a label needs a name");
            } else if named.key.parse::<Label>().is_ok() {
                named.fault_of_key("a label's own text is no name for one");
            }
            let entries = named.table();
            let (mut label, mut within, mut grace, mut stop) = (None, None, None, None);
            let (mut relax_after, mut relax_to) = (None, None);
            for entry in &entries {
                match entry.known(&LABEL) {
                    Some("label") => label = entry.label(),
                    Some("within") => within = entry.duration(),
                    Some("grace") => grace = entry.duration(),
                    Some("stop") => stop = entry.duration(),
                    Some("relax_after") => relax_after = entry.duration(),
                    Some(_) => relax_to = entry.label(),
                    None => {}
                }
            }
            named.needs("label", &entries);
            if entries.iter().any(|entry| entry.key.starts_with("relax")) {
                named.needs("relax_after", &entries);
                named.needs("relax_to", &entries);
            }
            if let Some(label) = label {
                let defaults = NamedLabel {
                    label,
                    within,
                    grace,
                    relax: relax_after.zip(relax_to),
                    stop,
                };
                self.labels.insert(named.key.to_owned(), defaults);
            }
        }
    }

    fn read_policy(&mut self, section: &Entry<'_>) {
        for rule in section.tables() {
            let entries = rule.table();
            let (mut forbid, mut on) = (None, None);
            for entry in &entries {
                // Each part is tried beside a right one, so that one fault does not hide another.
                match entry.known(&POLICY) {
                    Some("forbid") => forbid = entry.tried(|text| Rule::new(text, "vpn", "", 0)),
                    Some(_) => on = entry.tried(|text| Rule::new("any", text, "", 0)),
                    None => {}
                }
            }
            POLICY.iter().for_each(|part| rule.needs(part, &entries));
            if let (Some(forbid), Some(on)) = (forbid, on) {
                let (file, line) = rule.stands();
                match Rule::new(forbid, on, file, line) {
                    Ok(rule) => self.rules.push(rule),
                    Err(error) => rule.fault(error),
                }
            }
        }
    }

    fn read_limits(&mut self, section: &Entry<'_>) {
        for limit in section.tables() {
            let entries = limit.table();
            let mut written = Written::default();
            for entry in &entries {
                match entry.known(&LIMIT) {
                    Some("label") => written.label = entry.string().map(|text| entry.at(text)),
                    Some("on") => {
                        let on = entry.tried(|text| Limit::new("any", text));
                        written.on = on.map(str::to_owned);
                    }
                    Some("rate") => written.rate = entry.speed(),
                    Some("bytes") => written.bytes = entry.bytes(),
                    Some(_) => written.per = entry.period(),
                    None => {}
                }
            }
            let has = |key: &str| entries.iter().any(|entry| entry.key == key);
            match (has("bytes"), has("per")) {
                (true, _) => limit.needs("per", &entries),
                (false, true) => limit.needs("bytes", &entries),
                (false, false) => {
                    let fault = "`rate`, or `bytes` and `per`, is missing";
                    limit.needs_one(&["rate"], fault, &entries);
                }
            }
            (written.place, written.line) = (limit.placed(), limit.stands().1);
            written.check_words(&entries);
            self.limits.push(written);
        }
    }

    fn read_state(&mut self, section: &Entry<'_>) {
        for entry in section.table() {
            if entry.known(&STATE).is_some() {
                self.state = entry.path();
            }
        }
    }

    fn read_scout(&mut self, section: &Entry<'_>) {
        for entry in section.table() {
            match entry.known(&SCOUT) {
                Some("socket") => self.scout.socket = entry.path(),
                Some(_) => self.scout.fallback = entry.boolean(),
                None => {}
            }
        }
    }

    fn read_monitor(&mut self, section: &Entry<'_>) {
        for entry in section.table() {
            match entry.known(&MONITOR) {
                Some("enabled") => self.monitor.enabled = entry.boolean(),
                Some(_) => self.monitor.folder = entry.path(),
                None => {}
            }
        }
    }
}
