//! What a run has done, as its state file tells: on stdout, for people and for machines.

mod line;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use line::{COLUMNS, line};

use super::OutputFormat;
use super::failures::FailureGroup;
use super::listing::table;
use super::records::Records;
use super::text::{bytes, duration, sanitize};

/// Whether a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// A process is at work on it.
    Running,
    /// The lock file names a process of another machine; nobody here can tell whether it is there.
    Elsewhere,
    /// No process is at work, and work is left.
    Interrupted,
    /// Nothing is left but points that failed.
    EndedWithFailures,
    /// Nothing is left.
    Ended,
}

impl Condition {
    fn words(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Elsewhere => "in use on another machine",
            Self::Interrupted => "interrupted",
            Self::EndedWithFailures => "ended, with failures",
            Self::Ended => "ended",
        }
    }
}

/// The copy job that has been under way for longest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OldestJob {
    /// Its id.
    pub copy_job_id: String,
    /// Its point.
    pub recovery_point_arn: String,
    /// When it was started, or found; RFC 3339, UTC.
    pub since: String,
    /// The same in seconds before now.
    pub age_seconds: u64,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunStatus {
    /// The state file.
    pub state_file: String,
    /// Whether it goes on.
    pub condition: Condition,
    /// The process that has the lock: number, machine, since when.
    pub holder: Option<String>,
    /// Name of the run.
    pub run_id: String,
    /// When it was begun; RFC 3339, UTC.
    pub created_at: String,
    /// The last change that is known; RFC 3339, UTC.
    pub last_change: Option<String>,
    /// `aws` or `simulated`.
    pub endpoint: String,
    /// Source account.
    pub source_account: String,
    /// Destination account.
    pub dest_account: String,
    /// Source vault.
    pub backup_vault_name: String,
    /// Destination vault.
    pub destination_backup_vault_arn: String,
    /// The filters, in words.
    pub selection: String,
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
    /// Those of them whose start AWS has not answered.
    pub unanswered: usize,
    /// Waiting.
    pub pending: usize,
    /// Bytes of the copied points, where AWS gives sizes.
    pub bytes_completed: u64,
    /// Points copied for an hour, of late.
    pub rate_per_hour: f64,
    /// What is left, at that rate.
    pub remaining_seconds: Option<u64>,
    /// The job that has been under way for longest.
    pub oldest_job: Option<OldestJob>,
    /// Failed points, by cause.
    pub failure_groups: Vec<FailureGroup>,
    /// Points passed over, by reason.
    pub skipped_by_reason: BTreeMap<String, usize>,
    /// What else the files tell.
    pub notes: Vec<String>,
    /// What to do next.
    pub next_step: String,
    /// The command that does it.
    pub next_command: Option<String>,
}

/// A state file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnreadableState {
    /// The file.
    pub state_file: String,
    /// Why.
    pub error: String,
    /// What to do.
    pub help: Option<String>,
}

/// What is told of a state file.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum StateStatus {
    /// Its run.
    Run(Box<RunStatus>),
    /// Nothing.
    Unreadable(UnreadableState),
}

/// Writes what is told of state files. In a table, `in_full` gives each some lines instead of one.
///
/// # Errors
/// If `out` cannot be written.
pub fn statuses(
    all: &[StateStatus],
    in_full: bool,
    format: OutputFormat,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut records = Records::new(format, COLUMNS);
    records.begin(out)?;
    for status in all {
        match format {
            OutputFormat::Csv => records.record(&line(status), out)?,
            OutputFormat::Json | OutputFormat::Ndjson => records.record(status, out)?,
            OutputFormat::Table if in_full => full(status, out)?,
            OutputFormat::Table => {}
        }
    }
    if format == OutputFormat::Table && !in_full {
        one_line_each(all, out)?;
    }
    records.end(out)
}

fn one_line_each(all: &[StateStatus], out: &mut dyn Write) -> io::Result<()> {
    let mut shown = table(&[
        "VAULT",
        "TO ACCOUNT",
        "BEGUN",
        "RUN",
        "TOTAL",
        "COMPLETED",
        "FAILED",
        "SKIPPED",
        "LEFT",
        "STATE FILE",
    ]);
    for status in all {
        if let StateStatus::Run(run) = status {
            shown.add_row([
                sanitize(&run.backup_vault_name).into_owned(),
                run.dest_account.clone(),
                run.created_at.clone(),
                run.condition.words().to_owned(),
                run.total_items.to_string(),
                run.completed.to_string(),
                run.failed.to_string(),
                run.skipped.to_string(),
                (run.pending + run.in_progress).to_string(),
                sanitize(&run.state_file).into_owned(),
            ]);
        }
    }
    writeln!(out, "{}", shown.trim_fmt())?;
    for status in all {
        if let StateStatus::Unreadable(file) = status {
            writeln!(out)?;
            unreadable(file, out)?;
        }
    }
    Ok(())
}

/// The error names the file.
fn unreadable(file: &UnreadableState, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", sanitize(&file.error))?;
    match &file.help {
        Some(help) => writeln!(out, "  Help: {}", sanitize(help)),
        None => Ok(()),
    }
}

fn full(status: &StateStatus, out: &mut dyn Write) -> io::Result<()> {
    let run = match status {
        StateStatus::Run(run) => run,
        StateStatus::Unreadable(file) => {
            unreadable(file, out)?;
            return writeln!(out);
        }
    };
    writeln!(out, "State file: {}", sanitize(&run.state_file))?;
    writeln!(
        out,
        "  Run: {}, {}",
        sanitize(&run.run_id),
        match &run.holder {
            Some(holder) => format!("{} ({})", run.condition.words(), sanitize(holder)),
            None => run.condition.words().to_owned(),
        }
    )?;
    writeln!(
        out,
        "  Vault: {} of account {} to {}",
        sanitize(&run.backup_vault_name),
        run.source_account,
        sanitize(&run.destination_backup_vault_arn)
    )?;
    writeln!(out, "  Begun: {}", run.created_at)?;
    if let Some(last) = &run.last_change {
        writeln!(out, "  Last change: {last}")?;
    }
    if run.selection != "all" {
        writeln!(out, "  Selection: {}", sanitize(&run.selection))?;
    }
    counts(run, out)?;
    for line in run.failure_groups.iter().flat_map(FailureGroup::lines) {
        writeln!(out, "{line}")?;
    }
    for note in &run.notes {
        writeln!(out, "Note: {}", sanitize(note))?;
    }
    match &run.next_command {
        Some(command) => writeln!(out, "{}:\n  {}\n", run.next_step, sanitize(command)),
        None => writeln!(out, "{}\n", run.next_step),
    }
}

fn counts(run: &RunStatus, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "Total: {} items", run.total_items)?;
    writeln!(
        out,
        "  Completed: {} ({})",
        run.completed,
        bytes(run.bytes_completed)
    )?;
    writeln!(out, "  Failed: {}", run.failed)?;
    if run.skipped > 0 {
        let reasons = run.skipped_by_reason.iter();
        let reasons: Vec<String> = reasons
            .map(|(reason, n)| format!("{n} {}", sanitize(reason)))
            .collect();
        writeln!(out, "  Skipped: {} ({})", run.skipped, reasons.join(", "))?;
    }
    if run.pending + run.in_progress == 0 {
        return Ok(());
    }
    writeln!(
        out,
        "  Left: {} waiting, {} running in AWS, {} started without an answer",
        run.pending,
        run.in_progress - run.unanswered,
        run.unanswered
    )?;
    let eta = match run.remaining_seconds {
        Some(seconds) if run.condition == Condition::Running => {
            format!(" | ETA: {}", duration(Duration::from_secs(seconds)))
        }
        _ => String::new(),
    };
    writeln!(out, "  Rate: {} items/hour{eta}", run.rate_per_hour)?;
    if let Some(job) = &run.oldest_job {
        let age = duration(Duration::from_secs(job.age_seconds));
        let (id, arn) = (sanitize(&job.copy_job_id), sanitize(&job.recovery_point_arn));
        writeln!(out, "  Oldest job: {id}, for {age}, of {arn}")?;
    }
    Ok(())
}
