//! Routes as a packet meets them: through the rules, in order of their priority.
//!
//! A route in a table that no rule leads to does not exist for us. One that only a rule for bound
//! sockets leads to carries [`Route::UNRANKED`]. A rule for some destinations narrows the routes
//! of its table to them, and a rule that suppresses short prefixes passes them over (wg-quick's
//! "main without its default, then the tunnel").

use super::wire::{For, RouteFacts, RuleFacts, whole};
use crate::network::Route;
use crate::scout::masked;
use std::collections::BTreeSet;
use std::net::IpAddr;

const MAIN: u32 = 254;
const DEFAULT: u32 = 253;

/// Adds what a route is worth to this process's packets: nothing, once, or once a rule.
pub(super) fn effective(route: &RouteFacts, rules: &BTreeSet<RuleFacts>, into: &mut Vec<Route>) {
    let six = route.to.is_ipv6();
    let mut family = rules.iter().filter(|rule| rule.six == six).peekable();
    if family.peek().is_none() {
        // A kernel without rules has these two.
        match route.table {
            MAIN => into.push(ranked(route, (route.to, route.prefix), 32_766)),
            DEFAULT => into.push(ranked(route, (route.to, route.prefix), 32_767)),
            _ => {}
        }
        return;
    }
    let mut bound = false;
    for rule in family {
        if rule.table.is_some_and(|table| table != route.table) || rule.packets == For::None {
            continue;
        }
        if rule.suppress.is_some_and(|length| route.prefix <= length) {
            continue;
        }
        let Some(to) = narrowed((route.to, route.prefix), rule.to) else {
            continue;
        };
        if rule.packets == For::Bound {
            bound = true;
            continue;
        }
        into.push(ranked(route, to, rule.priority));
        if rule.to.is_none() {
            return;
        }
    }
    if bound {
        into.push(ranked(route, (route.to, route.prefix), Route::UNRANKED));
    }
}

fn ranked(route: &RouteFacts, (to, prefix): (IpAddr, u8), rank: u32) -> Route {
    Route {
        to,
        prefix,
        connected: !route.indirect && route.prefix > 0,
        metric: route.metric,
        table: route.table,
        rank,
    }
}

/// What two ranges have in common: the smaller, if they overlap.
fn narrowed(route: (IpAddr, u8), rule: Option<(IpAddr, u8)>) -> Option<(IpAddr, u8)> {
    let Some(rule) = rule else {
        return Some(route);
    };
    let shorter = route.1.min(rule.1).min(whole(route.0));
    let overlap = masked(route.0, shorter) == masked(rule.0, shorter);
    overlap.then_some(if route.1 >= rule.1 { route } else { rule })
}
