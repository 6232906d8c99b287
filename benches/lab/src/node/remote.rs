//! A node as the orchestrator holds it.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::{Answer, Order};
use crate::traffic::Side;
use crate::world::World;

/// A node in its namespace. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Remote {
    side: Side,
    child: Child,
    orders: Option<ChildStdin>,
    answers: Receiver<io::Result<Answer>>,
}

impl Remote {
    pub(crate) fn start(world: &World, side: Side) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("node")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        match side {
            Side::Client => {
                command.arg("client");
                world.in_client(&mut command);
                command.env("XDG_RUNTIME_DIR", world.client.folder()?);
            }
            Side::Server => {
                command.arg("server");
                world.in_server(&mut command);
                command.env("XDG_RUNTIME_DIR", world.server.folder()?);
            }
        }
        // No configuration of the reader's own takes part.
        for variable in ["MANCOM_CONFIG", "XDG_CONFIG_HOME", "HOME"] {
            command.env_remove(variable);
        }
        let mut child = command.spawn()?;
        let orders = child.stdin.take();
        let lines = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let (told, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines() {
                let answer =
                    line.and_then(|line| serde_json::from_str(&line).map_err(io::Error::other));
                if told.send(answer).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            side,
            child,
            orders,
            answers,
        })
    }

    pub(crate) fn order(&mut self, order: &Order) -> io::Result<()> {
        let mut line = serde_json::to_string(order).map_err(io::Error::other)?;
        line.push('\n');
        let orders = self.orders.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        orders.write_all(line.as_bytes())
    }

    /// The next answer; an error if it is a failure or does not come in time.
    pub(crate) fn answer(&mut self, within: Duration) -> io::Result<Answer> {
        let side = self.side;
        match self.answers.recv_timeout(within) {
            Ok(Ok(Answer::Failed(why))) => Err(io::Error::other(format!("{side:?}: {why}"))),
            Ok(answer) => answer,
            Err(error) => Err(io::Error::other(format!("{side:?}: no answer: {error}"))),
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // With its stdin a node ends by itself; one that does not is ended.
        drop(self.orders.take());
        for _ in 0..20 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
