//! What can be wrong with a metadata file.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a metadata file cannot be used. Lines count from 1; LF, CRLF and CR each end one.
#[derive(Debug, Error)]
pub enum MetadataError {
    /// It is not there.
    #[error("CSV file not found: {0}")]
    NotFound(PathBuf),
    /// It is there and cannot be read.
    #[error("cannot read the CSV file {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Its first bytes are those of another kind of file.
    #[error("the CSV file {path} is {kind}, not text in UTF-8")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
        /// How to make a CSV file of it.
        remedy: &'static str,
    },
    /// Its header has no column that names the resource.
    #[error("CSV file missing 'resourceArn' column: {path} {columns}")]
    NoResourceArn {
        /// The file.
        path: PathBuf,
        /// The columns that it has.
        columns: String,
    },
    /// It lacks a column that is asked for.
    #[error("the CSV file {path} has no column `{name}`; it has {columns}")]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        name: String,
        /// The columns that it has.
        columns: String,
        /// Those that come nearest.
        near: Option<String>,
    },
    /// Its header has a name twice, so that nobody can say which column is meant.
    #[error("the CSV file {path} has the column `{name}` twice: columns {first} and {second}")]
    DoubledColumn {
        /// The file.
        path: PathBuf,
        /// The name.
        name: String,
        /// Where it is first; columns count from 1.
        first: usize,
        /// Where it is again.
        second: usize,
    },
    /// A line cannot be understood.
    #[error("the CSV file {path} is broken at line {line}: {problem}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// Somebody wrote to it, so that rows may be missing from what was read.
    #[error("the CSV file {0} changed while it was read")]
    Changed(PathBuf),
    /// It does not fit into a table.
    #[error("the CSV file {0} has more than 32 GiB in the columns that are read")]
    TooLarge(PathBuf),
}

impl MetadataError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::NotFound(_) => "check the path given with --metadata-csv",
                Self::Unreadable { .. } => "check the file's permissions, and that it is a file",
                Self::Foreign { remedy, .. } => remedy,
                Self::NoResourceArn { columns, .. } if columns.contains([';', '\t']) => {
                    "separate the columns by commas, not by semicolons or tabs; one must be resourceArn"
                }
                Self::NoResourceArn { .. } => {
                    "the first line must name the columns, one of them resourceArn, separated by commas"
                }
                Self::NoColumn { near: Some(near), .. } => near,
                Self::NoColumn { .. } => "name one of its columns; upper and lower case are told apart",
                Self::DoubledColumn { .. } => "rename or remove one of the two",
                Self::Broken { .. } => "mend that line; the file must be CSV in UTF-8",
                Self::Changed(_) => {
                    "run again when it is complete; whoever makes it should write it under another name \
                     and rename it at the end"
                }
                Self::TooLarge(_) => "leave out rows of resources that are not wanted, or split the file",
            }
            .to_owned(),
        )
    }
}
