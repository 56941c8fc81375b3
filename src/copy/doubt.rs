//! Starts of which it is not known whether AWS took them: the answer was lost, or the process died.
//!
//! Two guards keep a point from being copied twice. First, AWS's own list of the point's copy jobs,
//! read after a grace in which a new job gets listed. Then, if it shows none, the same request with
//! the same token: AWS takes no second action for a token that it has seen, though it does not say
//! for how long. An item in doubt keeps its slot, because its job may be running.

use std::cmp::Reverse;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::call::CallKind;
use super::engine::{Engine, Moment};
use super::event::StopReason;
use super::run::VaultLedger;
use super::scheduler::ItemId;
use crate::aws::{ApiError, ErrorClass};
use crate::domain::{CopyJob, CopyJobState};
use crate::state::Item;

/// Wait before a look that failed, or a start that AWS did not take, is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// How far AWS's clock and ours may differ where the point is copied again on purpose.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(5);
/// A job that completed this long before the run began is not this run's, whatever the clocks say.
const LONG_BEFORE: TimeDelta = TimeDelta::days(1);

/// A start in doubt.
#[derive(Debug, Clone)]
pub(super) struct Doubt {
    /// When it was first sent.
    since: DateTime<Utc>,
    /// AWS's refusal of a later send: final, unless the earlier one turns out to have been taken.
    refusal: Option<ApiError>,
}

impl Engine<'_> {
    /// The answer to a start was lost.
    pub(super) fn doubt(&mut self, id: ItemId, error: &ApiError, now: Moment) {
        tracing::warn!(
            recovery_point = self.arn(id).map(tracing::field::display),
            %error,
            "the answer to StartCopyJob was lost; looking whether a copy job was started"
        );
        self.doubt_until(id, now.date, now.elapsed + self.policy.list_grace);
    }

    /// An earlier process may have sent the start at `since`.
    pub(super) fn doubt_restored(&mut self, id: ItemId, since: DateTime<Utc>, now: Moment) {
        let passed = (now.date - since).to_std().unwrap_or_default();
        let wait = self.policy.list_grace.saturating_sub(passed);
        self.doubt_until(id, since, now.elapsed + wait);
    }

    /// AWS does not know a job any more that it answered before.
    pub(super) fn doubt_again(&mut self, id: ItemId, now: Moment) {
        self.doubt_until(id, now.date, now.elapsed);
    }

    fn doubt_until(&mut self, id: ItemId, since: DateTime<Utc>, at: Duration) {
        self.doubts.entry(id).or_insert(Doubt { since, refusal: None });
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
            if let Some(arn) = self.arn(id) {
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
                tracing::warn!(%error, "cannot look for the copy job of a start in doubt; trying again");
                if error.class == ErrorClass::Credentials {
                    self.raise(StopReason::CredentialsGone);
                }
                self.doubts_due.push(Reverse((now.elapsed + AGAIN, id)));
                return;
            }
        };
        let Some(doubt) = self.doubts.get(&id).cloned() else {
            return;
        };
        let job = self
            .item(id)
            .and_then(|(ledger, item)| job_of_attempt(&jobs, ledger, item, doubt.since, self.policy.recopy));
        if let Some(job) = job.cloned() {
            let created = job.creation_date;
            self.started(id, job.copy_job_id.clone(), created, true, now);
            if job.state.is_terminal() {
                self.job_ended(job, now);
            }
        } else if let Some(error) = doubt.refusal {
            self.refused(id, error, now);
        } else if self.stop().is_none() {
            self.pacer.started();
            self.send_start(id);
        }
    }

    /// AWS answered a later send of a start in doubt, and surely did nothing.
    pub(super) fn unsent_in_doubt(&mut self, id: ItemId, error: ApiError, now: Moment) {
        let wait = match error.class {
            ErrorClass::Throttling => {
                self.pacer.on_throttled(now.elapsed);
                AGAIN
            }
            ErrorClass::Quota => {
                self.quota_reached(now);
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

/// The copy job of the item's attempt, if it is among these.
///
/// One that is under way is, whenever it began: sending again would copy twice. One that completed
/// is unless it is surely older than the run; where points are copied again on purpose, only if it
/// is no older than the attempt. One that failed is if there are as many jobs as attempts, because an
/// attempt makes one job at the most.
fn job_of_attempt<'a>(
    jobs: &'a [CopyJob],
    ledger: &VaultLedger,
    item: &Item,
    since: DateTime<Utc>,
    recopy: bool,
) -> Option<&'a CopyJob> {
    let mine: Vec<&CopyJob> = jobs
        .iter()
        .filter(|job| {
            job.source_recovery_point_arn.as_ref() == Some(&item.recovery_point_arn)
                && job.destination_backup_vault_arn.as_ref() == Some(&ledger.destination_vault_arn)
        })
        .collect();
    let every_attempt = mine.len() >= usize::try_from(item.attempt.max(1)).unwrap_or(usize::MAX);
    let completed_since = if recopy {
        since - CLOCK_TOLERANCE
    } else {
        ledger.created_at - LONG_BEFORE
    };
    let is_recent = |job: &CopyJob| job.creation_date.is_none_or(|at| at >= completed_since);
    let latest_of = |wanted: &dyn Fn(&CopyJob) -> bool| {
        mine.iter()
            .copied()
            .filter(|job| wanted(job))
            .max_by_key(|job| job.creation_date)
    };
    latest_of(&|job| !job.state.is_terminal())
        .or_else(|| {
            latest_of(&|job| {
                job.state == CopyJobState::Completed && (is_recent(job) || (recopy && every_attempt))
            })
        })
        .or_else(|| {
            latest_of(&|job| job.state.is_terminal() && job.state != CopyJobState::Completed && every_attempt)
        })
}
