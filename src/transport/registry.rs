//! Transports by scheme.

use super::{Memory, Multicast, PullSchedule, Tcp, Transport, Udp};
use crate::endpoint::Endpoint;
use crate::label::nearest;
use crate::scout::Scout;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The transports of one manager, by scheme. A cheap clone; a clone does not see later changes.
///
/// ```
/// use mancom::transport::Registry;
///
/// let registry = Registry::new();
/// assert!(registry.get("tpc").is_err());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Registry {
    by_scheme: BTreeMap<&'static str, Arc<dyn Transport>>,
    pulls: Option<Arc<PullSchedule>>,
}

impl Registry {
    /// Knows no transport.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Knows the built-in ones: `tcp`, `udp`, `multicast`, `airhook` and `quic` with the features of
    /// those names, `unix` where there are Unix sockets, and `mem` with the names that belong to this scout.
    #[must_use]
    pub fn built_in(scout: &Scout) -> Self {
        let mut registry = Self::new();
        registry.register(Arc::new(Tcp::new()));
        registry.register(Arc::new(Udp::new()));
        registry.register(Arc::new(Multicast::new()));
        #[cfg(feature = "airhook")]
        registry.register(Arc::new(super::Airhook::new()));
        #[cfg(feature = "quic")]
        registry.register(Arc::new(super::Quic::new()));
        #[cfg(unix)]
        registry.register(Arc::new(super::Unix::new()));
        registry.register(Arc::new(Memory::new(scout)));
        registry
    }

    /// Adds a transport under its scheme; the one that was there before is returned and not used
    /// again for new connections.
    ///
    /// It is given the [pull schedule](Self::install_pull_schedule) in force.
    pub fn register(&mut self, transport: Arc<dyn Transport>) -> Option<Arc<dyn Transport>> {
        if self.pulls.is_some() {
            transport.install_pull_schedule(self.pulls.as_ref());
        }
        self.by_scheme.insert(transport.scheme(), transport)
    }

    /// Has every transport that pulls, those registered later too, do so only in the windows of this
    /// schedule; `None` is at any time. Those that do not pull are not affected.
    pub fn install_pull_schedule(&mut self, schedule: Option<PullSchedule>) {
        self.pulls = schedule.map(Arc::new);
        for transport in self.by_scheme.values() {
            transport.install_pull_schedule(self.pulls.as_ref());
        }
    }

    /// The transport of a scheme.
    ///
    /// # Errors
    /// [`UnknownScheme`], with the nearest known one; there is no fallback.
    pub fn get(&self, scheme: &str) -> Result<Arc<dyn Transport>, UnknownScheme> {
        if let Some(transport) = self.by_scheme.get(scheme) {
            return Ok(Arc::clone(transport));
        }
        let mut known: Vec<&'static str> = self.schemes().collect();
        // Sessions over TCP have a scheme of their own.
        if known.contains(&"tcp") {
            known.push("mc");
            #[cfg(feature = "tls")]
            known.extend(["mcs", "tls"]);
            known.sort_unstable();
        }
        Err(UnknownScheme {
            nearest: nearest(scheme, known.iter().copied()),
            scheme: scheme.to_owned(),
            known,
        })
    }

    /// The schemes known, in alphabetical order.
    pub fn schemes(&self) -> impl Iterator<Item = &'static str> {
        self.by_scheme.keys().copied()
    }
}

/// No transport of that scheme is registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no transport for `{scheme}`{}; known: {}", Hint(*nearest), known.join(", "))]
#[non_exhaustive]
pub struct UnknownScheme {
    /// What was asked for.
    pub scheme: String,
    /// The known scheme that is at most two letters away, if one is.
    pub nearest: Option<&'static str>,
    /// Every known scheme, in alphabetical order.
    pub known: Vec<&'static str>,
}

struct Hint(Option<&'static str>);

impl std::fmt::Display for Hint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(scheme) => write!(f, ", did you mean `{scheme}`?"),
            None => Ok(()),
        }
    }
}

/// An endpoint asks its transport for something that it does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{scheme}` has no attribute `{name}`{}; known: {}", Hint(*nearest), known.join(", "))]
#[non_exhaustive]
pub struct UnknownAttribute {
    /// The endpoint's scheme.
    pub scheme: String,
    /// What was asked for.
    pub name: String,
    /// The known attribute most like it, if one is.
    pub nearest: Option<&'static str>,
    /// Every attribute that such an endpoint may have.
    pub known: Vec<&'static str>,
}

/// Refuses attributes that neither the transport nor what is `above` it knows, where the transport says which
/// it does.
///
/// # Errors
/// [`UnknownAttribute`], for the first one.
pub(crate) fn check_attributes(
    transport: &dyn Transport,
    endpoint: &Endpoint,
    above: &[&'static str],
) -> Result<(), UnknownAttribute> {
    let Some(below) = transport.attributes() else {
        return Ok(());
    };
    let known = || above.iter().chain(below).copied();
    let unknown = |(name, _): &(&str, &str)| known().all(|one| one != *name);
    match endpoint.attributes().find(unknown) {
        None => Ok(()),
        Some((name, _)) => Err(UnknownAttribute {
            scheme: endpoint.scheme().to_owned(),
            name: name.to_owned(),
            nearest: nearest(name, known()),
            known: known().fold(Vec::new(), |mut once, name| {
                if !once.contains(&name) {
                    once.push(name);
                }
                once
            }),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_that_two_layers_know_is_told_once() {
        let transport = crate::transport::Tcp::new();
        let below = transport.attributes().expect("it says them");
        let above = ["label", below[0]];
        let endpoint: Endpoint = "tcp://127.0.0.1:1?pim=x".parse().expect("an endpoint");
        let error = check_attributes(&transport, &endpoint, &above).expect_err("unknown");
        let mut expected = above.to_vec();
        expected.extend(&below[1..]);
        assert_eq!(error.known, expected);
    }
}
