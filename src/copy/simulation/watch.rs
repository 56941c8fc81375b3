//! What must hold at every step of a run, not only at its end: bounds are kept, waits are waited,
//! whatever can be started is started, and nothing is asked for more often than needed.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::aws::{ApiError, ErrorClass};
use crate::copy::call::{Answer, AnswerKind, Call, CallKind, Origin};
use crate::copy::engine::Engine;
use crate::copy::event::{CopyEventKind, StopReason};
use crate::copy::poller::{Poll, Seen};
use crate::copy::scheduler::ItemId;
use crate::copy::window::Window;
use crate::domain::{CopyJobId, IdempotencyToken, RecoveryPointArn};
use crate::state::{Item, ItemState};

/// A point that failed for now is not started again before that.
const AFTER_FAULT: Duration = Duration::from_secs(5);
/// The slowest pace: a start in two seconds, and a little for rounding.
const SLOWEST: Duration = Duration::from_millis(2_100);
/// Polls after which a job that was not seen is asked for by id.
const UNSEEN_POLLS: u32 = 20;
/// Longest time between two such questions.
const LONGEST_PATIENCE: Duration = Duration::from_hours(2);

/// What is remembered to judge the next step by. Only `sent` and `tokens` outlive a process.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// When the starts that AWS may have taken were last sent.
    sent: HashMap<ItemId, Duration>,
    /// The tokens that were last sent, and when.
    tokens: HashMap<ItemId, (IdempotencyToken, Duration)>,
    /// Points in doubt whose own failed job AWS has just listed.
    found: HashSet<ItemId>,
    began: Duration,
    not_before: HashMap<RecoveryPointArn, Duration>,
    full_until: Option<Duration>,
    /// Jobs that have ended while AWS took no more: each makes room for one.
    room: usize,
    throttled_at: Option<Duration>,
    /// When starts were sent of late.
    starts: Vec<Duration>,
    calls_of: HashSet<ItemId>,
    /// Points that this process has started, or queued again.
    tried: HashSet<RecoveryPointArn>,
    touched: HashMap<ItemId, Duration>,
    /// When each job was last asked for by id, and how long it is waited then.
    asked: HashMap<CopyJobId, (Duration, Duration)>,
    internal_faults: HashMap<RecoveryPointArn, u32>,
    pub(super) settling_calls: u64,
    /// When it was last seen to that all that can be done is done: now and then is enough.
    settled_at: Option<Duration>,
    pub(super) completed: usize,
    listing_denied: bool,
    credentials_gone: bool,
    pub(super) violations: Vec<String>,
}

impl Watch {
    /// A new process: it knows what is on the disk, and nothing else.
    pub(super) fn process_begins(&mut self, now: Duration) {
        *self = Self {
            sent: std::mem::take(&mut self.sent),
            tokens: std::mem::take(&mut self.tokens),
            violations: std::mem::take(&mut self.violations),
            began: now,
            ..Self::default()
        };
    }

    pub(super) fn must(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(otherwise());
        }
    }

    /// A call is about to be sent, its record is written.
    pub(super) fn sending(&mut self, engine: &Engine<'_>, call: &Call, now: Duration, stopped: bool) {
        let id = call.id;
        self.must(self.calls_of.len() < engine.policy.workers, || {
            format!("{now:?}: more calls than workers")
        });
        let alone = self.calls_of.insert(id);
        self.must(alone, || format!("{now:?}: two calls at once of {id:?}"));
        match &call.kind {
            CallKind::Start(request) => {
                let found = self.found.remove(&id);
                self.must(!found, || {
                    format!("{now:?}: {id:?} is sent again, though its job was listed")
                });
                let token = request.idempotency_token.clone();
                self.tokens.insert(id, (token, now));
                self.must(!stopped, || format!("{now:?}: {id:?} is started after a stop"));
                if engine.doubts.contains_key(&id) {
                    self.settling_calls += 1;
                } else {
                    self.first_send(engine, id, now);
                    self.bounds(engine, id, now);
                }
                self.sent.insert(id, now);
                self.starts.push(now);
            }
            CallKind::Look(_) => {
                self.settling_calls += 1;
                let is_early = self
                    .sent
                    .get(&id)
                    .is_some_and(|at| now < *at + engine.policy.list_grace);
                self.must(!is_early, || {
                    format!("{now:?}: {id:?} is looked for before its job must be listed")
                });
            }
            CallKind::Examine(candidate) => {
                self.found.remove(&id);
                self.settling_calls += u64::from(candidate.origin != Origin::Answer);
            }
        }
    }

    /// A start of an attempt that was never sent before.
    fn first_send(&mut self, engine: &Engine<'_>, id: ItemId, now: Duration) {
        let full = self.full_until.is_some_and(|until| now < until);
        self.must(!full || self.room > 0, || {
            format!("{now:?}: {id:?} is started while AWS takes no more jobs")
        });
        self.room = self.room.saturating_sub(1);
        let hasty = self.throttled_at == Some(now);
        self.must(!hasty, || {
            format!("{now:?}: {id:?} is started in the moment of a throttled answer")
        });
        let Some((_, item)) = engine.item(id) else { return };
        let early = self
            .not_before
            .remove(&item.recovery_point_arn)
            .is_some_and(|at| now < at);
        self.must(!early, || format!("{now:?}: {id:?} is tried again too early"));
        let older = items(engine).any(|(_, other)| {
            other.resource_arn == item.resource_arn
                && other.creation_date < item.creation_date
                && !self.tried.contains(&other.recovery_point_arn)
                && other.state == ItemState::Pending
        });
        let again = !self.tried.insert(item.recovery_point_arn.clone());
        self.must(!older || again, || {
            format!("{now:?}: {id:?} is started before an older point of its resource")
        });
    }

    /// No more under way than the limits say, this one included.
    fn bounds(&mut self, engine: &Engine<'_>, id: ItemId, now: Duration) {
        let Some((_, item)) = engine.item(id) else { return };
        let limits = &engine.policy.limits;
        let busy = |wanted: &dyn Fn(&Item) -> bool| {
            items(engine)
                .filter(|(_, other)| is_busy(other) && wanted(other))
                .count()
        };
        let grown = if is_fixed(engine) {
            0
        } else {
            engine.stats().done()
        };
        let cap = limits
            .per_type
            .get(&*item.resource_type)
            .copied()
            .unwrap_or(usize::MAX);
        for (what, found, most) in [
            ("the window", busy(&|_| true), limits.window.size() + grown),
            (
                "its resource",
                busy(&|other| other.resource_arn == item.resource_arn),
                limits.per_resource,
            ),
            (
                "its type",
                busy(&|other| other.resource_type == item.resource_type),
                cap,
            ),
        ] {
            self.must(found <= most, || {
                format!("{now:?}: {id:?} makes {found} of {most} in {what}")
            });
        }
    }

    /// An answer has come; the engine has not heard of it yet.
    /// `own` is the job that the last start of the point has made.
    pub(super) fn answered(
        &mut self,
        engine: &Engine<'_>,
        answer: &Answer,
        own: Option<&CopyJobId>,
        now: Duration,
    ) {
        if let AnswerKind::Found(Ok(jobs)) = &answer.kind
            && let Some((_, item)) = engine.item(answer.id)
            && usize::try_from(item.attempt).is_ok_and(|attempt| jobs.len() >= attempt)
            && jobs
                .iter()
                .any(|job| Some(&job.copy_job_id) == own && job.state.is_terminal())
        {
            self.found.insert(answer.id);
        }
        self.calls_of.remove(&answer.id);
        self.touched.insert(answer.id, now);
        let error = match &answer.kind {
            AnswerKind::Started(started) => started.as_ref().err(),
            AnswerKind::Found(found) => found.as_ref().err(),
            AnswerKind::Examined(_, job) => job.as_ref().err(),
        };
        self.failed(error);
        let AnswerKind::Started(started) = &answer.kind else {
            return;
        };
        if !started.as_ref().is_err_and(ApiError::in_doubt) {
            self.sent.remove(&answer.id);
        }
        let Some(error) = started.as_ref().err().filter(|error| !error.in_doubt()) else {
            return;
        };
        match error.class {
            ErrorClass::Throttling => self.throttled(now),
            ErrorClass::Quota => self.full(engine, now),
            ErrorClass::Transient | ErrorClass::Credentials if !engine.doubts.contains_key(&answer.id) => {
                self.throttled(now);
            }
            _ => {}
        }
    }

    fn full(&mut self, engine: &Engine<'_>, now: Duration) {
        self.full_until = Some(now + quota_wait(engine));
        self.room = 0;
    }

    /// The token of the point's attempt, and when it was last sent, if it was.
    pub(super) fn token(&self, engine: &Engine<'_>, id: ItemId) -> Option<&(IdempotencyToken, Duration)> {
        let (ledger, item) = engine.item(id)?;
        let vault = &ledger.destination_vault_arn;
        let current = IdempotencyToken::for_attempt(&item.recovery_point_arn, vault, item.attempt);
        self.tokens.get(&id).filter(|(token, _)| *token == current)
    }

    /// A call, or a poll, has failed.
    pub(super) fn failed(&mut self, error: Option<&ApiError>) {
        self.credentials_gone |= error.is_some_and(|error| error.class == ErrorClass::Credentials);
    }

    /// Throttled answers within a second count as one.
    fn throttled(&mut self, now: Duration) {
        if self
            .throttled_at
            .is_none_or(|at| now >= at + Duration::from_secs(1))
        {
            self.throttled_at = Some(now);
        }
    }

    /// The engine tells of something.
    pub(super) fn told(&mut self, engine: &Engine<'_>, kind: &CopyEventKind, now: Duration) {
        match kind {
            CopyEventKind::ItemCompleted { .. } => {
                self.completed += 1;
                self.room += 1;
            }
            CopyEventKind::ItemFailed { .. } => self.room += 1,
            CopyEventKind::StopRequested { reason } => {
                let is_known = *reason == StopReason::Interrupted
                    || (*reason == StopReason::CredentialsGone && self.credentials_gone);
                self.must(is_known, || format!("{now:?}: a stop for no cause: {reason:?}"));
            }
            CopyEventKind::ItemRequeued {
                recovery_point_arn: arn,
                reason,
            } => {
                let too_many = reason.contains("too many copy jobs");
                let internal = reason.starts_with("An internal");
                if too_many {
                    self.full(engine, now);
                }
                if internal {
                    let faults = self.internal_faults.entry(arn.clone()).or_default();
                    *faults += 1;
                    let often = *faults > 3;
                    self.must(!often, || format!("{now:?}: {arn} is tried again too often"));
                }
                let wait = if too_many || internal {
                    AFTER_FAULT.min(engine.policy.poll_interval)
                } else if reason.contains("made by a test") {
                    AFTER_FAULT
                } else {
                    Duration::ZERO
                };
                self.tried.insert(arn.clone());
                self.not_before.insert(arn.clone(), now + wait);
            }
            _ => {}
        }
    }

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
        let busy: Vec<&Item> = items(engine)
            .map(|(_, item)| item)
            .filter(|item| is_busy(item))
            .collect();
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
        self.must(lists || self.listing_denied, || {
            format!("{now:?}: a poll without a list")
        });
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

pub(super) fn items<'a>(engine: &'a Engine<'_>) -> impl Iterator<Item = (ItemId, &'a Item)> {
    (0_u16..).zip(engine.ledgers.iter()).flat_map(|(vault, ledger)| {
        (0_u32..)
            .zip(ledger.items.iter())
            .map(move |(index, item)| (ItemId { vault, index }, item))
    })
}

pub(super) fn is_busy(item: &Item) -> bool {
    matches!(
        item.state,
        ItemState::Starting { .. } | ItemState::InFlight { .. }
    )
}

fn is_fixed(engine: &Engine<'_>) -> bool {
    let window = engine.policy.limits.window;
    window == Window::fixed(window.size())
}

fn quota_wait(engine: &Engine<'_>) -> Duration {
    Duration::from_mins(1).min(engine.policy.poll_interval * 2)
}
