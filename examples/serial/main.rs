//! How do I add a transport of my own?
//!
//! This one carries sessions over a serial line: a USB gadget, a radio modem, anything that is a character
//! device. [`transport`] is what mancom sees of it, [`line`] drives one device, [`frame`] is what is on the
//! wire. `tests/api/serial.rs` runs it through the conformance suite.
//!
//! Without arguments two pseudo-terminals, wired to each other, stand in for the line. You will see one end
//! listen, the other connect, a session's stream and a message cross the line, and both end. With a device,
//! `cargo run --example serial -- /dev/ttyUSB0` listens there, and `-- /dev/ttyUSB1 connect` is the other end.

#[cfg(target_os = "linux")]
mod frame;
#[cfg(target_os = "linux")]
mod line;
#[cfg(target_os = "linux")]
mod transport;
#[cfg(target_os = "linux")]
mod wire;

#[cfg(target_os = "linux")]
#[tokio::main]
async fn main() -> Result<(), mancom::Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] => {
            let wire = wire::Wire::new()?;
            let (here, there) = (wire.ends[0].display(), wire.ends[1].display());
            println!("a wire between {here} and {there}");
            let (serve, ask) = (end(here.to_string()), end(there.to_string()));
            tokio::try_join!(serve.serve(), ask.ask())?;
            Ok(())
        }
        [device] => end(device.to_owned()).serve().await,
        [device, "connect"] => end(device.to_owned()).ask().await,
        _ => Err(std::io::Error::other("usage: serial [DEVICE [connect]]"))?,
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("this example knows the serial devices of Linux alone");
}

#[cfg(target_os = "linux")]
fn end(device: String) -> End {
    End {
        endpoint: format!("mc+serial:{device}?baud=115200"),
    }
}

/// A process at one end of the line.
#[cfg(target_os = "linux")]
struct End {
    endpoint: String,
}

#[cfg(target_os = "linux")]
impl End {
    /// A manager that knows `serial:`, and the line as the one network there is.
    async fn manager() -> Result<mancom::Manager, mancom::Error> {
        let line = mancom::NetworkSpec::new("line", mancom::network::Kind::Other);
        let manager = mancom::Manager::builder()
            .scout(mancom::Scout::fixed([line]))
            .transport(transport::Serial::new());
        Ok(manager.build().await?)
    }

    async fn serve(self) -> Result<(), mancom::Error> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let manager = Self::manager().await?;
        // A line has no TLS of its own, and no stranger on it: in clear.
        let listener = manager.listen(self.endpoint).plaintext().await?;
        println!("listening at {}", listener.contact());
        let mut stream = listener.accept().await?;
        let mut question = String::new();
        stream.read_to_string(&mut question).await?;
        println!("asked: {question}");
        stream.write_all(b"all of it").await?;
        let message = stream.session().recv().await?;
        println!(
            "a message of {} bytes under `{}`",
            message.bytes.len(),
            message.label
        );
        stream.shutdown().await?;
        Ok(())
    }

    async fn ask(self) -> Result<(), mancom::Error> {
        use mancom::Label;
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let manager = Self::manager().await?;
        let mut stream = manager.connect(self.endpoint).plaintext().await?;
        stream
            .write_all(b"how much fits through a serial line?")
            .await?;
        let session = stream.session();
        let sent = session.send(Label::BACKGROUND, vec![7; 100_000]).await?;
        session.delivered(sent).await?;
        stream.shutdown().await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        println!("answered: {answer}");
        Ok(())
    }
}
