//! `mancom limits`, and what outlives a process that is killed: this very test, started once more.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mancom::account::{Limit, Period};
use mancom::{Manager, Network};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::process::{Program, until};
use crate::{LIMIT, command};

/// The folder of the state file, set in the process that spends.
const SPENDS: &str = "MANCOM_TEST_SPENDS";
const BYTES: usize = 400_000;

/// Moves some bytes on a network that costs, and stays until it is killed.
async fn spend(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let (scout, networks) = mancom::testing::scripted();
    networks.up(Network::cellular("wwan0").metered(true));
    let month = Limit::new("any", "metered")?.bytes(50_000_000, Period::Month);
    let builder = Manager::builder().scout(scout.clone()).limit(month);
    let builder = builder.limit(Limit::new("background", "if=*")?.rate(64_000));
    let manager = builder.state_folder(folder).inspect(true).build().await?;
    let server = Manager::builder().scout(scout).build().await?;
    let listener = server.listen("mem://spent").await?;
    let mut near = manager.connect("mem://spent").await?;
    let mut far = listener.accept().await?;
    let mut read = vec![0; BYTES];
    let sent = [7; BYTES];
    let (wrote, read) = tokio::join!(near.write_all(&sent), far.read_exact(&mut read));
    wrote?;
    read?;
    std::future::pending().await
}

/// It does not outlive its test.
struct Spender(Child);

impl Drop for Spender {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Place(tempfile::TempDir);

impl Place {
    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn start(&self) -> Spender {
        let mut test = Command::new(std::env::current_exe().expect("this test"));
        test.args([
            "--exact",
            "limits::what_was_spent_is_shown_and_outlives_a_kill",
        ]);
        test.env(SPENDS, self.state());
        test.env("XDG_RUNTIME_DIR", self.0.path());
        Spender(test.stdout(Stdio::null()).spawn().expect("started"))
    }

    fn limits(&self, more: &[&str]) -> (i32, String) {
        let mut command = command(&[&["limits"], more].concat());
        command.env("XDG_RUNTIME_DIR", self.0.path());
        let finished = Program::start(&mut command, Vec::new()).finish(LIMIT);
        let stdout = String::from_utf8(finished.stdout).expect("text");
        (finished.status.code().expect("an exit"), stdout)
    }

    /// What the only process that runs says.
    fn told(&self) -> Value {
        let (_, stdout) = self.limits(&["--json"]);
        let all: Value = serde_json::from_str(&stdout).expect("one object");
        all["processes"][0].clone()
    }

    fn used(&self) -> u64 {
        self.told()["spending"][0]["used"].as_u64().unwrap_or(0)
    }

    /// What the state file has.
    fn saved(&self) -> u64 {
        let text = std::fs::read_to_string(self.state().join("budgets")).unwrap_or_default();
        let used = text.lines().nth(1).and_then(|line| line.split('\t').nth(1));
        used.and_then(|used| used.parse().ok()).unwrap_or(0)
    }
}

#[test]
fn what_was_spent_is_shown_and_outlives_a_kill() {
    if let Some(folder) = std::env::var_os(SPENDS) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        return runtime.block_on(spend(Path::new(&folder))).expect("killed");
    }
    let place = Place(tempfile::tempdir().expect("a folder"));
    let bytes = BYTES as u64;
    let first = place.start();
    until("what was spent", LIMIT, || place.used() >= bytes);
    // It is saved while the process runs.
    until("the state file", LIMIT, || place.saved() >= bytes);
    let told = place.told();
    let [month, rate] = told["limits"].as_array().expect("limits").as_slice() else {
        panic!("{told}");
    };
    assert_eq!(
        (&month["label"], &month["on"]),
        (&"any".into(), &"metered".into())
    );
    assert_eq!(
        (&month["bytes"], &month["per"]),
        (&50_000_000.into(), &"month".into())
    );
    assert_eq!(
        (&rate["rate"], &rate["bytes"]),
        (&64_000.into(), &Value::Null)
    );
    let (code, table) = place.limits(&[]);
    assert_eq!(code, 0, "{table}");
    assert!(
        table.contains("50 MB a month for any on metered  wwan0"),
        "{table}"
    );
    assert!(table.contains("default"), "{table}");
    // Killed, with no chance to say anything.
    drop(first);
    let second = place.start();
    until("the sum", LIMIT, || place.used() >= 2 * bytes);
    drop(second);
}
