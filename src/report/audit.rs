//! Every point of a verification, one record each, as it is found.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::OutputFormat;
use super::records::Records;
use super::whole_file::WholeFile;
use crate::domain::{RecoveryPoint, in_milliseconds};
use crate::state::{ItemState, Items};
use crate::verify::{Finding, PointResult};

#[derive(Serialize)]
struct Row<'a> {
    backup_vault_name: &'a str,
    destination_backup_vault_arn: &'a str,
    result: PointResult,
    note: Option<&'a str>,
    recovery_point_arn: Option<&'a str>,
    destination_recovery_point_arn: Option<&'a str>,
    copy_job_id: Option<String>,
    copied_at: Option<String>,
    resource_arn: Option<&'a str>,
    resource_type: Option<&'a str>,
    status: Option<&'a str>,
    destination_status: Option<&'a str>,
    creation_date: Option<String>,
    destination_creation_date: Option<String>,
    completion_date: Option<String>,
    destination_completion_date: Option<String>,
    encryption_key_arn: Option<&'a str>,
    destination_encryption_key_arn: Option<&'a str>,
    backup_size_bytes: Option<i64>,
    destination_backup_size_bytes: Option<i64>,
    move_to_cold_storage_after_days: Option<i64>,
    destination_move_to_cold_storage_after_days: Option<i64>,
    delete_after_days: Option<i64>,
    destination_delete_after_days: Option<i64>,
}

const COLUMNS: &[&str] = &[
    "backup_vault_name",
    "destination_backup_vault_arn",
    "result",
    "note",
    "recovery_point_arn",
    "destination_recovery_point_arn",
    "copy_job_id",
    "copied_at",
    "resource_arn",
    "resource_type",
    "status",
    "destination_status",
    "creation_date",
    "destination_creation_date",
    "completion_date",
    "destination_completion_date",
    "encryption_key_arn",
    "destination_encryption_key_arn",
    "backup_size_bytes",
    "destination_backup_size_bytes",
    "move_to_cold_storage_after_days",
    "destination_move_to_cold_storage_after_days",
    "delete_after_days",
    "destination_delete_after_days",
];

/// The vaults that points are of, and what a state file tells of them.
#[derive(Debug, Clone, Copy)]
pub struct AuditedVault<'a> {
    /// Source vault.
    pub name: &'a str,
    /// Destination vault.
    pub destination_arn: &'a str,
    /// What a state file tells of the source's points.
    pub recorded: &'a Items,
}

/// A file of points, begun. Nothing of it is kept in memory.
#[derive(Debug)]
pub struct PointAudit {
    file: WholeFile,
    records: Records,
    problem: Option<io::Error>,
}

impl PointAudit {
    /// The form that a file's name asks for, if it is one that there is.
    pub fn format_of(path: &Path) -> Option<OutputFormat> {
        match path.extension().and_then(OsStr::to_str)? {
            "csv" => Some(OutputFormat::Csv),
            "json" => Some(OutputFormat::Json),
            "ndjson" | "jsonl" => Some(OutputFormat::Ndjson),
            _ => None,
        }
    }

    /// Begins a file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(path: &Path, format: OutputFormat) -> io::Result<Self> {
        let mut file = WholeFile::begin(path)?;
        let records = Records::new(format, COLUMNS);
        records.begin(&mut file)?;
        Ok(Self {
            file,
            records,
            problem: None,
        })
    }

    /// Writes a point. What cannot be written is told of at the end.
    pub fn point(&mut self, vault: AuditedVault<'_>, finding: &Finding<'_>) {
        if self.problem.is_none() {
            let written = self.records.record(&row(vault, finding), &mut self.file);
            self.problem = written.err();
        }
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// If anything of it could not be written; what had its name before has it still.
    pub fn finish(mut self) -> io::Result<()> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        self.records.end(&mut self.file)?;
        self.file.flush()?;
        self.file.finish()
    }
}

/// The copy job of a point, and when its copy was seen to be complete.
fn job(vault: AuditedVault<'_>, point: &RecoveryPoint) -> (Option<String>, Option<String>) {
    let number = vault.recorded.find(&point.recovery_point_arn);
    match number
        .and_then(|number| vault.recorded.row(number))
        .map(|row| row.state())
    {
        Some(ItemState::Completed { copy_job_id, at, .. }) => {
            (Some(copy_job_id.to_string()), Some(in_milliseconds(at)))
        }
        Some(ItemState::InFlight { copy_job_id, .. }) => (Some(copy_job_id.to_string()), None),
        _ => (None, None),
    }
}

fn row<'a>(vault: AuditedVault<'a>, finding: &Finding<'a>) -> Row<'a> {
    let Finding { point, copy, .. } = *finding;
    let (copy_job_id, copied_at) = point.map_or((None, None), |point| job(vault, point));
    let cold = |p: &RecoveryPoint| p.lifecycle.as_ref()?.move_to_cold_storage_after_days;
    let delete = |p: &RecoveryPoint| p.lifecycle.as_ref()?.delete_after_days;
    let either = point.or(copy);
    Row {
        backup_vault_name: vault.name,
        destination_backup_vault_arn: vault.destination_arn,
        result: finding.result,
        note: finding.note,
        recovery_point_arn: point.map(|p| p.recovery_point_arn.as_str()),
        destination_recovery_point_arn: copy.map(|p| p.recovery_point_arn.as_str()),
        copy_job_id,
        copied_at,
        resource_arn: either.map(|p| p.resource_arn.as_str()),
        resource_type: either.map(|p| p.resource_type.as_str()),
        status: point.map(|p| p.status.as_str()),
        destination_status: copy.map(|p| p.status.as_str()),
        creation_date: point.map(|p| in_milliseconds(p.creation_date)),
        destination_creation_date: copy.map(|p| in_milliseconds(p.creation_date)),
        completion_date: point.and_then(|p| p.completion_date).map(in_milliseconds),
        destination_completion_date: copy.and_then(|p| p.completion_date).map(in_milliseconds),
        encryption_key_arn: point.and_then(|p| p.encryption_key_arn.as_deref()),
        destination_encryption_key_arn: copy.and_then(|p| p.encryption_key_arn.as_deref()),
        backup_size_bytes: point.and_then(|p| p.backup_size_bytes),
        destination_backup_size_bytes: copy.and_then(|p| p.backup_size_bytes),
        move_to_cold_storage_after_days: point.and_then(cold),
        destination_move_to_cold_storage_after_days: copy.and_then(cold),
        delete_after_days: point.and_then(delete),
        destination_delete_after_days: copy.and_then(delete),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::records::tests::assert_columns;

    #[test]
    fn the_csv_has_the_members_of_the_json() {
        let vault = AuditedVault {
            name: "v",
            destination_arn: "d",
            recorded: &Items::default(),
        };
        let finding = Finding {
            result: PointResult::NotCopyable,
            point: Some(&RecoveryPoint::for_test("a", "r")),
            copy: None,
            note: Some("cold"),
        };
        let row = row(vault, &finding);
        assert_columns(&row, COLUMNS);
        assert_eq!(serde_json::to_value(&row).unwrap()["result"], "not_copyable");
    }
}
