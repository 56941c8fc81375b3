//! A rig for the real binary: an empty home, and the simulator around every command.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    clippy::indexing_slicing,
    clippy::print_stdout,
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    reason = "each test binary uses its part"
)]

pub mod live;
pub mod namespaces;
pub mod server;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Both accounts, as every copy names them.
pub const ACCOUNTS: &str = "--source-account 123456789012 --dest-account 987654321098";

/// The simulator lists jobs at once, unless a test wants otherwise.
const SHORT_GRACE: &str = "export SHUFFLE_AWS_VAULTS_LIST_GRACE=1";

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
        let mut command = Command::new(binary());
        command
            .arg("simulate")
            .args(&self.sim)
            .arg("--ledger")
            .arg(self.path("ledger.json"))
            .args(["--", "bash", "-c", &format!("{SHORT_GRACE}\n{script}")])
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a script, in the home directory, with the program on its path.
    pub fn run(&self, script: &str) -> Done {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(script).output().unwrap();
        let ledger = std::fs::read(self.path("ledger.json")).unwrap_or_default();
        Done {
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
            ledger: serde_json::from_slice(&ledger).unwrap_or_default(),
        }
    }

    /// The state files, oldest first.
    pub fn states(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.path(".shuffle-aws-vaults")) else {
            return Vec::new();
        };
        let mut all: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
        all.sort();
        all
    }
}

pub fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
