//! A simulator that runs by itself, and programs that run against it one at a time or side by side.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::binary;

/// Longer than any program of these tests needs on a busy machine: what takes longer hangs.
const HANGS: Duration = Duration::from_mins(2);

/// A simulator of its own. It ends when this is dropped.
pub struct SimServer {
    child: Child,
    environment: Vec<(String, String)>,
    _home: tempfile::TempDir,
}

/// What a program did. The code is -1 if a signal ended it.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
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
        let mut environment = Vec::new();
        for line in lines {
            let line = line.unwrap();
            let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
            environment.push((name.to_owned(), value.trim_matches('\'').to_owned()));
            if name == "SHUFFLE_AWS_VAULTS_SIMULATED" {
                break;
            }
        }
        assert!(!environment.is_empty(), "the simulator did not start: {options}");
        Self {
            child,
            environment,
            _home: home,
        }
    }

    fn value(&self, name: &str) -> &str {
        let of = |(n, v): &'_ (String, String)| (n == name).then(|| v.clone());
        assert!(self.environment.iter().any(|pair| of(pair).is_some()), "{name}");
        &self.environment.iter().find(|(n, _)| n == name).unwrap().1
    }

    /// The program with these arguments, separated by blanks, in a home of its own.
    pub fn command(&self, home: &Path, arguments: &str) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments.split_whitespace())
            .env_clear()
            .envs(self.environment.iter().map(|(n, v)| (n, v)))
            .env("HOME", home)
            .env("TMPDIR", home)
            .current_dir(home)
            .stdin(Stdio::null());
        command
    }

    /// What the simulator saw.
    pub fn ledger(&self) -> serde_json::Value {
        let address = self.value("AWS_ENDPOINT_URL").trim_start_matches("http://");
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

/// Runs it to its end, which must come.
pub fn ended(command: &mut Command) -> Ended {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id();
    let (done, waiting) = mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let output = child.wait_with_output();
        let _ = done.send(());
        output
    });
    let hangs = waiting.recv_timeout(HANGS).is_err();
    if hangs {
        let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
    }
    let output = waiter.join().unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(!hangs, "{command:?} hangs: {stderr}");
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout,
        stderr,
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
