//! How soon mancom knows, on real interfaces in a network namespace: `cargo bench --bench networks`.
//!
//! - From the address of a link, the last thing it needs, to the connection at the server: what an operation
//!   that waited for this network lost. p50 and p99 of 200 rounds, or of the number in `ROUNDS`.
//! - Under as many link flaps as the kernel can be made to do: snapshots a second, and the heap's growth.
//!
//! Needs iproute2 and user namespaces, or root; without them it says so and ends.

#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "the tests use the rest of it")]
#[path = "../tests/netns/lab.rs"]
mod lab;

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("network namespaces are a matter of Linux");
}

#[cfg(target_os = "linux")]
mod linux {
    use crate::lab::{Host, Lab};
    use mancom::{Label, Manager, Scout};
    use std::process::{Command, Stdio};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};
    use std::time::{Duration, Instant};

    const INSIDE: &str = "MANCOM_BENCH_INSIDE";
    const PREPARE: &str = "mount -t tmpfs tmpfs /run && mkdir -p /run/netns \
                           && mount -t sysfs sysfs /sys && ip link set lo up && exec \"$0\"";

    pub(crate) fn main() {
        if std::env::var_os(INSIDE).is_some() {
            link_up();
            flaps();
            return;
        }
        let myself = std::env::current_exe().expect("the path of this binary");
        let status = Command::new("unshare")
            .args([
                "--user",
                "--map-root-user",
                "--net",
                "--mount",
                "--pid",
                "--kill-child",
            ])
            .args(["--", "sh", "-c", PREPARE])
            .arg(myself)
            .env(INSIDE, "1")
            .env_remove("MANCOM_CONFIG")
            .stdin(Stdio::null())
            .status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => println!("no figures: {status}; are user namespaces allowed here?"),
            Err(error) => println!("no figures: unshare: {error}"),
        }
    }

    fn rounds() -> usize {
        let asked = std::env::var("ROUNDS").ok();
        asked.and_then(|n| n.parse().ok()).unwrap_or(200)
    }

    /// From the address to the accepted connection of an operation that waited for it.
    fn link_up() {
        let lab = Lab::new();
        let (client, server) = (lab.host("client"), lab.host("server"));
        let link = lab.link(&client, "eth0", "10.1.0.2/24", &server, "s0", "10.1.0.1/24");
        link.remove_address();
        let (accepted, arrivals) = mpsc::channel();
        let (bound, listening) = mpsc::channel();
        server.spawn(move || {
            let listener = std::net::TcpListener::bind("10.1.0.1:7000").expect("an address");
            bound.send(()).expect("a reader");
            while listener.accept().is_ok() {
                if accepted.send(Instant::now()).is_err() {
                    return;
                }
            }
        });
        listening.recv().expect("a listener");
        let (ask, asked) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        client.spawn(move || {
            let runtime = runtime();
            let manager = runtime.block_on(async {
                let manager = Manager::builder().scout(Scout::system()).build();
                manager.await.expect("a manager")
            });
            while asked.recv().is_ok() {
                runtime.block_on(async {
                    let wait = "if=eth0".parse::<Label>().expect("a label");
                    let connect = manager.connect("tcp://10.1.0.1:7000").label(wait);
                    let mut waiting = Box::pin(connect.into_future());
                    let first = futures::poll!(&mut waiting);
                    assert!(first.is_pending(), "there is no network");
                    tell.send(()).expect("a reader");
                    waiting.await.expect("a connection").abort();
                    // The next round begins without the network.
                    let mut snapshots = manager.snapshots();
                    let gone = snapshots.wait_for(|snapshot| {
                        let address = "10.1.0.2".parse().expect("an address");
                        snapshot.by_address(address).is_none()
                    });
                    tell.send(()).expect("a reader");
                    gone.await.expect("a scout");
                });
            }
        });
        let mut delays = Vec::new();
        let mut commands = Vec::new();
        for _ in 0..rounds() {
            ask.send(()).expect("a client");
            told.recv().expect("it waits");
            // Slower than the pace at which snapshots go out, and at every phase of any timer.
            std::thread::sleep(Duration::from_millis(250 + delays.len() as u64 % 37));
            let begin = Instant::now();
            link.restore_address();
            commands.push(begin.elapsed());
            let at = arrivals
                .recv_timeout(Duration::from_secs(10))
                .expect("a connection");
            delays.push(at.saturating_duration_since(begin));
            told.recv().expect("it is connected");
            link.remove_address();
        }
        row("address to connection", &mut delays);
        row("of that, the ip command", &mut commands);
    }

    fn row(name: &str, times: &mut [Duration]) {
        times.sort_unstable();
        let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1000.0;
        println!(
            "{name:<28} p50 {:>6.2} ms   p99 {:>6.2} ms   worst {:>6.2} ms   ({} rounds)",
            at(50),
            at(99),
            at(100),
            times.len()
        );
    }

    /// One link goes down and up as fast as the kernel does it, for five seconds.
    fn flaps() {
        let lab = Lab::new();
        let (flapping, other) = (lab.host("flapping"), lab.host("other"));
        let _link = lab.link(
            &flapping,
            "eth0",
            "10.1.0.2/24",
            &other,
            "s0",
            "10.1.0.1/24",
        );
        let stop = Arc::new(AtomicBool::new(false));
        let ended = stop.clone();
        let (ready, started) = mpsc::channel();
        let watching = flapping.spawn(move || {
            runtime().block_on(async {
                let scout = Scout::system();
                let mut snapshots = scout.snapshots();
                let complete = snapshots.wait_for(|snapshot| snapshot.is_complete()).await;
                complete.expect("a scout");
                ready.send(resident()).expect("a reader");
                let (mut seen, begin) = (0_u32, snapshots.borrow().generation());
                while !ended.load(Ordering::Relaxed) {
                    let next =
                        tokio::time::timeout(Duration::from_millis(100), snapshots.changed());
                    if next.await.is_ok() {
                        seen += 1;
                        snapshots.borrow_and_update();
                    }
                }
                let generations = snapshots.borrow().generation() - begin;
                (seen, generations, resident())
            })
        });
        let before = started.recv().expect("a scout");
        let began = Instant::now();
        let mut flaps = 0_u32;
        while began.elapsed() < Duration::from_secs(5) {
            flap(&flapping, 500);
            flaps += 500;
        }
        let seconds = began.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        let (seen, generations, after) = watching.join().expect("no panic");
        println!(
            "{:<28} {:.0} a second for {seconds:.1} s: {:.1} snapshots a second ({seen} seen), \
             resident {before} kB before, {after} kB after",
            "link flaps",
            f64::from(flaps) / seconds,
            generations as f64 / seconds,
        );
    }

    /// So many downs and ups in one process.
    fn flap(host: &Host, times: usize) {
        use std::io::Write;
        let mut ip = host
            .command("ip")
            .args(["-batch", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("ip");
        let script = "link set eth0 down\nlink set eth0 up\n".repeat(times);
        let mut stdin = ip.stdin.take().expect("piped");
        stdin.write_all(script.as_bytes()).expect("ip reads");
        drop(stdin);
        assert!(ip.wait().expect("its end").success());
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
    }

    /// Of this process, in kB.
    fn resident() -> u64 {
        let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|n| n.parse().ok()).unwrap_or(0)
    }
}
