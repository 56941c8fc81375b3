//! A simulator that runs by itself, and programs that run against it one at a time or side by side.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::binary;

/// A simulator of its own. It ends when this is dropped.
pub struct SimServer {
    child: Child,
    /// The environment that points at it.
    pub env: Vec<(String, String)>,
    _home: tempfile::TempDir,
}

impl SimServer {
    /// Starts it with these options, separated by blanks.
    pub fn start(options: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut child = Command::new(binary())
            .args(["simulate", "--print-env"])
            .args(options.split_whitespace())
            .env_clear()
            .env("HOME", home.path())
            .env("TMPDIR", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut env = Vec::new();
        for line in lines {
            let line = line.unwrap();
            let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
            env.push((name.to_owned(), value.trim_matches('\'').to_owned()));
            if name == "SHUFFLE_AWS_VAULTS_SIMULATED" {
                break;
            }
        }
        assert!(!env.is_empty(), "the simulator did not start: {options}");
        Self {
            child,
            env,
            _home: home,
        }
    }

    /// A variable of the environment that points at it.
    pub fn variable(&self, name: &str) -> &str {
        let found = self.env.iter().find(|(n, _)| n == name);
        &found.unwrap_or_else(|| panic!("no {name}")).1
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        self.variable("AWS_ENDPOINT_URL").trim_start_matches("http://")
    }

    /// The program with these arguments, separated by blanks, in a home of its own.
    pub fn command(&self, home: &Path, arguments: &str) -> Command {
        self.set_up(Command::new(binary()), home, arguments)
    }

    /// The same of a command that starts the program.
    pub fn set_up(&self, mut command: Command, home: &Path, arguments: &str) -> Command {
        command
            .args(arguments.split_whitespace())
            .env_clear()
            .envs(self.env.iter().map(|(n, v)| (n, v)))
            .env("HOME", home)
            .env("TMPDIR", home)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(home)
            .stdin(Stdio::null());
        command
    }

    /// What the simulator saw.
    pub fn ledger(&self) -> serde_json::Value {
        let address = self.address();
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .write_all(
                format!("GET /_ledger HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes(),
            )
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    /// Copy jobs into one destination vault: how many of each source point, and in which states.
    pub fn jobs_into(&self, vault: &str) -> BTreeMap<String, Vec<String>> {
        let ledger = self.ledger();
        let mut jobs: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let text = |job: &serde_json::Value, name: &str| job[name].as_str().unwrap().to_owned();
        for job in ledger["copies"].as_array().unwrap() {
            if text(job, "destination_backup_vault_arn").ends_with(&format!(":{vault}")) {
                let point = text(job, "source_recovery_point_arn");
                jobs.entry(point).or_default().push(text(job, "state"));
            }
        }
        jobs
    }

    /// Fails unless every one of so many points has exactly one copy job, and that one has copied it.
    pub fn assert_copied_once(&self, vault: &str, points: usize, told: &str) {
        let jobs = self.jobs_into(vault);
        let mut wrong = String::new();
        for (point, states) in &jobs {
            if *states != ["COMPLETED"] {
                let _ = writeln!(wrong, "{point}: {states:?}");
            }
        }
        assert!(wrong.is_empty(), "{vault}: {wrong}{told}");
        assert_eq!(jobs.len(), points, "{vault}: {told}");
    }
}

impl Drop for SimServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is in the default state directory, oldest first.
pub fn states(home: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(home.join(".shuffle-aws-vaults")) else {
        return Vec::new();
    };
    let mut all: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

/// There is a state to go on with.
pub fn has_state(home: &Path) -> bool {
    let is_state = |path: &PathBuf| path.extension().is_some_and(|e| e == "json");
    states(home).iter().any(is_state)
}
