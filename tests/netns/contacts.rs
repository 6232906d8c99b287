//! What a listener says of itself can be dialled from another host.

use crate::isolation::{Case, cases};
use crate::lab::{Lab, join};
use crate::world::{PATIENCE, World, echo};
use mancom::{Listener, Manager};
use std::sync::mpsc;

pub(crate) const CASES: &[Case] = cases![contacts:
    a_contact_is_dialled_from_another_host,
];

/// Both hosts listen on every address, and each dials the other's contact: the client has routes that lead
/// out, the server is only wired to it.
// behaviour: EV-13
fn a_contact_is_dialled_from_another_host() {
    let lab = Lab::new();
    let world = World::new(&lab, "100mbit");
    for endpoint in ["mc://0.0.0.0:0", "mc://[::]:0", "mc+airhook://0.0.0.0:0"] {
        for (here, there) in [
            (&world.client, &world.server),
            (&world.server, &world.client),
        ] {
            let (contact, told) = mpsc::channel();
            let (done, finished) = tokio::sync::oneshot::channel::<()>();
            let listening = here.spawn_async(move || async move {
                let manager = Manager::builder().build().await.unwrap();
                let listener: Listener = manager.listen(endpoint).plaintext().await.unwrap();
                contact.send(listener.contact().to_string()).unwrap();
                let (mut read, mut write) = tokio::io::split(listener.accept().await.unwrap());
                tokio::io::copy(&mut read, &mut write).await.unwrap();
                let _ = finished.await;
            });
            let contact = told.recv().unwrap();
            assert!(!contact.contains("127.0.0.1"), "{contact}");
            join(there.spawn_async(move || async move {
                let manager = Manager::builder().build().await.unwrap();
                let connect = manager.connect(&contact[..]).plaintext();
                echo(
                    connect.within(PATIENCE).await.unwrap(),
                    b"from another host",
                )
                .await;
            }));
            drop(done);
            join(listening);
        }
    }
}
