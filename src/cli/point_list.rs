//! A file that names recovery points, for `--only-from` and `--exclude-from`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::small_csv;
use crate::domain::RecoveryPointArn;
use crate::error::AppError;

/// The column with the ARN, as `list`, `filter` and `verify --missing-output` write it.
const COLUMN: &str = "recovery_point_arn";

/// Recovery points that a file names.
#[derive(Debug)]
pub(super) struct PointList {
    file: PathBuf,
    arns: HashSet<RecoveryPointArn>,
    /// Tells one list from another of the same length.
    checksum: u32,
}

impl PointList {
    /// Reads a file: an ARN a line, or a CSV file with a column of that name. Beside the caller's thread, as a
    /// pipe may have nothing to say for long.
    ///
    /// # Errors
    /// If it cannot be read, names nothing, or something that is no recovery point.
    pub(super) async fn read(option: &'static str, file: PathBuf) -> Result<Self, AppError> {
        let reading = tokio::task::spawn_blocking(move || {
            let bytes = std::fs::read(&file);
            let bytes =
                bytes.map_err(|error| AppError::io(format!("read {option} {}", file.display()), error))?;
            Self::parse(option, file, &bytes)
        });
        reading
            .await
            .map_err(|error| AppError::io(format!("read the file of {option}"), error.into()))?
    }

    fn parse(option: &str, file: PathBuf, bytes: &[u8]) -> Result<Self, AppError> {
        let problem = |what: String| {
            AppError::usage(
                format!("{option} {}: {what}", file.display()),
                "one recovery point ARN a line, or a CSV file with a recovery_point_arn column",
            )
        };
        let (text, mut reader) = small_csv::read(bytes, true);
        let mut column = None;
        let mut arns = HashSet::new();
        for record in reader.records() {
            let record = record.map_err(|error| problem(small_csv::problem(text, &error)))?;
            if column.is_none() {
                column = record.iter().position(|name| name == COLUMN);
                if column.is_some() {
                    continue;
                }
            }
            let value = record.get(*column.get_or_insert(0)).unwrap_or_default();
            let arn = RecoveryPointArn::from_aws(value);
            if arn.parts().is_none() {
                let line = small_csv::line_of(text, &record);
                return Err(problem(format!(
                    "line {line}: `{value}` is no ARN of a recovery point"
                )));
            }
            arns.insert(arn);
        }
        if arns.is_empty() {
            return Err(problem("it names no recovery point".to_owned()));
        }
        Ok(Self {
            checksum: crc32fast::hash(bytes),
            file,
            arns,
        })
    }

    /// Whether it names a point.
    pub(super) fn has(&self, arn: &RecoveryPointArn) -> bool {
        self.arns.contains(arn)
    }

    /// How many it names.
    pub(super) fn len(&self) -> usize {
        self.arns.len()
    }

    /// Its file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// What it holds, in short.
    pub(super) fn describe(&self) -> String {
        format!(
            "{} ({} points, {:08x})",
            self.file.display(),
            self.arns.len(),
            self.checksum
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "arn:aws:ec2:us-east-1::snapshot/snap-1";
    const TWO: &str = "arn:aws:backup:us-east-1:123456789012:recovery-point:2";

    fn parse(text: &str) -> Result<PointList, String> {
        PointList::parse("--only-from", "f".into(), text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn lines_and_tables_name_the_same() {
        for text in [
            format!("# missing\n\n  {ONE}\n{TWO}\n{ONE}\n"),
            format!("\u{feff}{ONE}\r\n{TWO}"),
            format!("recovery_point_arn,backup_vault_name\n{ONE},v\n{TWO},v\n"),
            format!("# of v\nstatus,recovery_point_arn\nCOMPLETED,{ONE}\nEXPIRED,\"{TWO}\"\n"),
        ] {
            let list = parse(&text).unwrap();
            assert_eq!(list.len(), 2, "{text}");
            assert!(list.has(&RecoveryPointArn::from_aws(ONE)) && list.has(&RecoveryPointArn::from_aws(TWO)));
        }
    }

    #[test]
    fn what_is_no_arn_is_told_with_its_line() {
        for (text, wanted) in [
            ("", "it names no recovery point"),
            ("# nothing\n\n", "it names no recovery point"),
            ("recovery_point_arn\n", "it names no recovery point"),
            ("arn,vault\nx,y\n", "line 1: `arn` is no ARN of a recovery point"),
            (
                "arn:aws:ec2:us-east-1::snapshot/snap-1\n\nsnap-2\n",
                "line 3: `snap-2` is no ARN",
            ),
            ("status,recovery_point_arn\nCOMPLETED\n", "line 2: `` is no ARN"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(wanted), "{text:?}: {error}");
        }
    }
}
