//! The lock beside a state file: one process at a time. It goes with its process, whatever ends it.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use chrono::Utc;

use super::error::StateError;
use super::files::{self, Open};
use crate::crash;

/// A held lock.
#[derive(Debug)]
pub struct StateLock {
    file: File,
    path: PathBuf,
}

impl StateLock {
    /// Locks the file beside `state`.
    ///
    /// # Errors
    /// If another process holds it, whom the message names, or it cannot be made.
    pub(super) fn acquire(state: &Path) -> Result<Self, StateError> {
        let path = files::beside(state, ".lock");
        let mut file = files::open(&path, Open::Keep)?;
        crash::lock_fault("lock").map_err(|error| StateError::io("lock", &path, error))?;
        match file.try_lock() {
            Ok(()) => crash::point("lock taken"),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let known = holder.lines().next().filter(|line| !line.is_empty());
                let holder = known.unwrap_or("another process").to_owned();
                return Err(StateError::Locked {
                    path: state.to_owned(),
                    holder,
                });
            }
            Err(TryLockError::Error(error)) => return Err(StateError::io("lock", &path, error)),
        }
        let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
        let text = format!(
            "process {} on {} since {}\n",
            std::process::id(),
            if host.trim().is_empty() {
                "this host"
            } else {
                host.trim()
            },
            Utc::now().format("%Y-%m-%dT%H:%M:%SZ")
        );
        // What is written is for the message only; the lock itself is the kernel's.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()));
        crash::point("lock named");
        Ok(Self { file, path })
    }

    /// Gives the lock up and takes its file away.
    pub fn release(self) {
        // Removed before it is unlocked, so that nobody's new lock is taken away.
        let _ = files::remove(&self.path);
        let _ = self.file.unlock();
    }
}
