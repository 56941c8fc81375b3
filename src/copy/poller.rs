//! Seeing what became of copy jobs: by listing those that ended, not by asking for each one.
//!
//! A sweep costs as many calls as jobs ended since the last one, in pages of a thousand, whatever
//! number is under way. Lists lag and prove nothing by what they leave out; a job that stays unseen
//! for long is asked for by id, ever more rarely. Where listing is denied, every job is asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::aws::{ApiError, BackupClient, CopyJobFilter, ErrorClass};
use crate::crash;
use crate::domain::{BackupVaultArn, CopyJob, CopyJobId};

/// How far back a sweep looks again, for jobs that were listed late. All dates here are AWS's own:
/// what this machine's clock says does not matter.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);
/// Polls that a job may stay unseen before it is asked for by id.
const UNSEEN_POLLS: u32 = 20;
/// Longest time between two such questions: jobs may wait for hours behind others of their resource.
const LONGEST_PATIENCE: Duration = Duration::from_hours(2);

/// When to look at what.
#[derive(Debug)]
pub(super) struct Poller {
    interval: Duration,
    /// When the latest job that was seen ended, once a whole sweep has seen one; until then, when
    /// the oldest known job was started.
    ended_until: Option<DateTime<Utc>>,
    started_from: Option<DateTime<Utc>>,
    by_id_only: bool,
    /// The job that could not be asked for in the last poll: the next one begins behind it, so that
    /// one that AWS never answers for does not hide the others.
    failed_at: Option<CopyJobId>,
    /// When each watched job is asked for by id, and how long it is waited then. Ordered, so that the
    /// same run does the same thing twice.
    look_at: BTreeMap<CopyJobId, (Duration, Duration)>,
}

/// What one poll is to do.
#[derive(Debug, Clone)]
pub(super) struct Poll {
    pub(super) vaults: Vec<BackupVaultArn>,
    /// `None` if no list is to be read.
    pub(super) completed_after: Option<DateTime<Utc>>,
    pub(super) by_id: Vec<CopyJobId>,
}

/// What one poll saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) jobs: Vec<CopyJob>,
    /// Ids that AWS says do not exist.
    pub(super) unknown: Vec<CopyJobId>,
    pub(super) listing_denied: bool,
    /// Whether the lists were read whole.
    pub(super) whole: bool,
    pub(super) error: Option<ApiError>,
    /// The job at which asking by id ended early.
    pub(super) failed_at: Option<CopyJobId>,
}

impl Poller {
    /// A poller that knows of no job.
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            ended_until: None,
            started_from: None,
            by_id_only: false,
            failed_at: None,
            look_at: BTreeMap::new(),
        }
    }

    /// A job that AWS made at `created` is watched from `now` on.
    pub(super) fn watch(&mut self, id: CopyJobId, created: DateTime<Utc>, now: Duration) {
        self.started_from = Some(self.started_from.map_or(created, |from| from.min(created)));
        let patience = self.interval * UNSEEN_POLLS;
        self.look_at.insert(id, (now + patience, patience));
    }

    /// A job has ended.
    pub(super) fn forget(&mut self, id: &CopyJobId) {
        self.look_at.remove(id);
    }

    /// The poll that is due at `now`; at most `most_by_id` jobs are asked for by id.
    pub(super) fn next(&mut self, vaults: Vec<BackupVaultArn>, now: Duration, most_by_id: usize) -> Poll {
        let (before, after): (Vec<_>, Vec<_>) = self
            .look_at
            .iter()
            .partition(|(id, _)| self.failed_at.as_ref().is_some_and(|at| *id <= at));
        let due: Vec<CopyJobId> = after
            .into_iter()
            .chain(before)
            .filter(|(_, (at, _))| self.by_id_only || *at <= now)
            .map(|(id, _)| id.clone())
            .take(if self.by_id_only { usize::MAX } else { most_by_id })
            .collect();
        for id in due.iter().filter(|_| !self.by_id_only) {
            if let Some((at, patience)) = self.look_at.get_mut(id) {
                *patience = patience
                    .saturating_mul(2)
                    .min(LONGEST_PATIENCE.max(self.interval));
                *at = now + *patience;
            }
        }
        Poll {
            vaults,
            completed_after: self
                .ended_until
                .or(self.started_from)
                .filter(|_| !self.by_id_only)
                .map(|date| date - OVERLAP),
            by_id: due,
        }
    }

    /// Takes note of what a poll saw.
    pub(super) fn learn(&mut self, seen: &Seen) {
        self.failed_at.clone_from(&seen.failed_at);
        if seen.whole {
            let latest = seen.jobs.iter().filter_map(|job| job.completion_date).max();
            self.ended_until = self.ended_until.max(latest);
        }
        if seen.listing_denied && !self.by_id_only {
            tracing::warn!(
                "backup:ListCopyJobs is denied to the source identity: asking for each job with DescribeCopyJob instead, \
                 which takes one call a job; allow backup:ListCopyJobs to avoid that"
            );
            self.by_id_only = true;
        }
    }
}

/// Makes the calls of one poll. What could be read is returned even if something could not.
pub(super) async fn run(client: BackupClient, poll: Poll) -> Seen {
    let mut seen = Seen::default();
    crash::point("poll.send");
    if let Some(completed_after) = poll.completed_after {
        list(&client, &poll, completed_after, &mut seen).await;
    }
    for id in &poll.by_id {
        match client.describe_copy_job(id).await {
            Ok(job) => seen.jobs.push(job),
            Err(error) if error.class == ErrorClass::NotFound => seen.unknown.push(id.clone()),
            Err(error) => {
                seen.error = Some(error);
                seen.failed_at = Some(id.clone());
                break;
            }
        }
    }
    crash::point("poll.answered");
    seen
}

async fn list(client: &BackupClient, poll: &Poll, completed_after: DateTime<Utc>, seen: &mut Seen) {
    for vault in &poll.vaults {
        // Ended jobs of every state at once: what has not ended has no completion date.
        let filter = CopyJobFilter {
            destination_vault_arn: Some(vault.clone()),
            completed_after: Some(completed_after),
            ..CopyJobFilter::default()
        };
        match client.list_copy_jobs(&filter).await {
            Ok(jobs) => seen.jobs.extend(jobs),
            Err(error) => {
                seen.listing_denied = error.class == ErrorClass::AccessDenied;
                if !seen.listing_denied {
                    seen.error = Some(error);
                }
                return;
            }
        }
    }
    seen.whole = true;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::ErrorClass;

    #[test]
    fn a_job_that_aws_never_answers_for_does_not_hide_the_others() {
        let mut poller = Poller::new(Duration::from_secs(30));
        for id in ["a", "b", "c"] {
            poller.watch(CopyJobId::from_aws(id), DateTime::UNIX_EPOCH, Duration::ZERO);
        }
        poller.by_id_only = true;
        let asked = |poller: &mut Poller| {
            let poll = poller.next(Vec::new(), Duration::ZERO, 10);
            poll.by_id.iter().map(ToString::to_string).collect::<String>()
        };
        assert_eq!(asked(&mut poller), "abc");
        let mut seen = Seen {
            error: Some(ApiError::for_test(
                "DescribeCopyJob",
                ErrorClass::Transient,
                false,
            )),
            failed_at: Some(CopyJobId::from_aws("a")),
            ..Seen::default()
        };
        poller.learn(&seen);
        assert_eq!(asked(&mut poller), "bca");
        seen.failed_at = None;
        poller.learn(&seen);
        assert_eq!(asked(&mut poller), "abc");
    }
}
