//! The few things that are done to the files of a state. Each can be made to fail before and to be
//! the last thing that the process did (`crash`), and none follows a symbolic link.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::error::StateError;
use crate::crash;

/// A file's path with something after its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The directory that a file is in.
pub(super) fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    /// To be read; it must be there.
    Read,
    /// To be made and written; it must not be there.
    New,
    /// To be read and written, whatever is in it; made if it is not there.
    Keep,
}

/// Opens an ordinary file; for its owner only, if it is made.
///
/// # Errors
/// If it is a symbolic link or another kind of file, or cannot be opened.
pub(super) fn open(path: &Path, how: Open) -> Result<File, StateError> {
    let action = if how == Open::Read { "read" } else { "create" };
    let mut options = OpenOptions::new();
    options
        .read(how != Open::New)
        .write(how != Open::Read)
        .create(how == Open::Keep)
        .create_new(how == Open::New)
        .truncate(false)
        .mode(0o600)
        // A named pipe in the file's place must not hold the program up.
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    let fault = if how == Open::Read {
        Ok(())
    } else {
        crash::write_fault("create")
    };
    let opened = fault.and_then(|()| options.open(path));
    let file = opened.map_err(|error| not_a_file_or(path, action, error))?;
    let meta = file
        .metadata()
        .map_err(|error| StateError::io(action, path, error))?;
    if !meta.is_file() {
        return Err(StateError::NotAFile {
            path: path.to_owned(),
        });
    }
    if how != Open::Read {
        crash::point("file created");
    }
    Ok(file)
}

/// Whether the open file is the one that has this name.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

fn not_a_file_or(path: &Path, action: &'static str, error: io::Error) -> StateError {
    if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
        StateError::NotAFile {
            path: path.to_owned(),
        }
    } else {
        StateError::io(action, path, error)
    }
}

/// Appends and syncs.
///
/// # Errors
/// If either fails; how much was written is then unknown.
pub(super) fn append(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    crash::write_fault("journal write")?;
    file.write_all(bytes)?;
    crash::point("journal written");
    crash::write_fault("journal sync")?;
    file.sync_data()?;
    crash::point("journal synced");
    Ok(())
}

/// Writes a whole file beside the old one, syncs it, puts it in its place and syncs the directory.
///
/// The caller holds the lock of `path`, so that one name for the new file serves: what a process
/// that died has left there is written over.
///
/// # Errors
/// If that cannot be done; the old file is then still there.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<(), StateError> {
    let new = beside(path, ".new");
    let result = write_new(&new, write).and_then(|()| rename(&new, path));
    if result.is_err() {
        // Only what was begun here, and on a full disk its room is wanted back.
        let _ = fs::remove_file(&new);
    }
    result?;
    sync_directory(path)
}

fn write_new(
    new: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<(), StateError> {
    remove(new)?;
    let file = open(new, Open::New)?;
    let fail = |error| StateError::io("write", new, error);
    crash::write_fault("document write").map_err(fail)?;
    let mut writer = BufWriter::new(&file);
    write(&mut writer).and_then(|()| writer.flush()).map_err(fail)?;
    drop(writer);
    crash::point("document written");
    crash::write_fault("document sync").map_err(fail)?;
    file.sync_all().map_err(fail)?;
    crash::point("document synced");
    Ok(())
}

/// Renames.
///
/// # Errors
/// If that cannot be done.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), StateError> {
    crash::write_fault("rename")
        .and_then(|()| fs::rename(from, to))
        .map_err(|error| StateError::io("rename", from, error))?;
    crash::point("file renamed");
    Ok(())
}

/// Removes a file, if it is there.
///
/// # Errors
/// If it is there and stays.
pub(super) fn remove(path: &Path) -> Result<(), StateError> {
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(());
    }
    crash::write_fault("remove")
        .and_then(|()| fs::remove_file(path))
        .map_err(|error| StateError::io("remove", path, error))?;
    crash::point("file removed");
    Ok(())
}

/// A rename, a removal or a new file is durable only once its directory is.
///
/// # Errors
/// If it cannot be synced.
pub(super) fn sync_directory(path: &Path) -> Result<(), StateError> {
    let directory = directory_of(path);
    crash::write_fault("directory sync")
        .and_then(|()| File::open(&directory))
        .and_then(|file| file.sync_all())
        .map_err(|error| StateError::io("sync", &directory, error))?;
    crash::point("directory synced");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_is_in_the_current_directory() {
        for (path, directory) in [("s.json", "."), ("d/s.json", "d"), ("/s.json", "/")] {
            assert_eq!(directory_of(Path::new(path)), Path::new(directory), "{path}");
        }
    }

    #[test]
    fn what_is_opened_is_a_file_itself() {
        let home = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| home.path().join(name));
        fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for path in [&link, home.path()] {
            let error = open(path, Open::Read).unwrap_err();
            assert!(matches!(error, StateError::NotAFile { .. }), "{error}");
        }
        assert!(matches!(
            open(&link, Open::Keep).unwrap_err(),
            StateError::NotAFile { .. }
        ));
        open(&file, Open::Read).unwrap();
    }

    #[test]
    fn what_cannot_be_opened_is_told_with_what_was_tried() {
        let home = tempfile::tempdir().unwrap();
        let none = home.path().join("none/s.json");
        for (how, action) in [
            (Open::Read, "read"),
            (Open::New, "create"),
            (Open::Keep, "create"),
        ] {
            let error = open(&none, how).unwrap_err().to_string();
            assert!(error.starts_with(&format!("cannot {action} ")), "{error}");
        }
    }
}
