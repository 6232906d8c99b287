//! The two programs at the ends of the line.

use crate::transport::Serial;
use mancom::network::Kind;
use mancom::{Label, Manager, NetworkSpec, Scout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A manager that knows `serial:`, and the line as the one network there is.
async fn manager() -> Result<Manager, mancom::Error> {
    let line = NetworkSpec::described("line", Kind::Other);
    let scout = Scout::fixed([line]);
    let builder = Manager::builder().scout(scout).transport(Serial::new());
    Ok(builder.build().await?)
}

pub(crate) async fn serve(device: &str) -> Result<(), mancom::Error> {
    let manager = manager().await?;
    // A line has no stranger on it: in clear.
    let at = format!("mc+serial:{device}?baud=115200");
    let listener = manager.listen(at).plaintext().await?;
    println!("listening at {}", listener.contact());
    let mut stream = listener.accept().await?;
    let message = stream.session().recv().await?;
    println!(
        "a message of {} bytes under `{}`",
        message.bytes.len(),
        message.label
    );
    let mut question = String::new();
    stream.read_to_string(&mut question).await?;
    println!("asked: {question}");
    stream.write_all(b"all of it, in its time").await?;
    stream.shutdown().await?;
    Ok(())
}

pub(crate) async fn ask(device: &str) -> Result<(), mancom::Error> {
    let manager = manager().await?;
    let at = format!("mc+serial:{device}?baud=115200");
    let mut stream = manager.connect(at).plaintext().await?;
    let session = stream.session();
    let sent = session.send(Label::BACKGROUND, vec![7; 100_000]).await?;
    session.delivered(sent).await?;
    stream
        .write_all(b"how much fits through a serial line?")
        .await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    println!("answered: {answer}");
    Ok(())
}
