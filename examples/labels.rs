//! Which network would my traffic take, and why not another?
//!
//! Four networks that need not exist here, and a few labels. You will see, for each label, the networks
//! it admits, best first, and why it refuses the others; then a label that nothing here can satisfy,
//! and two that are no labels.

use mancom::label::matching::{Destination, Policy, admit, candidates};
use mancom::{Label, Network, Prop, Scout, Snapshot};
use std::time::Duration;

/// Checked when it compiles: a contradiction would not.
const PHOTOS: Label = Label::new()
    .background()
    .large()
    .require(Prop::Wifi)
    .prohibit(Prop::Metered);

fn main() -> Result<(), mancom::Error> {
    let ms = Duration::from_millis;
    let scout = Scout::fixed([
        Network::ethernet("eth0").rtt(ms(4)).down(100_000_000),
        Network::wifi("wlan0").rtt(ms(9)).down(300_000_000),
        Network::cellular("wwan0")
            .rtt(ms(50))
            .down(40_000_000)
            .metered(true),
        Network::satellite("sat0")
            .rtt(ms(600))
            .down(80_000_000)
            .metered(true)
            .roaming(true),
    ]);
    let snapshot = scout.snapshots().borrow().clone();
    let labels = [
        "any",
        "interactive small",
        "background large",
        "prefer=cellular",
        "if=wwan0",
        "require=cellular,satellite prohibit=roaming",
        "avoid=ethernet cost=ignore",
    ];
    for text in labels {
        explain(&snapshot, text.parse()?);
    }
    explain(&snapshot, PHOTOS);
    explain(&snapshot, "require=bluetooth".parse()?);
    for text in ["interactive prohibit=meterd", "require=wifi prohibit=wifi"] {
        if let Err(error) = text.parse::<Label>() {
            println!("{text}\n  {error}\n");
        }
    }
    Ok(())
}

fn explain(snapshot: &Snapshot, label: Label) {
    println!("{label}");
    let (to, policy) = (Destination::Name, Policy::default());
    match candidates(snapshot, &label, &to, &policy) {
        Ok(networks) => {
            let names: Vec<&str> = networks.iter().map(Network::name).collect();
            println!("  takes {}", names.join(", then "));
        }
        // An operation with this label would wait, and say this.
        Err(blocked) => println!("  waits: {}", blocked.hint()),
    }
    for network in snapshot.networks() {
        let reasons = admit(snapshot, network, &label, &to, &policy).reasons;
        if !reasons.is_empty() {
            let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            println!("  not {}: {}", network.name(), reasons.join(", "));
        }
    }
    println!();
}
