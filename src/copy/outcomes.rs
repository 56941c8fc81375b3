//! What the run makes of answers: starts that were taken or refused, jobs that ended.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::call::{Answer, AnswerKind, CallKind, Candidate, Origin};
use super::engine::{AGAIN, CLOCK_TOLERANCE, Engine, Moment};
use super::event::{CopyEventKind, ItemFailure, StopReason};
use super::failure::{FailureCause, JOB_FAILED, JOB_PARTIAL, Remedy};
use super::poller::Seen;
use super::retention;
use super::scheduler::ItemId;
use crate::aws::{ApiError, ErrorClass, StartedCopyJob};
use crate::domain::{CopyJob, CopyJobId, CopyJobState, Lifecycle, RecoveryPointArn};
use crate::state::{ItemState, JournalRecord};

/// Longest wait after AWS refused a job for its quota, if none ends meanwhile.
const QUOTA_WAIT: Duration = Duration::from_mins(1);
/// Attempts after which AWS's old answers to new tokens make no sense any more.
const MOST_TOKENS: u32 = 50;

impl Engine<'_> {
    /// A call was answered.
    pub(super) fn answered(&mut self, answer: Answer, now: Moment) {
        let id = answer.id;
        match answer.kind {
            AnswerKind::Started(Ok(started)) => self.taken(id, started, now),
            AnswerKind::Started(Err(error)) if error.in_doubt() => self.doubt(id, &error, now),
            AnswerKind::Started(Err(error)) if self.doubts.contains_key(&id) => {
                self.unsent_in_doubt(id, error, now);
            }
            AnswerKind::Started(Err(error)) => self.unsent(id, error, now),
            AnswerKind::Found(found) => self.looked(id, found, now),
            AnswerKind::Examined(candidate, job) => match candidate.origin {
                Origin::Answer => self.answer_examined(id, candidate.job, job, now),
                Origin::List(listed) => self.listed_examined(id, listed, candidate.job, job, now),
            },
        }
    }

    fn taken(&mut self, id: ItemId, started: StartedCopyJob, now: Moment) {
        self.pacer.on_success();
        let sent = self.row(id).and_then(|(ledger, row)| match row.state() {
            ItemState::Starting { since, .. } => Some(since.unwrap_or(ledger.created_at)),
            _ => None,
        });
        let is_old = |at: DateTime<Utc>| sent.is_some_and(|sent| at < sent - CLOCK_TOLERANCE);
        if started.creation_date.is_some_and(is_old) {
            let candidate = Candidate {
                job: started,
                origin: Origin::Answer,
            };
            self.call(id, CallKind::Examine(candidate));
        } else {
            let created = started.creation_date;
            self.started(id, started.copy_job_id, created, false, now);
        }
    }

    /// AWS answered with a job that was there before. If that one failed, or its copy is not to count
    /// because another is wanted, the token was used before this state knew of it, and the next
    /// attempt has a token of its own. What became of it has to be known: taken over unseen, an old
    /// failure would be this attempt's.
    fn answer_examined(
        &mut self,
        id: ItemId,
        started: StartedCopyJob,
        job: Result<CopyJob, ApiError>,
        now: Moment,
    ) {
        if let Err(error) = &job
            && matches!(
                error.class,
                ErrorClass::Transient
                    | ErrorClass::Throttling
                    | ErrorClass::Credentials
                    | ErrorClass::Cancelled
            )
        {
            self.doubt_unseen(id, started, error, now);
            return;
        }
        let is_used = |job: &CopyJob| match job.state {
            CopyJobState::Failed => true,
            CopyJobState::Completed => {
                self.policy.recopy && !(self.doubts.contains_key(&id) && self.recent_enough(id)(job))
            }
            _ => false,
        };
        let created = started.creation_date;
        if !job.as_ref().is_ok_and(is_used) {
            match job {
                Ok(job) => self.adopt(id, created, job, now),
                Err(_) => self.started(id, started.copy_job_id, created, true, now),
            }
        } else if self.row(id).is_some_and(|(_, row)| row.attempt() >= MOST_TOKENS) {
            let message = "every idempotency token is answered with an earlier, failed job".to_owned();
            self.fail(id, ItemFailure::new("TokenUsed".to_owned(), message, now.date));
        } else {
            // The attempt is over: its token is used up.
            self.requeue(id, "AWS answered with an earlier job", now.elapsed);
        }
    }

    /// A job that was described is the item's. If it is over, that counts at once: one that is over for
    /// long is in no list of those that ended lately.
    pub(super) fn adopt(&mut self, id: ItemId, created: Option<DateTime<Utc>>, job: CopyJob, now: Moment) {
        self.started(id, job.copy_job_id.clone(), created, true, now);
        if job.state.is_terminal() {
            self.job_ended(job, now);
        }
    }

    /// A copy job is under way.
    pub(super) fn started(
        &mut self,
        id: ItemId,
        copy_job_id: CopyJobId,
        created: Option<DateTime<Utc>>,
        adopted: bool,
        now: Moment,
    ) {
        let Some(arn) = self.arn(id) else { return };
        self.doubts.remove(&id);
        let at = created.unwrap_or(now.date);
        let record = JournalRecord::Started {
            recovery_point_arn: arn.clone(),
            copy_job_id: copy_job_id.clone(),
            at,
        };
        self.record(id.vault, record);
        self.in_flight.insert(copy_job_id.clone(), (id, now.elapsed));
        let created = created.unwrap_or(now.date - CLOCK_TOLERANCE);
        self.poller.watch(copy_job_id.clone(), created, now.elapsed);
        self.emit(CopyEventKind::CopyJobStarted {
            vault: id.vault,
            recovery_point_arn: arn,
            copy_job_id,
            adopted,
        });
    }

    /// AWS surely did nothing.
    fn unsent(&mut self, id: ItemId, error: ApiError, now: Moment) {
        match error.class {
            ErrorClass::Throttling => {
                self.starts_throttled(now.elapsed);
                self.not_taken(id, "throttled", now.elapsed);
            }
            ErrorClass::Quota => {
                let in_flight = self.in_flight.len();
                self.quota_reached(id, now);
                self.not_taken(id, "AWS takes no more copy jobs for now", now.elapsed);
                self.emit(CopyEventKind::QuotaReached { in_flight });
            }
            ErrorClass::Transient | ErrorClass::Credentials | ErrorClass::Cancelled => {
                if error.class == ErrorClass::Credentials {
                    self.raise(StopReason::CredentialsGone);
                }
                self.pacer.on_throttled(now.elapsed);
                self.not_taken(id, &error.to_string(), now.elapsed + AGAIN);
            }
            _ => self.refused(id, error, now),
        }
    }

    /// AWS asks for fewer starts.
    pub(super) fn starts_throttled(&mut self, now: Duration) {
        if self.pacer.on_throttled(now) {
            let starts_per_minute = self.pacer.per_minute();
            self.emit(CopyEventKind::StartsThrottled { starts_per_minute });
        }
    }

    /// AWS will not copy the point.
    pub(super) fn refused(&mut self, id: ItemId, error: ApiError, now: Moment) {
        let failure = ItemFailure {
            request_id: error.request_id,
            ..ItemFailure::new(error.code, error.message, now.date)
        };
        self.remedy(id, failure, now);
    }

    /// AWS runs as many jobs of the item's type as it may.
    pub(super) fn quota_reached(&mut self, id: ItemId, now: Moment) {
        let wait = QUOTA_WAIT.min(self.policy.poll_interval * 2);
        self.scheduler.quota_reached(id, now.elapsed + wait);
    }

    /// AWS surely made no job: whatever is sent next for the point is the same attempt.
    fn not_taken(&mut self, id: ItemId, reason: &str, not_before: Duration) {
        let Some(recovery_point_arn) = self.arn(id) else {
            return;
        };
        let record = JournalRecord::NotTaken {
            recovery_point_arn,
            reason: reason.to_owned(),
        };
        self.wait_again(id, record, reason, not_before);
    }

    fn requeue(&mut self, id: ItemId, reason: &str, not_before: Duration) {
        let Some(recovery_point_arn) = self.arn(id) else {
            return;
        };
        let record = JournalRecord::Requeued {
            recovery_point_arn,
            reason: reason.to_owned(),
        };
        self.wait_again(id, record, reason, not_before);
    }

    fn wait_again(&mut self, id: ItemId, record: JournalRecord, reason: &str, not_before: Duration) {
        let recovery_point_arn = record.recovery_point_arn().clone();
        self.doubts.remove(&id);
        self.record(id.vault, record);
        self.scheduler.requeue(id, not_before);
        self.emit(CopyEventKind::ItemRequeued {
            vault: id.vault,
            recovery_point_arn,
            reason: reason.to_owned(),
        });
    }

    fn fail(&mut self, id: ItemId, failure: ItemFailure) {
        let Some(arn) = self.arn(id) else { return };
        self.doubts.remove(&id);
        let cause = failure.cause;
        let record = JournalRecord::Failed {
            recovery_point_arn: arn.clone(),
            error_code: failure.error_code.clone(),
            message: failure.message.clone(),
            at: failure.at,
        };
        self.record(id.vault, record);
        self.scheduler.finished(id);
        if self.breaker.failed(cause) && self.policy.circuit_breaker && self.systemic.is_none() {
            self.systemic = Some((cause, failure.message.clone()));
            self.raise(StopReason::Systemic);
        }
        self.emit(CopyEventKind::ItemFailed {
            vault: id.vault,
            recovery_point_arn: arn,
            failure,
        });
    }

    /// A poll has ended; answers whether another is wanted at once.
    pub(super) fn poll_ended(&mut self, seen: Seen, now: Moment) -> bool {
        let denied = seen.listing_denied;
        self.poller.learn(&seen);
        if let Some(error) = &seen.error {
            let next = match error.class {
                ErrorClass::AccessDenied => error.hint().map_or_else(String::new, |hint| format!("; {hint}")),
                _ => String::new(),
            };
            tracing::warn!(
                %error,
                "could not see the state of all copy jobs; trying again at the next poll{next}"
            );
            if error.class == ErrorClass::Credentials {
                self.raise(StopReason::CredentialsGone);
            }
        }
        for job in seen.jobs {
            if job.state.is_terminal() {
                self.job_ended(job, now);
            }
        }
        for id in seen.unknown {
            // One that was made a moment ago AWS may not know yet.
            let grace = self.policy.list_grace;
            let is_new = |(_, started): &(ItemId, Duration)| now.elapsed < *started + grace;
            if !self.in_flight.get(&id).is_some_and(is_new) {
                self.job_vanished(&id, now);
            }
        }
        denied
    }

    /// AWS does not know a job that it accepted: the start is in doubt again. If the job that is found
    /// then, or answered to the same token, is denied too, nothing can be found out any more.
    fn job_vanished(&mut self, copy_job_id: &CopyJobId, now: Moment) {
        let Some((id, _)) = self.in_flight.remove(copy_job_id) else {
            return;
        };
        self.poller.forget(copy_job_id);
        if self.vanished.insert(id) {
            tracing::warn!(copy_job = %copy_job_id, "AWS does not know this copy job any more; looking for another of its point");
            self.doubt_again(id, now);
        } else {
            let message = format!(
                "AWS accepted copy job {copy_job_id} and does not know of it; a new run finds its copy if there is one"
            );
            self.fail(
                id,
                ItemFailure::new("CopyJobVanished".to_owned(), message, now.date),
            );
        }
    }

    /// A job has ended; one that is not awaited is passed over.
    pub(super) fn job_ended(&mut self, job: CopyJob, now: Moment) {
        let Some((id, started)) = self.in_flight.remove(&job.copy_job_id) else {
            return;
        };
        self.poller.forget(&job.copy_job_id);
        if job.state == CopyJobState::Completed {
            self.completed(id, job, started, now);
            return;
        }
        let message = job
            .status_message
            .unwrap_or_else(|| "AWS gave no reason".to_owned());
        let code = match job.state {
            CopyJobState::Partial => JOB_PARTIAL,
            _ => JOB_FAILED,
        };
        let failure = ItemFailure {
            copy_job_id: Some(job.copy_job_id),
            ..ItemFailure::new(code.to_owned(), message, now.date)
        };
        self.remedy(id, failure, now);
    }

    /// Queues the item again if its failure may pass, else it has failed.
    fn remedy(&mut self, id: ItemId, failure: ItemFailure, now: Moment) {
        let cause = failure.cause;
        let again_at = now.elapsed + AGAIN.min(self.policy.poll_interval);
        match cause.remedy() {
            Remedy::Requeue => {
                if cause == FailureCause::TooManyJobs {
                    self.quota_reached(id, now);
                }
                self.requeue(id, &failure.message, again_at);
            }
            Remedy::RetryUpTo(most) => {
                let failures = self.passing_failures.entry(id).or_default();
                *failures += 1;
                if *failures < most {
                    self.requeue(id, &failure.message, again_at);
                } else {
                    self.fail(id, failure);
                }
            }
            Remedy::Fail => self.fail(id, failure),
        }
    }

    fn completed(&mut self, id: ItemId, job: CopyJob, started: Duration, now: Moment) {
        let Some(arn) = self.arn(id) else { return };
        self.durations.add(now.elapsed.saturating_sub(started));
        self.breaker.completed();
        self.compare_retention(id, &arn, job.destination_lifecycle.as_ref());
        let record = JournalRecord::Completed {
            recovery_point_arn: arn.clone(),
            copy_job_id: job.copy_job_id.clone(),
            destination_recovery_point_arn: job.destination_recovery_point_arn,
            at: job.completion_date.unwrap_or(now.date),
        };
        self.record(id.vault, record);
        self.scheduler.finished(id);
        self.emit(CopyEventKind::ItemCompleted {
            vault: id.vault,
            recovery_point_arn: arn,
            copy_job_id: job.copy_job_id,
        });
    }
}

impl Engine<'_> {
    /// Notes a copy that is kept for another time than it was to be, where AWS tells and something was asked for.
    fn compare_retention(&mut self, id: ItemId, arn: &RecoveryPointArn, given: Option<&Lifecycle>) {
        let asked = self
            .row(id)
            .and_then(|(_, row)| self.policy.retention.lifecycle(row.lifecycle().as_ref()));
        if let (Some(asked), Some(given)) = (asked, given)
            && let Some(difference) = retention::difference(&asked, given)
        {
            self.other_retention.add(arn.clone(), difference);
        }
    }
}

#[cfg(test)]
mod tests;
