//! What does a program wait for, and how do I see that from outside?
//!
//! It wants wifi, and gives up after five seconds. You will see why it waits, in its own words; the two
//! commands with which another terminal lists it and makes it retry meanwhile; and how it ends. Where there
//! is a wifi, it is found at once.

use std::time::Duration;

use mancom::{Label, MatchError, Prop};

const WIFI: Label = Label::new().require(Prop::Wifi);

#[mancom::main]
async fn main() -> Result<(), mancom::Error> {
    let matching = mancom::matching(WIFI).within(Duration::from_secs(5));
    // The name of what begins with `.await`, for whoever wants to ask about it.
    let operation = matching.operation();
    let mut waiting = matching.into_future();
    let first = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await;
    let ended = match first {
        Ok(ended) => ended,
        Err(_) => {
            if let Some(blocked) = operation.blocked() {
                println!("{blocked}\n");
            }
            println!("look at it from another terminal, while it waits:");
            println!("  mancom ops --pid {}", std::process::id());
            println!("  mancom nudge {}/{}\n", std::process::id(), operation.id());
            waiting.await
        }
    };
    match ended {
        Ok(network) => println!("found {}", network.name()),
        Err(MatchError::TimedOut(blocked)) => println!("gave up: {}", blocked.hint()),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
