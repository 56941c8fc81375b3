//! What can be wrong with a metadata file.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a metadata file cannot be used. Lines count from 1.
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
    /// Its header has no column that names the resource.
    #[error("CSV file missing 'resourceArn' column: {path} has {columns}")]
    NoResourceArn {
        /// The file.
        path: PathBuf,
        /// The columns that it has.
        columns: String,
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
}

impl MetadataError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::NotFound(_) => "check the path given with --metadata-csv",
                Self::Unreadable { .. } => "check the file's permissions, and that it is a file",
                Self::NoResourceArn { .. } => {
                    "the first line must name the columns, one of them resourceArn, separated by commas"
                }
                Self::Broken { .. } => "mend that line; the file must be CSV in UTF-8",
            }
            .to_owned(),
        )
    }
}
