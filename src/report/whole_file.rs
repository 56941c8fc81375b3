//! Files that are there whole or not at all: reports that scripts act upon.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::crash;

/// A file that is being written. What has its name stays as it is until [`WholeFile::finish`].
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    to: Target,
}

#[derive(Debug)]
enum Target {
    /// A file beside it, which takes its place.
    Beside(BufWriter<NamedTempFile>),
    /// A pipe or device, such as `/dev/stdout`: what is written there cannot be put in place later.
    Itself(BufWriter<fs::File>),
}

impl WholeFile {
    /// Begins a file. Who may read it is left to the umask, as with any file that a shell writes.
    ///
    /// # Errors
    /// If its directory cannot be written.
    pub fn begin(path: &Path) -> io::Result<Self> {
        crash::write_fault("report create")?;
        let is_special = fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir());
        let to = if is_special {
            Target::Itself(BufWriter::new(fs::OpenOptions::new().write(true).open(path)?))
        } else {
            let directory = match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            let file = tempfile::Builder::new()
                .prefix(".report-")
                .permissions(fs::Permissions::from_mode(0o666))
                .tempfile_in(directory);
            let file = file.map_err(without_path)?;
            Target::Beside(BufWriter::new(file))
        };
        Ok(Self {
            path: path.to_owned(),
            to,
        })
    }

    /// Syncs it and gives it its name.
    ///
    /// # Errors
    /// If that cannot be done; what had the name before has it still.
    pub fn finish(self) -> io::Result<()> {
        crash::write_fault("report write")?;
        match self.to {
            Target::Itself(mut writer) => writer.flush(),
            Target::Beside(writer) => {
                let file = writer
                    .into_inner()
                    .map_err(|error| without_path(error.into_error()))?;
                crash::point("report written");
                crash::write_fault("report sync")?;
                file.as_file().sync_all()?;
                crash::write_fault("report rename")?;
                file.persist(&self.path).map_err(|error| error.error)?;
                crash::point("report in place");
                Ok(())
            }
        }
    }
}

/// The error without the name of a file that the operator has not given.
fn without_path(error: io::Error) -> io::Error {
    let text = error.to_string();
    match text.split_once(" at path ") {
        Some((words, _)) => io::Error::new(error.kind(), words.to_owned()),
        None => error,
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.to {
            Target::Beside(writer) => writer.write(bytes).map_err(without_path),
            Target::Itself(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            Target::Beside(writer) => writer.flush().map_err(without_path),
            Target::Itself(writer) => writer.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_whole_or_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        fs::write(&path, "old").unwrap();
        let mut begun = WholeFile::begin(&path).unwrap();
        begun.write_all(b"half").unwrap();
        drop(begun);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let mut begun = WholeFile::begin(&path).unwrap();
        begun.write_all(b"new").unwrap();
        begun.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_umask_says_who_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let (path, usual) = (directory.path().join("f"), directory.path().join("usual"));
        WholeFile::begin(&path).unwrap().finish().unwrap();
        fs::write(&usual, "").unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(path), mode(usual));
    }

    #[test]
    fn a_device_is_written_to_and_stays_one() {
        let mut null = WholeFile::begin(Path::new("/dev/null")).unwrap();
        null.write_all(b"x").unwrap();
        null.finish().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        let error = WholeFile::begin(Path::new("/no/such/place/f")).unwrap_err();
        assert_eq!(error.to_string(), "No such file or directory (os error 2)");
    }
}
