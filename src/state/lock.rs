//! The lock beside a state file: one process at a time. It goes with its process, whatever ends it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use chrono::Utc;

use super::error::StateError;
use super::files::{self, Open};
use crate::crash;

/// How often a lock whose file was taken away under it is tried again.
const MOST_TRIES: u32 = 50;
/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(10);
/// As much of a lock file as is read to name its holder.
const HOLDER_BYTES: u64 = 200;

/// A held lock. Its file is taken away when it is dropped.
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
        let mut holder = String::new();
        for _ in 0..MOST_TRIES {
            let file = files::open(&path, Open::Keep)?;
            let locked = try_lock(&file, &path)?;
            // Whoever held the lock may have taken the file away after we opened it. A lock on a
            // file without a name keeps nobody out.
            if files::is_at(&file, &path) {
                if locked {
                    let lock = Self { file, path };
                    lock.name_holder();
                    return Ok(lock);
                }
                holder = read_holder(&file);
                break;
            }
            thread::sleep(PAUSE);
        }
        if holder.is_empty() {
            "another process".clone_into(&mut holder);
        }
        Err(StateError::Locked {
            path: state.to_owned(),
            holder,
        })
    }

    /// What is written is for the message only; the lock itself is the kernel's.
    fn name_holder(&self) {
        let text = format!(
            "process {} on {} since {}\n",
            std::process::id(),
            this_host(),
            Utc::now().format("%Y-%m-%dT%H:%M:%SZ")
        );
        let mut file = &self.file;
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()));
        crash::point("lock named");
    }
}

impl Drop for StateLock {
    fn drop(&mut self) {
        // Removed before it is unlocked, so that nobody's new lock is taken away.
        let _ = files::remove(&self.path);
        let _ = self.file.unlock();
    }
}

/// What this machine is called.
pub(super) fn this_host() -> String {
    let name = fs::read_to_string("/etc/hostname").unwrap_or_default();
    match name.trim() {
        "" => "this host".to_owned(),
        name => name.to_owned(),
    }
}

/// Whether the lock is ours now; not, if another process has it.
fn try_lock(file: &File, path: &Path) -> Result<bool, StateError> {
    let no_locks = |source: io::Error| StateError::NoLocks {
        path: path.to_owned(),
        source,
    };
    crash::lock_fault("lock").map_err(no_locks)?;
    match file.try_lock() {
        Ok(()) => {
            crash::point("lock taken");
            Ok(true)
        }
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(no_locks(error)),
    }
}

/// Who holds the lock, as its file tells; empty if it was killed before it could write that.
pub(super) fn read_holder(mut file: &File) -> String {
    let mut text = Vec::new();
    let _ = file.rewind();
    let _ = file.take(HOLDER_BYTES).read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_whose_file_was_taken_away_under_it_is_not_held() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("s.json");
        let path = directory.path().join("s.json.lock");
        let first = StateLock::acquire(&state).unwrap();
        // A second process has opened the file and waits to look at it, when the first one leaves.
        let opened = files::open(&path, Open::Keep).unwrap();
        drop(first);
        assert!(try_lock(&opened, &path).unwrap(), "the kernel gives it");
        assert!(!files::is_at(&opened, &path), "and it is worth nothing");
        let third = StateLock::acquire(&state).unwrap();
        assert!(files::is_at(&third.file, &path));
        drop(opened);
        assert!(matches!(
            StateLock::acquire(&state),
            Err(StateError::Locked { .. })
        ));
    }

    #[test]
    fn of_many_at_once_one_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("s.json");
        let held = std::sync::atomic::AtomicU32::new(0);
        let taken = std::sync::atomic::AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        if let Ok(lock) = StateLock::acquire(&state) {
                            use std::sync::atomic::Ordering::SeqCst;
                            assert_eq!(held.fetch_add(1, SeqCst), 0, "two hold it at once");
                            taken.fetch_add(1, SeqCst);
                            thread::yield_now();
                            held.fetch_sub(1, SeqCst);
                            drop(lock);
                        }
                    }
                });
            }
        });
        assert!(taken.into_inner() > 8);
        assert!(!directory.path().join("s.json.lock").exists());
    }

    #[test]
    fn the_message_names_the_holder_and_copes_with_none() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("s.json");
        let message = || StateLock::acquire(&state).unwrap_err().to_string();
        let lock = StateLock::acquire(&state).unwrap();
        let us = format!("is in use by process {} on ", std::process::id());
        assert!(message().contains(&us), "{}", message());
        lock.file.set_len(0).unwrap();
        assert!(message().ends_with("in use by another process"), "{}", message());
        drop(lock);
        // An empty one that a dead process left is simply taken.
        fs::write(directory.path().join("s.json.lock"), "").unwrap();
        drop(StateLock::acquire(&state).unwrap());
    }
}
