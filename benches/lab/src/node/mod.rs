//! A node: this program on the client or on the server, told over its stdin what to do.
//!
//! ```text
//!  orchestrator                 server                    client
//!      │ Listen(setup) ──────────►│ Listening(port)          │
//!      │ Connect(setup) ──────────┼─────────────────────────►│ Connected
//!      │                          │ Connected                │
//!      │ Run(plan) ──────────────►│ ────────────────────────►│
//!      │◄──────────────────── Ran(report) from both, at the plan's end
//! ```
//!
//! One order a line, one answer a line, as JSON. A node ends with its stdin.

mod remote;

use std::io;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};

pub(crate) use remote::Remote;

use crate::peer::{self, Crowd, Lanes, Setup};
use crate::traffic::{self, Plan, Report, Side};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    Listen(Setup),
    Connect(Setup),
    Run(Plan),
    /// The server of many sessions, each echoed.
    ListenCrowd(Setup),
    /// So many sessions.
    ConnectCrowd(Setup, usize),
    /// A byte on each of them, from one moment to another.
    PingCrowd(u64, u64),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Listening {
        port: u16,
        certificate: Vec<u8>,
    },
    Connected,
    Ran(Report),
    /// When each session's byte was back.
    Pinged(Vec<u64>),
    Failed(String),
}

/// Runs until stdin ends.
pub(crate) fn main(side: &str) -> ExitCode {
    let side = match side {
        "client" => Side::Client,
        "server" => Side::Server,
        _ => {
            eprintln!("usage: lab node client|server");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let obeyed = runtime.and_then(|runtime| {
        let obeyed = runtime.block_on(obey(side));
        runtime.shutdown_background();
        obeyed
    });
    match obeyed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab node: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn obey(side: Side) -> io::Result<()> {
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    let mut held = Held::default();
    while let Some(line) = orders.next_line().await? {
        let order = serde_json::from_str(&line).map_err(io::Error::other)?;
        if let Err(error) = held.follow(side, order).await {
            tell(&Answer::Failed(error.to_string()));
        }
    }
    Ok(())
}

fn tell(answer: &Answer) {
    match serde_json::to_string(answer) {
        Ok(line) => println!("{line}"),
        Err(error) => eprintln!("lab node: {error}"),
    }
}

#[derive(Default)]
struct Held {
    lanes: Option<Lanes>,
    crowd: Option<Crowd>,
}

impl Held {
    async fn follow(&mut self, side: Side, order: Order) -> io::Result<()> {
        match order {
            Order::Listen(setup) => {
                let server = peer::listen(&setup).await?;
                tell(&Answer::Listening {
                    port: server.port,
                    certificate: server.certificate.clone(),
                });
                self.lanes = Some(server.accept(&setup).await?);
                tell(&Answer::Connected);
            }
            Order::Connect(setup) => {
                self.lanes = Some(peer::connect(&setup).await?);
                tell(&Answer::Connected);
            }
            Order::Run(plan) => {
                let lanes = self.lanes.take();
                let lanes = lanes.ok_or_else(|| io::Error::other("not connected"))?;
                tell(&Answer::Ran(traffic::run(lanes, side, plan).await));
            }
            Order::ListenCrowd(setup) => {
                tokio::spawn(async move {
                    let listening = |port| {
                        tell(&Answer::Listening {
                            port,
                            certificate: Vec::new(),
                        });
                    };
                    if let Err(error) = peer::crowd_server(&setup, listening).await {
                        tell(&Answer::Failed(error.to_string()));
                    }
                });
            }
            Order::ConnectCrowd(setup, count) => {
                self.crowd = Some(peer::crowd_client(&setup, count).await?);
                tell(&Answer::Connected);
            }
            Order::PingCrowd(start, end) => {
                let crowd = self.crowd.take();
                let crowd = crowd.ok_or_else(|| io::Error::other("not connected"))?;
                tell(&Answer::Pinged(crowd.ping(start, end).await));
            }
        }
        Ok(())
    }
}
