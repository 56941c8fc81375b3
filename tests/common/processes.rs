//! Processes of these tests: signals, and waiting that comes to an end.

use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::{Duration, Instant};

/// The program, to be started with SIGHUP as it is by default: tests may be run under `nohup`, and what
/// is ignored is inherited. Where `env` cannot do that it is started as it is.
pub fn program() -> Command {
    const DEFAULT: &str = "--default-signal=HUP";
    static RESETS: LazyLock<bool> = LazyLock::new(|| {
        let tried = Command::new("env")
            .args([DEFAULT, "true"])
            .stderr(Stdio::null())
            .status();
        tried.is_ok_and(|status| status.success())
    });
    if *RESETS {
        let mut command = Command::new("env");
        command.arg(DEFAULT).arg(super::binary());
        command
    } else {
        Command::new(super::binary())
    }
}

/// Longer than any program of these tests needs on a busy machine: what takes longer hangs.
const HANGS: Duration = Duration::from_mins(2);

/// What a program did. The code is -1 if a signal ended it.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs it to its end, which must come.
pub fn ended(command: &mut Command) -> Ended {
    ended_within(command, HANGS)
}

/// Runs it to its end, which must come by then.
pub fn ended_within(command: &mut Command, at_most: Duration) -> Ended {
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
    let hangs = waiting.recv_timeout(at_most).is_err();
    if hangs {
        send("KILL", id);
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

pub fn send(signal: &str, process: u32) {
    let name = format!("-{signal}");
    let sent = Command::new("kill").args([&name, &process.to_string()]).status();
    assert!(sent.unwrap().success());
}

/// The exit code of a process that was started (none if a signal ended it), and how long that took; killed
/// if it takes far too long.
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

/// Waits for it, and answers whether it has come.
pub fn comes(mut there: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while !there() {
        if began.elapsed() > Duration::from_mins(1) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Waits for it; fails with `problem` if it does not come.
pub fn until(problem: &str, there: impl FnMut() -> bool) {
    assert!(comes(there), "{problem}");
}
