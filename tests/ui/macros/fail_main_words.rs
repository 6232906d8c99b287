#[mancom::main(flavour = "current_thread")]
async fn unknown() {}

#[mancom::main(flavor = "threads")]
async fn no_flavor() {}

#[mancom::main(flavor)]
async fn no_value() {}

#[mancom::main(flavor = "current_thread", worker_threads = 2)]
async fn no_workers() {}

#[mancom::main(worker_threads = 0)]
async fn zero() {}

#[mancom::main(worker_threads = "2")]
async fn text() {}

#[mancom::main(shutdown = "soon")]
async fn soon() {}

#[mancom::main(shutdown = 5)]
async fn unit() {}

#[mancom::main(scout = "scripted")]
async fn scout() {}

#[mancom::main(config = mancom.toml)]
async fn config() {}

#[mancom::main(shutdown = "1s", shutdown = "2s")]
async fn twice() {}

#[mancom::main(crate = 7)]
async fn path() {}

fn main() {}
