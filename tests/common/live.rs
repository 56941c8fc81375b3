//! A simulator that stays, copies that are direct children, and a network that can be broken.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::ACCOUNTS;
use super::processes::{comes, program, send, wait};
use super::server::{SimServer, has_state};

/// A simulator, and a home directory.
pub struct Sim {
    pub home: tempfile::TempDir,
    server: SimServer,
}

impl Deref for Sim {
    type Target = SimServer;

    fn deref(&self) -> &SimServer {
        &self.server
    }
}

impl Sim {
    pub fn start(options: &str) -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            server: SimServer::start(options),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A command in this environment; `broken` takes the place of AWS Backup.
    pub fn command(&self, arguments: &str, broken: Option<&Network>) -> Command {
        let mut command = self.server.set_up(program(), self.home.path(), arguments);
        command.stdout(Stdio::null());
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
        if !has_state(self.home.path()) {
            return;
        }
        let arguments = format!("copy {ACCOUNTS} --vault v1 --dry-run --resume");
        let done = self.command(&arguments, None).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(0), "{said}");
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
        let said = comes(|| self.stderr().contains(text));
        assert!(said, "no {text:?} in:\n{}", self.stderr());
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
        let upstream = sim.address().to_owned();
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
