//! A client whose networks the real NetworkManager keeps, on a system bus of its own.

use crate::isolation::need;
use crate::lab::{Host, Lab, Link};
use crate::process::until;
use crate::world::PATIENCE;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Where NetworkManager looks whether the internet is there.
const CHECK: &str = "10.9.0.1:8080";

const BUS: &str = r#"<busconfig>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/>
    <allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>"#;

/// What the checks that come over a network find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Found {
    Internet,
    Portal,
    Nothing,
}

/// `wlan0` and `wwan0` of the client lead to the server, which plays the internet.
pub(crate) struct Managed {
    pub(crate) client: Host,
    pub(crate) manager: Manager,
    pub(crate) found: [Arc<AtomicU8>; 2],
    _server: Host,
    _links: [Link; 2],
    _bus: Daemon,
}

/// A program that ends with this.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// NetworkManager, which can be killed and started again.
pub(crate) struct Manager {
    client: Host,
    running: Option<Daemon>,
}

impl Managed {
    /// `unmanaged` are interfaces that NetworkManager must leave alone; they have addresses and a
    /// default route from elsewhere.
    pub(crate) fn new(lab: &Lab, unmanaged: &[&str]) -> Self {
        need("dbus-daemon");
        need("NetworkManager");
        let (client, server) = (lab.host("client"), lab.host("server"));
        let join = |n: u8, name: &str| {
            let [near, far] = [2, 1].map(|end| format!("10.{n}.0.{end}/24"));
            let link = lab.link(&client, name, &near, &server, &format!("s{n}"), &far);
            if unmanaged.contains(&name) {
                link.default_route(50);
            } else {
                // NetworkManager would keep what it finds, and take no profile of its own.
                client.ip(&format!("address flush dev {name}"));
                link.down();
            }
            link
        };
        let links = [join(1, "wlan0"), join(2, "wwan0")];
        server.reachable_at("10.9.0.1/32");
        let found = [(); 2].map(|()| Arc::new(AtomicU8::new(Found::Internet as u8)));
        play_the_internet(&server, found.clone());
        write("/run/dbus/bus.conf", BUS);
        let mut bus = client.command("dbus-daemon");
        bus.args([
            "--config-file",
            "/run/dbus/bus.conf",
            "--nofork",
            "--nopidfile",
        ]);
        let bus = Daemon(bus.stdout(Stdio::null()).spawn().expect("dbus-daemon"));
        let socket = std::path::Path::new("/run/dbus/system_bus_socket");
        until("the bus", PATIENCE, || socket.exists());
        write("/run/nm/nm.conf", &configuration(unmanaged));
        std::fs::create_dir_all("/run/nm/none").expect("a directory");
        profile("wlan0", 1, true);
        profile("wwan0", 2, false);
        let mut manager = Manager {
            client: client.clone(),
            running: None,
        };
        manager.start();
        Managed {
            client,
            manager,
            found,
            _server: server,
            _links: links,
            _bus: bus,
        }
    }
}

impl Manager {
    pub(crate) fn start(&mut self) {
        // In a container it does without udev, and knows one by a read-only /sys. What it remembers
        // goes with the test.
        let script = "mount -o remount,bind,ro /sys && mount -t tmpfs tmpfs /var/lib/NetworkManager \
             && PATH=$PATH:/usr/sbin exec NetworkManager --no-daemon --config=/run/nm/nm.conf \
             --config-dir=/run/nm/none --system-config-dir=/run/nm/none \
             --intern-config=/run/nm/intern.conf --state-file=/run/nm/state \
             --pid-file=/run/nm/pid";
        let mut command = self.client.command("sh");
        command.args(["-c", script]).stdout(Stdio::null());
        self.running = Some(Daemon(command.spawn().expect("sh")));
    }

    /// Kills it at once: it takes nothing back.
    pub(crate) fn kill(&mut self) {
        self.running = None;
    }
}

fn configuration(unmanaged: &[&str]) -> String {
    let unmanaged = unmanaged
        .iter()
        .map(|name| format!("interface-name:{name};"));
    let unmanaged: String = unmanaged.collect();
    format!(
        "[main]\nplugins=keyfile\nno-auto-default=*\ndns=none\nauth-polkit=false\n\
         [keyfile]\npath=/run/nm/profiles\nunmanaged-devices={unmanaged}\n\
         [connectivity]\nenabled=true\nuri=http://{CHECK}/\nresponse=here\ninterval=1\n\
         [logging]\nbackend=stderr\nlevel=WARN\n"
    )
}

fn profile(name: &str, n: u8, metered: bool) {
    let metered = if metered { 1 } else { 2 };
    let path = format!("/run/nm/profiles/{name}.nmconnection");
    write(
        &path,
        &format!(
            "[connection]\nid={name}\nuuid=6d616e63-6f6d-4e65-8574-00000000000{n}\n\
             type=ethernet\ninterface-name={name}\nmetered={metered}\n\
             [ipv4]\nmethod=manual\naddress1=10.{n}.0.2/24,10.{n}.0.1\nroute-metric={n}00\n\
             dns=10.{n}.0.53;\n[ipv6]\nmethod=disabled\n"
        ),
    );
    // It reads no profile that others may read.
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).expect("our own file");
}

fn write(path: &str, text: &str) {
    let directory = std::path::Path::new(path).parent().expect("a directory");
    std::fs::create_dir_all(directory).expect("a directory");
    std::fs::write(path, text).expect("a file");
}

/// Answers checks by the network they come over, which is the second number of its addresses.
fn play_the_internet(server: &Host, found: [Arc<AtomicU8>; 2]) {
    let listener = server.run(|| TcpListener::bind(CHECK).expect("an address"));
    server.spawn(move || {
        for stream in listener.incoming().flatten() {
            let Ok(IpAddr::V4(from)) = stream.peer_addr().map(|peer| peer.ip()) else {
                continue;
            };
            let network = usize::from(from.octets()[1]).saturating_sub(1);
            let found = found
                .get(network)
                .map(|found| found.load(Ordering::Relaxed));
            answer(stream, found.unwrap_or_default());
        }
    });
}

fn answer(mut stream: TcpStream, found: u8) {
    // The question is always the same; it fits one segment.
    let _ = stream.read(&mut [0; 4096]);
    let (status, body) = match found {
        0 => ("200 OK", "here"),
        1 => ("200 OK", "please sign in"),
        // Closed without an answer.
        _ => return,
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}
