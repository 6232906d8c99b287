//! What a listener says of itself can be dialled from another host.

use crate::isolation::{Case, cases};
use crate::lab::{Host, Lab, join};
use crate::world::{PATIENCE, World, echo};
use mancom::Manager;
use std::sync::mpsc;
use std::thread::JoinHandle;

pub(crate) const CASES: &[Case] = cases![contacts:
    a_contact_is_dialled_from_another_host,
];

/// Listens on every address, and sends back what comes on one stream; its contact, and its end.
fn listen(host: &Host, at: &'static str) -> (String, JoinHandle<()>) {
    let (tell, contact) = mpsc::channel();
    let served = host.spawn_async(move || async move {
        let manager = Manager::builder().build().await.unwrap();
        let listener = manager.listen(at).plaintext().await.unwrap();
        tell.send(listener.contact().to_string()).unwrap();
        let (mut read, mut write) = tokio::io::split(listener.accept().await.unwrap());
        tokio::io::copy(&mut read, &mut write).await.unwrap();
        drop((read, write));
        manager.shutdown(PATIENCE).await.unwrap();
    });
    (contact.recv().unwrap(), served)
}

/// Each host dials the other's contact: the client has routes that lead out, the server is only wired to it.
// behaviour: EV-13
fn a_contact_is_dialled_from_another_host() {
    let lab = Lab::new();
    let world = World::new(&lab, "100mbit");
    for at in ["mc://0.0.0.0:0", "mc://[::]:0", "mc+airhook://0.0.0.0:0"] {
        for (here, there) in [
            (&world.client, &world.server),
            (&world.server, &world.client),
        ] {
            let (contact, served) = listen(here, at);
            assert!(!contact.contains("127.0.0.1"), "{contact}");
            join(there.spawn_async(move || async move {
                let manager = Manager::builder().build().await.unwrap();
                let connect = manager.connect(&contact[..]).plaintext();
                echo(
                    connect.within(PATIENCE).await.unwrap(),
                    b"from another host",
                )
                .await;
                manager.shutdown(PATIENCE).await.unwrap();
            }));
            join(served);
        }
    }
}
