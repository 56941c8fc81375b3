//! `--vault-map`: a file that tells which destination vault each source vault is copied to.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::small_csv;
use crate::domain::BackupVaultName;
use crate::error::AppError;

/// A first line that says what the columns are; the names are those of the JSON output.
const HEADER: [&str; 2] = ["backup_vault_name", "destination_backup_vault_name"];

/// Source vaults and their destinations, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct VaultMap {
    file: PathBuf,
    pairs: Vec<(BackupVaultName, BackupVaultName)>,
}

impl VaultMap {
    /// Reads a file. Lines that are blank or begin with `#` are passed over.
    ///
    /// # Errors
    /// If it cannot be read, names no vaults, something that is no vault's name, or a source vault twice.
    pub(super) fn read(file: &Path) -> Result<Self, AppError> {
        let bytes = std::fs::read(file);
        let bytes =
            bytes.map_err(|error| AppError::io(format!("read --vault-map {}", file.display()), error))?;
        let pairs = parse(&bytes).map_err(|what| {
            AppError::usage(
                format!("--vault-map {}: {what}", file.display()),
                "one pair a line, such as: aws/efs/automatic-backup-vault,efs-backups",
            )
        })?;
        Ok(Self {
            file: file.to_owned(),
            pairs,
        })
    }

    /// Where a vault goes, if the file tells.
    pub(super) fn destination(&self, source: &BackupVaultName) -> Option<&BackupVaultName> {
        let pair = self.pairs.iter().find(|(name, _)| name == source);
        pair.map(|(_, destination)| destination)
    }

    /// The source vaults that the file names.
    pub(super) fn sources(&self) -> impl Iterator<Item = &BackupVaultName> {
        self.pairs.iter().map(|(source, _)| source)
    }

    /// The file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }
}

fn parse(bytes: &[u8]) -> Result<Vec<(BackupVaultName, BackupVaultName)>, String> {
    let (text, mut reader) = small_csv::read(bytes, true);
    let mut pairs = Vec::new();
    let mut lines: HashMap<BackupVaultName, usize> = HashMap::new();
    for (number, record) in reader.records().enumerate() {
        let record = record.map_err(|error| small_csv::problem(text, &error))?;
        let line = small_csv::line_of(text, &record);
        if number == 0 && record.iter().eq(HEADER) {
            continue;
        }
        let [source, destination] = record.iter().collect::<Vec<_>>()[..] else {
            let found = record.len();
            return Err(format!(
                "line {line}: {found} values instead of a source and a destination vault"
            ));
        };
        let at_line = |error: &dyn std::fmt::Display| format!("line {line}: {error}");
        let source = BackupVaultName::of_existing(source).map_err(|error| at_line(&error))?;
        let destination = destination.parse().map_err(|error| at_line(&error))?;
        if let Some(before) = lines.insert(source.clone(), line) {
            return Err(format!(
                "line {line}: `{source}` is named by line {before} already"
            ));
        }
        pairs.push((source, destination));
    }
    if pairs.is_empty() {
        return Err("it names no vaults".to_owned());
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<Vec<String>, String> {
        let pairs = parse(text.as_bytes())?;
        Ok(pairs
            .into_iter()
            .map(|(from, to)| format!("{from}>{to}"))
            .collect())
    }

    #[test]
    fn pairs_are_read_with_or_without_a_header() {
        let wanted = Ok(vec![
            "aws/efs/automatic-backup-vault>efs".to_owned(),
            "b1>b1".to_owned(),
        ]);
        for text in [
            "aws/efs/automatic-backup-vault,efs\nb1,b1\n",
            "\u{feff}backup_vault_name,destination_backup_vault_name\r\n aws/efs/automatic-backup-vault , efs\r\n\r\n# x\r\nb1,b1",
        ] {
            assert_eq!(names(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, wanted) in [
            ("", "it names no vaults"),
            ("# only\n\n", "it names no vaults"),
            ("v1,d1\n\nv2\n", "line 3: 1 values"),
            ("v1,d1,x\n", "line 1: 3 values"),
            ("v1,d1\n#\nv1,d2\n", "line 3: `v1` is named by line 1 already"),
            ("v1,aws/efs/automatic-backup-vault\n", "line 1: `aws/efs/"),
            ("v 1,d1\n", "line 1: `v 1` is not a backup vault name"),
        ] {
            let problem = names(text).unwrap_err();
            assert!(problem.starts_with(wanted), "{problem}");
        }
    }

    proptest::proptest! {
        /// A file that is none is refused, and nothing worse.
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z0-9_=,.#*'\"\\[\\]\\{\\}\n\r\t \\\\\u{0}ä-]{0,60}") {
            let _ = parse(text.as_bytes());
        }
    }
}
