//! One session for all who want the same far end.

use crate::raw::{manager, soon};
use mancom::{Connect, Identity, Label, Listener, Manager, McStream, Session};
use std::future::IntoFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn key() -> Identity {
    Identity::generate().unwrap()
}

async fn listening(manager: &Manager, identity: &Identity) -> Listener {
    let listen = manager.listen("mcs://127.0.0.1:0").identity(identity);
    soon(listen.into_future()).await.unwrap()
}

async fn dialled(connect: Connect) -> McStream {
    soon(connect.into_future()).await.unwrap()
}

/// Says a word, which comes out of this session, and of nothing else.
async fn arrives(stream: &mut McStream, at: &Session) {
    stream.write_all(b"here").await.unwrap();
    let mut accepted = soon(at.accept()).await.unwrap();
    let mut word = [0; 4];
    soon(accepted.read_exact(&mut word)).await.unwrap();
    assert_eq!(&word, b"here");
}

/// The client dialled; the server dials the contact of the client's own listener, and gets the session
/// that there is, for the client proved the same key.
// behaviour: EV-09
#[tokio::test]
async fn a_server_that_dials_its_client_gets_the_session_that_there_is() {
    let [here, there] = [manager(|_| {}).await, manager(|_| {}).await];
    let (client, server) = (key(), key());
    let served = listening(&there, &server).await;
    let own = listening(&here, &client).await;
    let connect = here.connect(served.contact()).identity(&client);
    let near = dialled(connect.pin(server.public_key())).await;
    let far = soon(served.accept()).await.unwrap();
    let back = || there.connect(own.contact()).pin(client.public_key());

    let mut again = dialled(back().identity(&server).reuse()).await;
    arrives(&mut again, &near.session()).await;
    assert_eq!(far.session().paths().len(), 1, "no connection more");

    // Without being asked to, as somebody else, or on other terms, it is a session of its own.
    let [known, stranger] = [back().identity(&server), back().identity(&key())];
    let shared = || back().identity(&server).reuse();
    for connect in [
        known,
        stranger.reuse(),
        shared().anonymous(),
        shared().rate_limit(1_000_000),
    ] {
        let mut stream = dialled(connect).await;
        stream.write_all(b"anew").await.unwrap();
        let accepted = soon(own.accept()).await.unwrap();
        assert_eq!(accepted.session().paths().len(), 1);
    }
}

/// Who listens without telling of its networks goes on so in whatever is opened on what it accepted.
// behaviour: EV-09
#[tokio::test]
async fn an_anonymous_listener_s_session_is_shared_by_the_anonymous() {
    let [here, there] = [manager(|_| {}).await, manager(|_| {}).await];
    let (client, server) = (key(), key());
    let listen = there.listen("mcs://127.0.0.1:0").identity(&server);
    let served = soon(listen.anonymous().into_future()).await.unwrap();
    let own = listening(&here, &client).await;
    let connect = here.connect(served.contact()).identity(&client);
    let near = dialled(connect.pin(server.public_key())).await;
    let _far = soon(served.accept()).await.unwrap();
    let back = || {
        let back = there.connect(own.contact()).pin(client.public_key());
        back.identity(&server).reuse()
    };
    let mut other = dialled(back()).await;
    other.write_all(b"anew").await.unwrap();
    soon(own.accept()).await.unwrap();
    let mut again = dialled(back().anonymous()).await;
    arrives(&mut again, &near.session()).await;
}

/// A key is what counts, whichever of several it is and however the session that proved it was believed.
#[tokio::test]
async fn one_of_several_pins_finds_the_session() {
    let [here, there] = [manager(|_| {}).await, manager(|_| {}).await];
    let (client, server) = (key(), key());
    let served = listening(&there, &server).await;
    let dial = || here.connect(served.contact()).identity(&client);
    let [right, other] = [server.public_key(), key().public_key()];
    let _near = dialled(dial().pin(right)).await;
    let far = soon(served.accept()).await.unwrap().session();
    let mut again = dialled(dial().pin(other).pin(right).reuse()).await;
    arrives(&mut again, &far).await;
    // Without an identity it is somebody else.
    let mut nobody = dialled(here.connect(served.contact()).pin(right).reuse()).await;
    nobody.write_all(b"anew").await.unwrap();
    assert!(
        soon(served.accept())
            .await
            .unwrap()
            .session()
            .peer()
            .is_none()
    );
}

/// What two hold is one session, and whichever of them goes first leaves it to the other, both ways.
// behaviour: EV-10
#[tokio::test]
async fn a_reused_session_that_one_drops_is_the_other_s_still() {
    let [here, there] = [manager(|_| {}).await, manager(|_| {}).await];
    let (client, server) = (key(), key());
    let served = listening(&there, &server).await;
    let dial = || here.connect(served.contact()).identity(&client);
    let reused = || dialled(dial().pin(server.public_key()).reuse());
    let mut first = reused().await;
    let mut far = soon(served.accept()).await.unwrap();

    let mut second = reused().await;
    arrives(&mut second, &far.session()).await;
    let handle = second.session();
    drop((second, handle));
    for round in 0..3 {
        first.write_all(&[round]).await.unwrap();
        assert_eq!(soon(far.read_u8()).await.unwrap(), round);
        far.write_all(&[round]).await.unwrap();
        assert_eq!(soon(first.read_u8()).await.unwrap(), round);
    }

    // Now the one that dialled it goes.
    let mut third = reused().await;
    let session = far.session();
    drop(first);
    assert_eq!(soon(far.read(&mut [0])).await.unwrap(), 0, "its stream");
    drop(far);
    arrives(&mut third, &session).await;
    let mut back = soon(session.open(Label::ANY).into_future()).await.unwrap();
    back.write_all(b"back").await.unwrap();
    let mut heard = soon(third.session().accept()).await.unwrap();
    let mut word = [0; 4];
    soon(heard.read_exact(&mut word)).await.unwrap();
    assert_eq!(&word, b"back");
    assert_eq!(session.paths().len(), 1, "the connection that there was");
}

#[tokio::test]
async fn a_key_that_is_not_the_session_s_is_not_found_in_it() {
    let [here, there] = [manager(|_| {}).await, manager(|_| {}).await];
    let (client, server) = (key(), key());
    let served = listening(&there, &server).await;
    let dial = || here.connect(served.contact()).identity(&client);
    let _near = dialled(dial().pin(server.public_key())).await;
    let wrong = dial().pin(key().public_key()).reuse().into_future();
    let error = soon(wrong).await.unwrap_err().to_string();
    assert!(error.contains(&server.public_key().to_string()), "{error}");
}

#[tokio::test]
async fn in_clear_the_same_place_is_the_same_far_end_while_the_session_lives() {
    let [here, there] = [manager(|_| {}).await, manager(|_| {}).await];
    let listens = || there.listen("mc://127.0.0.1:0").into_future();
    let [served, other] = [
        soon(listens()).await.unwrap(),
        soon(listens()).await.unwrap(),
    ];
    let first = dialled(here.connect(served.contact()).reuse()).await;
    let far = soon(served.accept()).await.unwrap().session();
    let mut second = dialled(here.connect(served.contact()).reuse()).await;
    arrives(&mut second, &far).await;
    // Another place is another far end.
    let elsewhere = dialled(here.connect(other.contact()).reuse()).await;
    soon(other.accept()).await.unwrap();
    drop(elsewhere);
    // A session that is over is none to share.
    let session = first.session();
    drop((first, second));
    soon(session.close()).await.unwrap();
    let third = dialled(here.connect(served.contact()).label(Label::ANY).reuse()).await;
    soon(served.accept()).await.unwrap();
    drop(third);
}
