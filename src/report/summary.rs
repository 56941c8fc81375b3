//! The summary of a run, as a JSON file and as closing lines. `docs/output.md` describes the members.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use serde::Serialize;

use super::console::Console;
use super::failures::FailureGroup;
use super::text::{bytes, sanitize};
use super::whole_file::WholeFile;
use crate::copy::retention::OtherRetention;

/// A point that was not copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SummaryFailure {
    /// The point.
    pub recovery_point_arn: String,
    /// AWS's text.
    pub error_message: String,
    /// When.
    pub timestamp: String,
    /// AWS's code.
    pub error_code: String,
    /// What it means, as a stable name.
    pub cause: String,
}

/// Copies that were given another retention than was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RetentionSummary {
    /// How many of those that this process saw end.
    pub count: usize,
    /// One of them, and the difference; `None` if there is none.
    pub sample: Option<String>,
}

impl RetentionSummary {
    /// Of what a run has found.
    pub fn of(found: &OtherRetention) -> Self {
        let sample = found.sample.as_ref();
        Self {
            count: found.points,
            sample: sample.map(|(point, difference)| format!("{point}: {difference}")),
        }
    }

    /// What is to be said of it.
    fn line(&self) -> Option<String> {
        let sample = sanitize(self.sample.as_deref()?);
        Some(format!(
            "WARNING: {} copies were given another retention than was asked for, such as that of {sample}. verify \
             --points-output lists all of the vault; aws backup update-recovery-point-lifecycle, in the destination \
             account, sets it",
            self.count
        ))
    }
}

/// One vault's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VaultSummary {
    /// Source vault.
    pub backup_vault_name: String,
    /// Destination vault.
    pub destination_backup_vault_arn: String,
    /// The vault's state file.
    pub state_file: String,
    /// All points.
    pub total_items: usize,
    /// Copied.
    pub completed: usize,
    /// Not copied.
    pub failed: usize,
    /// Passed over.
    pub skipped: usize,
    /// Under way.
    pub in_progress: usize,
    /// Waiting.
    pub pending: usize,
}

/// The summary of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Version of this form.
    pub schema_version: u32,
    /// Name of the run, the same over its resumes.
    pub run_id: String,
    /// All points.
    pub total_items: usize,
    /// Copied, by this and earlier processes of the run.
    pub completed: usize,
    /// Not copied.
    pub failed: usize,
    /// Needed no copy, or could have none.
    pub skipped: usize,
    /// Jobs that go on in AWS, and starts without an answer.
    pub in_progress: usize,
    /// Starts without an answer.
    pub unanswered: usize,
    /// Not started.
    pub pending: usize,
    /// Time that this process took.
    pub duration_seconds: f64,
    /// The same for people.
    pub duration_formatted: String,
    /// When this process began.
    pub start_time: String,
    /// When it ended.
    pub end_time: String,
    /// `completed` of those that needed a copy, in percent.
    pub success_rate: f64,
    /// Points that this process copied, for an hour.
    pub throughput_per_hour: f64,
    /// Every point that was not copied.
    pub failures: Vec<SummaryFailure>,
    /// The same, by cause.
    pub failure_groups: Vec<FailureGroup>,
    /// Copies that were given another retention than was asked for.
    pub other_retention: RetentionSummary,
    /// Points passed over, by reason.
    pub skipped_by_reason: BTreeMap<String, usize>,
    /// Bytes of the copied points, where AWS gives sizes.
    pub bytes_completed: u64,
    /// Requests sent, by operation.
    pub calls: BTreeMap<&'static str, u64>,
    /// Requests that were repeated.
    pub retries: u64,
    /// Answers by which AWS asked for fewer requests.
    pub throttles: u64,
    /// Each vault's part.
    pub vaults: Vec<VaultSummary>,
    /// Why the run stopped before its end, if it did.
    pub stop_reason: Option<String>,
    /// The process's exit code.
    pub exit_code: u8,
    /// What to run to go on, or to try failed points again; `None` if all is done.
    pub resume_command: Option<String>,
}

impl Summary {
    /// Writes the summary, whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = WholeFile::begin(path)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.finish()
    }

    /// Each vault's part, where there are several.
    fn show_vaults(&self, console: &Console) {
        if self.vaults.len() < 2 {
            return;
        }
        for vault in &self.vaults {
            let mut line = format!(
                "  Vault {}: {} completed, {} failed, {} skipped",
                vault.backup_vault_name, vault.completed, vault.failed, vault.skipped
            );
            let left = vault.pending + vault.in_progress;
            if left > 0 {
                let _ = write!(line, ", {left} left");
            }
            console.line(&line);
        }
    }

    /// The closing lines.
    pub fn show(&self, console: &Console, quiet: bool) {
        if !quiet {
            console.line(&format!("Total: {} items", self.total_items));
            console.line(&format!(
                "  Completed: {} ({})",
                self.completed,
                bytes(self.bytes_completed)
            ));
            console.line(&format!("  Failed: {}", self.failed));
            if self.skipped > 0 {
                let reasons: Vec<String> = self
                    .skipped_by_reason
                    .iter()
                    .map(|(reason, n)| format!("{n} {reason}"))
                    .collect();
                console.line(&format!("  Skipped: {} ({})", self.skipped, reasons.join(", ")));
            }
            if self.pending + self.in_progress > 0 {
                let running = self.in_progress.saturating_sub(self.unanswered);
                let unanswered = match self.unanswered {
                    0 => String::new(),
                    n => format!(", {n} started without an answer"),
                };
                console.line(&format!(
                    "  Left: {} waiting, {running} running in AWS{unanswered}",
                    self.pending
                ));
            }
            self.show_vaults(console);
            console.line(&format!("  Success Rate: {}%", self.success_rate));
            console.line(&format!("  Duration: {}", self.duration_formatted));
        }
        for line in self.failure_groups.iter().flat_map(FailureGroup::lines) {
            console.line(&line);
        }
        if let Some(line) = self.other_retention.line() {
            console.line(&line);
        }
        if quiet {
            console.line(&format!(
                "{} completed, {} failed, {} skipped, {} left",
                self.completed,
                self.failed,
                self.skipped,
                self.pending + self.in_progress
            ));
        }
        if let Some(command) = &self.resume_command {
            let when = if self.pending + self.in_progress == 0 {
                "To try the failed points again, run"
            } else if self.exit_code == 2 {
                "To go on, run"
            } else {
                "When the cause is mended, run this, with other options if they were the cause"
            };
            console.line(&format!("{when}:\n  {command}"));
        }
    }
}
