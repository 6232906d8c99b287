//! How do I write a server and a client?
//!
//! A listener echoes what each stream sends it; a client says three lines and reads them back. You will
//! see each line, the label the server saw it under, and the end of both sides. Between two hosts,
//! `mc://HOST:PORT` asks for `.plaintext()` on both.

use mancom::{Label, Listener, McStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[mancom::main]
async fn main() -> Result<(), mancom::Error> {
    let listener = mancom::listen("mc://127.0.0.1:0").await?;
    let at = listener.contact();
    println!("server: listening at {at}");
    let server = tokio::spawn(serve(listener));

    let mut stream = mancom::connect(at).label(Label::INTERACTIVE).await?;
    for line in ["hello", "is anybody there?"] {
        stream.write_all(line.as_bytes()).await?;
        println!(
            "client: {line:?} came back as {:?}",
            read(&mut stream, line.len()).await?
        );
    }
    // A label for one send; the others keep the stream's.
    let last = "no hurry with this one";
    stream
        .write_labelled(Label::BACKGROUND, last.as_bytes())
        .await?;
    println!(
        "client: {last:?} came back as {:?}",
        read(&mut stream, last.len()).await?
    );
    // Ready once the server's library has everything, the end included.
    stream.shutdown().await?;
    server.await.map_err(std::io::Error::other)?
}

async fn read(stream: &mut McStream, bytes: usize) -> Result<String, mancom::Error> {
    let mut reply = vec![0; bytes];
    stream.read_exact(&mut reply).await?;
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

/// One stream here; a real server spawns a task for each in a loop.
async fn serve(listener: Listener) -> Result<(), mancom::Error> {
    let mut stream = listener.accept().await?;
    let mut buffer = [0; 1024];
    loop {
        let (n, label) = stream.read_labelled(&mut buffer).await?;
        if n == 0 {
            println!("server: the client has ended");
            return Ok(stream.shutdown().await?);
        }
        println!("server: {n} bytes under `{label}`");
        stream.write_labelled(label, &buffer[..n]).await?;
    }
}
