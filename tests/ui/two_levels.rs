use mancom::{Label, Prop};

const _: Label = Label::BACKGROUND.require(Prop::Wifi).prohibit(Prop::Wifi);

fn main() {}
