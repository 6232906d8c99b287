//! What EVPath says of connections that several hold, and of conditions, where a session answers for it.

use mancom::testing::Networks;
use mancom::{Label, MessageError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::support::{Outcome, joined, secs, soon, wifi};

/// A session is the connection that is used again: whoever holds one, the server too, opens streams on it,
/// and they travel on the paths that there are.
// behaviour: EV-09
#[mancom::test]
async fn a_server_reaches_its_client_on_the_connection_that_there_is(
    networks: Networks,
) -> Outcome {
    networks.up(wifi());
    let (near, far) = joined("mem://reuse", Label::ANY).await?;
    let before = near.session().paths().len();
    let (client, server) = (near.session(), far.session());
    let mut back = server.open(Label::ANY).await?;
    back.write_all(b"is anybody there").await?;
    back.shutdown().await?;
    let mut heard = soon(secs(1), "the stream", client.accept()).await?;
    let mut text = String::new();
    soon(secs(1), "its text", heard.read_to_string(&mut text)).await?;
    assert_eq!(text, "is anybody there");
    assert_eq!(near.session().paths().len(), before, "no connection more");
    assert_eq!(before, 1);
    Ok(())
}

// behaviour: EV-10
#[mancom::test]
async fn a_dropped_handle_leaves_the_session_to_the_others(networks: Networks) -> Outcome {
    networks.up(wifi());
    let (near, far) = joined("mem://shared", Label::ANY).await?;
    let (one, other) = (near.session(), near.session());
    drop(near);
    drop(one);
    let id = other.send(Label::ANY, &b"still here"[..]).await?;
    soon(secs(1), "word of it", other.delivered(id)).await?;
    let message = soon(secs(1), "the message", far.session().recv()).await?;
    assert_eq!(&message.bytes[..], b"still here");
    Ok(())
}

/// A condition is a future here: that a message is there, for one.
// behaviour: EV-20
#[mancom::test]
async fn what_happened_is_told_at_once_and_again_and_what_never_was_is_an_error(
    networks: Networks,
) -> Outcome {
    networks.up(wifi());
    let (near, far) = joined("mem://told", Label::ANY).await?;
    let (here, there) = (near.session(), far.session());
    let id = here.send(Label::ANY, &b"one"[..]).await?;
    here.delivered(id).await?;
    let began = Instant::now();
    for _ in 0..2 {
        here.delivered(id).await?;
    }
    assert_eq!(began.elapsed(), secs(0), "at once, twice");
    // The other end's numbers are not this one's.
    let mut theirs = there.send(Label::ANY, &b"theirs"[..]).await?;
    for _ in 0..10 {
        theirs = there.send(Label::ANY, &b"theirs"[..]).await?;
    }
    let unknown = soon(secs(1), "an answer", here.delivered(theirs)).await;
    assert!(matches!(unknown, Err(MessageError::Unknown)), "{unknown:?}");
    Ok(())
}
