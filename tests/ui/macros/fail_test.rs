use mancom::testing::Networks;

#[mancom::test]
fn not_async() {}

#[mancom::test]
#[test]
async fn two_tests() {}

#[mancom::test]
async fn two_arguments(a: Networks, b: Networks) {}

#[mancom::test(real)]
async fn real_networks(networks: Networks) {}

#[mancom::test(rael)]
async fn unknown() {}

#[mancom::test(real = true)]
async fn value() {}

#[mancom::test]
async fn method(self) {}

fn main() {}
