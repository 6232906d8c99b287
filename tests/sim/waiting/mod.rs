//! Waiting for a network as the whole shows it: connects that wait, are hurried, explained, given up.

mod ends;
mod hands;
mod networks;

use mancom::{Label, Prop};

const WIFI: Label = Label::new().require(Prop::Wifi);
