//! The server's process: one stream, read to its end. It knows nothing of networks.
//!
//! On its standard output, for the demonstration: `at ADDRESS`, `received BYTES` now and then, and at
//! the end `sum SHA256`.

use std::error::Error;

use mancom::{Manager, Scout};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    // It stays on this host, so there is nothing to scout.
    let manager = Manager::builder().scout(Scout::fixed([])).build().await?;
    let listener = manager.listen("mc://127.0.0.1:0").await?;
    let port = listener
        .contact()
        .port()
        .expect("a TCP listener has a port");
    println!("at 127.0.0.1:{port}");
    let mut stream = listener.accept().await?;
    let (mut sum, mut received) = (Sha256::new(), 0);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            break;
        }
        sum.update(&buffer[..n]);
        received += n;
        println!("received {received}");
    }
    println!("sum {}", hex(&sum.finalize()));
    stream.shutdown().await?;
    manager.shutdown(std::time::Duration::from_secs(5)).await?;
    Ok(())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
