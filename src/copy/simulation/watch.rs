//! What must hold at every step of a run, not only at its end: bounds are kept, waits are waited,
//! whatever can be started is started, and nothing is asked for more often than needed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::aws::{ApiError, ErrorClass};
use crate::copy::call::{Answer, AnswerKind, Call, CallKind, Origin};
use crate::copy::engine::Engine;
use crate::copy::event::{CopyEventKind, StopReason};
use crate::copy::scheduler::ItemId;
use crate::domain::{CopyJob, CopyJobId, IdempotencyToken, RecoveryPointArn};
use crate::state::{Item, ItemState};

/// A point that failed for now is not started again before that.
pub(super) const AFTER_FAULT: Duration = Duration::from_secs(5);

/// AWS takes no more jobs.
#[derive(Debug)]
pub(super) struct Full {
    pub(super) until: Duration,
    /// Jobs that have ended meanwhile: each makes room for one.
    pub(super) room: usize,
}

/// What is remembered to judge the next step by. Only `sent` and `tokens` outlive a process.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// When the starts that AWS may have taken were last sent.
    pub(super) sent: HashMap<ItemId, Duration>,
    /// The tokens that were last sent, and when.
    pub(super) tokens: HashMap<ItemId, (IdempotencyToken, Duration)>,
    /// Points in doubt whose own failed job AWS has just listed.
    pub(super) found: HashSet<ItemId>,
    pub(super) began: Duration,
    pub(super) not_before: HashMap<RecoveryPointArn, Duration>,
    /// Types of which AWS takes no more jobs.
    pub(super) full: HashMap<Arc<str>, Full>,
    pub(super) throttled_at: Option<Duration>,
    /// When starts were sent of late.
    pub(super) starts: Vec<Duration>,
    pub(super) calls_of: HashSet<ItemId>,
    /// Points that this process has started, or queued again.
    pub(super) tried: HashSet<RecoveryPointArn>,
    pub(super) touched: HashMap<ItemId, Duration>,
    /// Jobs that no list shows.
    pub(super) unlisted: HashSet<CopyJobId>,
    pub(super) polls_without_look: u32,
    pub(super) internal_faults: HashMap<RecoveryPointArn, u32>,
    pub(super) settling_calls: u64,
    /// When it was last seen to that all that can be done is done: now and then is enough.
    pub(super) settled_at: Option<Duration>,
    pub(super) completed: usize,
    pub(super) listing_denied: bool,
    pub(super) credentials_gone: bool,
    /// When the latest job ended that a whole list has shown.
    pub(super) swept_until: Option<DateTime<Utc>>,
    pub(super) stop: Option<StopReason>,
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
        let full = engine
            .row(id)
            .and_then(|(_, row)| self.full.get_mut(&*row.resource_type()));
        let has_room = full.is_none_or(|full| {
            let has_room = now >= full.until || full.room > 0;
            full.room = full.room.saturating_sub(1);
            has_room
        });
        self.must(has_room, || {
            format!("{now:?}: {id:?} is started while AWS takes no more jobs of its type")
        });
        let hasty = self.throttled_at == Some(now);
        self.must(!hasty, || {
            format!("{now:?}: {id:?} is started in the moment of a throttled answer")
        });
        let Some((_, row)) = engine.row(id) else { return };
        let item = row.item();
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
        let Some((_, row)) = engine.row(id) else { return };
        let item = row.item();
        let limits = &engine.policy.limits;
        let busy = |wanted: &dyn Fn(&Item) -> bool| {
            items(engine)
                .filter(|(_, other)| is_busy(other) && wanted(other))
                .count()
        };
        // While AWS's limits are looked for, each doubles in half a minute at the most.
        let halves = (now.saturating_sub(self.began).as_secs() / 30).min(10);
        let of_type = limits.found_from.map_or(usize::MAX, |size| size << halves);
        let cap = limits
            .per_type
            .get(&*item.resource_type)
            .copied()
            .unwrap_or(usize::MAX)
            .min(of_type);
        for (what, found, most) in [
            ("the run", busy(&|_| true), limits.in_flight),
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
            && let Some((ledger, row)) = engine.row(answer.id)
        {
            let vault = Some(&ledger.destination_vault_arn);
            let of_vault = |job: &&CopyJob| job.destination_backup_vault_arn.as_ref() == vault;
            let listed = jobs.iter().filter(of_vault).count();
            let is_own = |job: &CopyJob| Some(&job.copy_job_id) == own && job.state.is_terminal();
            if usize::try_from(row.attempt()).is_ok_and(|attempt| listed >= attempt)
                && jobs.iter().any(is_own)
            {
                self.found.insert(answer.id);
            }
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
            ErrorClass::Quota => {
                let kind = engine.row(answer.id).map(|(_, row)| row.resource_type());
                self.full(engine, kind, now);
            }
            ErrorClass::Transient | ErrorClass::Credentials if !engine.doubts.contains_key(&answer.id) => {
                self.throttled(now);
            }
            _ => {}
        }
    }

    /// AWS takes no more jobs of a type.
    fn full(&mut self, engine: &Engine<'_>, kind: Option<Arc<str>>, now: Duration) {
        let until = now + quota_wait(engine);
        self.full.extend(kind.map(|kind| (kind, Full { until, room: 0 })));
    }

    /// A job of a type has ended.
    fn ended(&mut self, kind: Option<Arc<str>>) {
        if let Some(full) = kind.and_then(|kind| self.full.get_mut(&kind)) {
            full.room += 1;
        }
    }

    /// The token of the point's attempt, and when it was last sent, if it was.
    pub(super) fn token(&self, engine: &Engine<'_>, id: ItemId) -> Option<&(IdempotencyToken, Duration)> {
        let (ledger, row) = engine.row(id)?;
        let vault = &ledger.destination_vault_arn;
        let current = IdempotencyToken::for_attempt(&row.recovery_point_arn(), vault, row.attempt());
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
            CopyEventKind::ItemCompleted {
                recovery_point_arn, ..
            } => {
                self.completed += 1;
                self.ended(type_of(engine, recovery_point_arn));
            }
            CopyEventKind::ItemFailed {
                recovery_point_arn, ..
            } => self.ended(type_of(engine, recovery_point_arn)),
            CopyEventKind::StopRequested { reason } => {
                let is_known = *reason == StopReason::Interrupted
                    || (*reason == StopReason::CredentialsGone && self.credentials_gone);
                self.must(is_known, || format!("{now:?}: a stop for no cause: {reason:?}"));
                let is_raised = self.stop < Some(*reason);
                self.must(is_raised, || {
                    format!("{now:?}: {reason:?} is told again, or too late")
                });
                self.stop = Some(*reason);
            }
            CopyEventKind::ItemRequeued {
                recovery_point_arn: arn,
                reason,
                ..
            } => {
                let too_many = reason.contains("too many copy jobs");
                let internal = reason.starts_with("An internal");
                if too_many {
                    self.full(engine, type_of(engine, arn), now);
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
}

pub(super) fn items(engine: &Engine<'_>) -> impl Iterator<Item = (ItemId, Item)> {
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

fn type_of(engine: &Engine<'_>, arn: &RecoveryPointArn) -> Option<Arc<str>> {
    let mut rows = engine.ledgers.iter().flat_map(|ledger| ledger.items.rows());
    rows.find(|row| row.recovery_point_arn() == *arn)
        .map(|row| row.resource_type())
}

fn quota_wait(engine: &Engine<'_>) -> Duration {
    Duration::from_mins(1).min(engine.policy.poll_interval * 2)
}
