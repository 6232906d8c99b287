//! Every form of a test.
#![deny(warnings)]
#![cfg_attr(not(test), allow(dead_code, unused_imports))]

use mancom::testing::Networks;

#[mancom::test]
async fn bare() {}

#[mancom::test]
#[should_panic(expected = "as it should")]
async fn panics() {
    panic!("as it should");
}

#[mancom::test]
async fn with_networks(networks: Networks) -> Result<(), mancom::Error> {
    networks.up(mancom::Network::wifi("wlan0"));
    mancom::matching(mancom::Label::ANY).await?;
    Ok(())
}

#[mancom::test(real, crate = mancom)]
async fn real() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
