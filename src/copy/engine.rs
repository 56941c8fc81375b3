//! What a run decides: pure, so that thousands of runs can be lived through in a second.
//!
//! Inputs are what the loop learns (answers, polls, time); outputs are [`Effect`]s that it performs:
//! first everything is journalled, then calls are sent. No clock, no I/O, no runtime. Every change of
//! an item goes through its ledger. Decisions on answers are in `outcomes.rs`, those on starts whose
//! answer was lost in `doubt.rs`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::breaker::Breaker;
use super::call::{Call, CallKind};
use super::doubt::Doubt;
use super::durations::JobDurations;
use super::event::{CopyEventKind, ItemFailure, RunStats, StopReason, VaultProgress};
use super::failure::FailureCause;
use super::poller::{Poll, Poller};
use super::retention::OtherRetention;
use super::run::{RunPolicy, VaultLedger};
use super::scheduler::{ItemId, Scheduler};
use crate::aws::StartCopyJob;
use crate::aws::throttle::StartPacer;
use crate::domain::{CopyJobId, IdempotencyToken, RecoveryPointArn};
use crate::state::{Counts, ItemRow, ItemState, JournalRecord, Standing};

/// Wait before what met a passing fault is tried again.
pub(super) const AGAIN: Duration = Duration::from_secs(5);
/// How far AWS's clock and ours may differ where a job's age is compared with a start's.
pub(super) const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// A moment by both clocks: since the run began, which only goes forward, and the calendar's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) elapsed: Duration,
    pub(super) date: DateTime<Utc>,
}

/// What the loop has to do. All records of a batch are durable before any of its calls is sent, and
/// if one cannot be written, no call is sent any more.
#[derive(Debug)]
pub(super) enum Effect {
    /// Write to the vault's journal.
    Journal { vault: u16, record: JournalRecord },
    /// Send a call.
    Call(Call),
    /// Tell the reporters.
    Emit(CopyEventKind),
}

/// The state of a run.
#[derive(Debug)]
pub(super) struct Engine<'a> {
    pub(super) policy: RunPolicy,
    pub(super) ledgers: &'a mut [VaultLedger],
    pub(super) scheduler: Scheduler,
    pub(super) pacer: StartPacer,
    pub(super) poller: Poller,
    pub(super) breaker: Breaker,
    pub(super) durations: JobDurations,
    pub(super) in_flight: HashMap<CopyJobId, (ItemId, Duration)>,
    /// Starts of which it is not known whether AWS took them, and when each is looked into.
    pub(super) doubts: HashMap<ItemId, Doubt>,
    pub(super) doubts_due: BinaryHeap<Reverse<(Duration, ItemId)>>,
    /// How often a point's jobs have failed of a cause that passes.
    pub(super) passing_failures: HashMap<ItemId, u32>,
    /// Points a job of which AWS has denied to know.
    pub(super) vanished: HashSet<ItemId>,
    /// Calls that settled lost answers, and starts that were sent again for it.
    pub(super) repeated_calls: u64,
    pub(super) systemic: Option<(FailureCause, String)>,
    /// Copies that were given another retention than was asked for.
    pub(super) other_retention: OtherRetention,
    stop: Option<StopReason>,
    effects: Vec<Effect>,
    completed_before: usize,
}

impl<'a> Engine<'a> {
    /// The state of a run at its beginning; [`Engine::restore`] comes next.
    pub(super) fn new(policy: RunPolicy, ledgers: &'a mut [VaultLedger]) -> Self {
        let completed_before = ledgers.iter().map(|v| v.items.counts().completed).sum();
        Self {
            scheduler: Scheduler::new(policy.limits.clone()),
            pacer: StartPacer::new(policy.workers),
            poller: Poller::new(policy.list_grace),
            breaker: Breaker::default(),
            durations: JobDurations::default(),
            in_flight: HashMap::new(),
            doubts: HashMap::new(),
            doubts_due: BinaryHeap::new(),
            passing_failures: HashMap::new(),
            vanished: HashSet::new(),
            repeated_calls: 0,
            systemic: None,
            other_retention: OtherRetention::default(),
            stop: None,
            effects: Vec::new(),
            policy,
            ledgers,
            completed_before,
        }
    }

    /// What is to be done now.
    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The reason to stop, once there is one.
    pub(super) fn stop(&self) -> Option<StopReason> {
        self.stop
    }

    /// Finds a reason to stop; a lower one than before is passed over.
    pub(super) fn raise(&mut self, reason: StopReason) {
        if self.stop.is_none_or(|r| reason > r) {
            self.stop = Some(reason);
            self.emit(CopyEventKind::StopRequested { reason });
        }
    }

    pub(super) fn emit(&mut self, kind: CopyEventKind) {
        self.effects.push(Effect::Emit(kind));
    }

    pub(super) fn call(&mut self, id: ItemId, kind: CallKind) {
        self.effects.push(Effect::Call(Call { id, kind }));
    }

    /// Changes an item, and has the change journalled. A change that cannot follow where the item
    /// stands is a fault of this program, and ends the run: nothing is built upon it.
    /// Answers whether it was made.
    pub(super) fn record(&mut self, vault: u16, record: JournalRecord) -> bool {
        let Some(ledger) = self.ledgers.get_mut(usize::from(vault)) else {
            return false;
        };
        let applied = ledger.items.apply(&record);
        match &applied {
            Ok(()) => self.effects.push(Effect::Journal { vault, record }),
            Err(error) => {
                tracing::error!(%error, "inconsistent state; please report this");
                self.raise(StopReason::Internal);
            }
        }
        applied.is_ok()
    }

    /// Puts every item where its ledger says that it is.
    pub(super) fn restore(&mut self, now: Moment) {
        for vault in 0..u16::try_from(self.ledgers.len()).unwrap_or(u16::MAX) {
            let Some(ledger) = self.ledgers.get(usize::from(vault)) else {
                continue;
            };
            let began = ledger.created_at;
            let mut pending: Vec<(DateTime<Utc>, u32)> = Vec::new();
            let mut doubtful: Vec<(ItemId, DateTime<Utc>, DateTime<Utc>)> = Vec::new();
            for row in ledger.items.rows() {
                let index = row.number();
                let id = ItemId { vault, index };
                match row.standing() {
                    Standing::Pending => pending.push((row.creation_date(), index)),
                    Standing::Starting | Standing::InFlight => {
                        self.scheduler
                            .add_in_flight(id, row.resource_arn().as_str(), &row.resource_type());
                    }
                    Standing::Completed | Standing::Failed | Standing::Skipped => continue,
                }
                match row.state() {
                    ItemState::Starting { since, sent, .. } => {
                        let since = since.unwrap_or(began);
                        doubtful.push((id, since, sent.unwrap_or(since)));
                    }
                    ItemState::InFlight { copy_job_id, since } => {
                        self.in_flight.insert(copy_job_id.clone(), (id, now.elapsed));
                        // Where AWS gave no date, it is this machine's.
                        self.poller
                            .watch(copy_job_id, since - CLOCK_TOLERANCE, now.elapsed);
                    }
                    _ => {}
                }
            }
            pending.sort_unstable();
            for (_, index) in pending {
                if let Some(row) = ledger.items.row(index) {
                    let id = ItemId { vault, index };
                    self.scheduler
                        .add_pending(id, row.resource_arn().as_str(), &row.resource_type());
                }
            }
            for (id, since, sent) in doubtful {
                self.doubt_restored(id, since, sent, now);
            }
        }
        self.scheduler.all_are_added();
    }

    /// Looks into doubts that are due and, if wanted, starts what can be started, with so many calls
    /// free. A run that is stopping does neither.
    pub(super) fn act(&mut self, now: Moment, free_calls: usize, may_start: bool) {
        if self.stop.is_some() {
            return;
        }
        // Answers that were just taken in may have made calls necessary, which are yet to be sent.
        let queued = self.effects.iter().filter(|e| matches!(e, Effect::Call(_)));
        let free_calls = free_calls.saturating_sub(queued.count());
        let looks = self.look_into_doubts(now, free_calls);
        if may_start {
            self.start_some(now, free_calls - looks);
        }
        for (resource_type, most_in_flight) in self.scheduler.changed_windows() {
            self.emit(CopyEventKind::WindowChanged {
                resource_type,
                most_in_flight,
            });
        }
    }

    fn start_some(&mut self, now: Moment, free_calls: usize) {
        let mut chosen: Vec<ItemId> = Vec::new();
        while chosen.len() < free_calls && self.pacer.may_start(now.elapsed) {
            let Some(id) = self.scheduler.take_start(now.elapsed) else {
                break;
            };
            self.pacer.started();
            chosen.push(id);
        }
        for id in chosen {
            if let Some(attempt) = self.row(id).map(|(_, row)| row.attempt() + 1) {
                self.send_start(id, attempt, now);
            }
        }
    }

    /// Sends the start of an attempt, for the first time or again, once that is written down: the
    /// grace for AWS's lists counts from when it was last sent.
    pub(super) fn send_start(&mut self, id: ItemId, attempt: u32, now: Moment) {
        let Some((ledger, row)) = self.row(id) else {
            return;
        };
        let arn = row.recovery_point_arn();
        let idempotency_token = IdempotencyToken::for_attempt(&arn, &ledger.destination_vault_arn, attempt);
        let request = StartCopyJob {
            recovery_point_arn: arn.clone(),
            source_vault: ledger.source_vault.clone(),
            destination_vault_arn: ledger.destination_vault_arn.clone(),
            iam_role_arn: self.policy.iam_role_arn.clone(),
            lifecycle: self.policy.retention.lifecycle(row.lifecycle().as_ref()),
            idempotency_token: idempotency_token.clone(),
        };
        let record = JournalRecord::StartIntended {
            recovery_point_arn: arn,
            attempt,
            idempotency_token,
            at: Some(now.date),
        };
        if self.record(id.vault, record) {
            self.call(id, CallKind::Start(request));
        }
    }

    /// The poll that is due.
    pub(super) fn next_poll(&mut self, now: Moment) -> Poll {
        let vaults = self.ledgers.iter().map(|v| v.destination_vault_arn.clone());
        self.poller
            .next(vaults.collect(), now.elapsed, self.policy.workers)
    }

    /// When time alone makes a call possible; `None` if it does not.
    pub(super) fn next_call(&self, now: Moment) -> Option<Duration> {
        let start = if self.scheduler.pending() == 0 {
            None
        } else {
            // Before the pace allows a start, the queue is not looked at: what is due there stays due.
            let pace = self.pacer.next_start(now.elapsed);
            pace.or_else(|| self.scheduler.next_wake())
        };
        self.next_look().into_iter().chain(start).min()
    }

    /// When the next doubt is looked into.
    pub(super) fn next_look(&self) -> Option<Duration> {
        self.doubts_due.peek().map(|Reverse((at, _))| *at)
    }

    /// Whether every item has ended.
    pub(super) fn is_done(&self) -> bool {
        self.scheduler.pending() == 0 && self.scheduler.in_flight() == 0
    }

    pub(super) fn row(&self, id: ItemId) -> Option<(&VaultLedger, ItemRow<'_>)> {
        let ledger = self.ledgers.get(usize::from(id.vault))?;
        Some((ledger, ledger.items.row(id.index)?))
    }

    pub(super) fn arn(&self, id: ItemId) -> Option<RecoveryPointArn> {
        self.row(id).map(|(_, row)| row.recovery_point_arn())
    }

    /// Counts of this moment.
    pub(super) fn stats(&self) -> RunStats {
        let mut stats = RunStats::default();
        for ledger in self.ledgers.iter() {
            add_counts(&mut stats, &ledger.items.counts());
        }
        stats.completed_this_run = stats.completed - self.completed_before.min(stats.completed);
        stats
    }

    /// How far each vault is.
    pub(super) fn vaults(&self) -> Arc<[VaultProgress]> {
        let progress = |ledger: &VaultLedger| VaultProgress {
            name: ledger.source_vault.clone(),
            counts: ledger.items.counts(),
        };
        self.ledgers.iter().map(progress).collect()
    }

    /// When the oldest copy job under way was made.
    pub(super) fn oldest_job(&self) -> Option<DateTime<Utc>> {
        let since = |(id, _): &(ItemId, Duration)| match self.row(*id)?.1.state() {
            ItemState::InFlight { since, .. } => Some(since),
            _ => None,
        };
        self.in_flight.values().filter_map(since).min()
    }

    /// Every failed item.
    pub(super) fn failures(&self) -> Vec<(RecoveryPointArn, ItemFailure)> {
        let rows = self.ledgers.iter().flat_map(|v| v.items.rows());
        rows.filter_map(|row| ItemFailure::of(&row).map(|failure| (row.recovery_point_arn(), failure)))
            .collect()
    }
}

fn add_counts(stats: &mut RunStats, counts: &Counts) {
    stats.total += counts.total;
    stats.completed += counts.completed;
    stats.failed += counts.failed;
    stats.skipped += counts.skipped;
    stats.in_progress += counts.in_progress();
    stats.unanswered += counts.starting;
    stats.pending += counts.pending;
    stats.bytes_completed += counts.bytes_completed;
}
