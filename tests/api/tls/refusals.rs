//! Each way not to get in by what is shown, and how it reads.

use std::future::IntoFuture;

use mancom::Identity;
use rcgen::{BasicConstraints, IsCa};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Authority, echoing, key, refused, works};
use crate::raw::{manager, soon};

// behaviour: K7
#[tokio::test]
async fn a_wrong_pin_names_the_key_that_is_shown() {
    let (manager, authority) = (manager(|_| {}).await, Authority::new());
    for server in [key(), authority.certify("localhost", |_| {})] {
        let at = echoing(&manager, &server).await;
        let text = refused(manager.connect(&at).pin(key().public_key())).await;
        let shown = format!(
            "shows the key {}, which is none of those pinned",
            server.public_key()
        );
        assert!(text.contains(&shown), "{text}");
        // Nor do its causes say it for programmers.
        let connect = manager.connect(&at).pin(key().public_key());
        let error = soon(connect.into_future()).await.unwrap_err();
        let all = format!("{:?}", mancom::Error::from(error));
        assert!(all.contains(&shown), "{all}");
        assert!(
            !all.contains("Other(") && !all.contains("PublicKey("),
            "{all}"
        );
    }
}

// behaviour: K7
#[tokio::test]
async fn an_unknown_authority_is_told() {
    let (manager, authority) = (manager(|_| {}).await, Authority::new());
    let server = authority.certify("localhost", |_| {});
    let at = echoing(&manager, &server).await;
    let at = format!("{at}?name=localhost");
    let text = refused(manager.connect(&at).ca(Authority::new().file())).await;
    assert!(
        text.contains("of an authority that is not trusted here"),
        "{text}"
    );
    assert!(text.contains("--ca") && text.contains("--pin"), "{text}");
    // Nor does the host know it.
    let text = refused(manager.connect(&at)).await;
    assert!(
        text.contains("of an authority that is not trusted here"),
        "{text}"
    );
}

// behaviour: K7
#[tokio::test]
async fn an_expired_certificate_one_to_come_and_one_of_another_name_are_told() {
    let (manager, authority) = (manager(|_| {}).await, Authority::new());
    let expired = authority.certify("localhost", |params| {
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    let to_come = authority.certify("localhost", |params| {
        params.not_before = rcgen::date_time_ymd(4000, 1, 1);
        params.not_after = rcgen::date_time_ymd(4001, 1, 1);
    });
    let another = authority.certify("another.example", |_| {});
    for (server, said) in [
        (expired, "certificate has expired"),
        (to_come, "certificate is not valid yet"),
        (another, "certificate is for another name"),
    ] {
        let at = echoing(&manager, &server).await;
        let at = format!("{at}?name=localhost");
        let text = refused(manager.connect(&at).ca(authority.file())).await;
        assert!(text.contains(said), "{text}");
    }
}

// behaviour: K7
#[tokio::test]
async fn a_certificate_that_is_an_authority_s_is_told_with_what_to_do() {
    let (manager, authority) = (manager(|_| {}).await, Authority::new());
    let server = authority.certify("localhost", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let at = format!("{}?name=localhost", echoing(&manager, &server).await);
    let connect = manager.connect(&at).ca(authority.file());
    let error = soon(connect.into_future()).await.unwrap_err();
    let all = format!("{:?}", mancom::Error::from(error));
    assert!(
        all.contains("is an authority's") && all.contains("--pin"),
        "{all}"
    );
    assert!(!all.contains("EndEntity"), "{all}");
    // What it says to do works.
    let connect = manager.connect(&at).pin(server.public_key());
    let mut stream = soon(connect.into_future()).await.unwrap();
    works(&mut stream).await;
}

// behaviour: K7
#[tokio::test]
async fn who_shows_nothing_or_the_wrong_thing_to_a_listener_is_told() {
    let (manager, authority) = (manager(|_| {}).await, Authority::new());
    let (server, friend) = (authority.certify("localhost", |_| {}), key());
    let listen = || manager.listen("mcs://127.0.0.1:0").identity(&server);
    let missing = "requires a certificate or key of this side";
    let other = "does not accept this side's certificate or key";
    let stranger = Authority::new().certify("a", |_| {});
    let late = authority.certify("a", |params| {
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    let cases: [(mancom::Listen, Option<Identity>, &str); 7] = [
        (listen().require_client(), None, missing),
        (listen().pin(friend.public_key()), None, missing),
        (listen().pin(friend.public_key()), Some(key()), other),
        (listen().ca(authority.file()), None, missing),
        (listen().ca(authority.file()), Some(key()), other),
        (listen().ca(authority.file()), Some(stranger), other),
        (listen().ca(authority.file()), Some(late), other),
    ];
    for (listen, identity, said) in cases {
        let listener = soon(listen.into_future()).await.unwrap();
        let at = super::contact(listener);
        let mut connect = manager.connect(&at).pin(server.public_key());
        if let Some(identity) = &identity {
            connect = connect.identity(identity);
        }
        let text = refused(connect).await;
        assert!(text.contains(said), "{identity:?}: {text}");
    }
}

#[tokio::test]
async fn tls_and_clear_do_not_mix_and_say_so() {
    let manager = manager(|_| {}).await;
    let (clear, at) = crate::raw::listen(&manager).await;
    let text = refused(
        manager
            .connect(format!("mcs://{at}"))
            .pin(key().public_key()),
    )
    .await;
    assert!(text.contains("may not speak TLS"), "{text}");
    drop(clear);
    let server = key();
    let secure = echoing(&manager, &server).await;
    let text = refused(manager.connect(secure.replace("mcs", "mc"))).await;
    assert!(text.contains("does not speak mancom"), "{text}");
    // Who sends no TLS at all has an answer and an end.
    let web = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = web.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = web.accept().await.unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = stream.read(&mut [0; 64]).await;
    });
    let text = refused(
        manager
            .connect(format!("mcs://{at}"))
            .pin(key().public_key()),
    )
    .await;
    assert!(text.contains("does not speak TLS"), "{text}");
}

#[tokio::test]
async fn a_session_is_not_spoken_with_a_listener_of_plain_streams_in_tls() {
    let (manager, server) = (manager(|_| {}).await, key());
    let listen = manager.listen("tls://127.0.0.1:0").identity(&server);
    let listener = soon(listen.into_future()).await.unwrap();
    let at = format!("mcs://127.0.0.1:{}", listener.contact().port().unwrap());
    let text = refused(manager.connect(&at).pin(server.public_key())).await;
    assert!(
        text.contains("speaks TLS, but not mancom's sessions"),
        "{text}"
    );
    // What it was shown ended in order.
    let mut shown = soon(listener.accept()).await.unwrap();
    let mut all = Vec::new();
    soon(shown.read_to_end(&mut all)).await.unwrap();
    assert_eq!(all, b"");
}

#[tokio::test]
async fn a_plain_stream_in_tls_to_a_listener_of_sessions_fails_and_does_not_end() {
    let (manager, server) = (manager(|_| {}).await, key());
    let at = echoing(&manager, &server).await.replace("mcs", "tls");
    for asked in ["?bare", "?bare&alpn=h2"] {
        let connect = manager.connect(format!("{at}{asked}"));
        let text = refused(connect.pin(server.public_key())).await;
        assert!(text.contains("none of the protocols asked for"), "{text}");
    }
}

#[tokio::test]
async fn a_bare_key_and_an_authority_do_not_mix_and_say_so() {
    let (manager, authority) = (manager(|_| {}).await, Authority::new());
    let at = echoing(&manager, &key()).await;
    let text = refused(manager.connect(&at).ca(authority.file())).await;
    assert!(
        text.contains("bare key (RFC 7250)") && text.contains("--pin"),
        "{text}"
    );
}
