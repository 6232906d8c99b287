use mancom::Label;

const _: Label = Label::new().interface("eth0").interface("eth1");

fn main() {}
