//! The directory that state is kept in: whoever else can write there can change what is copied.

use std::fs::{self, Metadata, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::error::StateError;
use super::files::directory_of;
use crate::crash;

/// Write permission of group and others.
const OTHERS_WRITE: u32 = 0o022;
/// The bit by which only a file's owner may remove it, as in `/tmp`.
const STICKY: u32 = 0o1000;

/// `~/.shuffle-aws-vaults`.
///
/// # Errors
/// If no home directory is known.
pub fn default_directory() -> Result<PathBuf, StateError> {
    std::env::home_dir()
        .filter(|home| !home.as_os_str().is_empty())
        .map(|home| home.join(".shuffle-aws-vaults"))
        .ok_or(StateError::NoHome)
}

/// Makes the default directory, for its owner only, if it is not there. One that is there and that
/// others can write to is made its owner's alone, as gpg would have it; answers what was done.
///
/// # Errors
/// If it cannot be made, if it belongs to somebody else (ssh refuses that too; root is served all
/// the same, because in containers volumes often belong to another user), or cannot be tightened.
pub fn make(directory: &Path) -> Result<Option<String>, StateError> {
    crash::write_fault("directory create")
        .and_then(|()| {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
        })
        .map_err(|error| StateError::io("create", directory, error))?;
    let meta = fs::metadata(directory).map_err(|error| StateError::io("read", directory, error))?;
    let us = rustix::process::geteuid().as_raw();
    if meta.uid() != us && us != 0 {
        return Err(StateError::UnsafeDirectory {
            path: directory.to_owned(),
            problem: format!("belongs to another user (number {})", meta.uid()),
        });
    }
    if meta.permissions().mode() & OTHERS_WRITE == 0 {
        return Ok(None);
    }
    fs::set_permissions(directory, Permissions::from_mode(0o700)).map_err(|error| {
        StateError::UnsafeDirectory {
            path: directory.to_owned(),
            problem: format!("can be written by other users, and that cannot be changed: {error}"),
        }
    })?;
    Ok(Some(format!(
        "other users could write to the state directory {}; it is yours alone now (mode 700)",
        directory.display()
    )))
}

/// What is unsafe about the place of a state file that the operator chose, if anything: a directory
/// in which every user may replace it.
pub fn warning(state: &Path) -> Option<String> {
    let directory = directory_of(state);
    let mode = |meta: Metadata| meta.permissions().mode();
    let mode = fs::metadata(&directory).map(mode).ok()?;
    (mode & 0o002 != 0 && mode & STICKY == 0).then(|| {
        format!(
            "every user can replace files in {}, and so change what is copied: a directory of your own is a better \
             place for {}",
            directory.display(),
            state.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_default_directory_is_its_owners_alone() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join(".shuffle-aws-vaults");
        assert_eq!(make(&directory).unwrap(), None);
        assert_eq!(mode(&directory), 0o700);
        for open in [0o777, 0o770, 0o1777, 0o702] {
            set(&directory, open);
            let note = make(&directory).unwrap().unwrap();
            assert!(note.contains("it is yours alone now"), "{note}");
            assert_eq!(mode(&directory), 0o700, "{open:o}");
        }
        // Reading harms nobody, and may be wanted.
        set(&directory, 0o755);
        assert_eq!(make(&directory).unwrap(), None);
        assert_eq!(mode(&directory), 0o755);
    }

    #[test]
    fn a_place_where_everybody_can_replace_the_file_is_warned_of() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("s.json");
        for (mode, unsafe_place) in [
            (0o777, true),
            (0o707, true),
            (0o1777, false),
            (0o775, false),
            (0o700, false),
        ] {
            set(directory.path(), mode);
            assert_eq!(warning(&state).is_some(), unsafe_place, "{mode:o}");
        }
    }
}
