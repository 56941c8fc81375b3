//! Whose lock a state file has, without taking it: whoever only looks must not be in the way of a run
//! that is about to begin.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustix::process::{Pid, test_kill_process};

use super::files::{self, Open};
use super::lock::{read_holder, this_host};

/// How often a lock file is read that does not name its process yet.
const MOST_TRIES: u32 = 10;
/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// A process that has a state file's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Process, host and start time, as the lock file tells.
    pub text: String,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
    /// Whether it is on this machine, and there; on another one nobody can tell.
    pub is_here: bool,
}

/// The process that holds the lock of this state file, if one does. A lock file that a killed process
/// left is nobody's.
pub fn holder(state: &Path) -> Option<Holder> {
    let path = files::beside(state, ".lock");
    let mut text = String::new();
    for _ in 0..MOST_TRIES {
        let file = files::open(&path, Open::Read).ok()?;
        text = read_holder(&file);
        if !text.is_empty() {
            break;
        }
        thread::sleep(PAUSE);
    }
    let (process, rest) = text.strip_prefix("process ")?.split_once(" on ")?;
    let (host, since) = rest.rsplit_once(" since ")?;
    let since = DateTime::parse_from_rfc3339(since).ok();
    let is_here = host == this_host();
    if is_here && !has_open(process.parse().ok()?, &path) {
        return None;
    }
    Some(Holder {
        since: since.map(|at| at.to_utc()),
        is_here,
        text,
    })
}

/// Whether a process has the file open, which it has exactly as long as it holds the lock. Where that
/// cannot be seen, whether there is such a process.
fn has_open(process: i32, path: &Path) -> bool {
    let id = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    match fs::read_dir(format!("/proc/{process}/fd")) {
        Ok(mut open) => {
            let wanted = id(path);
            wanted.is_some() && open.any(|entry| entry.is_ok_and(|entry| id(&entry.path()) == wanted))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && Path::new("/proc/self/fd").exists() => false,
        // Another user's, or a system without /proc.
        Err(_) => Pid::from_raw(process).is_some_and(|process| match test_kill_process(process) {
            Ok(()) => true,
            Err(error) => error == rustix::io::Errno::PERM,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::lock::StateLock;

    #[test]
    fn a_lock_has_a_holder_as_long_as_it_is_held_and_looking_takes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("s.json");
        let path = directory.path().join("s.json.lock");
        assert_eq!(holder(&state), None);
        let lock = StateLock::acquire(&state).unwrap();
        let found = holder(&state).unwrap();
        assert!(found.is_here && found.since.is_some(), "{found:?}");
        let us = format!("process {} on ", std::process::id());
        assert!(found.text.starts_with(&us), "{found:?}");
        // What a killed process leaves names it still.
        let text = fs::read_to_string(&path).unwrap();
        drop(lock);
        fs::write(&path, &text).unwrap();
        assert_eq!(holder(&state), None);
        let gone = text.replace(&us, &format!("process {} on ", i32::MAX));
        for nobody in [&gone, "", "rubbish", "process x on y since z"] {
            fs::write(&path, nobody).unwrap();
            assert_eq!(holder(&state).filter(|holder| holder.is_here), None, "{nobody}");
        }
        let host = format!(" on {} since ", this_host());
        fs::write(&path, text.replace(&host, " on elsewhere since ")).unwrap();
        assert!(!holder(&state).unwrap().is_here);
    }
}
