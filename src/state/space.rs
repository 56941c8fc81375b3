//! Room for state files, before one is written.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

/// The directory itself, or the nearest one above it that is there: it is made when state is first written.
fn nearest(directory: &Path) -> PathBuf {
    let there = directory.ancestors().find(|path| path.exists());
    there.map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// Whether files can be made in a directory, or in the nearest one that is there.
///
/// # Errors
/// If they cannot, or that cannot be told.
pub fn writable(directory: &Path) -> io::Result<()> {
    Ok(access(nearest(directory), Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Bytes that are free to this user there.
///
/// # Errors
/// If the file system does not tell.
pub fn free_bytes(directory: &Path) -> io::Result<u64> {
    let room = statvfs(nearest(directory))?;
    Ok(room.f_bavail.saturating_mul(room.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_to_be_made_has_the_room_of_the_one_above_it() {
        let home = tempfile::tempdir().unwrap();
        let later = home.path().join("a/b");
        assert!(writable(&later).is_ok());
        assert!(free_bytes(&later).unwrap() > 0);
        assert!(writable(Path::new("/proc/self")).is_err());
    }
}
