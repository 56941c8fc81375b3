//! What must have been done by now, and what a poll must ask for.

use std::time::Duration;

use chrono::TimeDelta;

use super::watch::{AFTER_FAULT, Watch, is_busy, is_fixed, items};
use crate::copy::engine::Engine;
use crate::copy::poller::{Poll, Seen};
use crate::domain::CopyJobId;
use crate::state::{Item, ItemState};

/// The slowest pace: a start in two seconds, and a little for rounding.
const SLOWEST: Duration = Duration::from_millis(2_100);
/// Polls after which a job that was not seen is asked for by id.
const UNSEEN_POLLS: u32 = 20;
/// How far back a list is read again.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);
/// Longest time between two such questions.
const LONGEST_PATIENCE: Duration = Duration::from_hours(2);

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
        let full = self.room == 0 && self.full_until.is_some_and(|until| now < until);
        let limits = &engine.policy.limits;
        let busy: Vec<Item> = items(engine).map(|(_, item)| item).filter(is_busy).collect();
        if paced || full || !is_fixed(engine) || busy.len() >= limits.window.size() {
            return;
        }
        let idle = items(engine).find(|(_, item)| {
            let same = |wanted: &dyn Fn(&Item) -> bool| busy.iter().filter(|other| wanted(other)).count();
            item.state == ItemState::Pending
                && self
                    .not_before
                    .get(&item.recovery_point_arn)
                    .is_none_or(|at| *at <= now)
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
            let latest = seen.jobs.iter().filter_map(|job| job.completion_date).max();
            self.swept_until = self.swept_until.max(latest);
        }
        self.listing_denied |= seen.listing_denied;
        let first = engine.policy.poll_interval * UNSEEN_POLLS;
        for (job, (_, watched)) in engine.in_flight.iter().filter(|_| lists) {
            let from = self.began + *watched;
            let asked = self.asked.get(job).filter(|(last, _)| *last >= from);
            let (last, patience) = asked.copied().unwrap_or((from, first));
            let due = last + patience;
            let is_asked = poll.by_id.contains(job);
            self.must(!is_asked || now >= due, || {
                format!("{now:?}: {job} is asked for by id, due at {due:?}")
            });
            self.must(
                is_asked || now < due || poll.by_id.len() >= engine.policy.workers,
                || format!("{now:?}: {job} is not asked for by id, due at {due:?}"),
            );
            if is_asked {
                self.asked
                    .insert(job.clone(), (now, (patience * 2).min(LONGEST_PATIENCE)));
            }
        }
        self.must(!lists || poll.by_id.len() <= engine.policy.workers, || {
            format!("{now:?}: a poll asks for {} jobs by id", poll.by_id.len())
        });
        let missed = visible
            .iter()
            .find(|job| seen.jobs.iter().all(|found| found.copy_job_id != **job));
        self.must(!seen.whole || missed.is_none(), || {
            format!("{now:?}: a poll passes over {missed:?}, which has ended")
        });
    }
}
