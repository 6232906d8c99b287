//! QUIC beneath sessions and plain streams: the keys, the trust and the words of TLS over TCP.

use std::fs;
use std::future::IntoFuture;

use mancom::{Connect, Identity, Listen, Manager, SessionError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::raw::{manager, soon};
use crate::tls::{Authority, contact, key, refused, works};

async fn echoing(manager: &Manager, at: &str, identity: &Identity) -> String {
    let listen = manager.listen(at).identity(identity);
    contact(soon(listen.into_future()).await.unwrap())
}

const SESSION: &str = "mc+quic://127.0.0.1:0";
const PLAIN: &str = "quic://127.0.0.1:0";

/// What is asked of one side.
type Asks<'a, T> = &'a dyn Fn(T) -> T;

#[tokio::test]
async fn a_session_over_quic_knows_both_ends_and_has_no_second_tls() {
    let manager = manager(|_| {}).await;
    let (server, client) = (key(), key());
    for at in [SESSION, "mcs+quic://127.0.0.1:0"] {
        let listen = manager
            .listen(at)
            .identity(&server)
            .pin(client.public_key());
        let listener = soon(listen.into_future()).await.unwrap();
        let at = listener.contact().to_string();
        let connect = manager.connect(&at).identity(&client);
        let connect = connect.pin(server.public_key()).into_future();
        let (near, far) = tokio::join!(soon(connect), soon(listener.accept()));
        let (near, mut far) = (near.unwrap(), far.unwrap());
        assert_eq!(near.session().peer(), Some(server.public_key()));
        assert_eq!(far.session().peer(), Some(client.public_key()));
        let (mut near, asking) = (near, b"across");
        near.write_all(asking).await.unwrap();
        let mut asked = [0; 6];
        soon(far.read_exact(&mut asked)).await.unwrap();
        assert_eq!(&asked, asking);
    }
}

#[tokio::test]
async fn bulk_goes_both_ways_at_once_over_quic() {
    let manager = manager(|_| {}).await;
    let server = key();
    let at = echoing(&manager, SESSION, &server).await;
    let connect = manager.connect(&at).pin(server.public_key());
    let stream = soon(connect.into_future()).await.unwrap();
    let text: Vec<u8> = (0..2_000_000_u32)
        .map(|n| (n.wrapping_mul(31) >> 3) as u8)
        .collect();
    let (mut read, mut write) = tokio::io::split(stream);
    let sent = text.clone();
    let writing = tokio::spawn(async move {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut back = Vec::new();
    soon(read.read_to_end(&mut back)).await.unwrap();
    soon(writing).await.unwrap();
    assert!(back == text, "{} bytes of {}", back.len(), text.len());
}

#[tokio::test]
async fn a_plain_stream_over_quic_ends_each_way_by_itself() {
    let manager = manager(|_| {}).await;
    let server = key();
    let at = echoing(&manager, PLAIN, &server).await;
    let connect = manager.connect(&at).pin(server.public_key());
    let mut stream = soon(connect.into_future()).await.unwrap();
    works(&mut stream).await;
    assert_eq!(stream.session().peer(), Some(server.public_key()));
    let more = soon(stream.session().accept()).await;
    assert!(matches!(more, Err(SessionError::NotMancom)));
    stream.write_all(b"the last").await.unwrap();
    soon(stream.shutdown()).await.unwrap();
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"the last");
}

#[tokio::test]
async fn an_authority_vouches_over_quic_for_a_name_and_for_a_client() {
    let (manager, authority) = (manager(|_| {}).await, Authority::new());
    let server = authority.certify("localhost", |_| {});
    let client = authority.certify("a laptop", |_| {});
    for at in [SESSION, PLAIN] {
        let listen = manager.listen(at).identity(&server).ca(authority.file());
        let at = contact(soon(listen.into_future()).await.unwrap());
        let connect = manager.connect(format!("{at}?name=localhost"));
        let connect = connect.identity(&client).ca(authority.file());
        works(&mut soon(connect.into_future()).await.unwrap()).await;
    }
    // The same listener shows a bare key to who trusts keys alone.
    let at = echoing(&manager, SESSION, &server).await;
    let connect = manager.connect(&at).pin(server.public_key());
    works(&mut soon(connect.identity(&key()).into_future()).await.unwrap()).await;
}

// behaviour: K7
#[tokio::test]
async fn what_a_listener_shows_is_refused_in_the_words_of_tls() {
    let (manager, authority) = (manager(|_| {}).await, Authority::new());
    let bare = key();
    let fine = authority.certify("localhost", |_| {});
    let expired = authority.certify("localhost", |params| {
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    let another = authority.certify("another.example", |_| {});
    let shown = format!(
        "shows the key {}, which is none of those pinned",
        bare.public_key()
    );
    let ca = |connect: Connect| connect.ca(authority.file());
    let other_ca = Authority::new();
    let cases: [(&Identity, &str, Asks<'_, Connect>); 6] = [
        (&bare, &shown, &|connect| connect.pin(key().public_key())),
        (&fine, "is none of those pinned", &|connect| {
            connect.pin(key().public_key())
        }),
        (&fine, "not trusted here", &|connect| {
            connect.ca(other_ca.file())
        }),
        (&expired, "certificate has expired", &ca),
        (&another, "certificate is for another name", &ca),
        (&bare, "bare key (RFC 7250)", &ca),
    ];
    for (server, said, asks) in cases {
        for at in [SESSION, PLAIN] {
            let at = echoing(&manager, at, server).await;
            let connect = manager.connect(format!("{at}?name=localhost"));
            let text = refused(asks(connect)).await;
            assert!(text.contains(said), "{said}: {text}");
        }
    }
}

// behaviour: K7
#[tokio::test]
async fn what_a_dialler_shows_is_refused_in_the_words_of_tls() {
    let (manager, authority) = (manager(|_| {}).await, Authority::new());
    let (server, friend) = (key(), key());
    let missing = "requires a certificate or key of this side";
    let other = "does not accept this side's certificate or key";
    let asks: [(Asks<'_, Listen>, Option<Identity>, &str); 4] = [
        (&|listen| listen.require_client(), None, missing),
        (&|listen| listen.pin(friend.public_key()), None, missing),
        (
            &|listen| listen.pin(friend.public_key()),
            Some(key()),
            other,
        ),
        (&|listen| listen.ca(authority.file()), Some(key()), other),
    ];
    for (ask, identity, said) in asks {
        let listen = |at| ask(manager.listen(at).identity(&server));
        let connect = |at: &str| {
            let connect = manager.connect(at).pin(server.public_key());
            match &identity {
                Some(identity) => connect.identity(identity),
                None => connect,
            }
        };
        let at = contact(soon(listen(SESSION).into_future()).await.unwrap());
        let text = refused(connect(&at)).await;
        assert!(text.contains(said), "{said}: {text}");
        // A dialler is done before the listener has looked: a plain stream learns of it by reading.
        let at = contact(soon(listen(PLAIN).into_future()).await.unwrap());
        let text = match soon(connect(&at).into_future()).await {
            Ok(mut stream) => soon(stream.read(&mut [0; 1]))
                .await
                .unwrap_err()
                .to_string(),
            Err(error) => error.to_string(),
        };
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[tokio::test]
async fn the_first_key_is_believed_over_quic_and_no_other_after_it() {
    let manager = manager(|_| {}).await;
    let folder = tempfile::tempdir().unwrap();
    let known = folder.path().join("known");
    let (one, two) = (key(), key());
    let at = echoing(&manager, SESSION, &one).await;
    for _ in 0..2 {
        let connect = manager.connect(&at).trust_first_use(&known);
        works(&mut soon(connect.into_future()).await.unwrap()).await;
    }
    let place = at.trim_start_matches("mc+quic://");
    let text = format!("{place} {}\n", one.public_key());
    assert_eq!(fs::read_to_string(&known).unwrap(), text);
    fs::write(&known, format!("{place} {}\n", two.public_key())).unwrap();
    let text = refused(manager.connect(&at).trust_first_use(&known)).await;
    assert!(
        text.contains(&format!("known:1: {place} was known")),
        "{text}"
    );
}

#[tokio::test]
async fn a_listener_over_quic_needs_an_identity_and_speaks_its_protocol_alone() {
    let manager = manager(|_| {}).await;
    let error = soon(manager.listen(SESSION).into_future()).await;
    let error = error.map(drop).unwrap_err().to_string();
    assert!(error.contains("give an identity"), "{error}");
    let server = key();
    let at = echoing(&manager, SESSION, &server).await;
    let connect = manager.connect(at.replace("mc+quic", "quic"));
    let text = refused(connect.pin(server.public_key())).await;
    assert!(text.contains("none of the protocols asked for"), "{text}");
}

// behaviour: D4
#[tokio::test]
async fn nobody_there_is_told_at_once() {
    let manager = manager(|_| {}).await;
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = format!("mc+quic://{}", free.local_addr().unwrap());
    drop(free);
    let text = refused(manager.connect(&at).pin(key().public_key())).await;
    assert!(text.contains("refused") && text.contains(&at), "{text}");
}
