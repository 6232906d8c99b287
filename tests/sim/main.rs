//! Sessions and waiting in paused time, over memory and scripted networks.

#[cfg(feature = "airhook")]
mod air;
mod defaults;
mod ends;
mod evpath;
mod labels;
mod limits;
mod messages;
mod migration;
mod pathless;
mod paths;
#[cfg(feature = "config")]
mod reload;
mod resources;
mod reuse;
mod roaming;
mod run;
#[cfg(feature = "tls")]
mod secure;
mod sharing;
mod support;
mod waiting;

mod connect;
mod hooks;
mod line;

use mancom::{Label, Network};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[mancom::test]
async fn echoes_over_memory(networks: mancom::testing::Networks) -> Result<(), mancom::Error> {
    networks.up(Network::wifi("wlan0"));
    let listener = mancom::listen("mem://echo").await?;
    tokio::spawn(async move {
        let stream = listener.accept().await.unwrap();
        let (mut r, mut w) = tokio::io::split(stream);
        tokio::io::copy(&mut r, &mut w).await.unwrap();
        w.shutdown().await.unwrap();
    });
    let mut stream = mancom::connect("mem://echo").label(Label::ANY).await?;
    stream.write_all(b"hello").await?;
    let mut reply = [0; 5];
    stream.read_exact(&mut reply).await?;
    assert_eq!(&reply, b"hello");
    networks.down("wlan0");
    stream.write_all(b"again").await?;
    networks.up(Network::cellular("wwan0"));
    stream.read_exact(&mut reply).await?;
    assert_eq!(&reply, b"again");
    stream.shutdown().await?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await?;
    assert!(rest.is_empty());
    Ok(())
}
