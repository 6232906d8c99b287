#[mancom::test]
fn not_async() {}

#[mancom::test]
#[test]
async fn two_tests() {}

#[mancom::test]
async fn two_arguments(a: mancom::testing::Networks, b: mancom::testing::Networks) {}

#[mancom::test(real)]
async fn real_networks(networks: mancom::testing::Networks) {}

#[mancom::test(rael)]
async fn unknown() {}

#[mancom::test(real = true)]
async fn value() {}

#[mancom::test]
async fn method(self) {}

fn main() {}
