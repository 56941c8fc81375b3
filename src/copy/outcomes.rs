//! What the loop does with what it learns: answers to starts, and the ends of copy jobs.

use std::time::Duration;

use chrono::Utc;

use super::driver::Driver;
use super::event::{CopyEventKind, ItemFailure, StopReason};
use super::failure::{FailureCause, Remedy};
use super::poller::{self, Seen};
use super::scheduler::ItemId;
use super::start::{self, StartOutcome};
use crate::aws::{ApiError, ErrorClass};
use crate::domain::{CopyJob, CopyJobId, CopyJobState};
use crate::state::JournalRecord;

/// Longest wait for a job to end after AWS refused another.
const QUOTA_WAIT: Duration = Duration::from_mins(1);
/// Wait before an item is tried again whose start met a passing fault.
const REQUEUE_DELAY: Duration = Duration::from_secs(5);

impl Driver<'_> {
    pub(super) async fn start_ended(&mut self, id: ItemId, outcome: StartOutcome) {
        let now = self.now();
        let Some(arn) = self.arn(id) else { return };
        match outcome {
            StartOutcome::Started { copy_job_id, adopted } => {
                self.pacer.on_success(now);
                let record = JournalRecord::Started {
                    recovery_point_arn: arn.clone(),
                    copy_job_id: copy_job_id.clone(),
                    at: Utc::now(),
                };
                let _ = self.write(id.vault, vec![record]).await;
                self.in_flight.insert(copy_job_id.clone(), (id, now));
                self.poller.watch(copy_job_id.clone(), now);
                self.emit(CopyEventKind::CopyJobStarted {
                    recovery_point_arn: arn,
                    copy_job_id,
                    adopted,
                });
            }
            StartOutcome::Refused(error) => self.refused(id, error).await,
            StartOutcome::Throttled => {
                self.pacer.on_throttled(now);
                self.requeue(id, "throttled", now).await;
            }
            StartOutcome::QuotaReached => {
                let in_flight = self.in_flight.len();
                self.scheduler
                    .quota_reached(now + QUOTA_WAIT.min(self.settings.poll_interval * 2));
                self.requeue(id, "AWS takes no more copy jobs for now", now).await;
                self.emit(CopyEventKind::QuotaReached { in_flight });
            }
            // The next attempt has a number, and so a token, of its own.
            StartOutcome::TokenUsed => {
                self.requeue(id, "AWS answered with an earlier, failed job", now)
                    .await;
            }
            StartOutcome::Unavailable(error) => {
                if error.class == ErrorClass::Credentials {
                    self.raise(StopReason::CredentialsGone);
                }
                self.requeue(id, &error.to_string(), now + REQUEUE_DELAY).await;
            }
            // The intent stands in the journal; it is settled again now, or by --resume.
            StartOutcome::InDoubt => {
                if self.stop_reason().is_none()
                    && let Some((run, item)) = self.item(id)
                {
                    let start = self.request(id, run, item, true);
                    self.starts.spawn(start::run(self.client.clone(), start));
                }
            }
        }
    }

    async fn refused(&mut self, id: ItemId, error: ApiError) {
        let cause = FailureCause::of_refusal(&error.code, &error.message);
        self.fail(id, error.code.clone(), error.message.clone(), cause)
            .await;
    }

    async fn requeue(&mut self, id: ItemId, reason: &str, not_before: Duration) {
        let Some(arn) = self.arn(id) else { return };
        let record = JournalRecord::Requeued {
            recovery_point_arn: arn.clone(),
            reason: reason.to_owned(),
        };
        let _ = self.write(id.vault, vec![record]).await;
        self.scheduler.requeue(id, not_before);
        self.emit(CopyEventKind::ItemRequeued {
            recovery_point_arn: arn,
            reason: reason.to_owned(),
        });
    }

    async fn fail(&mut self, id: ItemId, error_code: String, message: String, cause: FailureCause) {
        let Some(arn) = self.arn(id) else { return };
        let failure = ItemFailure {
            error_code,
            message,
            cause,
            at: Utc::now(),
        };
        let record = JournalRecord::Failed {
            recovery_point_arn: arn.clone(),
            error_code: failure.error_code.clone(),
            message: failure.message.clone(),
            at: failure.at,
        };
        let _ = self.write(id.vault, vec![record]).await;
        self.scheduler.finished(id);
        if self.breaker.failed(cause) && self.settings.circuit_breaker && self.systemic.is_none() {
            self.systemic = Some((cause, failure.message.clone()));
            self.raise(StopReason::Systemic);
        }
        self.emit(CopyEventKind::ItemFailed {
            recovery_point_arn: arn,
            failure,
        });
    }

    pub(super) fn poll(&mut self) {
        let vaults = self
            .vaults
            .iter()
            .map(|v| v.destination_vault_arn.clone())
            .collect();
        let poll = self.poller.next(vaults, self.now(), self.settings.workers);
        self.polls.spawn(poller::run(self.client.clone(), poll));
    }

    pub(super) async fn poll_ended(&mut self, seen: Seen) {
        self.poller.learn(&seen);
        if seen.listing_denied {
            self.poll();
        }
        if let Some(error) = &seen.error {
            tracing::warn!(%error, "could not see the state of all copy jobs; trying again at the next poll");
            if error.class == ErrorClass::Credentials {
                self.raise(StopReason::CredentialsGone);
            }
        }
        for job in seen.jobs {
            if job.state.is_terminal() {
                self.job_ended(job).await;
            }
        }
        for id in seen.unknown {
            self.job_vanished(&id);
        }
    }

    /// AWS no longer knows a job that it accepted: the start is in doubt again.
    fn job_vanished(&mut self, copy_job_id: &CopyJobId) {
        let Some((id, _)) = self.in_flight.remove(copy_job_id) else {
            return;
        };
        self.poller.forget(copy_job_id);
        tracing::warn!(copy_job = %copy_job_id, "AWS does not know this copy job any more; looking for another of its point");
        if let Some((run, item)) = self.item(id) {
            let start = self.request(id, run, item, true);
            self.starts.spawn(start::run(self.client.clone(), start));
        }
    }

    async fn job_ended(&mut self, job: CopyJob) {
        let Some((id, started)) = self.in_flight.remove(&job.copy_job_id) else {
            return;
        };
        self.poller.forget(&job.copy_job_id);
        let now = self.now();
        let Some((arn, attempt)) = self
            .item(id)
            .map(|(_, i)| (i.recovery_point_arn.clone(), i.attempt))
        else {
            return;
        };
        if job.state == CopyJobState::Completed {
            self.durations.add(now.saturating_sub(started));
            self.breaker.completed();
            let record = JournalRecord::Completed {
                recovery_point_arn: arn.clone(),
                copy_job_id: job.copy_job_id,
                destination_recovery_point_arn: job.destination_recovery_point_arn,
                at: job.completion_date.unwrap_or_else(Utc::now),
            };
            let _ = self.write(id.vault, vec![record]).await;
            self.scheduler.finished(id);
            self.emit(CopyEventKind::ItemCompleted {
                recovery_point_arn: arn,
            });
            return;
        }
        let message = job
            .status_message
            .unwrap_or_else(|| "AWS gave no reason".to_owned());
        let (code, cause) = if job.state == CopyJobState::Partial {
            ("CopyJobPartial", FailureCause::Partial)
        } else {
            ("CopyJobFailed", FailureCause::of_status_message(&message))
        };
        match cause.remedy() {
            Remedy::Requeue => {
                if cause == FailureCause::TooManyJobs {
                    self.scheduler
                        .quota_reached(now + QUOTA_WAIT.min(self.settings.poll_interval * 2));
                }
                self.requeue(id, &message, now + REQUEUE_DELAY.min(self.settings.poll_interval))
                    .await;
            }
            Remedy::RetryUpTo(most) if attempt < most => {
                self.requeue(id, &message, now + REQUEUE_DELAY.min(self.settings.poll_interval))
                    .await;
            }
            Remedy::RetryUpTo(_) | Remedy::Fail => self.fail(id, code.to_owned(), message, cause).await,
        }
    }
}
