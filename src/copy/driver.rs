//! The loop of a run: the one owner of its state.
//!
//! Starts and polls are short futures that it launches; the journal is a thread that it feeds.
//! Every change is journalled before it is acted upon, and a start is journalled, durably, before
//! it is sent.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::breaker::Breaker;
use super::durations::JobDurations;
use super::event::{CopyEvent, CopyEventKind, ItemFailure, RunStats, StopReason};
use super::failure::FailureCause;
use super::poller::{Poller, Seen};
use super::restore::oldest_in_flight;
use super::run::{DriverSettings, RunEnd, VaultRun};
use super::scheduler::{ItemId, Scheduler};
use super::start::{self, StartOutcome};
use crate::aws::BackupClient;
use crate::aws::throttle::StartPacer;
use crate::domain::{BackupVaultName, CopyJobId, IdempotencyToken, RecoveryPointArn};
use crate::state::{Counts, Item, ItemState, JournalRecord, StateError};

/// Time that calls under way get to end after a stop.
const STOP_GRACE: Duration = Duration::from_secs(4);

type EventSink<'a> = &'a mut (dyn FnMut(&CopyEvent) + Send);

/// The loop's state.
pub struct Driver<'a> {
    pub(super) client: BackupClient,
    pub(super) settings: DriverSettings,
    pub(super) vaults: &'a mut [VaultRun],
    pub(super) scheduler: Scheduler,
    pub(super) pacer: StartPacer,
    pub(super) poller: Poller,
    pub(super) breaker: Breaker,
    pub(super) durations: JobDurations,
    pub(super) starts: JoinSet<(ItemId, StartOutcome)>,
    pub(super) polls: JoinSet<Seen>,
    pub(super) in_flight: HashMap<CopyJobId, (ItemId, Duration)>,
    pub(super) stop: watch::Receiver<Option<StopReason>>,
    pub(super) own_stop: Option<StopReason>,
    pub(super) stopped_at: Option<Duration>,
    pub(super) began: Instant,
    pub(super) state_error: Option<StateError>,
    pub(super) systemic: Option<(FailureCause, String)>,
    pub(super) completed_before: usize,
    pub(super) vault_names: Arc<[BackupVaultName]>,
    pub(super) sink: EventSink<'a>,
}

impl std::fmt::Debug for Driver<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("scheduler", &self.scheduler)
            .finish_non_exhaustive()
    }
}

impl<'a> Driver<'a> {
    /// A loop over the vaults' items as their ledgers stand.
    pub fn new(
        client: BackupClient,
        settings: DriverSettings,
        vaults: &'a mut [VaultRun],
        stop: watch::Receiver<Option<StopReason>>,
        sink: EventSink<'a>,
    ) -> Self {
        let poll_since = oldest_in_flight(vaults).unwrap_or_else(Utc::now);
        let vault_names = vaults.iter().map(|v| v.source_vault.clone()).collect();
        let completed_before = vaults.iter().map(|v| v.items.counts().completed).sum();
        Self {
            scheduler: Scheduler::new(settings.limits.clone()),
            pacer: StartPacer::new(settings.workers),
            poller: Poller::new(settings.poll_interval, poll_since),
            breaker: Breaker::default(),
            durations: JobDurations::default(),
            starts: JoinSet::new(),
            polls: JoinSet::new(),
            in_flight: HashMap::new(),
            own_stop: None,
            stopped_at: None,
            began: Instant::now(),
            state_error: None,
            systemic: None,
            client,
            settings,
            vaults,
            stop,
            completed_before,
            vault_names,
            sink,
        }
    }

    /// Runs until every item has ended or the run has to stop.
    pub async fn run(mut self) -> RunEnd {
        self.load();
        self.emit(CopyEventKind::RunStarted {
            resumed: self.settings.resumed,
        });
        let mut poll_timer = tokio::time::interval(self.settings.poll_interval);
        poll_timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        poll_timer.reset();
        let mut tick = tokio::time::interval(self.settings.tick);
        tick.reset();
        while !self.is_over() {
            self.start_what_can_start().await;
            self.look_at_clock();
            if self.is_over() {
                break;
            }
            let wake = self.next_wake();
            tokio::select! {
                Some(done) = self.starts.join_next(), if !self.starts.is_empty() => {
                    if let Ok((id, outcome)) = done {
                        self.start_ended(id, outcome).await;
                    }
                }
                Some(seen) = self.polls.join_next(), if !self.polls.is_empty() => {
                    if let Ok(seen) = seen {
                        self.poll_ended(seen).await;
                    }
                }
                _ = poll_timer.tick(), if self.polls.is_empty() && !self.in_flight.is_empty() => self.poll(),
                _ = tick.tick() => self.emit(CopyEventKind::Tick),
                _ = self.stop.changed() => self.stop_changed(),
                () = tokio::time::sleep(wake) => {}
            }
        }
        self.end().await
    }

    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn stop_reason(&self) -> Option<StopReason> {
        (*self.stop.borrow()).max(self.own_stop)
    }

    async fn start_what_can_start(&mut self) {
        if self.stop_reason().is_some() {
            return;
        }
        let now = self.now();
        if let Some(limit) = self.settings.runtime_limit
            && limit.too_late_to_start(now, self.durations.p90())
        {
            return;
        }
        let mut chosen: Vec<ItemId> = Vec::new();
        while self.starts.len() + chosen.len() < self.settings.workers && self.pacer.may_start(now) {
            let Some(id) = self.scheduler.take_start(now) else {
                break;
            };
            self.pacer.started(now);
            chosen.push(id);
        }
        let mut by_vault: HashMap<u16, Vec<JournalRecord>> = HashMap::new();
        for id in &chosen {
            if let Some((run, item)) = self.item(*id) {
                let attempt = item.attempt + 1;
                let record = JournalRecord::StartIntended {
                    recovery_point_arn: item.recovery_point_arn.clone(),
                    attempt,
                    idempotency_token: IdempotencyToken::for_attempt(
                        &item.recovery_point_arn,
                        &run.destination_vault_arn,
                        attempt,
                    ),
                };
                by_vault.entry(id.vault).or_default().push(record);
            }
        }
        for (vault, records) in by_vault {
            if self.write(vault, records).await.is_break() {
                return;
            }
        }
        for id in chosen {
            if let Some((run, item)) = self.item(id) {
                let start = self.request(id, run, item, false);
                self.starts.spawn(start::run(self.client.clone(), start));
            }
        }
    }

    pub(super) fn item(&self, id: ItemId) -> Option<(&VaultRun, &Item)> {
        let run = self.vaults.get(usize::from(id.vault))?;
        Some((run, run.items.item(id.index)?))
    }

    pub(super) fn arn(&self, id: ItemId) -> Option<RecoveryPointArn> {
        self.item(id).map(|(_, item)| item.recovery_point_arn.clone())
    }

    /// Journals, waits until it is durable, then applies. Breaks when the state cannot be written:
    /// nothing may be started any more.
    pub(super) async fn write(&mut self, vault: u16, records: Vec<JournalRecord>) -> ControlFlow<()> {
        let Some(run) = self.vaults.get_mut(usize::from(vault)) else {
            return ControlFlow::Break(());
        };
        // The facts count in memory even if they cannot be written: the closing snapshot may work.
        let mut result = Ok(());
        for record in &records {
            if let Err(error) = run.items.apply(record) {
                result = Err(StateError::from(error));
            }
        }
        let result = match result {
            Ok(()) => run.journal.append(records).await,
            error => error,
        };
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                tracing::error!(%error, "cannot write the state; no more copy jobs are started");
                self.state_error.get_or_insert(error);
                self.raise(StopReason::StateUnwritable);
                ControlFlow::Break(())
            }
        }
    }

    pub(super) fn raise(&mut self, reason: StopReason) {
        if self.own_stop.is_none_or(|r| reason > r) {
            self.own_stop = Some(reason);
            self.stopped_at.get_or_insert(self.began.elapsed());
            self.emit(CopyEventKind::StopRequested { reason });
        }
    }

    fn stop_changed(&mut self) {
        let reason = *self.stop.borrow_and_update();
        if let Some(reason) = reason {
            self.stopped_at.get_or_insert(self.began.elapsed());
            self.emit(CopyEventKind::StopRequested { reason });
        }
    }

    fn look_at_clock(&mut self) {
        if let Some(limit) = self.settings.runtime_limit {
            let now = self.now();
            let idle = self.in_flight.is_empty() && self.starts.is_empty();
            let too_late = limit.too_late_to_start(now, self.durations.p90());
            if limit.left(now).is_zero() || (too_late && idle && self.scheduler.pending() > 0) {
                self.raise(StopReason::RuntimeLimit);
            }
        }
    }

    fn next_wake(&self) -> Duration {
        let now = self.now();
        let mut wake = Duration::from_secs(1);
        let mut sooner = |at: Option<Duration>| {
            if let Some(at) = at {
                wake = wake.min(at.saturating_sub(now).max(Duration::from_millis(1)));
            }
        };
        let room = self.starts.len() < self.settings.workers;
        if self.stop_reason().is_none() && self.scheduler.pending() > 0 && room {
            sooner(self.scheduler.next_wake());
            sooner(self.pacer.next_start(now));
        }
        if let Some(limit) = self.settings.runtime_limit {
            sooner(Some(now + limit.left(now)));
        }
        wake
    }

    /// Whether nothing is left to do, or to wait for.
    fn is_over(&self) -> bool {
        let idle = self.starts.is_empty() && self.in_flight.is_empty();
        let Some(reason) = self.stop_reason() else {
            return idle && self.scheduler.pending() == 0 && self.scheduler.in_flight() == 0;
        };
        if reason == StopReason::InterruptedAgain {
            return true;
        }
        let since_stop = self
            .stopped_at
            .map_or(Duration::ZERO, |at| self.now().saturating_sub(at));
        let draining = reason == StopReason::Interrupted && since_stop < self.settings.drain;
        if draining {
            return idle;
        }
        self.starts.is_empty() || since_stop >= STOP_GRACE.max(self.settings.drain)
    }

    async fn end(mut self) -> RunEnd {
        let reason = self.stop_reason();
        if reason.is_some() {
            self.client.cancel();
            // Cancelled calls end at once, and one that was answered is still worth noting.
            let deadline = tokio::time::Instant::now() + Duration::from_millis(500);
            while let Ok(Some(done)) = tokio::time::timeout_at(deadline, self.starts.join_next()).await {
                if let Ok((id, StartOutcome::Started { copy_job_id, adopted })) = done {
                    self.start_ended(id, StartOutcome::Started { copy_job_id, adopted })
                        .await;
                }
            }
        }
        self.starts.abort_all();
        self.polls.abort_all();
        self.emit(CopyEventKind::RunFinished);
        let stats = self.stats();
        let work_left = stats.pending + stats.in_progress > 0;
        RunEnd {
            stop: reason.filter(|_| work_left),
            systemic: self.systemic.take(),
            state_error: self.state_error.take(),
            stats,
            failures: self.failures(),
            elapsed: self.now(),
        }
    }

    fn failures(&self) -> Vec<(RecoveryPointArn, ItemFailure)> {
        let items = self.vaults.iter().flat_map(|v| v.items.iter());
        items
            .filter_map(|item| match &item.state {
                ItemState::Failed {
                    error_code,
                    message,
                    at,
                } => {
                    let cause = match error_code.as_str() {
                        "CopyJobFailed" => FailureCause::of_status_message(message),
                        "CopyJobPartial" => FailureCause::Partial,
                        code => FailureCause::of_refusal(code, message),
                    };
                    let failure = ItemFailure {
                        error_code: error_code.clone(),
                        message: message.clone(),
                        cause,
                        at: *at,
                    };
                    Some((item.recovery_point_arn.clone(), failure))
                }
                _ => None,
            })
            .collect()
    }

    fn stats(&self) -> RunStats {
        let mut stats = RunStats::default();
        for run in self.vaults.iter() {
            add_counts(&mut stats, &run.items.counts());
        }
        stats.completed_this_run = stats.completed - self.completed_before.min(stats.completed);
        stats
    }

    pub(super) fn emit(&mut self, kind: CopyEventKind) {
        let elapsed = self.now();
        let event = CopyEvent {
            at: Utc::now(),
            elapsed,
            time_left: self.settings.runtime_limit.map(|limit| limit.left(elapsed)),
            stats: self.stats(),
            vaults: Arc::clone(&self.vault_names),
            kind,
        };
        (self.sink)(&event);
    }
}

fn add_counts(stats: &mut RunStats, counts: &Counts) {
    stats.total += counts.total;
    stats.completed += counts.completed;
    stats.failed += counts.failed;
    stats.skipped += counts.skipped;
    stats.in_progress += counts.starting + counts.in_flight;
    stats.pending += counts.pending;
    stats.bytes_completed += counts.bytes_completed;
}
