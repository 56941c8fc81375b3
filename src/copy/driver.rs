//! The loop of a run: it does what the engine decides, and tells it what came of it.
//!
//! Calls are short futures that it launches; journals are threads that it feeds. Whatever is ready is
//! taken in together, and its records are durable, in one sync for all, before a call is sent.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};

use super::call::{self, Answer, Call};
use super::engine::{Effect, Engine, Moment};
use super::event::{CopyEvent, CopyEventKind, StopReason, VaultProgress};
use super::poller::{self, Seen};
use super::run::{DriverSettings, RunEnd, VaultLedger};
use super::scheduler::ItemId;
use super::stop::RuntimeLimit;
use crate::aws::BackupClient;
use crate::state::{JournalHandle, JournalRecord, StateError};

/// Time that calls under way get to end after a stop.
const STOP_GRACE: Duration = Duration::from_secs(3);
/// Time in which answers of cancelled calls are still noted.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
/// Longest wait of the loop when nothing happens.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

type EventSink<'a> = &'a mut (dyn FnMut(&CopyEvent) + Send);

/// The loop's state.
pub struct Driver<'a> {
    client: BackupClient,
    settings: DriverSettings,
    engine: Engine<'a>,
    journals: Vec<JournalHandle>,
    calls: JoinSet<Answer>,
    items_of_calls: HashMap<Id, ItemId>,
    polls: JoinSet<Seen>,
    stop: watch::Receiver<Option<StopReason>>,
    stopped_at: Option<Duration>,
    began: Instant,
    state_error: Option<StateError>,
    vaults: Arc<[VaultProgress]>,
    oldest_job: Option<DateTime<Utc>>,
    sink: EventSink<'a>,
}

impl std::fmt::Debug for Driver<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

impl<'a> Driver<'a> {
    /// A loop over the vaults' items as their ledgers stand; each vault has its journal.
    pub fn new(
        client: BackupClient,
        settings: DriverSettings,
        ledgers: &'a mut [VaultLedger],
        journals: Vec<JournalHandle>,
        stop: watch::Receiver<Option<StopReason>>,
        sink: EventSink<'a>,
    ) -> Self {
        let engine = Engine::new(settings.policy.clone(), ledgers);
        Self {
            vaults: engine.vaults(),
            oldest_job: None,
            engine,
            journals,
            calls: JoinSet::new(),
            items_of_calls: HashMap::new(),
            polls: JoinSet::new(),
            stopped_at: None,
            began: Instant::now(),
            state_error: None,
            client,
            settings,
            stop,
            sink,
        }
    }

    /// Runs until every item has ended or the run has to stop.
    pub async fn run(mut self) -> RunEnd {
        self.engine.restore(self.now());
        self.emit(CopyEventKind::RunStarted {
            resumed: self.settings.resumed,
        });
        let mut poll_timer = tokio::time::interval(self.settings.policy.poll_interval);
        poll_timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        poll_timer.reset();
        let mut tick = tokio::time::interval(self.settings.tick);
        tick.reset();
        loop {
            self.act().await;
            if self.is_over() {
                break;
            }
            let wake = self.next_wake();
            tokio::select! {
                Some(done) = self.calls.join_next_with_id(), if !self.calls.is_empty() => {
                    self.answered(done);
                    while let Some(done) = self.calls.try_join_next_with_id() {
                        self.answered(done);
                    }
                }
                Some(done) = self.polls.join_next(), if !self.polls.is_empty() => self.polled(done),
                _ = poll_timer.tick(), if self.polls.is_empty() && !self.engine.in_flight.is_empty() => self.poll(),
                _ = tick.tick() => self.emit(CopyEventKind::Tick),
                _ = self.stop.changed() => self.stop_changed(),
                () = tokio::time::sleep(wake) => {}
            }
        }
        self.end().await
    }

    /// The date is AWS's, so that it can be compared with those that AWS gives.
    fn now(&self) -> Moment {
        Moment {
            elapsed: self.began.elapsed(),
            date: self.client.aws_now(),
        }
    }

    /// Has the engine decide, and does what it decided.
    async fn act(&mut self) {
        self.look_at_clock();
        let now = self.now();
        let free = self.settings.policy.workers.saturating_sub(self.calls.len());
        let limit = self.settings.runtime_limit;
        let p90 = self.engine.durations.p90();
        let may_start = limit.is_none_or(|limit| !limit.too_late_to_start(now.elapsed, p90));
        self.engine.act(now, free, may_start);
        self.perform().await;
    }

    /// Journals first, then sends and tells, until nothing is left to do.
    async fn perform(&mut self) {
        loop {
            let effects = self.engine.take_effects();
            if effects.is_empty() {
                break;
            }
            let mut records: BTreeMap<u16, Vec<JournalRecord>> = BTreeMap::new();
            let mut rest = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Journal { vault, record } => records.entry(vault).or_default().push(record),
                    other => rest.push(other),
                }
            }
            for (vault, records) in records {
                self.write(vault, records).await;
            }
            for effect in rest {
                match effect {
                    Effect::Call(call) if self.state_error.is_none() => self.send(call),
                    // What could not be written down must not be done.
                    Effect::Call(_) | Effect::Journal { .. } => {}
                    Effect::Emit(kind) => self.emit(kind),
                }
            }
        }
        if self.engine.stop().is_some() {
            self.stopped_at.get_or_insert(self.began.elapsed());
        } else {
            self.fold_long_journals().await;
        }
    }

    /// All records of the ledgers are journalled at this moment. A run that stops is folded at its end.
    async fn fold_long_journals(&mut self) {
        for (ledger, journal) in self.engine.ledgers.iter_mut().zip(&self.journals) {
            if journal.is_long() {
                journal.fold(ledger.items.snapshot()).await;
            }
        }
    }

    async fn write(&mut self, vault: u16, records: Vec<JournalRecord>) {
        let Some(journal) = self.journals.get(usize::from(vault)) else {
            return;
        };
        if let Err(error) = journal.append(records).await {
            tracing::error!(%error, "cannot write the state; no more copy jobs are started");
            self.state_error.get_or_insert(error);
            self.engine.raise(StopReason::StateUnwritable);
        }
    }

    fn send(&mut self, call: Call) {
        let id = call.id;
        let task = self.calls.spawn(call::send(self.client.clone(), call));
        self.items_of_calls.insert(task.id(), id);
    }

    fn answered(&mut self, done: Result<(Id, Answer), JoinError>) {
        match done {
            Ok((task, answer)) => {
                self.items_of_calls.remove(&task);
                let now = self.now();
                self.engine.answered(answer, now);
            }
            Err(error) => {
                // The item stays where its intent left it, and is settled by --resume.
                let item = self.items_of_calls.remove(&error.id());
                let arn = item.and_then(|id| self.engine.arn(id));
                tracing::error!(
                    recovery_point = arn.as_ref().map(tracing::field::display),
                    "a call ended in a fault of this program; please report this"
                );
                self.engine.raise(StopReason::Internal);
            }
        }
    }

    fn poll(&mut self) {
        let poll = self.engine.next_poll(self.now());
        self.polls.spawn(poller::run(self.client.clone(), poll));
    }

    fn polled(&mut self, done: Result<Seen, JoinError>) {
        match done {
            Ok(seen) => {
                let now = self.now();
                if self.engine.poll_ended(seen, now) {
                    self.poll();
                }
            }
            Err(error) => {
                tracing::error!(%error, "a poll ended in a fault of this program; please report this");
                self.engine.raise(StopReason::Internal);
            }
        }
    }

    fn stop_changed(&mut self) {
        let reason = *self.stop.borrow_and_update();
        if let Some(reason) = reason {
            self.engine.raise(reason);
        }
    }

    fn look_at_clock(&mut self) {
        if let Some(limit) = self.settings.runtime_limit {
            let now = self.now().elapsed;
            let idle = self.is_idle();
            let too_late = limit.too_late_to_start(now, self.engine.durations.p90());
            if limit.left(now).is_zero() || (too_late && idle && !self.engine.is_done()) {
                self.engine.raise(StopReason::RuntimeLimit);
            }
        }
    }

    fn next_wake(&self) -> Duration {
        let now = self.now();
        let mut wake = LONGEST_WAIT;
        let mut sooner = |at: Option<Duration>| {
            if let Some(at) = at {
                wake = wake.min(at.saturating_sub(now.elapsed).max(Duration::from_millis(1)));
            }
        };
        let room = self.calls.len() < self.settings.policy.workers;
        if self.engine.stop().is_none() && room {
            let p90 = self.engine.durations.p90();
            let limit = self.settings.runtime_limit;
            // Where nothing is started any more, what could be started wakes nobody.
            let too_late = limit.is_some_and(|limit| limit.too_late_to_start(now.elapsed, p90));
            sooner(if too_late {
                self.engine.next_look()
            } else {
                self.engine.next_call(now)
            });
        }
        if let Some(limit) = self.settings.runtime_limit {
            sooner(Some(now.elapsed + limit.left(now.elapsed)));
        }
        wake
    }

    fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.engine.in_flight.is_empty()
    }

    /// Whether nothing is left to do, or to wait for.
    fn is_over(&self) -> bool {
        let Some(reason) = self.engine.stop() else {
            return self.calls.is_empty() && self.engine.is_done();
        };
        if reason == StopReason::InterruptedAgain {
            return true;
        }
        let elapsed = self.began.elapsed();
        let since_stop = self
            .stopped_at
            .map_or(Duration::ZERO, |at| elapsed.saturating_sub(at));
        let in_time = |limit: RuntimeLimit| !limit.left(elapsed).is_zero();
        let draining = reason == StopReason::Interrupted
            && since_stop < self.settings.drain
            && self.settings.runtime_limit.is_none_or(in_time);
        if draining {
            return self.is_idle();
        }
        // Calls that drained along have had their time.
        self.calls.is_empty() || since_stop >= STOP_GRACE
    }

    async fn end(mut self) -> RunEnd {
        // A signal that came with the last answer is told all the same.
        self.stop_changed();
        self.perform().await;
        let reason = self.engine.stop();
        if reason.is_some() {
            self.client.cancel();
            // Cancelled calls end at once, and one that was answered is still worth noting.
            let deadline = tokio::time::Instant::now() + LAST_ANSWERS;
            while let Ok(Some(done)) = tokio::time::timeout_at(deadline, self.calls.join_next_with_id()).await
            {
                self.answered(done);
            }
            self.perform().await;
        }
        self.calls.abort_all();
        self.polls.abort_all();
        self.emit(CopyEventKind::RunFinished);
        let stats = self.engine.stats();
        let work_left = stats.pending + stats.in_progress > 0;
        RunEnd {
            stop: reason.filter(|_| work_left),
            systemic: self.engine.systemic.take(),
            state_error: self.state_error.take(),
            stats,
            repeated_calls: self.engine.repeated_calls,
            other_retention: std::mem::take(&mut self.engine.other_retention),
            failures: self.engine.failures(),
        }
    }

    fn emit(&mut self, kind: CopyEventKind) {
        if [CopyEventKind::Tick, CopyEventKind::RunFinished].contains(&kind) {
            self.vaults = self.engine.vaults();
            self.oldest_job = self.engine.oldest_job();
        }
        let now = self.now();
        let event = CopyEvent {
            at: Utc::now(),
            elapsed: now.elapsed,
            time_left: self.settings.runtime_limit.map(|limit| limit.left(now.elapsed)),
            stats: self.engine.stats(),
            vaults: Arc::clone(&self.vaults),
            oldest_job: self.oldest_job,
            kind,
        };
        (self.sink)(&event);
    }
}
