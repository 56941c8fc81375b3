//! What must have been done by now, and what a poll must ask for.

use std::time::Duration;

use chrono::TimeDelta;

use super::watch::{AFTER_FAULT, Watch, is_busy, items};
use crate::copy::engine::Engine;
use crate::copy::poller::{Poll, Seen};
use crate::domain::CopyJobId;
use crate::state::{Item, ItemState};

/// The slowest pace: a start in two seconds, and a little for rounding.
const SLOWEST: Duration = Duration::from_millis(2_100);
/// Of so many polls one looks which jobs are under way.
const POLLS_TO_A_LOOK: u32 = 20;
/// How far back a list is read again.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);

impl Watch {
    /// Everything that can be done at this moment has been done, with so many calls still free.
    pub(super) fn settled(&mut self, engine: &Engine<'_>, now: Duration, free: usize) {
        if free == 0
            || self
                .settled_at
                .is_some_and(|at| now < at + Duration::from_secs(2))
        {
            return;
        }
        self.settled_at = Some(now);
        self.nothing_waits(engine, now);
    }

    /// Time has passed since everything was done: whatever has become due meanwhile should have been
    /// done then, less a moment.
    pub(super) fn slept(&mut self, engine: &Engine<'_>, since: Duration, now: Duration, free: usize) {
        let moment_ago = now.saturating_sub(Duration::from_millis(50));
        if free > 0 && moment_ago > since + Duration::from_secs(2) {
            self.nothing_waits(engine, moment_ago);
        }
    }

    fn nothing_waits(&mut self, engine: &Engine<'_>, now: Duration) {
        self.must(!self.credentials_gone, || {
            format!("{now:?}: the run goes on without credentials")
        });
        let patience = engine
            .policy
            .list_grace
            .max(AFTER_FAULT)
            .max(engine.policy.poll_interval);
        let forgotten = items(engine).find(|(id, item)| {
            matches!(item.state, ItemState::Starting { .. })
                && !self.calls_of.contains(id)
                && now > self.touched.get(id).copied().unwrap_or(self.began) + patience
        });
        self.must(forgotten.is_none(), || {
            format!("{now:?}: nobody looks for the job of {forgotten:?}")
        });
        self.starts.retain(|at| now < *at + Duration::from_mins(2));
        let recent = u32::try_from(self.starts.len()).unwrap_or(u32::MAX);
        let paced = self
            .starts
            .last()
            .copied()
            .max(self.throttled_at)
            .is_some_and(|at| now < at + SLOWEST * (recent + 1));
        let limits = &engine.policy.limits;
        let busy: Vec<Item> = items(engine).map(|(_, item)| item).filter(is_busy).collect();
        if paced || limits.found_from.is_some() || busy.len() >= limits.in_flight {
            return;
        }
        let idle = items(engine).find(|(_, item)| {
            let same = |wanted: &dyn Fn(&Item) -> bool| busy.iter().filter(|other| wanted(other)).count();
            item.state == ItemState::Pending
                && self
                    .not_before
                    .get(&item.recovery_point_arn)
                    .is_none_or(|at| *at <= now)
                && self
                    .full
                    .get(&*item.resource_type)
                    .is_none_or(|full| full.room > 0 || now >= full.until)
                && same(&|other| other.resource_arn == item.resource_arn) < limits.per_resource
                && limits
                    .per_type
                    .get(&*item.resource_type)
                    .is_none_or(|cap| same(&|other| other.resource_type == item.resource_type) < *cap)
        });
        self.must(idle.is_none(), || format!("{now:?}: {idle:?} could be started"));
    }

    /// A poll is made. `visible` are the awaited jobs whose end lists show by now.
    pub(super) fn polled(
        &mut self,
        engine: &Engine<'_>,
        poll: &Poll,
        seen: &Seen,
        now: Duration,
        visible: &[CopyJobId],
    ) {
        let lists = poll.completed_after.is_some();
        self.must(lists != self.listing_denied, || {
            format!("{now:?}: lists are read though denied, or not read though allowed")
        });
        let foreign = poll.by_id.iter().find(|job| !engine.in_flight.contains_key(*job));
        self.must(foreign.is_none(), || {
            format!("{now:?}: {foreign:?} is asked for, which nobody awaits")
        });
        let from = self.swept_until.map(|until| until - OVERLAP);
        self.must(!lists || poll.completed_after >= from, || {
            format!(
                "{now:?}: a list is read from {:?} on, again",
                poll.completed_after
            )
        });
        if seen.whole {
            self.swept_until = self.swept_until.max(seen.ended_until);
        }
        self.listing_denied |= seen.listing_denied;
        self.must(!lists || poll.by_id.len() <= engine.policy.workers, || {
            format!("{now:?}: a poll asks for {} jobs by id", poll.by_id.len())
        });
        let is_full = poll.by_id.len() >= engine.policy.workers;
        for job in engine.in_flight.keys().filter(|_| lists) {
            let is_asked = poll.by_id.contains(job);
            let is_missing = self.unlisted.contains(job);
            self.must(!is_asked || is_missing, || {
                format!("{now:?}: {job} is asked for by id, though lists show it, or may soon")
            });
            self.must(is_asked || !is_missing || is_full, || {
                format!("{now:?}: {job}, which no list shows, is not asked for by id")
            });
        }
        self.polls_without_look = if poll.under_way_from.is_some() {
            0
        } else {
            self.polls_without_look + 1
        };
        self.must(!lists || self.polls_without_look < POLLS_TO_A_LOOK, || {
            format!("{now:?}: nobody looks which jobs are under way")
        });
        self.take_note(engine, seen, now);
        let missed = visible
            .iter()
            .find(|job| seen.jobs.iter().all(|found| found.copy_job_id != **job));
        self.must(!seen.whole || missed.is_none(), || {
            format!("{now:?}: a poll passes over {missed:?}, which has ended")
        });
    }

    /// Which jobs no list shows, by what this poll saw. They count once its answer is there, which takes
    /// a while; a job that ends, or that is answered for, meanwhile is in question no more.
    fn take_note(&mut self, engine: &Engine<'_>, seen: &Seen, now: Duration) {
        let found = |job: &CopyJobId| {
            seen.jobs.iter().any(|seen| seen.copy_job_id == *job) || seen.unknown.contains(job)
        };
        self.unlisted.retain(|job| !found(job));
        if let (true, Some(under_way)) = (seen.whole, &seen.under_way) {
            for (job, (_, watched)) in &engine.in_flight {
                let is_old = self.began + *watched + engine.policy.list_grace <= now;
                if is_old && !under_way.contains(job) && !found(job) {
                    self.unlisted.insert(job.clone());
                }
            }
        }
    }
}
