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
mod ends;
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
            let [here, there] = wire.ends.each_ref().map(|end| end.display().to_string());
            println!("a wire between {here} and {there}");
            tokio::try_join!(ends::serve(&here), ends::ask(&there))?;
            Ok(())
        }
        [device] => ends::serve(device).await,
        [device, "connect"] => ends::ask(device).await,
        _ => Err(std::io::Error::other("usage: serial [DEVICE [connect]]"))?,
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("this example knows the serial devices of Linux alone");
}
