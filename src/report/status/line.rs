//! A run on one line of CSV: what is plain of it.

use serde::Serialize;

use super::{Condition, StateStatus};

/// A run on one line of CSV.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    state_file: &'a str,
    condition: Option<Condition>,
    run_id: &'a str,
    created_at: &'a str,
    last_change: Option<&'a str>,
    source_account: &'a str,
    dest_account: &'a str,
    backup_vault_name: &'a str,
    destination_backup_vault_arn: &'a str,
    total_items: Option<usize>,
    completed: Option<usize>,
    failed: Option<usize>,
    skipped: Option<usize>,
    in_progress: Option<usize>,
    unanswered: Option<usize>,
    pending: Option<usize>,
    bytes_completed: Option<u64>,
    rate_per_hour: Option<f64>,
    remaining_seconds: Option<u64>,
    next_command: Option<&'a str>,
    error: Option<&'a str>,
}

/// Its columns.
pub(super) const COLUMNS: &[&str] = &[
    "state_file",
    "condition",
    "run_id",
    "created_at",
    "last_change",
    "source_account",
    "dest_account",
    "backup_vault_name",
    "destination_backup_vault_arn",
    "total_items",
    "completed",
    "failed",
    "skipped",
    "in_progress",
    "unanswered",
    "pending",
    "bytes_completed",
    "rate_per_hour",
    "remaining_seconds",
    "next_command",
    "error",
];

/// The line of a state file.
pub(super) fn line(status: &StateStatus) -> Line<'_> {
    match status {
        StateStatus::Run(run) => Line {
            state_file: &run.state_file,
            condition: Some(run.condition),
            run_id: &run.run_id,
            created_at: &run.created_at,
            last_change: run.last_change.as_deref(),
            source_account: &run.source_account,
            dest_account: &run.dest_account,
            backup_vault_name: &run.backup_vault_name,
            destination_backup_vault_arn: &run.destination_backup_vault_arn,
            total_items: Some(run.total_items),
            completed: Some(run.completed),
            failed: Some(run.failed),
            skipped: Some(run.skipped),
            in_progress: Some(run.in_progress),
            unanswered: Some(run.unanswered),
            pending: Some(run.pending),
            bytes_completed: Some(run.bytes_completed),
            rate_per_hour: Some(run.rate_per_hour),
            remaining_seconds: run.remaining_seconds,
            next_command: run.next_command.as_deref(),
            error: None,
        },
        StateStatus::Unreadable(file) => Line {
            state_file: &file.state_file,
            condition: None,
            run_id: "",
            created_at: "",
            last_change: None,
            source_account: "",
            dest_account: "",
            backup_vault_name: "",
            destination_backup_vault_arn: "",
            total_items: None,
            completed: None,
            failed: None,
            skipped: None,
            in_progress: None,
            unanswered: None,
            pending: None,
            bytes_completed: None,
            rate_per_hour: None,
            remaining_seconds: None,
            next_command: None,
            error: Some(&file.error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::OutputFormat;
    use crate::report::records::tests::assert_columns;
    use crate::report::status::{UnreadableState, statuses};

    #[test]
    fn the_csv_has_its_columns_for_every_file() {
        let file = StateStatus::Unreadable(UnreadableState {
            state_file: "s".to_owned(),
            error: "e".to_owned(),
            help: None,
        });
        assert_columns(&line(&file), COLUMNS);
        let mut out = Vec::new();
        statuses(&[file], false, OutputFormat::Csv, &mut out).unwrap();
        let lines = String::from_utf8(out).unwrap();
        assert!(
            lines.ends_with(&format!("\ns{}e\n", ",".repeat(COLUMNS.len() - 1))),
            "{lines}"
        );
    }
}
