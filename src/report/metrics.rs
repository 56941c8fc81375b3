//! `--metrics-file`: the numbers of a run in Prometheus' text format, for `node_exporter`'s textfile collector.
//!
//! The file is replaced as a whole, on a thread of its own: a disk that is slow or full holds up nothing. An
//! error is told once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::summary::Summary;
use super::whole_file::WholeFile;
use crate::aws::CallTotals;
use crate::copy::event::{CopyEvent, CopyEventKind, VaultProgress};
use crate::copy::failure::FailureCause;
use crate::domain::AccountId;

/// Begins the name of every metric.
const PREFIX: &str = "shuffle_aws_vaults_";

/// The numbers of one moment.
#[derive(Debug, Clone, Default)]
struct Numbers {
    vaults: Vec<(String, [(&'static str, usize); 5])>,
    failures: BTreeMap<String, usize>,
    bytes_completed: u64,
    calls: CallTotals,
    oldest_job: Option<DateTime<Utc>>,
    ended: Option<(DateTime<Utc>, u8)>,
}

/// The file.
#[derive(Debug, Clone)]
pub struct MetricsFile {
    path: PathBuf,
    /// `source_account="...",dest_account="..."`.
    accounts: String,
    began: DateTime<Utc>,
    interval: Duration,
    numbers: Numbers,
    written_at: Option<Duration>,
    writing: Arc<Writing>,
}

#[derive(Debug, Default)]
struct Writing {
    /// One write at a time; whether the last one is made, which one that was begun before must not undo.
    is_over: Mutex<bool>,
    is_busy: AtomicBool,
    has_failed: AtomicBool,
}

fn standings(vault: &VaultProgress) -> [(&'static str, usize); 5] {
    let counts = &vault.counts;
    [
        ("completed", counts.completed),
        ("failed", counts.failed),
        ("skipped", counts.skipped),
        ("in_progress", counts.in_progress()),
        ("pending", counts.pending),
    ]
}

impl MetricsFile {
    /// Writes the file for the first time, so that a place where nothing can be written is known at once.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(
        path: &Path,
        (source, dest): (&AccountId, &AccountId),
        began: DateTime<Utc>,
        interval: Duration,
    ) -> io::Result<Self> {
        let metrics = Self {
            path: path.to_owned(),
            accounts: format!("source_account=\"{source}\",dest_account=\"{dest}\""),
            began,
            interval,
            numbers: Numbers::default(),
            written_at: None,
            writing: Arc::default(),
        };
        write(path, &metrics.text())?;
        Ok(metrics)
    }

    /// Counts a point that failed, in this process or in one before it.
    pub fn failed(&mut self, cause: FailureCause) {
        let failures = &mut self.numbers.failures;
        *failures.entry(cause.as_str().to_owned()).or_default() += 1;
    }

    /// Takes in what happened; writes the file if it is due. `calls` tells what was called so far.
    pub fn event(&mut self, event: &CopyEvent, calls: impl FnOnce() -> CallTotals) {
        if let CopyEventKind::ItemFailed { failure, .. } = &event.kind {
            self.failed(failure.cause);
        }
        let is_due = event.kind == CopyEventKind::Tick
            && self
                .written_at
                .is_none_or(|at| event.elapsed >= at + self.interval);
        if !is_due && event.kind != CopyEventKind::RunFinished {
            return;
        }
        self.written_at = Some(event.elapsed);
        let vault = |vault: &VaultProgress| (vault.name.to_string(), standings(vault));
        self.numbers.vaults = event.vaults.iter().map(vault).collect();
        self.numbers.bytes_completed = event.stats.bytes_completed;
        self.numbers.oldest_job = event.oldest_job;
        self.numbers.calls = calls();
        // The one that is being written is only a moment older.
        if !self.writing.is_busy.swap(true, Ordering::AcqRel) {
            let (metrics, text) = (self.clone(), self.text());
            tokio::task::spawn_blocking(move || metrics.replace(&text, false));
        }
    }

    /// The end, whatever it was.
    pub fn finished(&mut self, summary: &Summary, calls: CallTotals) {
        self.numbers.calls = calls;
        let groups = summary.failure_groups.iter();
        self.numbers.failures = groups.map(|group| (group.cause.clone(), group.count)).collect();
        self.numbers.ended = Some((Utc::now(), summary.exit_code));
        let text = self.text();
        self.replace(&text, true);
    }

    fn replace(&self, text: &str, is_last: bool) {
        let mut is_over = self
            .writing
            .is_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *is_over {
            return;
        }
        *is_over = is_last;
        if let Err(error) = write(&self.path, text)
            && !self.writing.has_failed.swap(true, Ordering::AcqRel)
        {
            tracing::warn!("cannot write the metrics {}: {error}", self.path.display());
        }
        self.writing.is_busy.store(false, Ordering::Release);
        drop(is_over);
    }

    fn text(&self) -> String {
        let numbers = &self.numbers;
        let mut text = Exposition {
            text: String::new(),
            accounts: &self.accounts,
        };
        text.metric(
            "recovery_points",
            "gauge",
            "Recovery points of the run, by where they stand.",
        );
        for (vault, standings) in &numbers.vaults {
            for (state, count) in standings {
                text.sample(
                    "recovery_points",
                    &[("backup_vault_name", vault), ("state", state)],
                    count,
                );
            }
        }
        text.metric(
            "failed_recovery_points",
            "gauge",
            "Recovery points that failed, by cause.",
        );
        for (cause, count) in &numbers.failures {
            text.sample("failed_recovery_points", &[("cause", cause)], count);
        }
        text.one(
            "copied_bytes",
            "gauge",
            "Bytes of the copied points, where AWS gives sizes.",
            numbers.bytes_completed,
        );
        text.metric(
            "calls_total",
            "counter",
            "Requests that this process has sent, by operation.",
        );
        for (operation, count) in &numbers.calls.by_operation {
            text.sample("calls_total", &[("operation", operation)], count);
        }
        text.one(
            "retries_total",
            "counter",
            "Requests that were repeated.",
            numbers.calls.retries,
        );
        text.one(
            "throttles_total",
            "counter",
            "Answers by which AWS asked for fewer requests.",
            numbers.calls.throttles,
        );
        if let Some(oldest) = numbers.oldest_job {
            text.one(
                "oldest_copy_job_timestamp_seconds",
                "gauge",
                "When the oldest copy job under way was made.",
                oldest.timestamp(),
            );
        }
        text.one(
            "start_timestamp_seconds",
            "gauge",
            "When this process began.",
            self.began.timestamp(),
        );
        text.one(
            "running",
            "gauge",
            "1 while the process is at work, 0 when it has ended.",
            u8::from(numbers.ended.is_none()),
        );
        if let Some((at, exit_code)) = numbers.ended {
            text.one(
                "end_timestamp_seconds",
                "gauge",
                "When this process ended.",
                at.timestamp(),
            );
            text.one(
                "exit_code",
                "gauge",
                "0 all done, 1 errors, 2 incomplete.",
                exit_code,
            );
        }
        text.text
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = WholeFile::begin(path)?;
    file.write_all(text.as_bytes())?;
    file.finish()
}

/// Text in Prometheus' exposition format.
struct Exposition<'a> {
    text: String,
    accounts: &'a str,
}

impl Exposition<'_> {
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(
            self.text,
            "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}"
        );
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let _ = write!(self.text, "{PREFIX}{name}{{{}", self.accounts);
        for (label, of) in labels {
            let of = of.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, ",{label}=\"{of}\"");
        }
        let _ = writeln!(self.text, "}} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.metric(name, kind, help);
        self.sample(name, &[], value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_was_begun_before_the_last_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("m.prom");
        let account: AccountId = "123456789012".parse().unwrap();
        let accounts = (&account, &account);
        let metrics = MetricsFile::begin(&path, accounts, Utc::now(), Duration::ZERO).unwrap();
        metrics.replace("during\n", false);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "during\n");
        metrics.replace("the end\n", true);
        metrics.clone().replace("late\n", false);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "the end\n");
    }
}
