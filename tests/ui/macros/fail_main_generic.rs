#[mancom::main]
async fn other<T>() {}

#[mancom::main]
struct Main;

fn main() {}
