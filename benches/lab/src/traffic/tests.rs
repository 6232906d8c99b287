//! Whole plans, over pipes in memory.

use super::*;
use crate::peer::{Lanes, Pipe};

/// Both ends of a pipe that carries every class.
fn joined() -> (Lanes, Lanes) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let lanes = |end| {
        let (reader, writer) = tokio::io::split(end);
        Lanes {
            pipes: vec![Pipe {
                reader: Box::new(reader),
                writer: Box::new(writer),
            }],
            carries: [0, 0],
            more: None,
            keep: Vec::new(),
        }
    };
    (lanes(near), lanes(far))
}

fn flow(from: Side, class: Class, what: What) -> Flow {
    Flow {
        from,
        class,
        what,
        start: 0,
        stop: 300,
    }
}

#[tokio::test]
async fn both_sides_play_their_part_of_a_plan() {
    let plan = Plan {
        zero: clock::now(),
        end: 600,
        flows: vec![
            flow(
                Side::Client,
                Class::Bulk,
                What::Bulk {
                    size: 100_000,
                    pipe: Some(2),
                },
            ),
            flow(
                Side::Client,
                Class::Interactive,
                What::Ask {
                    size: 1024,
                    every: 50,
                },
            ),
            flow(
                Side::Server,
                Class::Interactive,
                What::Tick {
                    size: 200,
                    every: 10,
                },
            ),
        ],
    };
    let (near, far) = joined();
    let (client, server) = tokio::join!(
        run(near, Side::Client, plan.clone()),
        run(far, Side::Server, plan)
    );
    assert_eq!(client.errors, Vec::<String>::new());
    assert_eq!((client.astray, server.astray), (0, 0));
    assert!(client.flows[0].sent > 2, "answers make room");
    assert_eq!(
        server.flows[0].bytes(0, 600),
        client.flows[0].sent * 100_000
    );
    assert_eq!(
        (client.flows[1].latencies.len(), client.flows[1].unanswered),
        (6, 0)
    );
    let numbers: Vec<u64> = client.flows[2].ticks.iter().map(|tick| tick.0).collect();
    assert_eq!(numbers, (0..30).collect::<Vec<u64>>());
}

#[tokio::test]
async fn what_a_dead_pipe_does_not_answer_is_told() {
    let plan = Plan {
        zero: clock::now(),
        end: 200,
        flows: vec![flow(
            Side::Client,
            Class::Interactive,
            What::Ask {
                size: 10,
                every: 40,
            },
        )],
    };
    let (near, far) = joined();
    drop(far);
    let report = run(near, Side::Client, plan).await;
    assert_eq!(report.ended, 1);
    assert_eq!(
        report.flows[0].unanswered,
        report.flows[0].latencies.len() as u64
    );
    assert!(
        report
            .errors
            .iter()
            .any(|error| error.starts_with("write:")),
        "{report:?}"
    );
}
