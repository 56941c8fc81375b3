//! Every error that ends the program, and the only place where outcomes become exit codes.

use std::io::ErrorKind;

use thiserror::Error;

use crate::aws::vault_access::VaultSetupError;
use crate::aws::{ApiError, ErrorClass, SessionError};
use crate::metadata::MetadataError;
use crate::state::StateError;

/// How a command ended, if it did not end in an [`AppError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All done.
    Done,
    /// Done, but something failed, or is missing.
    WithErrors,
    /// Work is left, which the same command with `--resume` goes on with.
    Incomplete,
    /// The code of a command that was run for the operator.
    Child(u8),
}

/// Why a command could not be carried out.
#[derive(Debug, Error)]
pub enum AppError {
    /// Options that do not go together, or name something that is not there.
    #[error("{problem}")]
    Usage {
        /// What is wrong.
        problem: String,
        /// What to do next.
        hint: String,
    },
    /// The metadata file.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The state file.
    #[error(transparent)]
    State(#[from] StateError),
    /// An identity.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// An AWS call.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The destination vault.
    #[error(transparent)]
    VaultSetup(#[from] VaultSetupError),
    /// A file or stream of the program's own.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried, and on what.
        action: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The simulator.
    #[error(transparent)]
    Simulate(#[from] crate::cli::simulate::SimulateError),
    /// Whoever read our output has gone: the quiet end of `| head`.
    #[error("the reader of the output has gone")]
    ClosedPipe,
    /// A signal before anything was begun.
    #[error("interrupted before anything was started")]
    InterruptedEarly,
    /// The runtime limit before anything was begun.
    #[error("the runtime limit was reached before anything was started")]
    TimeUpEarly,
}

impl AppError {
    /// An error of options.
    pub fn usage(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage {
            problem: problem.into(),
            hint: hint.into(),
        }
    }

    /// An error of a file or stream; a closed pipe is told apart.
    pub fn io(action: impl Into<String>, source: std::io::Error) -> Self {
        if source.kind() == ErrorKind::BrokenPipe {
            Self::ClosedPipe
        } else {
            Self::Io {
                action: action.into(),
                source,
            }
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => Some(hint.clone()),
            Self::Metadata(error) => error.hint(),
            Self::State(error) => error.hint(),
            Self::Session(error) => error.hint(),
            Self::Api(error) | Self::VaultSetup(VaultSetupError::Api(error)) => error.hint(),
            Self::VaultSetup(VaultSetupError::UnreadablePolicy { .. }) => {
                Some("mend the policy, or run with --skip-dest-setup".to_owned())
            }
            Self::VaultSetup(VaultSetupError::PolicyTooLarge { .. }) => {
                Some("join or remove statements of that policy, or choose another --dest-vault".to_owned())
            }
            Self::Io { source, .. } => Some(of_file(source.kind()).to_owned()),
            Self::InterruptedEarly => Some("run the command again".to_owned()),
            Self::TimeUpEarly => {
                Some("run the command again, with a longer --max-runtime-minutes".to_owned())
            }
            Self::Simulate(error) => Some(error.hint().to_owned()),
            Self::ClosedPipe => None,
        }
    }
}

/// What to do about a file that cannot be used.
fn of_file(problem: ErrorKind) -> &'static str {
    match problem {
        ErrorKind::NotFound => {
            "check the path: the file, or the directory that it is to be in, does not exist"
        }
        ErrorKind::PermissionDenied => {
            "run as a user who may do that, change the permissions (chmod, chown), or name another path"
        }
        ErrorKind::IsADirectory => "name a file, not a directory",
        ErrorKind::NotADirectory => "check the path: a part of it that should be a directory is a file",
        ErrorKind::ReadOnlyFilesystem => "name a path on a file system that can be written to",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "make room on the disk, or name a path elsewhere"
        }
        ErrorKind::InvalidData => "save the file as UTF-8",
        _ => "check the path, its permissions and the disk's free space",
    }
}

/// The exit code: 0 all done, 1 errors, 2 incomplete and resumable (see "Exit codes" in the user guide).
pub fn code(result: &Result<Outcome, AppError>) -> u8 {
    match result {
        Ok(Outcome::Done) | Err(AppError::ClosedPipe) => 0,
        Ok(Outcome::Incomplete) | Err(AppError::InterruptedEarly | AppError::TimeUpEarly) => 2,
        // Credentials that worked at first and were not renewed.
        Err(AppError::Api(error) | AppError::VaultSetup(VaultSetupError::Api(error)))
            if error.class == ErrorClass::Credentials =>
        {
            2
        }
        Ok(Outcome::WithErrors) | Err(_) => 1,
        Ok(Outcome::Child(code)) => *code,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Error as IoError;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn each_end_has_its_exit_code() {
        let io = |kind| AppError::io("write to standard output", IoError::from(kind));
        for (end, wanted) in [
            (Ok(Outcome::Done), 0),
            (Err(AppError::ClosedPipe), 0),
            (Err(io(ErrorKind::BrokenPipe)), 0),
            (Ok(Outcome::WithErrors), 1),
            (Err(AppError::usage("x", "y")), 1),
            (Err(io(ErrorKind::StorageFull)), 1),
            (Err(MetadataError::Changed(PathBuf::new()).into()), 1),
            (Ok(Outcome::Incomplete), 2),
            (Err(AppError::InterruptedEarly), 2),
            (Ok(Outcome::Child(0)), 0),
            (Ok(Outcome::Child(141)), 141),
        ] {
            assert_eq!(code(&end), wanted, "{end:?}");
        }
    }

    #[test]
    fn errors_say_what_was_tried_and_what_to_do() {
        let error = AppError::io("write x", IoError::from(ErrorKind::StorageFull));
        assert!(error.to_string().starts_with("cannot write x: "), "{error}");
        for (error, wanted) in [
            (error, "make room on the disk, or name a path elsewhere"),
            (
                AppError::io("read x", IoError::from(ErrorKind::NotFound)),
                "check the path: the file, or the directory that it is to be in, does not exist",
            ),
            (
                AppError::io("read x", IoError::from(ErrorKind::IsADirectory)),
                "name a file, not a directory",
            ),
            (
                AppError::io("read x", IoError::from(ErrorKind::Other)),
                "check the path, its permissions and the disk's free space",
            ),
            (AppError::usage("a", "do b"), "do b"),
            (AppError::InterruptedEarly, "run the command again"),
            (
                MetadataError::NotFound(PathBuf::new()).into(),
                "check the path given with --metadata-csv",
            ),
        ] {
            assert_eq!(error.hint().as_deref(), Some(wanted));
        }
        assert_eq!(AppError::ClosedPipe.hint(), None);
    }

    #[test]
    fn credentials_that_ended_leave_a_run_to_go_on_with() {
        for (class, wanted) in [(ErrorClass::Credentials, 2), (ErrorClass::AccessDenied, 1)] {
            let error = || ApiError::for_test("ListCopyJobs", class, false);
            assert_eq!(code(&Err(error().into())), wanted);
            let setup = VaultSetupError::Api(error());
            assert_eq!(code(&Err(setup.into())), wanted);
            assert_eq!(AppError::from(error()).hint(), error().hint());
        }
    }
}
