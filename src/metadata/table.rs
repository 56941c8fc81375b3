//! The metadata of resources, in memory: one buffer of values, and an index by resource ARN.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};

use super::error::MetadataError;
use crate::domain::ResourceArn;

/// Ragged rows that are named; the rest are counted.
const MOST_NAMED: usize = 5;
/// Rows between two lines of the log.
const LOG_EVERY: usize = 10_000;

/// A metadata file.
#[derive(Debug, Default)]
pub struct MetadataTable {
    columns: Vec<String>,
    rows: HashMap<Box<str>, ByteRecord>,
    warnings: Vec<String>,
}

/// One resource's metadata.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    columns: &'a [String],
    record: &'a ByteRecord,
}

impl<'a> Row<'a> {
    /// The value of a column, trimmed; `None` if there is no such column, or no value.
    pub fn get(&self, column: &str) -> Option<&'a str> {
        let place = self.columns.iter().position(|c| c == column)?;
        self.value(place)
    }

    /// All columns that have a value.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let columns = self.columns.iter().enumerate();
        columns.filter_map(move |(place, name)| Some((name.as_str(), self.value(place)?)))
    }

    fn value(&self, place: usize) -> Option<&'a str> {
        std::str::from_utf8(self.record.get(place)?)
            .ok()
            .map(str::trim)
            .filter(|v| !v.is_empty())
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

    /// Reads the file; `-` is standard input.
    ///
    /// # Errors
    /// If it cannot be read, has no `resourceArn` column, or holds something that is not CSV in UTF-8.
    pub fn load(path: &Path) -> Result<Self, MetadataError> {
        Self::require(path)?;
        if path == Path::new("-") {
            return Self::read(io::stdin().lock(), path);
        }
        let file = File::open(path).map_err(|source| MetadataError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::read(file, path)
    }

    fn read(input: impl Read, path: &Path) -> Result<Self, MetadataError> {
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(input);
        let headers = reader.byte_headers().map_err(|e| broken(path, 1, &e))?.clone();
        check(path, 1, &headers)?;
        let columns: Vec<String> = headers
            .iter()
            .map(|h| {
                String::from_utf8_lossy(h)
                    .trim_start_matches('\u{feff}')
                    .trim()
                    .to_owned()
            })
            .collect();
        let mut table = Self {
            columns,
            ..Self::default()
        };
        let key = table.key_column(path)?;
        let (mut doubled, mut ragged, mut unnamed, mut count) = (0_usize, 0_usize, 0_usize, 0_usize);
        let mut record = ByteRecord::new();
        while reader
            .read_byte_record(&mut record)
            .map_err(|e| broken(path, 0, &e))?
        {
            let line = record.position().map_or(0, csv::Position::line);
            check(path, line, &record)?;
            count += 1;
            if count.is_multiple_of(LOG_EVERY) {
                tracing::debug!("{count} rows of {} read", path.display());
            }
            if record.len() != table.columns.len() {
                ragged += 1;
                if ragged <= MOST_NAMED {
                    let (has, wants) = (record.len(), table.columns.len());
                    table.warnings.push(format!(
                        "line {line} has {has} fields instead of {wants}; skipped"
                    ));
                }
                continue;
            }
            let arn = record
                .get(key)
                .and_then(|a| std::str::from_utf8(a).ok())
                .unwrap_or_default()
                .trim();
            if arn.is_empty() {
                unnamed += 1;
                continue;
            }
            if arn.contains(['\n', '\r']) {
                return Err(MetadataError::Broken {
                    path: path.to_owned(),
                    line,
                    problem: "the resource ARN has a line break in it; is a quotation mark missing?"
                        .to_owned(),
                });
            }
            if table.rows.insert(arn.into(), record.clone()).is_some() {
                doubled += 1;
            }
        }
        for (count, text) in [
            (
                ragged.saturating_sub(MOST_NAMED),
                "further rows have a wrong number of fields; skipped",
            ),
            (unnamed, "rows have no resource ARN; skipped"),
            (
                doubled,
                "rows name a resource that an earlier row names; the last one counts",
            ),
        ] {
            if count > 0 {
                table.warnings.push(format!("{count} {text}"));
            }
        }
        Ok(table)
    }

    fn key_column(&mut self, path: &Path) -> Result<usize, MetadataError> {
        if let Some(place) = self.columns.iter().position(|c| c == "resourceArn") {
            return Ok(place);
        }
        let found = self
            .columns
            .iter()
            .position(|c| c.eq_ignore_ascii_case("resourceArn"));
        let place = found.ok_or_else(|| MetadataError::NoResourceArn {
            path: path.to_owned(),
            columns: match self.columns.as_slice() {
                [] => "no columns".to_owned(),
                columns => columns.join(", ").chars().take(200).collect(),
            },
        })?;
        if let Some(name) = self.columns.get(place) {
            self.warnings
                .push(format!("the column `{name}` is taken for resourceArn"));
        }
        Ok(place)
    }

    /// A resource's metadata.
    pub fn row(&self, resource: &ResourceArn) -> Option<Row<'_>> {
        let record = self.rows.get(resource.as_str())?;
        Some(Row {
            columns: &self.columns,
            record,
        })
    }

    /// What the operator should know of the file.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Names of the columns, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Number of resources.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

fn broken(path: &Path, line: u64, error: &csv::Error) -> MetadataError {
    if let csv::ErrorKind::Io(source) = error.kind() {
        let source = io::Error::new(source.kind(), source.to_string());
        return MetadataError::Unreadable {
            path: path.to_owned(),
            source,
        };
    }
    let line = error.position().map_or(line, csv::Position::line);
    MetadataError::Broken {
        path: path.to_owned(),
        line,
        problem: error.to_string(),
    }
}

fn check(path: &Path, line: u64, record: &ByteRecord) -> Result<(), MetadataError> {
    let problem = if record.iter().any(|field| field.contains(&0)) {
        "there is a NUL character in it; is this a text file?"
    } else if record.iter().any(|field| std::str::from_utf8(field).is_err()) {
        "it is not UTF-8"
    } else {
        return Ok(());
    };
    Err(MetadataError::Broken {
        path: path.to_owned(),
        line,
        problem: problem.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<MetadataTable, MetadataError> {
        MetadataTable::read(text, Path::new("m.csv"))
    }

    fn apmid<'a>(table: &'a MetadataTable, arn: &str) -> Option<&'a str> {
        table.row(&ResourceArn::from_aws(arn))?.get("APMID")
    }

    #[test]
    fn values_are_found_by_resource_with_bom_quotes_and_crlf() {
        let table = read("\u{feff}resourceArn , APMID\r\n\"a:1\", APP001 \r\nb,\r\n".as_bytes()).unwrap();
        assert_eq!(apmid(&table, "a:1"), Some("APP001"));
        assert_eq!(apmid(&table, "b"), None);
        assert_eq!(apmid(&table, "c"), None);
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn the_last_of_two_rows_counts_and_ragged_rows_are_passed_over() {
        let table = read(b"resourceArn,APMID\na,1\na,2\nb\nc,1,2\n").unwrap();
        assert_eq!(apmid(&table, "a"), Some("2"));
        assert_eq!(table.len(), 1);
        let all = table.warnings().join("\n");
        assert!(all.contains("line 4 has 1 fields instead of 2"), "{all}");
        assert!(all.contains("1 rows name a resource"), "{all}");
    }

    #[test]
    fn the_key_column_is_found_in_any_case_with_a_warning() {
        let table = read(b"APMID,RESOURCEARN\n1,a\n").unwrap();
        assert_eq!(apmid(&table, "a"), Some("1"));
        assert!(table.warnings()[0].contains("RESOURCEARN"));
    }

    #[test]
    fn files_that_are_no_metadata_are_refused_with_the_line() {
        for (text, wanted) in [
            (
                &b"APMID,Owner\n1,2\n"[..],
                "CSV file missing 'resourceArn' column",
            ),
            (b"", "CSV file missing 'resourceArn' column"),
            (b"resourceArn,APMID\na,1\nb,\xff\n", "line 3: it is not UTF-8"),
            (b"resourceArn,APMID\na,1\0\n", "line 2: there is a NUL"),
            (
                b"resourceArn,APMID\n\"a,1\nb,2\",x\n",
                "line 2: the resource ARN has a line break",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
