//! How does a stream to a server that knows nothing of mancom survive the loss of its connection?
//!
//! A plain TCP server wants a login, then answers each line; at the fourth it drops its client. You
//! will see the hook log in again, learn how far the server had come, and say where the stream goes
//! on, while the program that writes the lines and reads the answers notices nothing.

use std::io;

use mancom::hooks::{Carried, Connection, Hook, Resume};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const LOGIN: &str = "LOGIN me\n";

/// Logs in; the server says how many bytes of lines it had from us.
async fn login(connection: &mut dyn Connection) -> io::Result<u64> {
    connection.write_all(LOGIN.as_bytes()).await?;
    let had = line(connection).await?;
    had.parse().map_err(io::Error::other)
}

/// Reads one line, and not a byte beyond it: what follows is the program's.
async fn line(connection: &mut dyn Connection) -> io::Result<String> {
    let mut line = Vec::new();
    loop {
        match connection.read_u8().await? {
            b'\n' => return String::from_utf8(line).map_err(io::Error::other),
            byte => line.push(byte),
        }
    }
}

struct Again;

impl Hook for Again {
    async fn teardown(&mut self, carried: Carried) {
        println!("hook:    lost, {} bytes were written", carried.written);
    }

    async fn setup(&mut self, fresh: &mut dyn Connection, _: Carried) -> io::Result<Resume> {
        // The program's own login is part of the stream, the hook's is not.
        let from = LOGIN.len() as u64 + login(fresh).await?;
        println!("hook:    logged in again, the stream goes on at byte {from}");
        Ok(Resume::ReplayFrom(from))
    }
}

#[mancom::main]
async fn main() -> Result<(), mancom::Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let at = format!("tcp://{}", listener.local_addr()?);
    let server = tokio::spawn(serve(listener));

    let mut stream = mancom::connect(at).reconnect(Again).await?;
    login(&mut stream).await?;
    for number in 1..=6 {
        stream
            .write_all(format!("line {number}\n").as_bytes())
            .await?;
        println!("program: {}", line(&mut stream).await?);
    }
    stream.shutdown().await?;
    Ok(server.await.map_err(io::Error::other)??)
}

/// A server of its own: no mancom here.
async fn serve(listener: TcpListener) -> io::Result<()> {
    let (mut lines, mut bytes, mut dropped) = (0, 0, false);
    loop {
        let (socket, _) = listener.accept().await?;
        let mut client = BufReader::new(socket);
        client.read_line(&mut String::new()).await?;
        client.write_all(format!("{bytes}\n").as_bytes()).await?;
        loop {
            let mut line = String::new();
            if client.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if lines == 3 && !std::mem::replace(&mut dropped, true) {
                println!("server:  drops its client");
                reset(client.into_inner())?;
                break;
            }
            (lines, bytes) = (lines + 1, bytes + line.len());
            client
                .write_all(format!("answer to {line}").as_bytes())
                .await?;
        }
    }
}

/// Ends a connection as a crash does; closed in order, it would be a proper end of the stream.
fn reset(socket: TcpStream) -> io::Result<()> {
    socket.set_zero_linger()
}
