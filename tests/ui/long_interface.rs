use mancom::Label;

const _: Label = Label::new().interface("longer-than-linux-allows");

fn main() {}
