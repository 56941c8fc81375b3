//! Starts of which it is not known whether AWS took them: the answer was lost, or the process died.
//!
//! Two guards keep a point from being copied twice. First, AWS's own list of the point's copy jobs,
//! read after a grace in which a new job gets listed. Then, if it shows none, the same request with
//! the same token: AWS takes no second action for a token that it has seen, though it does not say
//! for how long. An item in doubt keeps its slot, because its job may be running.

use std::cmp::Reverse;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::call::{CallKind, Candidate, Origin};
use super::engine::{AGAIN, CLOCK_TOLERANCE, Engine, Moment};
use super::event::StopReason;
use super::run::VaultLedger;
use super::scheduler::ItemId;
use crate::aws::{ApiError, ErrorClass, StartedCopyJob};
use crate::domain::{CopyJob, CopyJobState};
use crate::state::ItemRow;

/// A job that completed this long before the run began is not this run's, whatever the clocks say.
const LONG_BEFORE: TimeDelta = TimeDelta::days(1);

/// A start in doubt.
#[derive(Debug, Clone)]
pub(super) struct Doubt {
    /// When it was first sent.
    since: DateTime<Utc>,
    /// AWS's refusal of a later send: final, unless the earlier one turns out to have been taken.
    refusal: Option<ApiError>,
    /// The job that AWS answered, of which it is not known yet what became of it.
    unseen: Option<StartedCopyJob>,
}

impl Doubt {
    fn new(since: DateTime<Utc>) -> Self {
        Self {
            since,
            refusal: None,
            unseen: None,
        }
    }
}

impl Engine<'_> {
    /// The answer to a start was lost.
    pub(super) fn doubt(&mut self, id: ItemId, error: &ApiError, now: Moment) {
        // A run that stops gives calls up itself, and says so once.
        if error.class != ErrorClass::Cancelled {
            tracing::warn!(
                recovery_point = self.arn(id).map(tracing::field::display),
                %error,
                "the answer to StartCopyJob was lost; looking whether a copy job was started"
            );
        }
        self.doubt_until(id, now.date, now.elapsed + self.policy.list_grace);
    }

    /// An earlier process may have sent the start, first at `since` and last at `sent`.
    pub(super) fn doubt_restored(
        &mut self,
        id: ItemId,
        since: DateTime<Utc>,
        sent: DateTime<Utc>,
        now: Moment,
    ) {
        let passed = (now.date - sent).to_std().unwrap_or_default();
        let wait = self.policy.list_grace.saturating_sub(passed);
        self.doubt_until(id, since, now.elapsed + wait);
    }

    /// AWS does not know a job any more that it answered before.
    pub(super) fn doubt_again(&mut self, id: ItemId, now: Moment) {
        self.doubt_until(id, now.date, now.elapsed);
    }

    /// What became of the job that AWS answered a start with cannot be seen for now. It alone is looked
    /// at again: it may be this attempt's own, which no list shows yet.
    pub(super) fn doubt_unseen(&mut self, id: ItemId, job: StartedCopyJob, error: &ApiError, now: Moment) {
        let doubt = self.doubts.entry(id).or_insert(Doubt::new(now.date));
        doubt.unseen = Some(job);
        self.look_again(id, error, now);
    }

    fn doubt_until(&mut self, id: ItemId, since: DateTime<Utc>, at: Duration) {
        self.doubts.entry(id).or_insert(Doubt::new(since));
        self.doubts_due.push(Reverse((at, id)));
    }

    /// Looks into doubts that are due; answers how many.
    pub(super) fn look_into_doubts(&mut self, now: Moment, free_calls: usize) -> usize {
        let mut looks = 0;
        while looks < free_calls {
            let Some(&Reverse((at, id))) = self.doubts_due.peek() else {
                break;
            };
            if at > now.elapsed {
                break;
            }
            self.doubts_due.pop();
            let unseen = self.doubts.get(&id).and_then(|doubt| doubt.unseen.clone());
            if let Some(job) = unseen {
                let origin = Origin::Answer;
                self.call(id, CallKind::Examine(Candidate { job, origin }));
                looks += 1;
            } else if let Some(arn) = self.arn(id) {
                self.repeated_calls += 1;
                self.call(id, CallKind::Look(arn));
                looks += 1;
            }
        }
        looks
    }

    /// AWS listed the jobs of a point in doubt.
    pub(super) fn looked(&mut self, id: ItemId, found: Result<Vec<CopyJob>, ApiError>, now: Moment) {
        let jobs = match found {
            Ok(jobs) => jobs,
            Err(error) if error.class == ErrorClass::AccessDenied => {
                tracing::warn!(
                    %error,
                    "cannot look for the copy job of a start in doubt; only the idempotency token keeps it from \
                     being started twice"
                );
                Vec::new()
            }
            Err(error) => {
                self.look_again(id, &error, now);
                return;
            }
        };
        let listed = self.row(id).map(|(ledger, row)| jobs_of(&jobs, ledger, &row));
        let listed = listed.unwrap_or_default();
        let is_recent = self.recent_enough(id);
        let candidate = latest(&listed, |job| !job.state.is_terminal())
            .or_else(|| {
                latest(&listed, |job| {
                    job.state == CopyJobState::Completed && is_recent(job)
                })
            })
            .or_else(|| latest(&listed, |job| self.is_failure_of_attempt(id, job, listed.len())));
        match candidate {
            Some(job) => {
                // Lists lag: what looks under way may be an earlier attempt's, long since failed.
                let job = StartedCopyJob {
                    copy_job_id: job.copy_job_id.clone(),
                    creation_date: job.creation_date,
                };
                let origin = Origin::List(listed.len());
                self.repeated_calls += 1;
                self.call(id, CallKind::Examine(Candidate { job, origin }));
            }
            None => self.no_job_found(id, now),
        }
    }

    /// AWS described a job that it had listed, one of `listed`, for a point in doubt.
    pub(super) fn listed_examined(
        &mut self,
        id: ItemId,
        listed: usize,
        candidate: StartedCopyJob,
        job: Result<CopyJob, ApiError>,
        now: Moment,
    ) {
        match job {
            Ok(job)
                if matches!(job.state, CopyJobState::Failed | CopyJobState::Partial)
                    && !self.is_failure_of_attempt(id, &job, listed) =>
            {
                self.no_job_found(id, now);
            }
            Ok(job) => self.adopt(id, job.creation_date, job, now),
            Err(error) if error.class == ErrorClass::NotFound => self.no_job_found(id, now),
            // Asking for ever would not help. What the list says is what there is to know, and if it
            // was late, the next polls show how the job ended.
            Err(error) if error.class == ErrorClass::AccessDenied => {
                tracing::warn!(%error, "a copy job in AWS's list is taken for that of a start in doubt");
                self.started(id, candidate.copy_job_id, candidate.creation_date, true, now);
            }
            Err(error) => self.look_again(id, &error, now),
        }
    }

    fn look_again(&mut self, id: ItemId, error: &ApiError, now: Moment) {
        tracing::warn!(%error, "cannot look for the copy job of a start in doubt; trying again");
        if error.class == ErrorClass::Credentials {
            self.raise(StopReason::CredentialsGone);
        }
        self.doubts_due.push(Reverse((now.elapsed + AGAIN, id)));
    }

    /// No job of the attempt is known: it is sent again, unless AWS has refused it meanwhile.
    fn no_job_found(&mut self, id: ItemId, now: Moment) {
        let refusal = self.doubts.get(&id).and_then(|doubt| doubt.refusal.clone());
        if let Some(error) = refusal {
            self.refused(id, error, now);
        } else if let Some(attempt) = self.row(id).map(|(_, row)| row.attempt().max(1))
            && self.stop().is_none()
        {
            self.pacer.started();
            self.repeated_calls += 1;
            self.send_start(id, attempt, now);
        }
    }

    /// Which completed jobs count as the attempt's: those that are not surely older than the run or,
    /// where points are copied again on purpose, than the attempt.
    pub(super) fn recent_enough(&self, id: ItemId) -> impl Fn(&CopyJob) -> bool + use<> {
        let since = if self.policy.recopy {
            self.doubts.get(&id).map(|doubt| doubt.since - CLOCK_TOLERANCE)
        } else {
            self.row(id).map(|(ledger, _)| ledger.created_at - LONG_BEFORE)
        };
        move |job| match (job.creation_date, since) {
            (Some(at), Some(since)) => at >= since,
            _ => true,
        }
    }

    /// Whether a failed job is the attempt's own: an attempt makes one job at the most, so there are
    /// as many as attempts, and it is no older than the attempt. Where that is doubted in vain, the
    /// start is sent again with the same token, and nothing is copied twice: this job copied nothing.
    fn is_failure_of_attempt(&self, id: ItemId, job: &CopyJob, listed: usize) -> bool {
        let attempt = self.row(id).map_or(1, |(_, row)| row.attempt().max(1));
        let since = self.doubts.get(&id).map(|doubt| doubt.since - CLOCK_TOLERANCE);
        let is_young = match (job.creation_date, since) {
            (Some(at), Some(since)) => at >= since,
            _ => false,
        };
        job.state.is_terminal()
            && job.state != CopyJobState::Completed
            && listed >= usize::try_from(attempt).unwrap_or(usize::MAX)
            && is_young
    }

    /// AWS answered a later send of a start in doubt, and surely did nothing.
    pub(super) fn unsent_in_doubt(&mut self, id: ItemId, error: ApiError, now: Moment) {
        let wait = match error.class {
            ErrorClass::Throttling => {
                self.starts_throttled(now.elapsed);
                AGAIN
            }
            ErrorClass::Quota => {
                self.quota_reached(id, now);
                AGAIN.max(self.policy.poll_interval)
            }
            ErrorClass::Transient | ErrorClass::Cancelled => AGAIN,
            ErrorClass::Credentials => {
                self.raise(StopReason::CredentialsGone);
                AGAIN
            }
            // The earlier send may have been taken all the same: one more look, a grace later.
            _ => {
                if let Some(doubt) = self.doubts.get_mut(&id) {
                    doubt.refusal = Some(error);
                }
                self.policy.list_grace
            }
        };
        self.doubts_due.push(Reverse((now.elapsed + wait, id)));
    }
}

/// The jobs that copy the item to where it is to be copied.
fn jobs_of<'a>(jobs: &'a [CopyJob], ledger: &VaultLedger, row: &ItemRow<'_>) -> Vec<&'a CopyJob> {
    let recovery_point_arn = row.recovery_point_arn();
    let of_item = |job: &&CopyJob| {
        job.source_recovery_point_arn.as_ref() == Some(&recovery_point_arn)
            && job.destination_backup_vault_arn.as_ref() == Some(&ledger.destination_vault_arn)
    };
    jobs.iter().filter(of_item).collect()
}

fn latest<'a>(jobs: &[&'a CopyJob], wanted: impl Fn(&CopyJob) -> bool) -> Option<&'a CopyJob> {
    let wanted = jobs.iter().copied().filter(|job| wanted(job));
    wanted.max_by_key(|job| job.creation_date)
}

#[cfg(test)]
pub(super) mod tests;
