//! The end of a run: how it ended, the summary, and the command that goes on.

use std::io;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::aws::CallTotals;
use crate::cli::resume_command;
use crate::copy::event::{RunStats, StopReason};
use crate::copy::plan::PlanTally;
use crate::copy::run::RunEnd;
use crate::error::Outcome;
use crate::report::{
    self, FailureGroup, RetentionSummary, Summary, SummaryFailure, VaultSummary, WholeFile, duration,
};

/// Version of the summary's form.
const SCHEMA_VERSION: u32 = 1;

/// What the summary is made of, beside the run's end.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) run_id: String,
    pub(super) began: DateTime<Utc>,
    pub(super) elapsed: Duration,
    pub(super) calls: CallTotals,
    pub(super) plan: PlanTally,
    pub(super) vaults: Vec<VaultSummary>,
}

/// How the run ended. Where work is left and items failed, the work that is left wins.
pub(super) fn outcome(end: &RunEnd) -> Outcome {
    let stats = &end.stats;
    if end.stop == Some(StopReason::Systemic) {
        Outcome::WithErrors
    } else if end.state_error.is_some() || stats.pending + stats.in_progress > 0 {
        Outcome::Incomplete
    } else if stats.failed > 0 {
        Outcome::WithErrors
    } else {
        Outcome::Done
    }
}

/// The summary.
pub(super) fn summary(closing: Closing, end: &RunEnd, exit_code: u8) -> Summary {
    let stats = end.stats;
    let left = stats.pending + stats.in_progress > 0 || end.state_error.is_some();
    Summary {
        schema_version: SCHEMA_VERSION,
        run_id: closing.run_id,
        total_items: stats.total,
        completed: stats.completed,
        failed: stats.failed,
        skipped: stats.skipped,
        in_progress: stats.in_progress,
        unanswered: stats.unanswered,
        pending: stats.pending,
        duration_seconds: (closing.elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
        duration_formatted: duration(closing.elapsed),
        start_time: closing.began.to_rfc3339(),
        end_time: Utc::now().to_rfc3339(),
        success_rate: success_rate(&stats),
        throughput_per_hour: throughput(&stats, closing.elapsed),
        failures: failures(end),
        failure_groups: FailureGroup::of(
            end.failures
                .iter()
                .map(|(_, failure)| (failure.cause, failure.message.as_str())),
        ),
        other_retention: RetentionSummary::of(&end.other_retention),
        skipped_by_reason: closing.plan.skipped_by_reason(),
        bytes_completed: stats.bytes_completed,
        calls: closing.calls.by_operation,
        retries: closing.calls.retries + end.repeated_calls,
        throttles: closing.calls.throttles,
        vaults: closing.vaults,
        stop_reason: end.stop.map(|reason| reason.describe().to_owned()),
        exit_code,
        // Where nothing is left but what failed, and where all failed of one cause that can be mended,
        // the failed points are what is to be tried again.
        resume_command: (left || stats.failed > 0).then(|| {
            let failed_too = !left || end.stop == Some(StopReason::Systemic);
            resume_command::text(resume_command::typed(), failed_too)
        }),
    }
}

/// `--failed-out`.
pub(super) fn write_failed(path: &Path, run_id: &str, end: &RunEnd) -> io::Result<()> {
    let mut file = WholeFile::begin(path)?;
    let failures = end
        .failures
        .iter()
        .map(|(arn, failure)| (arn.as_str(), failure.cause, failure.message.as_str()));
    report::failed_list(run_id, failures, &mut file)?;
    file.finish()
}

#[expect(clippy::cast_precision_loss, reason = "percentages of at most millions")]
fn success_rate(stats: &RunStats) -> f64 {
    match stats.total - stats.skipped {
        0 => 100.0,
        wanted => (stats.completed as f64 / wanted as f64 * 10_000.0).round() / 100.0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate of at most millions")]
fn throughput(stats: &RunStats, elapsed: Duration) -> f64 {
    let hours = elapsed.as_secs_f64() / 3600.0;
    if hours <= 0.0 {
        0.0
    } else {
        (stats.completed_this_run as f64 / hours * 10.0).round() / 10.0
    }
}

fn failures(end: &RunEnd) -> Vec<SummaryFailure> {
    end.failures
        .iter()
        .map(|(arn, failure)| SummaryFailure {
            recovery_point_arn: arn.to_string(),
            error_message: failure.message.clone(),
            timestamp: failure.at.to_rfc3339(),
            error_code: failure.error_code.clone(),
            cause: failure.cause.as_str().to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
