//! `--on-finish`: a command of the operator's that is told how a copy ended.
//!
//! It runs when everything else is over: the state is closed, the summary written, the last line said. Whatever
//! it does changes nothing of the exit code, and it cannot hold the program up for longer than it may.

use std::io;
use std::os::fd::AsFd as _;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::supervise::Signals;
use crate::report::Console;

/// Time between the request to end and the end, for a command that takes too long.
const GRACE: Duration = Duration::from_secs(2);
/// Bytes of a line that are kept together.
const LONGEST_LINE: u64 = 64 << 10;
/// Time for the last of what it printed to arrive.
const LAST_LINES: Duration = Duration::from_millis(500);
/// Its option's environment twin, which is not handed on: a copy that the command begins is another matter.
const OWN_VARIABLE: &str = "SHUFFLE_AWS_VAULTS_ON_FINISH";

/// What is run, and what it is told.
#[derive(Debug)]
pub(super) struct Finish {
    /// For `sh -c`.
    pub(super) command: String,
    /// How long it may take.
    pub(super) timeout: Duration,
    /// The summary in JSON, for its standard input.
    pub(super) summary: Vec<u8>,
    /// Name of the run.
    pub(super) run_id: String,
}

/// Where a copy leaves it for the end of the program.
#[derive(Debug, Clone, Default)]
pub(super) struct FinishSlot(Arc<Mutex<Option<Finish>>>);

impl FinishSlot {
    pub(super) fn set(&self, finish: Finish) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(finish);
    }

    pub(super) fn take(&self) -> Option<Finish> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// How the command ended.
#[derive(Debug)]
enum End {
    Itself(io::Result<ExitStatus>),
    TooLong,
    Signalled,
}

impl Finish {
    /// Runs the command; answers what the operator should know of it, if it did not end well. With `lines`, what it
    /// prints goes there line by line.
    pub(super) fn run(self, exit_code: u8, lines: Option<Console>) -> Option<String> {
        let failed = |error: io::Error| format!("--on-finish: cannot run `{}`: {error}", self.command);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let ended = runtime.and_then(|runtime| runtime.block_on(self.attended(exit_code, lines)));
        match ended {
            Err(error) | Ok(End::Itself(Err(error))) => Some(failed(error)),
            Ok(End::Itself(Ok(status))) if status.success() => None,
            Ok(End::Itself(Ok(status))) => {
                Some(format!("--on-finish: `{}` ended with {status}", self.command))
            }
            Ok(End::TooLong) => Some(format!(
                "--on-finish: `{}` was ended, as it took longer than {} s (--on-finish-timeout)",
                self.command,
                self.timeout.as_secs_f64()
            )),
            Ok(End::Signalled) => Some(format!("--on-finish: `{}` was ended by a signal", self.command)),
        }
    }

    async fn attended(&self, exit_code: u8, lines: Option<Console>) -> io::Result<End> {
        // Before it begins, or a signal would end this program and leave the command alone.
        let mut signals = Signals::catch()?;
        // Standard output is for data of this program.
        let output = || match &lines {
            Some(_) => Ok(Stdio::piped()),
            None => io::stderr().as_fd().try_clone_to_owned().map(Stdio::from),
        };
        let mut child = Command::new("sh")
            .args(["-c", &self.command])
            .env("SHUFFLE_AWS_VAULTS_EXIT_CODE", exit_code.to_string())
            .env("SHUFFLE_AWS_VAULTS_RUN_ID", &self.run_id)
            .env_remove(OWN_VARIABLE)
            .stdin(Stdio::piped())
            .stdout(output()?)
            .stderr(output()?)
            // Ctrl-C is for this program, which hands it on.
            .process_group(0)
            .spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let mut stdin = child.stdin.take();
        let over = CancellationToken::new();
        let printed = lines.map(|console| {
            let out = printed(child.stdout.take(), console.clone(), over.clone());
            let err = printed(child.stderr.take(), console, over.clone());
            tokio::spawn(async { tokio::join!(out, err) })
        });
        let told = async {
            if let Some(stdin) = &mut stdin {
                // One that does not read it does not want it.
                let _ = stdin.write_all(&self.summary).await;
            }
            drop(stdin);
            child.wait().await
        };
        let end = tokio::select! {
            status = told => End::Itself(status),
            () = tokio::time::sleep(self.timeout) => End::TooLong,
            () = signals.any() => End::Signalled,
        };
        if !matches!(end, End::Itself(_)) {
            stop(&mut child, group, &mut signals).await;
        }
        if let Some(mut printed) = printed {
            // What it has left behind may hold the pipes for ever.
            if tokio::time::timeout(LAST_LINES, &mut printed).await.is_err() {
                over.cancel();
                let _ = printed.await;
            }
        }
        Ok(end)
    }
}

/// Hands on what a command prints, until it ends or there is no more.
async fn printed(from: Option<impl AsyncRead + Unpin>, console: Console, over: CancellationToken) {
    let Some(from) = from else { return };
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        let mut part = (&mut from).take(LONGEST_LINE);
        let more = tokio::select! {
            read = part.read_until(b'\n', &mut line) => matches!(read, Ok(1..)),
            () = over.cancelled() => false,
        };
        if !line.is_empty() {
            console.line(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']));
            line.clear();
        }
        if !more {
            return;
        }
    }
}

/// Ends the command and all that it has begun.
async fn stop(child: &mut Child, group: Option<Pid>, signals: &mut Signals) {
    let Some(group) = group else { return };
    // What is gone already cannot be signalled.
    let _ = kill_process_group(group, Signal::TERM);
    tokio::select! {
        _ = child.wait() => {}
        () = tokio::time::sleep(GRACE) => {}
        () = signals.any() => {}
    }
    let _ = kill_process_group(group, Signal::KILL);
}
