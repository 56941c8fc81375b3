//! What can be wrong with a state file, in words that say what to do next.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::items::IllegalTransition;

/// An error of the state file, its journal or its lock.
#[derive(Debug, Error)]
pub enum StateError {
    /// The document is not JSON, or not a state document.
    #[error("Failed to load state file: Invalid JSON: {path}, line {line}, column {column}: {problem}")]
    InvalidJson {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// The parser's words.
        problem: String,
    },
    /// The document is JSON, and not what was written.
    #[error("Failed to load state file: {path} is damaged, or was edited: its checksum does not match")]
    Checksum {
        /// The file.
        path: PathBuf,
    },
    /// The file is of another version.
    #[error(
        "State file version mismatch: {path} has version {found}, this program reads up to version {supported}"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// Ours.
        supported: u32,
    },
    /// The journal is broken elsewhere than at its end.
    #[error("the journal {path} is damaged at line {line} (byte {offset}): {problem}")]
    DamagedJournal {
        /// The journal.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Byte.
        offset: usize,
        /// What is wrong.
        problem: String,
    },
    /// The file is about something else.
    #[error("the state file {path} belongs to another run: {differences}")]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// Each member that differs, with both values.
        differences: String,
    },
    /// Another process has it.
    #[error("the state file {path} is in use by {holder}")]
    Locked {
        /// The file.
        path: PathBuf,
        /// Process, host and start time, as the lock file tells.
        holder: String,
    },
    /// `--resume` with nothing to resume.
    #[error("there is nothing to resume: {looked_for}")]
    NothingToResume {
        /// What was looked for, and where.
        looked_for: String,
    },
    /// A new run on a file whose run is not finished.
    #[error("the state file {path} holds an unfinished run")]
    Unfinished {
        /// The file.
        path: PathBuf,
    },
    /// A symbolic link, pipe or directory stands where the file should be.
    #[error("{path} is a symbolic link, or no ordinary file; state is kept in ordinary files only")]
    NotAFile {
        /// What stands there.
        path: PathBuf,
    },
    /// The file system cannot lock.
    #[error("{path} cannot be locked: {source}")]
    NoLocks {
        /// The lock.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Others may write where the state is kept.
    #[error("the state directory {path} {problem}")]
    UnsafeDirectory {
        /// The directory.
        path: PathBuf,
        /// Why it is not safe.
        problem: String,
    },
    /// An item and a record disagree.
    #[error("inconsistent state: {0}")]
    Illegal(#[from] IllegalTransition),
    /// A write failed before, and the journal takes no more.
    #[error("the journal {path} can no longer be written")]
    JournalClosed {
        /// The journal.
        path: PathBuf,
    },
    /// The operating system said no.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// No home directory is known.
    #[error("no home directory is known for the default state file")]
    NoHome,
}

impl StateError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// The same error for another who waited for the same write.
    pub(super) fn again(&self, path: &Path) -> Self {
        match self {
            Self::Io { action, path, source } => Self::Io {
                action,
                path: path.clone(),
                source: io::Error::new(source.kind(), source.to_string()),
            },
            _ => Self::JournalClosed {
                path: path.to_owned(),
            },
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Checksum { .. } => {
                "restore the file from a copy, or start anew with --reset (the old file is kept as .bak); after an edit \
                 of your own take its member `crc32` out, and it is read as it is"
                    .to_owned()
            }
            Self::InvalidJson { .. } | Self::DamagedJournal { .. } => {
                "restore the file from a copy, or start anew with --reset (the old file is kept as .bak) or with \
                 another --state-file; points that were copied already are found in the destination and skipped"
                    .to_owned()
            }
            Self::Version { .. } => {
                "use the version of shuffle-aws-vaults that wrote it, or another --state-file".to_owned()
            }
            Self::OtherRun { .. } => "name the state file of this run, or another file, with --state-file".to_owned(),
            Self::Locked { path, holder } => {
                let stop = match kill(holder) {
                    Some((process, host)) => format!("stop it on {host} with: kill {process}"),
                    None => "stop it".to_owned(),
                };
                format!(
                    "nothing was done and nothing has failed: another run is at work on it, which this shows: \
                     shuffle-aws-vaults status {}. Wait for it to end, or {stop}; then go on with --resume",
                    path.display()
                )
            }
            Self::NothingToResume { .. } => {
                "leave out --resume to begin, or name the file with --state-file".to_owned()
            }
            Self::Unfinished { .. } => {
                "go on with --resume, or start anew with --reset (the old file is kept as .bak)".to_owned()
            }
            Self::Io { path, source, .. } => of_file(path, source.kind()),
            Self::JournalClosed { .. } => MAKE_ROOM.to_owned(),
            Self::NoHome => "set HOME, or name a file with --state-file".to_owned(),
            Self::NoLocks { .. } => {
                "without a lock two runs could copy the same points; name a file on a local disk with --state-file"
                    .to_owned()
            }
            Self::UnsafeDirectory { path, .. } => format!(
                "whoever can write there can change what is copied: make it yours alone (chown, chmod 700 {}), or name \
                 a file in another directory with --state-file",
                path.display()
            ),
            Self::NotAFile { .. } => "name the real file with --state-file".to_owned(),
            Self::Illegal(_) => return None,
        })
    }
}

/// Process and host of a lock's holder.
fn kill(holder: &str) -> Option<(&str, &str)> {
    let (process, rest) = holder.strip_prefix("process ")?.split_once(" on ")?;
    Some((process, rest.split_once(" since ")?.0))
}

const MAKE_ROOM: &str = "check the disk's free space and the directory's permissions, or name a file elsewhere with \
                         --state-file; then run the command again, with --resume if the run had begun";

/// What to do about a file that cannot be used.
fn of_file(path: &Path, problem: io::ErrorKind) -> String {
    match problem {
        io::ErrorKind::NotFound => {
            let directory = path.parent().filter(|place| !place.as_os_str().is_empty());
            let directory = directory.unwrap_or(Path::new("."));
            format!(
                "check the name given with --state-file; the directory {} must exist",
                directory.display()
            )
        }
        io::ErrorKind::PermissionDenied => {
            "run as the user whose file or directory it is, or name a file in a directory of your own with --state-file"
                .to_owned()
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "name a file on a file system that can be written to, with --state-file".to_owned()
        }
        _ => MAKE_ROOM.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_says_what_to_do_next() {
        let path = || PathBuf::from("s.json");
        let locked = |holder: &str| StateError::Locked {
            path: path(),
            holder: holder.to_owned(),
        };
        for (error, words) in [
            (StateError::Checksum { path: path() }, "--reset"),
            (StateError::Unfinished { path: path() }, "go on with --resume"),
            (StateError::JournalClosed { path: path() }, "free space"),
            (StateError::NotAFile { path: path() }, "name the real file"),
            (StateError::NoHome, "set HOME"),
            (
                StateError::io("create", Path::new("/no/s.lock"), io::ErrorKind::NotFound.into()),
                "the directory /no must exist",
            ),
            (
                StateError::io("create", Path::new("s"), io::ErrorKind::PermissionDenied.into()),
                "run as the user",
            ),
            (
                StateError::io("write", Path::new("s"), io::ErrorKind::StorageFull.into()),
                "with --resume if the run had begun",
            ),
            (
                locked("process 12 on h since 2026-01-01T00:00:00Z"),
                "stop it on h with: kill 12; then",
            ),
            (locked("another process"), "Wait for it to end, or stop it; then"),
        ] {
            let hint = error.hint().unwrap();
            assert!(hint.contains(words), "{error}: {hint}");
        }
    }

    #[test]
    fn all_who_waited_for_a_write_are_told_why_it_failed() {
        let full = || StateError::io("write", Path::new("j"), io::ErrorKind::StorageFull.into());
        assert_eq!(full().again(Path::new("j")).to_string(), full().to_string());
        let closed = StateError::NoHome.again(Path::new("j"));
        assert_eq!(closed.to_string(), "the journal j can no longer be written");
    }
}
