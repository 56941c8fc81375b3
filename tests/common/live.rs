//! A simulator that stays, copies that are direct children, and a network that can be broken.

#![allow(
    clippy::unwrap_used,
    dead_code,
    clippy::print_stderr,
    unreachable_pub,
    missing_debug_implementations,
    reason = "each test binary uses its part"
)]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{ACCOUNTS, binary};

/// A simulator, and a home directory.
pub struct Sim {
    pub home: tempfile::TempDir,
    child: Child,
    /// The environment that points at it.
    pub env: Vec<(String, String)>,
}

impl Sim {
    pub fn start(options: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut child = Command::new(binary())
            .arg("simulate")
            .args(options.split_whitespace())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let env: Vec<_> = lines
            .map(|line| line.unwrap())
            .map(|line| {
                let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
                (name.to_owned(), value.trim_matches('\'').to_owned())
            })
            .take(9)
            .collect();
        assert_eq!(env.last().unwrap().0, "SHUFFLE_AWS_VAULTS_SIMULATED");
        Self { home, child, env }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn var(&self, name: &str) -> &str {
        &self.env.iter().find(|(n, _)| n == name).unwrap().1
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.var("AWS_ENDPOINT_URL")
            .trim_start_matches("http://")
            .to_owned()
    }

    /// The ledger as it stands.
    pub fn ledger(&self) -> serde_json::Value {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        write!(
            stream,
            "GET /_ledger HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let start = answer.find('{').unwrap();
        let end = answer.rfind('}').unwrap();
        serde_json::from_str(&answer[start..=end]).unwrap()
    }

    /// A command in this environment; `broken` takes the place of AWS Backup.
    pub fn command(&self, arguments: &str, broken: Option<&Network>) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments.split_whitespace())
            .env_clear()
            .envs(self.env.iter().map(|(n, v)| (n, v)))
            .env("HOME", self.home.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if let Some(network) = broken {
            for name in &network.variables {
                command.env(name, &network.url);
            }
        }
        command
    }

    /// Begins a copy of the vault `v1`, and waits until it has said its first words.
    pub fn copy(&self, more: &str, broken: Option<&Network>) -> Copy {
        let stderr = self.path("stderr");
        let file = File::create(&stderr).unwrap();
        let arguments = format!("copy {ACCOUNTS} --vault v1 --poll-interval 0.2 {more}");
        let child = self.command(&arguments, broken).stderr(file).spawn().unwrap();
        let copy = Copy { child, stderr };
        copy.until("INFO");
        copy
    }

    /// A state that was left loads, and is told of by a dry run that goes on with it.
    pub fn assert_state_loads(&self) {
        let directory = self.path(".shuffle-aws-vaults");
        let kept = std::fs::read_dir(directory).into_iter().flatten();
        if !kept
            .map(|entry| entry.unwrap().path())
            .any(|path| path.extension().is_some_and(|e| e == "json"))
        {
            return;
        }
        let arguments = format!("copy {ACCOUNTS} --vault v1 --dry-run --resume");
        let done = self.command(&arguments, None).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(0), "{said}");
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        send("TERM", self.child.id());
        self.child.wait().unwrap();
    }
}

/// A copy under way.
pub struct Copy {
    pub child: Child,
    stderr: PathBuf,
}

impl Copy {
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Waits until it has said this.
    pub fn until(&self, text: &str) {
        let began = Instant::now();
        while !self.stderr().contains(text) {
            let long = began.elapsed() > Duration::from_mins(1);
            assert!(!long, "no {text:?} in:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn signal(&self, name: &str) {
        send(name, self.child.id());
    }

    /// Its exit code, and how long that took; killed if it takes far too long.
    pub fn wait(&mut self) -> (Option<i32>, Duration) {
        wait(&mut self.child, Duration::from_mins(2))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // It is gone, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn send(signal: &str, process: u32) {
    let name = format!("-{signal}");
    let sent = Command::new("kill").args([&name, &process.to_string()]).status();
    assert!(sent.unwrap().success());
}

pub fn wait(child: &mut Child, at_most: Duration) -> (Option<i32>, Duration) {
    let began = Instant::now();
    while began.elapsed() < at_most {
        if let Some(status) = child.try_wait().unwrap() {
            if status.code().is_none() {
                eprintln!("{status}");
            }
            return (status.code(), began.elapsed());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("still there after {at_most:?}");
}

pub fn until(problem: &str, mut there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < Duration::from_mins(1), "{problem}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What becomes of a request.
pub enum Fate {
    /// The simulator answers it.
    Answered,
    /// Nobody ever answers it.
    Hangs,
    /// AWS refuses it: status, code and message.
    Refused(u16, &'static str, String),
}

/// A network between a command and the simulator, which decides what becomes of each request by its
/// first line.
pub struct Network {
    pub url: String,
    variables: Vec<&'static str>,
}

impl Network {
    pub fn new(sim: &Sim, fate: impl FnMut(&str) -> Fate + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let upstream = sim.address();
        let fate = Arc::new(Mutex::new(fate));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (upstream, fate) = (upstream.clone(), Arc::clone(&fate));
                std::thread::spawn(move || serve(&stream.unwrap(), &upstream, &*fate));
            }
        });
        Self {
            url,
            variables: vec!["AWS_ENDPOINT_URL_BACKUP"],
        }
    }

    /// In the place of STS too.
    pub fn and_sts(mut self) -> Self {
        self.variables.push("AWS_ENDPOINT_URL_STS");
        self
    }
}

fn serve(client: &TcpStream, upstream: &str, fate: &Mutex<dyn FnMut(&str) -> Fate + Send>) {
    let Some((head, body)) = request(client) else {
        return;
    };
    let first = head.lines().next().unwrap_or_default().to_owned();
    let what = (fate.lock().unwrap())(&first);
    let mut client = client;
    match what {
        // The connection stays open for as long as the test runs.
        Fate::Hangs => std::thread::sleep(Duration::from_mins(10)),
        Fate::Refused(status, code, message) => {
            let body = serde_json::json!({"Message": message}).to_string();
            let length = body.len();
            let _ = write!(
                client,
                "HTTP/1.1 {status} X\r\nx-amzn-ErrorType: {code}\r\nContent-Type: application/json\r\n\
                 Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
        Fate::Answered => {
            let Ok(mut server) = TcpStream::connect(upstream) else {
                return;
            };
            let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
            let sent = server.write_all(head.as_bytes());
            let _ = sent.and_then(|()| server.write_all(&body));
            let _ = std::io::copy(&mut server, &mut client);
        }
    }
}

/// Head and body of one request.
fn request(client: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, n)| n.trim().parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// A pipe that is full and that nobody reads: its writing end, and what keeps it open.
pub fn full_pipe(directory: &Path) -> (File, File) {
    use std::os::unix::fs::OpenOptionsExt as _;
    const O_NONBLOCK: i32 = if cfg!(target_os = "linux") { 0o4000 } else { 0x4 };
    let path = directory.join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let mut keep = File::options()
        .read(true)
        .write(true)
        .custom_flags(O_NONBLOCK)
        .open(&path)
        .unwrap();
    // Blocks, then single bytes: not one more may fit.
    for block in [4096, 1] {
        while keep.write(&vec![b'x'; block]).is_ok() {}
    }
    (File::options().write(true).open(&path).unwrap(), keep)
}
