//! Seeing what became of copy jobs: by listing those that ended, not by asking for each one.
//!
//! A sweep costs as many calls as jobs ended since the last one, in pages of a thousand, whatever
//! number is under way. Lists lag and prove nothing by what they leave out. Now and then those under
//! way are listed too: a job that neither list shows is asked for by id. Where listing is denied,
//! every job is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::aws::{ApiError, BackupClient, CopyJobFilter, ErrorClass};
use crate::crash;
use crate::domain::{BackupVaultArn, CopyJob, CopyJobId};

/// How far back a sweep looks again, for jobs that were listed late. All dates here are AWS's own:
/// what this machine's clock says does not matter.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);
/// Dates are rounded, and what ends at the very moment that is asked for is not listed.
const ROUNDING: TimeDelta = TimeDelta::seconds(1);
/// Of so many polls one looks for the jobs under way as well.
const POLLS_TO_A_LOOK: u32 = 20;

/// A job that is awaited.
#[derive(Debug, Clone, Copy)]
struct Watched {
    /// AWS's date of it.
    created: DateTime<Utc>,
    /// Since when.
    since: Duration,
}

/// When to look at what.
#[derive(Debug)]
pub(super) struct Poller {
    /// How long AWS may take to list a new job.
    list_grace: Duration,
    polls: u32,
    /// When the jobs under way were last looked for.
    looked_at: Duration,
    /// When the latest job that was seen ended, once a whole sweep has seen one.
    ended_until: Option<DateTime<Utc>>,
    by_id_only: bool,
    /// The job that could not be asked for in the last poll: the next one begins behind it, so that
    /// one that AWS never answers for does not hide the others.
    failed_at: Option<CopyJobId>,
    /// Ordered, so that the same run does the same thing twice.
    watched: BTreeMap<CopyJobId, Watched>,
    /// Those of them that no list shows.
    unlisted: BTreeSet<CopyJobId>,
}

/// What one poll is to do.
#[derive(Debug, Clone)]
pub(super) struct Poll {
    pub(super) vaults: Vec<BackupVaultArn>,
    /// `None` if no list is to be read.
    pub(super) completed_after: Option<DateTime<Utc>>,
    /// Whether those under way are listed as well: those made after this moment.
    pub(super) under_way_from: Option<DateTime<Utc>>,
    pub(super) by_id: Vec<CopyJobId>,
    /// Only these are of interest.
    pub(super) awaited: BTreeSet<CopyJobId>,
}

impl Poll {
    /// The vault that is copied into, if it is one. Jobs into several are listed together with all others of the
    /// account: a list for each vault would cost a call for each, whether or not a job has ended.
    fn only_vault(&self) -> Option<BackupVaultArn> {
        let first = self.vaults.first()?;
        self.vaults
            .iter()
            .all(|vault| vault == first)
            .then(|| first.clone())
    }
}

/// What one poll saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Awaited jobs that have ended, and those that were asked for.
    pub(super) jobs: Vec<CopyJob>,
    /// When the latest job of the lists has ended, awaited or not.
    pub(super) ended_until: Option<DateTime<Utc>>,
    /// Awaited jobs under way, if their lists were read whole.
    pub(super) under_way: Option<BTreeSet<CopyJobId>>,
    /// Ids that AWS says do not exist.
    pub(super) unknown: Vec<CopyJobId>,
    pub(super) listing_denied: bool,
    /// Whether the lists of ended jobs were read whole.
    pub(super) whole: bool,
    pub(super) error: Option<ApiError>,
    /// The job at which asking by id ended early.
    pub(super) failed_at: Option<CopyJobId>,
}

impl Poller {
    /// A poller that knows of no job. AWS may take `list_grace` to list a new one.
    pub(super) fn new(list_grace: Duration) -> Self {
        Self {
            list_grace,
            polls: 0,
            looked_at: Duration::ZERO,
            ended_until: None,
            by_id_only: false,
            failed_at: None,
            watched: BTreeMap::new(),
            unlisted: BTreeSet::new(),
        }
    }

    /// A job that AWS made at `created`, or later, is watched from `now` on.
    pub(super) fn watch(&mut self, id: CopyJobId, created: DateTime<Utc>, now: Duration) {
        self.watched.insert(id, Watched { created, since: now });
    }

    /// A job has ended.
    pub(super) fn forget(&mut self, id: &CopyJobId) {
        self.watched.remove(id);
        self.unlisted.remove(id);
    }

    /// The poll that is due at `now`; at most `most_by_id` jobs are asked for by id.
    pub(super) fn next(&mut self, vaults: Vec<BackupVaultArn>, now: Duration, most_by_id: usize) -> Poll {
        self.polls = self.polls.wrapping_add(1);
        let looks = self.polls.is_multiple_of(POLLS_TO_A_LOOK);
        if looks {
            self.looked_at = now;
        }
        let awaited: BTreeSet<CopyJobId> = self.watched.keys().cloned().collect();
        let (wanted, most) = if self.by_id_only {
            (&awaited, usize::MAX)
        } else {
            (&self.unlisted, most_by_id)
        };
        let is_before = |id: &&CopyJobId| self.failed_at.as_ref().is_some_and(|at| *id <= at);
        let (before, after): (Vec<_>, Vec<_>) = wanted.iter().partition(is_before);
        let by_id = after.into_iter().chain(before).take(most).cloned().collect();
        // No job ends before it is made, and those that are not awaited do not matter.
        let oldest = self.watched.values().map(|watched| watched.created).min();
        let oldest = oldest.filter(|_| !self.by_id_only).map(|date| date - ROUNDING);
        Poll {
            vaults,
            completed_after: oldest.map(|oldest| match self.ended_until {
                Some(until) => oldest.max(until - OVERLAP),
                None => oldest,
            }),
            under_way_from: oldest.filter(|_| looks),
            by_id,
            awaited,
        }
    }

    /// Takes note of what a poll saw.
    pub(super) fn learn(&mut self, seen: &Seen) {
        self.failed_at.clone_from(&seen.failed_at);
        let found = seen.jobs.iter().map(|job| &job.copy_job_id);
        let found: BTreeSet<&CopyJobId> = found.chain(&seen.unknown).collect();
        self.unlisted.retain(|id| !found.contains(id));
        if seen.whole {
            self.ended_until = self.ended_until.max(seen.ended_until);
        }
        if let (true, Some(under_way)) = (seen.whole, &seen.under_way) {
            let is_old = |watched: &Watched| watched.since + self.list_grace <= self.looked_at;
            let missing = self
                .watched
                .iter()
                .filter(|(id, watched)| is_old(watched) && !under_way.contains(*id) && !found.contains(*id));
            self.unlisted.extend(missing.map(|(id, _)| id.clone()));
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
    if let Err(error) = list(&client, &poll, &mut seen).await {
        seen.listing_denied = error.class == ErrorClass::AccessDenied;
        if !seen.listing_denied {
            seen.error = Some(error);
        }
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

async fn list(client: &BackupClient, poll: &Poll, seen: &mut Seen) -> Result<(), ApiError> {
    // First those under way: what ends in between is in the list of those that ended.
    if let Some(from) = poll.under_way_from {
        let mut under_way = BTreeSet::new();
        for state in ["CREATED", "RUNNING"] {
            let filter = CopyJobFilter {
                state: Some(state),
                destination_vault_arn: poll.only_vault(),
                created_after: Some(from),
                ..CopyJobFilter::default()
            };
            let take = |job: CopyJob| {
                if poll.awaited.contains(&job.copy_job_id) {
                    under_way.insert(job.copy_job_id);
                }
            };
            client.each_copy_job(&filter, take).await?;
        }
        seen.under_way = Some(under_way);
    }
    let Some(completed_after) = poll.completed_after else {
        return Ok(());
    };
    // Ended jobs of every state at once: what has not ended has no completion date.
    let filter = CopyJobFilter {
        destination_vault_arn: poll.only_vault(),
        completed_after: Some(completed_after),
        ..CopyJobFilter::default()
    };
    let take = |job: CopyJob| {
        seen.ended_until = seen.ended_until.max(job.completion_date);
        if poll.awaited.contains(&job.copy_job_id) {
            seen.jobs.push(job);
        }
    };
    client.each_copy_job(&filter, take).await?;
    seen.whole = true;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::ErrorClass;

    #[test]
    fn a_job_that_aws_never_answers_for_does_not_hide_the_others() {
        let mut poller = Poller::new(Duration::from_mins(2));
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

    fn date(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn ids(names: &[&str]) -> BTreeSet<CopyJobId> {
        names.iter().map(|name| CopyJobId::from_aws(name)).collect()
    }

    #[test]
    fn only_a_job_that_neither_list_shows_is_asked_for_by_id() {
        let mut poller = Poller::new(Duration::from_mins(2));
        for (id, since) in [("runs", 0), ("ended", 0), ("lost", 0), ("new", 500)] {
            poller.watch(CopyJobId::from_aws(id), date(1000), Duration::from_secs(since));
        }
        let looks: Vec<bool> = (0..40)
            .map(|_| {
                poller
                    .next(Vec::new(), Duration::from_mins(10), 10)
                    .under_way_from
                    .is_some()
            })
            .collect();
        assert_eq!(looks.iter().filter(|looks| **looks).count(), 2);
        let ended = CopyJob::for_test("ended", "p", crate::domain::CopyJobState::Completed);
        let mut seen = Seen {
            jobs: vec![ended],
            under_way: Some(ids(&["runs"])),
            ..Seen::default()
        };
        poller.learn(&seen);
        assert!(
            poller.next(Vec::new(), Duration::ZERO, 10).by_id.is_empty(),
            "the other list was not read whole"
        );
        seen.whole = true;
        poller.learn(&seen);
        assert_eq!(
            poller.next(Vec::new(), Duration::ZERO, 10).by_id,
            [CopyJobId::from_aws("lost")]
        );
        assert!(poller.next(Vec::new(), Duration::ZERO, 0).by_id.is_empty());
        seen.unknown = vec![CopyJobId::from_aws("lost")];
        poller.learn(&seen);
        assert!(
            poller.next(Vec::new(), Duration::ZERO, 10).by_id.is_empty(),
            "it was answered"
        );
    }

    #[test]
    fn a_sweep_goes_back_no_further_than_ten_minutes_and_the_oldest_job() {
        let mut poller = Poller::new(Duration::ZERO);
        let from = |poller: &mut Poller| poller.next(Vec::new(), Duration::ZERO, 10).completed_after;
        assert_eq!(from(&mut poller), None, "nobody is awaited");
        let old = CopyJobId::from_aws("old");
        poller.watch(old.clone(), date(1000), Duration::ZERO);
        poller.watch(CopyJobId::from_aws("young"), date(9000), Duration::ZERO);
        assert_eq!(from(&mut poller), Some(date(999)));
        let seen = Seen {
            whole: true,
            ended_until: Some(date(9300)),
            ..Seen::default()
        };
        poller.learn(&seen);
        assert_eq!(from(&mut poller), Some(date(8700)));
        poller.forget(&old);
        assert_eq!(from(&mut poller), Some(date(8999)));
    }
}
