//! `status`: what runs have done, as their state files tell. Locks nothing and writes nothing.

use std::path::Path;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::failures::load;
use super::output::to_stdout;
use super::resume_command;
use super::state_args::StatusArgs;
use crate::copy::event::ItemFailure;
use crate::copy::plan::PlanTally;
use crate::error::{AppError, Outcome};
use crate::report::{
    self, Condition, FailureGroup, OldestJob, OutputFormat, RunStatus, StateStatus, UnreadableState,
};
use crate::state::{Endpoint, Holder, ItemState, Loaded, RunHeader, directory, holder, location};

pub(super) fn run(args: &StatusArgs) -> Result<Outcome, AppError> {
    let named = !args.states.is_empty();
    let mut paths = args.states.clone();
    if !named {
        let directory = directory::default_directory()?;
        paths = location::all(&directory)?;
        if paths.is_empty() && args.form.output == OutputFormat::Table {
            tracing::info!("no state file is in {}", directory.display());
            return Ok(Outcome::Done);
        }
    }
    let all: Vec<StateStatus> = paths.iter().map(|path| status(path)).collect();
    to_stdout(|out| report::statuses(&all, named, args.form.output, out))?;
    // One that was asked for has to be there; in the directory may lie what it will.
    let is_unreadable = |status: &StateStatus| matches!(status, StateStatus::Unreadable(_));
    Ok(if named && all.iter().any(is_unreadable) {
        Outcome::WithErrors
    } else {
        Outcome::Done
    })
}

fn status(path: &Path) -> StateStatus {
    let (mut held, mut loaded) = (holder(path), load(path));
    // A run that has begun or ended meanwhile is looked at once more: its end has changed the file.
    let after = holder(path);
    if after != held {
        (held, loaded) = (after, load(path));
    }
    match loaded {
        Ok(loaded) => StateStatus::Run(Box::new(run_status(path, &loaded, held, Utc::now()))),
        Err(error) => StateStatus::Unreadable(UnreadableState {
            state_file: path.display().to_string(),
            error: error.to_string(),
            help: error.hint(),
        }),
    }
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What the items tell beside their numbers.
#[derive(Default)]
struct Seen {
    failures: Vec<ItemFailure>,
    completed: Vec<DateTime<Utc>>,
    oldest: Option<(DateTime<Utc>, OldestJob)>,
    last_change: Option<DateTime<Utc>>,
}

fn see(loaded: &Loaded, now: DateTime<Utc>) -> Seen {
    let mut seen = Seen::default();
    for row in loaded.items.rows() {
        let at = match row.state() {
            ItemState::Pending | ItemState::Skipped { .. } => None,
            ItemState::Starting { sent, .. } => sent,
            ItemState::InFlight { copy_job_id, since } => {
                if seen.oldest.as_ref().is_none_or(|(oldest, _)| since < *oldest) {
                    let job = OldestJob {
                        copy_job_id: copy_job_id.to_string(),
                        recovery_point_arn: row.recovery_point_arn().to_string(),
                        since: text(since),
                        age_seconds: (now - since).num_seconds().try_into().unwrap_or(0),
                    };
                    seen.oldest = Some((since, job));
                }
                Some(since)
            }
            ItemState::Completed { at, .. } => {
                seen.completed.push(at);
                Some(at)
            }
            ItemState::Failed { at, .. } => {
                seen.failures.extend(ItemFailure::of(&row));
                Some(at)
            }
        };
        seen.last_change = seen.last_change.max(at);
    }
    seen
}

/// Points copied for an hour: in the last hour of the process that is at work, else in the last hour
/// that the run had.
#[expect(clippy::cast_precision_loss, reason = "a rate of at most millions")]
fn rate(completed: &[DateTime<Utc>], from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    let from = from.max(to - TimeDelta::hours(1));
    let count = completed.iter().filter(|at| (from..=to).contains(*at)).count();
    let hours = (to - from).as_seconds_f64() / 3600.0;
    if hours <= 0.0 {
        return 0.0;
    }
    (count as f64 / hours * 10.0).round() / 10.0
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time of at most years, to the second"
)]
fn remaining(left: usize, rate: f64) -> Option<u64> {
    (left > 0 && rate > 0.0).then(|| (left as f64 / rate * 3600.0).round() as u64)
}

fn run_status(path: &Path, loaded: &Loaded, holder: Option<Holder>, now: DateTime<Utc>) -> RunStatus {
    let (header, counts) = (&loaded.header, loaded.items.counts());
    let seen = see(loaded, now);
    let (in_progress, left) = (counts.in_progress(), counts.left());
    let condition = match &holder {
        Some(holder) if holder.is_here => Condition::Running,
        Some(_) => Condition::Elsewhere,
        None if left > 0 => Condition::Interrupted,
        None if counts.failed > 0 => Condition::EndedWithFailures,
        None => Condition::Ended,
    };
    let is_running = holder.is_some();
    let rate_per_hour = match holder.as_ref().and_then(|holder| holder.since) {
        Some(since) => rate(&seen.completed, since, now),
        None => rate(
            &seen.completed,
            header.created_at,
            seen.last_change.unwrap_or(now),
        ),
    };
    let state_file = path.display().to_string();
    // As the summary of a run says that stopped for such a cause.
    let must_mend = seen.failures.iter().any(|failure| failure.cause.is_systemic());
    let (next_step, next_command) = next(&state_file, header, condition, must_mend);
    RunStatus {
        condition,
        holder: holder.map(|holder| holder.text),
        run_id: header.run_id.clone(),
        created_at: text(header.created_at),
        last_change: seen.last_change.map(text),
        endpoint: match header.endpoint {
            Endpoint::Aws => "aws",
            Endpoint::Simulated => "simulated",
        }
        .to_owned(),
        source_account: header.source_account.to_string(),
        dest_account: header.dest_account.to_string(),
        backup_vault_name: header.source_vault.to_string(),
        destination_backup_vault_arn: header.destination_vault_arn.to_string(),
        selection: header.selection.clone(),
        total_items: counts.total,
        completed: counts.completed,
        failed: counts.failed,
        skipped: counts.skipped,
        in_progress,
        unanswered: counts.starting,
        pending: counts.pending,
        bytes_completed: counts.bytes_completed,
        rate_per_hour,
        remaining_seconds: remaining(left, rate_per_hour),
        oldest_job: seen.oldest.map(|(_, job)| job),
        failure_groups: FailureGroup::of(
            seen.failures
                .iter()
                .map(|failure| (failure.cause, failure.message.as_str())),
        ),
        skipped_by_reason: PlanTally::of(&loaded.items).skipped_by_reason(),
        // The line that a process is just writing is torn, and no crash cut it off.
        notes: if is_running {
            Vec::new()
        } else {
            loaded.notes.clone()
        },
        next_step: next_step.to_owned(),
        next_command,
        state_file,
    }
}

/// What to do next, and the command that does it.
fn next(
    state_file: &str,
    header: &RunHeader,
    condition: Condition,
    must_mend: bool,
) -> (&'static str, Option<String>) {
    let resume = |failed_too| {
        let kept = resume_command::with_state_file(&header.resume_command, state_file);
        let words = if header.resume_command.is_empty() {
            let words = words(state_file, header, "copy");
            words.into_iter().chain(["--resume".to_owned()]).collect()
        } else {
            kept
        };
        Some(resume_command::text(words, failed_too))
    };
    match condition {
        Condition::Running => ("It goes on by itself", None),
        Condition::Elsewhere => ("Look on that machine whether the process is still there", None),
        Condition::Interrupted if header.resume_command.is_empty() && header.selection != "all" => (
            "To go on, run this with the filters of the selection",
            resume(must_mend),
        ),
        Condition::Interrupted if must_mend => (
            "When the cause of the failures is mended, go on and try them again",
            resume(true),
        ),
        Condition::Interrupted => ("To go on, run", resume(false)),
        Condition::EndedWithFailures => (
            "When the cause is mended, try the failed points again",
            resume(true),
        ),
        Condition::Ended => (
            if header.selection == "all" {
                "To see that all copies are there, run"
            } else {
                "To see that all copies are there, run this with the filters of the selection"
            },
            Some(resume_command::text(words(state_file, header, "verify"), false)),
        ),
    }
}

/// A command on the vault of a state file, by what the file tells.
fn words(state_file: &str, header: &RunHeader, command: &str) -> Vec<String> {
    let destination = header.destination_vault_arn.as_str();
    let destination = destination.rsplit(':').next().unwrap_or_default();
    let mut words = vec!["shuffle-aws-vaults", command];
    let (source, dest) = (header.source_account.as_str(), header.dest_account.as_str());
    words.extend(["--source-account", source, "--dest-account", dest]);
    words.extend([
        "--region",
        header.region.as_str(),
        "--dest-region",
        header.dest_region.as_str(),
    ]);
    words.extend(["--vault", header.source_vault.as_str()]);
    words.extend(["--dest-vault", destination]);
    words.extend(["--state-file", state_file]);
    words.into_iter().map(str::to_owned).collect()
}
