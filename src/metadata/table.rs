//! The metadata of resources, in memory.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use super::error::MetadataError;
use super::loading::{Loading, shown};
use super::rows::{Index, value};
use crate::domain::ResourceArn;
use crate::nearest::did_you_mean;

/// Which columns are kept beside that with the resource. What a command does not read takes no memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// All of them.
    All,
    /// Those with these names, as far as the file has them.
    Only(Vec<String>),
}

impl Keep {
    pub(super) fn wants(&self, column: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|name| name == column),
        }
    }
}

/// A metadata file.
#[derive(Debug, Default)]
pub struct MetadataTable {
    /// Names of all columns of the file.
    pub(super) header: Vec<String>,
    pub(super) columns: Vec<String>,
    pub(super) index: Index,
    pub(super) warnings: Vec<String>,
}

/// One resource's metadata.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    columns: &'a [String],
    /// The row, and all text behind it.
    values: &'a str,
}

impl fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<'a> Row<'a> {
    /// The value of a column, trimmed; `None` if there is no such column, or no value.
    pub fn get(&self, column: &str) -> Option<&'a str> {
        let place = self.columns.iter().position(|c| c == column)?;
        Some(value(self.values, place)).filter(|value| !value.is_empty())
    }

    /// All columns that have a value.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let columns = self.columns.iter().map(String::as_str);
        columns
            .zip(self.values.split('\0'))
            .filter(|(name, value)| !name.is_empty() && !value.is_empty())
    }
}

impl MetadataTable {
    /// Checks that the file is there, without opening it. `-` is standard input.
    ///
    /// # Errors
    /// If it is not there, or a directory.
    pub fn require(path: &Path) -> Result<(), MetadataError> {
        if path == Path::new("-") {
            return Ok(());
        }
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => Err(MetadataError::Unreadable {
                path: path.to_owned(),
                source: io::Error::from(io::ErrorKind::IsADirectory),
            }),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(MetadataError::NotFound(path.to_owned()))
            }
            Err(source) => Err(MetadataError::Unreadable {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Reads the columns of a file; `-` is standard input. Waits for as long as the writer of a pipe does.
    ///
    /// # Errors
    /// If it cannot be read, changes meanwhile, has no `resourceArn` column, or holds something that
    /// is not CSV in UTF-8.
    pub fn load(path: &Path, keep: &Keep) -> Result<Self, MetadataError> {
        Self::require(path)?;
        if path == Path::new("-") {
            return Self::read(io::stdin().lock(), Path::new("(standard input)"), keep);
        }
        let file = File::open(path).map_err(|source| MetadataError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::read_unchanging(&file, &file, path, keep)
    }

    /// Reads `input`, which are the bytes of `file`, and makes sure that nobody writes to it meanwhile.
    fn read_unchanging(
        file: &File,
        input: impl Read,
        path: &Path,
        keep: &Keep,
    ) -> Result<Self, MetadataError> {
        let unreadable = |source| MetadataError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let before = file.metadata().map_err(unreadable)?;
        let read = Loading::run(input, path, keep);
        let after = file.metadata().map_err(unreadable)?;
        // This comes before any other mistake: what is broken may be so because it is being written.
        if changed(&before, &after, read.as_ref().ok().map(|(_, consumed)| *consumed)) {
            return Err(MetadataError::Changed(path.to_owned()));
        }
        read.map(|(table, _)| table)
    }

    /// Reads a file's bytes; `name` is what messages call it.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn read(input: impl Read, name: &Path, keep: &Keep) -> Result<Self, MetadataError> {
        Loading::run(input, name, keep).map(|(table, _)| table)
    }

    /// The metadata of each of these resources. For a page of recovery points at a time it takes least.
    pub fn rows<'a>(&self, resources: impl Iterator<Item = &'a ResourceArn> + Clone) -> Vec<Option<Row<'_>>> {
        let found = self.index.find_all(resources.map(ResourceArn::as_str));
        let columns = &self.columns;
        let row = |values: Option<_>| values.map(|values| Row { columns, values });
        found.into_iter().map(row).collect()
    }

    /// What the operator should know of the file.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Names of the columns that are kept, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Fails if the file has no column of this name.
    ///
    /// # Errors
    /// With the names that it has; `path` is what messages call it.
    pub fn require_column(&self, name: &str, path: &Path) -> Result<(), MetadataError> {
        if self.header.iter().any(|column| column == name) {
            return Ok(());
        }
        Err(MetadataError::NoColumn {
            path: path.to_owned(),
            name: name.to_owned(),
            columns: shown(&self.header.join(", ")),
            near: did_you_mean(name, self.header.iter().map(String::as_str)),
        })
    }

    /// Number of resources.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.index.len() == 0
    }
}

/// Whether somebody wrote to a file between two looks at it. Only of ordinary files is the size known.
fn changed(before: &Metadata, after: &Metadata, consumed: Option<u64>) -> bool {
    let ordinary = before.is_file() && before.len() > 0;
    ordinary
        && (consumed.is_some_and(|bytes| bytes != before.len())
            || after.len() != before.len()
            || after.modified().ok() != before.modified().ok())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// A file's bytes, and something that happens to it after the first of them.
    struct Disturbed<F>(File, Option<F>);

    impl<F: FnOnce()> Read for Disturbed<F> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(16);
            let count = self.0.read(&mut buffer[..most])?;
            if let Some(happen) = self.1.take() {
                happen();
            }
            Ok(count)
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("m.csv");
        let text = "resourceArn,APMID\na,1\nb,2\nc,3\nd,4\n";
        let load = |happen: &dyn Fn(File)| {
            std::fs::write(&path, text).unwrap();
            let long_ago = std::time::SystemTime::UNIX_EPOCH;
            File::options()
                .append(true)
                .open(&path)
                .unwrap()
                .set_modified(long_ago)
                .unwrap();
            let file = File::open(&path).unwrap();
            let happen = || happen(File::options().write(true).open(&path).unwrap());
            let input = Disturbed(file.try_clone().unwrap(), Some(happen));
            MetadataTable::read_unchanging(&file, input, Path::new("m.csv"), &Keep::All)
        };
        assert_eq!(load(&|_| ()).unwrap().len(), 4);
        let changes: [&dyn Fn(File); 4] = [
            &|file| file.set_len(25).unwrap(),
            // Truncated within a value in quotation marks, or written to: whichever mistake that makes.
            &|file| file.set_len(0).unwrap(),
            &|mut file| file.write_all(b"resourceArn,OTHER\n\"").unwrap(),
            &|file| file.set_len(10_000).unwrap(),
        ];
        for change in changes {
            let error = load(change).unwrap_err();
            assert_eq!(error.to_string(), "the CSV file m.csv changed while it was read");
            assert!(error.hint().unwrap().starts_with("run again when it is complete"));
        }
    }
}
