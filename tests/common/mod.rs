//! A rig for the real binary: an empty home, and the simulator around every command.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    reason = "each test binary uses its part"
)]

pub mod console;
pub mod findings;
pub mod live;
pub mod namespaces;
pub mod processes;
pub mod server;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use processes::{Ended, ended_within, program};

/// Both accounts, as every copy names them.
pub const ACCOUNTS: &str = "--source-account 123456789012 --dest-account 987654321098";

/// What every script begins with. The simulator lists jobs at once, unless a test wants otherwise;
/// `until_calls OPERATION N` waits until the simulator has seen so many calls, or is gone.
const PRELUDE: &str = r#"
export SHUFFLE_AWS_VAULTS_LIST_GRACE=1
until_calls() {
  local seen
  while seen=$(curl -sf $AWS_ENDPOINT_URL/_ledger | jq ".calls.$1 // 0") && [ "${seen:-$2}" -lt "$2" ]; do sleep 0.05; done
}
"#;

/// Longer than any script needs on a busy machine.
const MOST: Duration = Duration::from_mins(10);

/// A home directory of its own, and a simulator that runs a shell script.
pub struct Rig {
    pub home: tempfile::TempDir,
    pub sim: Vec<String>,
}

/// What a script did.
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub ledger: serde_json::Value,
}

impl Done {
    /// Calls of an operation that reached the simulator.
    pub fn calls(&self, operation: &str) -> u64 {
        self.ledger["calls"][operation].as_u64().unwrap_or(0)
    }

    /// Fails unless nothing was copied twice, and `points` were copied.
    pub fn assert_copied_once(&self, points: u64) {
        assert_eq!(self.ledger["duplicates"], 0, "{}", self.stderr);
        assert_eq!(self.ledger["copied_points"], points, "{}", self.stderr);
    }
}

pub fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_shuffle-aws-vaults").into()
}

impl Rig {
    /// A simulator with these options, separated by blanks.
    pub fn new(sim: &str) -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            sim: sim.split_whitespace().map(str::to_owned).collect(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, script: &str) -> Command {
        let mut command = program();
        command
            .arg("simulate")
            .args(&self.sim)
            .arg("--ledger")
            .arg(self.path("ledger.json"))
            .args(["--", "bash", "-c", &format!("{PRELUDE}\n{script}")])
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a script, in the home directory, with the program on its path.
    pub fn run(&self, script: &str) -> Done {
        let Ended { code, stdout, stderr } = ended_within(&mut self.command(script), MOST);
        let ledger = std::fs::read(self.path("ledger.json")).unwrap_or_default();
        Done {
            code,
            stdout,
            stderr,
            ledger: serde_json::from_slice(&ledger).unwrap_or_default(),
        }
    }

    /// The state files, oldest first.
    pub fn states(&self) -> Vec<PathBuf> {
        server::states(self.home.path())
    }
}

pub fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Cases of one test that run at the same time.
const AT_ONCE: usize = 4;

/// Runs the cases of a test side by side, since most of them only wait. Each says what has failed; the
/// others go on.
pub fn side_by_side<I>(cases: I, run: impl Fn(I::Item) + Sync)
where
    I: IntoIterator<IntoIter: Send>,
{
    let cases = Mutex::new(cases.into_iter());
    let next = || cases.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = next() {
                    run(case);
                }
            });
        }
    });
}
