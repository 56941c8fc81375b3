//! What `--events` tells of a run. `docs/output.md` describes each line.

use std::time::Duration;

use serde_json::{Value, json};

use super::event_stream::{EventStream, Members};
use super::plan::Plan;
use super::summary::Summary;
use super::vault_lines;
use crate::aws::{CredentialNews, Side};
use crate::copy::event::{CopyEvent, CopyEventKind, RunStats, StopReason};
use crate::domain::{AccountId, CopyJobId};

/// Turns what happens in a run into lines.
#[derive(Debug)]
pub struct RunEvents {
    stream: EventStream,
    interval: Duration,
    shown_at: Option<Duration>,
    stopping: Option<StopReason>,
}

/// The members of an object.
fn members(object: Value) -> Members {
    match object {
        Value::Object(members) => members,
        _ => Members::new(),
    }
}

fn counts(stats: &RunStats) -> Members {
    members(json!({
        "total_items": stats.total,
        "completed": stats.completed,
        "failed": stats.failed,
        "skipped": stats.skipped,
        "in_progress": stats.in_progress,
        "unanswered": stats.unanswered,
        "pending": stats.pending,
        "bytes_completed": stats.bytes_completed,
    }))
}

impl EventStream {
    /// The command has begun.
    pub fn begun(&self, version: &str, source: &AccountId, destination: &AccountId) {
        let object = json!({
            "version": version,
            "source_account": source.as_str(),
            "dest_account": destination.as_str(),
            "process": std::process::id(),
        });
        self.urgent_line("command_begun", members(object));
    }

    /// The plan: what is passed over is in it as numbers.
    pub fn planned(&self, plan: &Plan) {
        let vault = |vault: &super::plan::PlannedVault| {
            let to_copy = vault.tally.to_copy_total();
            json!({
                "backup_vault_name": vault.source,
                "destination_backup_vault_arn": vault.destination_arn,
                "to_copy": to_copy.points,
                "bytes_to_copy": to_copy.bytes,
                "skipped_by_reason": vault.tally.skipped_by_reason(),
            })
        };
        let total = plan.total();
        let object = json!({
            "to_copy": total.to_copy_total().points,
            "bytes_to_copy": total.to_copy_total().bytes,
            "skipped": total.skipped_total(),
            "skipped_by_reason": total.skipped_by_reason(),
            "vaults": plan.vaults.iter().map(vault).collect::<Vec<_>>(),
        });
        self.urgent_line("planned", members(object));
    }

    /// Credentials are needed, or were renewed.
    pub fn credentials(&self, side: Side, account: &AccountId, news: CredentialNews) {
        let mut object = members(json!({ "side": side.to_string(), "account": account.as_str() }));
        let event = match news {
            CredentialNews::Renewed => "credentials_renewed",
            CredentialNews::Needed { problem, advice } => {
                object.insert("problem".to_owned(), problem.into());
                object.insert("advice".to_owned(), advice.into());
                "credentials_needed"
            }
        };
        self.urgent_line(event, object);
    }

    /// A state file was closed, or could not be.
    pub fn state_saved(&self, file: &str, error: Option<&str>) {
        let object = json!({ "state_file": file, "saved": error.is_none(), "error": error });
        self.urgent_line("state_saved", members(object));
    }

    /// The end, with the numbers of the summary; the points that failed have been told of.
    ///
    /// # Errors
    /// If the summary cannot be made JSON, which its types do not allow.
    pub fn finished(&self, summary: &Summary) -> serde_json::Result<()> {
        let mut object = members(serde_json::to_value(summary)?);
        for member in ["failures", "schema_version", "run_id"] {
            object.remove(member);
        }
        self.set_run_id(&summary.run_id);
        self.urgent_line("run_finished", object);
        Ok(())
    }
}

impl RunEvents {
    /// Lines for this stream, with one about the progress every `interval`.
    pub fn new(stream: EventStream, run_id: &str, interval: Duration) -> Self {
        stream.set_run_id(run_id);
        Self {
            stream,
            interval,
            shown_at: None,
            stopping: None,
        }
    }

    /// Says once why the run stops.
    pub fn stopping(&mut self, reason: StopReason, stats: &RunStats) {
        if self.stopping.is_some_and(|said| reason <= said) {
            return;
        }
        self.stopping = Some(reason);
        let mut object = members(json!({ "reason": reason.describe() }));
        object.extend(counts(stats));
        self.stream.urgent_line("stop_asked", object);
    }

    /// Takes in what happened.
    pub fn event(&mut self, event: &CopyEvent) {
        let vault = |number: &u16| {
            let vault = event.vaults.get(usize::from(*number));
            vault.map(|vault| vault.name.as_str())
        };
        let (name, object) = match &event.kind {
            CopyEventKind::RunStarted { resumed } => {
                let mut object = members(json!({ "resumed": resumed }));
                object.extend(counts(&event.stats));
                self.stream.urgent_line("run_begun", object);
                self.shown_at = Some(event.elapsed);
                return;
            }
            CopyEventKind::StopRequested { reason } => return self.stopping(*reason, &event.stats),
            CopyEventKind::Tick => return self.progress(event),
            // The summary has more.
            CopyEventKind::RunFinished => return,
            CopyEventKind::CopyJobStarted {
                vault: number,
                recovery_point_arn,
                copy_job_id,
                adopted,
            } => (
                "item_started",
                json!({
                    "backup_vault_name": vault(number),
                    "recovery_point_arn": recovery_point_arn.as_str(),
                    "copy_job_id": copy_job_id.as_str(),
                    "adopted": adopted,
                }),
            ),
            CopyEventKind::ItemCompleted {
                vault: number,
                recovery_point_arn,
                copy_job_id,
            } => (
                "item_completed",
                json!({
                    "backup_vault_name": vault(number),
                    "recovery_point_arn": recovery_point_arn.as_str(),
                    "copy_job_id": copy_job_id.as_str(),
                }),
            ),
            CopyEventKind::ItemFailed {
                vault: number,
                recovery_point_arn,
                failure,
            } => (
                "item_failed",
                json!({
                    "backup_vault_name": vault(number),
                    "recovery_point_arn": recovery_point_arn.as_str(),
                    "cause": failure.cause.as_str(),
                    "error_code": failure.error_code,
                    "error_message": failure.message,
                    "copy_job_id": failure.copy_job_id.as_ref().map(CopyJobId::as_str),
                    "request_id": failure.request_id,
                }),
            ),
            CopyEventKind::ItemRequeued {
                vault: number,
                recovery_point_arn,
                reason,
            } => (
                "item_requeued",
                json!({
                    "backup_vault_name": vault(number),
                    "recovery_point_arn": recovery_point_arn.as_str(),
                    "reason": reason,
                }),
            ),
            CopyEventKind::QuotaReached { in_flight } => ("quota_reached", json!({ "in_flight": in_flight })),
            CopyEventKind::StartsThrottled { starts_per_minute } => {
                ("throttled", json!({ "starts_per_minute": starts_per_minute }))
            }
            CopyEventKind::WindowChanged {
                resource_type,
                most_in_flight,
            } => (
                "window_changed",
                json!({ "resource_type": resource_type, "most_in_flight": most_in_flight }),
            ),
        };
        self.stream.line(name, members(object));
    }

    fn progress(&mut self, event: &CopyEvent) {
        if self.shown_at.is_some_and(|at| event.elapsed < at + self.interval) {
            return;
        }
        self.shown_at = Some(event.elapsed);
        let mut object = counts(&event.stats);
        object.insert(
            "oldest_job_since".to_owned(),
            event.oldest_job.map(|at| at.to_rfc3339()).into(),
        );
        if event.vaults.len() > 1 {
            let vaults = event.vaults.iter().map(vault_lines::object).collect();
            object.insert("vaults".to_owned(), vaults);
        }
        self.stream.line("progress", object);
    }
}
