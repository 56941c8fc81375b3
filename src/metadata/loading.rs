//! From a file's records to the table: which are taken, which are refused, and what is said of them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::MetadataError;
use super::records::{Problem, Record, Records};
use super::rows::Rows;
use super::table::{Keep, MetadataTable};

/// Ragged rows that are named, and suspicious ones; the rest are counted.
const MOST_NAMED: usize = 5;
/// Rows between two lines of the log.
const LOG_EVERY: usize = 10_000;
/// Characters of the header that are shown.
const MOST_SHOWN: usize = 200;
const KEY: &str = "resourceArn";

/// A table that is being read, and what is to be said of its rows.
pub(super) struct Loading<'a> {
    path: &'a Path,
    /// Names of all columns.
    header: Vec<String>,
    /// Of each column in the file, whether it is kept.
    kept: Vec<bool>,
    /// The place of the resource ARN in the file.
    key: usize,
    rows: Rows,
    warnings: Vec<String>,
    count: usize,
    ragged: usize,
    suspicious: usize,
    unnamed: usize,
}

impl<'a> Loading<'a> {
    /// The table, and how many bytes it was read from.
    pub(super) fn run(
        input: impl Read,
        path: &'a Path,
        keep: &Keep,
    ) -> Result<(MetadataTable, u64), MetadataError> {
        let failed = |problem| mistake(path, problem);
        let mut records = Records::new(input).map_err(failed)?;
        let columns = match records.next().map_err(failed)? {
            None => Vec::new(),
            Some(header) => header.values().map(Cow::into_owned).collect(),
        };
        let (mut loading, columns) = Self::begin(columns, path, keep)?;
        while let Some(record) = records.next().map_err(failed)? {
            loading.count += 1;
            if loading.count.is_multiple_of(LOG_EVERY) {
                tracing::debug!("{} rows of {} read", loading.count, path.display());
            }
            loading.take(record)?;
        }
        Ok((loading.finish(columns), records.consumed()))
    }

    /// Begins a table, of which the names of the columns that are kept are known.
    fn begin(
        mut columns: Vec<String>,
        path: &'a Path,
        keep: &Keep,
    ) -> Result<(Self, Vec<String>), MetadataError> {
        refuse_doubled(&columns, path)?;
        let mut warnings = Vec::new();
        let key = key_column(&columns, path, &mut warnings)?;
        let wanted = |(place, name): (usize, &String)| place == key || keep.wants(name);
        let kept: Vec<bool> = columns.iter().enumerate().map(wanted).collect();
        let header = columns.clone();
        let mut flags = kept.iter();
        columns.retain(|_| flags.next() == Some(&true));
        let loading = Self {
            path,
            header,
            rows: Rows::new(kept.iter().take(key).filter(|kept| **kept).count()),
            kept,
            key,
            warnings,
            count: 0,
            ragged: 0,
            suspicious: 0,
            unnamed: 0,
        };
        Ok((loading, columns))
    }

    fn take(&mut self, record: Record<'_>) -> Result<(), MetadataError> {
        let line = record.line;
        let mut has = 0;
        let mut named = false;
        for value in record.values() {
            if has == self.key {
                if record.breaks > 0 {
                    self.refuse_line_break(&value, line)?;
                }
                named = !value.is_empty();
                self.rows.push_arn(&value);
            } else if self.kept.get(has) == Some(&true) {
                self.rows.push(&value);
            }
            has += 1;
        }
        if record.breaks > 0 {
            self.look_into(record);
        }
        let wants = self.kept.len();
        if has != wants {
            self.rows.forget();
            self.ragged += 1;
            if self.ragged <= MOST_NAMED {
                let text = format!("line {line} has {has} fields instead of {wants}; skipped");
                self.warnings.push(text);
            }
        } else if !named {
            self.rows.forget();
            self.unnamed += 1;
        } else if !self.rows.keep() {
            return Err(MetadataError::TooLarge(self.path.to_owned()));
        }
        Ok(())
    }

    fn refuse_line_break(&self, arn: &str, line: u64) -> Result<(), MetadataError> {
        if !arn.contains(['\n', '\r']) {
            return Ok(());
        }
        Err(MetadataError::Broken {
            path: self.path.to_owned(),
            line,
            problem: "the resource ARN has a line break in it; is a quotation mark missing?".to_owned(),
        })
    }

    /// A row over several lines may be what a forgotten quotation mark makes of several rows.
    fn look_into(&mut self, record: Record<'_>) {
        let line = record.line;
        let mut lines = record.text.split(['\n', '\r']).skip(1);
        if lines.any(|line| line.trim_start_matches(['"', ' ']).starts_with("arn:")) {
            self.suspicious += 1;
            if self.suspicious <= MOST_NAMED {
                self.warnings.push(format!(
                    "the row at line {line} goes on for {} lines, of which one begins with an ARN; \
                     is a quotation mark missing?",
                    record.breaks
                ));
            }
        }
    }

    fn finish(mut self, columns: Vec<String>) -> MetadataTable {
        let (index, doubled) = self.rows.index(columns.len());
        let further = |count: usize| count.saturating_sub(MOST_NAMED);
        let told = format!(
            "rows name a resource that an earlier row names ({} with other values); the last one counts",
            doubled.contradicting
        );
        for (count, text) in [
            (
                further(self.ragged),
                "further rows have a wrong number of fields; skipped",
            ),
            (
                further(self.suspicious),
                "further rows over several lines have one that begins with an ARN",
            ),
            (self.unnamed, "rows have no resource ARN; skipped"),
            (doubled.count, told.as_str()),
        ] {
            if count > 0 {
                self.warnings.push(format!("{count} {text}"));
            }
        }
        if self.count == 0 {
            let text = "it has a header and no rows".to_owned();
            self.warnings.push(text);
        }
        MetadataTable {
            header: self.header,
            columns,
            index,
            warnings: self.warnings,
        }
    }
}

/// Columns without a name are passed over, as a comma at the end of each line makes one.
fn refuse_doubled(columns: &[String], path: &Path) -> Result<(), MetadataError> {
    let mut seen = HashMap::new();
    for (place, name) in (1_usize..).zip(columns).filter(|(_, name)| !name.is_empty()) {
        if let Some(first) = seen.insert(name, place) {
            return Err(MetadataError::DoubledColumn {
                path: path.to_owned(),
                name: shown(name),
                first,
                second: place,
            });
        }
    }
    Ok(())
}

/// The place of the column with the resource: exactly named, or else in other letters.
fn key_column(columns: &[String], path: &Path, warnings: &mut Vec<String>) -> Result<usize, MetadataError> {
    if let Some(place) = columns.iter().position(|c| c == KEY) {
        return Ok(place);
    }
    let alike = |(_, name): &(usize, &String)| name.eq_ignore_ascii_case(KEY);
    let mut found = columns.iter().enumerate().filter(alike);
    let Some((place, name)) = found.next() else {
        return Err(MetadataError::NoResourceArn {
            path: path.to_owned(),
            columns: match columns {
                [] => "is empty".to_owned(),
                columns => format!("has {}", shown(&columns.join(", "))),
            },
        });
    };
    if let Some((second, _)) = found.next() {
        return Err(MetadataError::DoubledColumn {
            path: path.to_owned(),
            name: KEY.to_owned(),
            first: place + 1,
            second: second + 1,
        });
    }
    let warning = format!("the column `{name}` is taken for resourceArn");
    warnings.push(warning);
    Ok(place)
}

pub(super) fn shown(text: &str) -> String {
    text.chars().take(MOST_SHOWN).collect()
}

fn mistake(path: &Path, problem: Problem) -> MetadataError {
    let path: PathBuf = path.to_owned();
    match problem {
        Problem::Unreadable(source) => MetadataError::Unreadable { path, source },
        Problem::Foreign(foreign) => MetadataError::Foreign {
            path,
            kind: foreign.kind,
            remedy: foreign.remedy,
        },
        Problem::Broken { line, problem } => MetadataError::Broken { path, line, problem },
    }
}

#[cfg(test)]
mod tests;
