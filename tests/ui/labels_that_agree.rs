//! Every builder works in a `const`.
use mancom::{Label, LabelError, Prop, Scope};

const ALL: Label = Label::new()
    .background()
    .bytes(64 << 20)
    .scope(Scope::Internet)
    .require(Prop::Wifi)
    .require(Prop::Ethernet)
    .prefer(Prop::Ipv6)
    .avoid(Prop::Vpn)
    .prohibit(Prop::Metered)
    .interface("wlan0")
    .redundant()
    .ignore_cost()
    .bypass_vpn();
const TRIED: Result<Label, LabelError> = ALL.try_require(Prop::Metered);

fn main() {
    assert!(TRIED.is_err());
}
