use mancom::{Label, Prop, Scope};

const _: Label = Label::new().require(Prop::Cellular).scope(Scope::Host);

fn main() {}
