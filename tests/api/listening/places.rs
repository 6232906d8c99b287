//! Where it listens, and where it cannot.

use super::*;

#[tokio::test]
async fn where_it_cannot_listen_is_told_by_name() {
    let manager = manager(|_| ()).await;
    let (_listener, at) = listen(&manager).await;
    let taken = format!("mc://{at}");
    let text = told(manager.listen(&taken).await.unwrap_err());
    assert!(text.contains(&taken) && text.contains("in use"), "{text}");
    let elsewhere = "mc://203.0.113.7:7000";
    let text = told(manager.listen(elsewhere).plaintext().await.unwrap_err());
    assert!(text.contains(elsewhere), "{text}");
    let error = manager
        .listen("mc+unix:/nowhere/at/all.sock")
        .await
        .map(drop);
    assert!(error.is_err());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn where_it_may_not_listen_is_told_by_name() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let manager = manager(|_| ()).await;
    // Of this thread alone, which is the one that binds.
    let all = capabilities(None).unwrap();
    let mut fewer = all;
    fewer.effective.remove(CapabilitySet::NET_BIND_SERVICE);
    set_capabilities(None, fewer).unwrap();
    let refused = manager.listen("mc://127.0.0.1:7").await.map(drop);
    set_capabilities(None, all).unwrap();
    let open = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if open.is_ok_and(|first| first.trim() == "0") {
        return refused.expect("containers may let everyone listen everywhere");
    }
    let text = told(refused.unwrap_err());
    assert!(
        text.contains("mc://127.0.0.1:7") && text.contains("ermission"),
        "{text}"
    );
}

// behaviour: L1, L2
#[tokio::test]
async fn a_labelled_listener_follows_its_networks_on_the_same_port() {
    let (scout, networks) = mancom::testing::scripted();
    let at = |name: &str, ip: &str| {
        Network::wifi(name)
            .address(ip.parse::<IpAddr>().unwrap())
            .binding(Binding::Address)
    };
    let manager = Manager::builder().scout(scout).build().await.unwrap();
    let dialler = crate::raw::manager(|settings| settings.connect_rounds = 1).await;
    let wifi = Label::ANY.require(Prop::Wifi);
    let listener = manager
        .listen("mc://0.0.0.0:0")
        .label(wifi)
        .plaintext()
        .await
        .unwrap();
    assert!(
        listener.blocked().is_some(),
        "it stays open and says why nothing comes"
    );
    networks.up(at("wlan0", "127.0.0.31"));
    until(|| listener.blocked().is_none()).await;
    until(|| listener.contact().port().is_some_and(|port| port > 0)).await;
    let port = listener.contact().port().unwrap();
    let to = |ip: &str| format!("mc://{ip}:{port}");
    let mut first = dialler.connect(to("127.0.0.31")).await.unwrap();
    let mut served = soon(listener.accept()).await.unwrap();
    assert!(
        dialler.connect(to("127.0.0.32")).await.is_err(),
        "not yet a network of its label"
    );
    networks.up(at("wlan1", "127.0.0.32"));
    let mut second = soon(async {
        loop {
            if let Ok(stream) = dialler.connect(to("127.0.0.32")).await {
                return stream;
            }
        }
    })
    .await;
    second.write_all(b"two").await.unwrap();
    let _served = soon(listener.accept()).await.unwrap();
    networks.down("wlan0");
    deaf(format!("127.0.0.31:{port}").parse().unwrap()).await;
    first.write_all(b"lives").await.unwrap();
    let mut text = [0; 5];
    soon(served.read_exact(&mut text)).await.unwrap();
    assert_eq!(&text, b"lives", "a network that leaves ends no session");
    networks.down("wlan1");
    until(|| listener.blocked().is_some()).await;
    assert_eq!(
        listener.contact().port(),
        Some(port),
        "where it will listen again"
    );
    networks.up(at("wlan0", "127.0.0.31"));
    soon(async { while dialler.connect(to("127.0.0.31")).await.is_err() {} }).await;
}

// behaviour: L1
#[tokio::test]
async fn a_labelled_listener_that_can_listen_nowhere_says_so_at_once() {
    let (scout, networks) = mancom::testing::scripted();
    let manager = Manager::builder().scout(scout).build().await.unwrap();
    let ip: IpAddr = "127.0.0.33".parse().unwrap();
    networks.up(Network::wifi("wlan0").address(ip).binding(Binding::Address));
    let taken = std::net::TcpListener::bind("127.0.0.33:0").unwrap();
    let endpoint = format!("mc://0.0.0.0:{}", taken.local_addr().unwrap().port());
    let wifi = Label::ANY.require(Prop::Wifi);
    let text = told(
        manager
            .listen(&endpoint)
            .label(wifi)
            .plaintext()
            .await
            .unwrap_err(),
    );
    assert!(text.contains(&endpoint), "{text}");
}

// behaviour: K12
#[cfg(feature = "macros")]
#[mancom::test]
async fn a_rogue_on_another_network_ends_no_session(
    networks: mancom::testing::Networks,
) -> Result<(), mancom::Error> {
    networks.up(Network::wifi("wlan0"));
    networks.up(Network::wifi("wlan1"));
    let on = |name: &str| Label::ANY.interface(name);
    let proper = mancom::listen("mem://service").label(on("wlan0")).await?;
    let rogue = mancom::listen("mem://service").label(on("wlan1")).await?;
    networks.down("wlan1");
    let mut stream = mancom::connect("mem://service")
        .grace(Duration::from_secs(3600))
        .await?;
    let mut served = proper.accept().await?;
    networks.down("wlan0");
    networks.up(Network::wifi("wlan1"));
    stream.write_all(b"secret").await?;
    let shown = tokio::time::timeout(Duration::from_secs(600), rogue.accept()).await;
    assert!(
        shown.is_err(),
        "the rogue was asked, refused, and shown nothing"
    );
    networks.up(Network::wifi("wlan0"));
    let mut text = [0; 6];
    served.read_exact(&mut text).await?;
    assert_eq!(&text, b"secret");
    Ok(())
}
