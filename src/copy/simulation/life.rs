//! One migration from its first process to its last.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::Rng as _;

use super::aws::Aws;
use super::disk::Disk;
use super::scenario::Scenario;
use crate::copy::call::{Answer, Call};
use crate::copy::engine::{Effect, Engine, Moment};
use crate::copy::event::StopReason;
use crate::copy::poller::Seen;
use crate::copy::run::VaultLedger;
use crate::domain::{BackupVaultArn, BackupVaultName, RecoveryPointArn, ResourceArn};
use crate::state::{Item, ItemState, JournalRecord};

/// Time by which every life has to be over, after its faults are.
const LIMIT: Duration = Duration::from_hours(48);
/// Most processes of one life.
const MOST_PROCESSES: u32 = 400;
/// What happened in all, so that a quiet campaign is noticed.
#[derive(Debug, Default, Clone)]
pub(super) struct Totals {
    pub(super) processes: usize,
    pub(super) crashes: usize,
    pub(super) torn: usize,
    pub(super) stops: usize,
    pub(super) faults: usize,
    pub(super) lost_answers: usize,
    pub(super) copied: usize,
    pub(super) failed: usize,
    pub(super) starts: usize,
}

impl Totals {
    pub(super) fn add(&mut self, other: &Self) {
        self.processes += other.processes;
        self.crashes += other.crashes;
        self.torn += other.torn;
        self.stops += other.stops;
        self.faults += other.faults;
        self.lost_answers += other.lost_answers;
        self.copied += other.copied;
        self.failed += other.failed;
        self.starts += other.starts;
    }
}

/// What is on its way. Answers reach only the process that asked.
#[derive(Debug)]
pub(super) enum Event {
    /// A start reaches AWS; what becomes of its answer.
    Delivered {
        process: u32,
        call: Call,
        answered: Option<Duration>,
    },
    Answered {
        process: u32,
        answer: Answer,
    },
    Polled {
        process: u32,
        seen: Seen,
    },
    PollTimer {
        process: u32,
    },
    Wake,
}

/// How a process ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Died,
    Stopped,
    Done,
}

/// One migration.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) scenario: Scenario,
    pub(super) aws: Aws,
    pub(super) disks: Vec<Disk>,
    pub(super) now: Duration,
    epoch: DateTime<Utc>,
    events: BinaryHeap<Reverse<(Duration, u64)>>,
    by_number: BTreeMap<u64, Event>,
    next_number: u64,
    pub(super) process: u32,
    pub(super) log: String,
    pub(super) violations: Vec<String>,
    pub(super) totals: Totals,
}

fn vault_name(vault: u16) -> BackupVaultName {
    BackupVaultName::from_aws(&format!("v{vault}"))
}

pub(super) fn vault_arn(vault: u16) -> BackupVaultArn {
    BackupVaultArn::from_aws(&format!(
        "arn:aws:backup:us-east-1:987654321098:backup-vault:v{vault}"
    ))
}

impl Life {
    pub(super) fn new(scenario: Scenario) -> Self {
        let epoch = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let item = |vault: u16, n: u32| Item {
            recovery_point_arn: RecoveryPointArn::from_aws(&format!(
                "arn:aws:backup:us-east-1:1:recovery-point:{vault}-{n}"
            )),
            resource_arn: ResourceArn::from_aws(&format!("r{vault}-{}", n % scenario.resources)),
            resource_type: "EFS".into(),
            creation_date: epoch - TimeDelta::days(i64::from(n)),
            backup_size_bytes: Some(1),
            lifecycle: None,
            attempt: 0,
            state: ItemState::Pending,
        };
        let created = epoch + scenario.skew;
        let disks = (0..scenario.vaults)
            .map(|vault| Disk::new((0..scenario.points).map(|n| item(vault, n)).collect(), created))
            .collect();
        Self {
            aws: Aws::new(epoch),
            disks,
            now: Duration::ZERO,
            epoch,
            events: BinaryHeap::new(),
            by_number: BTreeMap::new(),
            next_number: 0,
            process: 0,
            log: String::new(),
            violations: Vec::new(),
            totals: Totals::default(),
            scenario,
        }
    }

    /// Lives through it.
    pub(super) fn live(mut self) -> Self {
        loop {
            self.process += 1;
            self.totals.processes += 1;
            match self.run_process() {
                Ok(End::Done) => break,
                Ok(End::Died) => self.totals.crashes += 1,
                Ok(End::Stopped) => self.totals.stops += 1,
                Err(problem) => {
                    self.violations.push(problem);
                    break;
                }
            }
            if self.process >= MOST_PROCESSES || self.now > self.scenario.faults_until + LIMIT {
                self.violations.push(format!(
                    "not over after {} processes and {:?}",
                    self.process, self.now
                ));
                break;
            }
            // Somebody comes back, now or later.
            let minutes = self.scenario.rng.random_range(0..=20);
            self.pass(Duration::from_secs(60 * minutes));
        }
        self.judge();
        self.totals.starts = self.aws.starts;
        self.violations.append(&mut self.aws.violations);
        self
    }

    pub(super) fn note(&mut self, text: &str) {
        let _ = writeln!(
            self.log,
            "{:>10.3} {} {text}",
            self.now.as_secs_f64(),
            self.process
        );
    }

    pub(super) fn at(&mut self, at: Duration, event: Event) {
        self.next_number += 1;
        self.events.push(Reverse((at, self.next_number)));
        self.by_number.insert(self.next_number, event);
    }

    pub(super) fn dies(&mut self) -> bool {
        let in_time = self.now < self.scenario.faults_until;
        in_time && self.scenario.chance(self.scenario.crash)
    }

    pub(super) fn faulty(&mut self, share: f64) -> bool {
        let fault = self.now < self.scenario.faults_until && self.scenario.chance(share);
        self.totals.faults += usize::from(fault);
        fault
    }

    /// Time passes without a process: what is on its way to AWS arrives all the same.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.events.peek().is_some_and(|Reverse((at, _))| *at <= until) {
            if let Some(Event::Delivered {
                process,
                call,
                answered,
            }) = self.next_event()
            {
                self.deliver(process, call, answered);
            }
        }
        self.now = until;
    }

    fn run_process(&mut self) -> Result<End, String> {
        let mut ledgers = Vec::new();
        for vault in 0..self.scenario.vaults {
            let dies = self.dies();
            let Some(disk) = self.disks.get_mut(usize::from(vault)) else {
                continue;
            };
            let ledger = VaultLedger {
                source_vault: vault_name(vault),
                destination_vault_arn: vault_arn(vault),
                created_at: disk.created_at(),
                items: disk.load()?,
            };
            disk.begin(&ledger, dies);
            if dies {
                return Ok(End::Died);
            }
            ledgers.push(ledger);
        }
        let end = self.run_engine(&mut ledgers)?;
        if end == End::Died {
            return Ok(end);
        }
        for (vault, ledger) in ledgers.iter().enumerate() {
            let dies = self.dies();
            if let Some(disk) = self.disks.get_mut(vault) {
                disk.fold(&ledger.items, dies);
            }
            if dies {
                return Ok(End::Died);
            }
        }
        Ok(end)
    }

    fn run_engine(&mut self, ledgers: &mut [VaultLedger]) -> Result<End, String> {
        let began = self.now;
        let process = self.process;
        let mut engine = Engine::new(self.scenario.policy.clone(), ledgers);
        engine.restore(self.moment(began));
        let (mut calls, mut polling) = (0_usize, false);
        let interval = self.scenario.policy.poll_interval;
        self.at(self.now + interval, Event::PollTimer { process });
        loop {
            let free = self.scenario.policy.workers.saturating_sub(calls);
            let moment = self.moment(began);
            engine.act(moment, free, true);
            let Some(sent) = self.perform(&mut engine)? else {
                return Ok(End::Died);
            };
            calls += sent;
            if engine.stop().is_some() {
                return Ok(End::Stopped);
            }
            if calls == 0 && engine.is_done() {
                return Ok(End::Done);
            }
            if self.now > self.scenario.faults_until + LIMIT {
                return Err(format!("not over at {:?}: {:?}", self.now, engine.stats()));
            }
            if free > sent
                && let Some(at) = engine.next_call(self.moment(began))
            {
                let at = (began + at).max(self.now + Duration::from_millis(1));
                self.at(at, Event::Wake);
            }
            let Some(event) = self.next_event() else {
                return Err(format!("nothing will ever happen: {:?}", engine.stats()));
            };
            let moment = self.moment(began);
            match event {
                Event::Delivered {
                    process,
                    call,
                    answered,
                } => self.deliver(process, call, answered),
                Event::Answered { process: to, answer } if to == process => {
                    self.note(&format!("answer {answer:?}"));
                    calls -= 1;
                    engine.answered(answer, moment);
                    if self.dies() {
                        return Ok(End::Died);
                    }
                    if self.faulty(self.scenario.signal) {
                        engine.raise(StopReason::Interrupted);
                    }
                }
                Event::Polled { process: to, seen } if to == process => {
                    self.note(&format!("poll {seen:?}"));
                    polling = engine.poll_ended(seen, moment);
                    if polling {
                        let poll = engine.next_poll(moment);
                        self.poll(&poll);
                    }
                }
                Event::PollTimer { process: of } if of == process => {
                    self.at(self.now + interval, Event::PollTimer { process });
                    if !polling && !engine.in_flight.is_empty() {
                        polling = true;
                        let poll = engine.next_poll(moment);
                        self.poll(&poll);
                    }
                }
                Event::Answered { .. } | Event::Polled { .. } | Event::PollTimer { .. } | Event::Wake => {}
            }
        }
    }

    fn moment(&self, began: Duration) -> Moment {
        Moment {
            elapsed: self.now.saturating_sub(began),
            date: self.epoch + self.now + self.scenario.skew,
        }
    }

    fn next_event(&mut self) -> Option<Event> {
        let Reverse((at, number)) = self.events.pop()?;
        self.now = self.now.max(at);
        self.by_number.remove(&number)
    }

    /// As the driver does: everything is journalled, then calls are sent. Answers how many were;
    /// `None` if the process died.
    fn perform(&mut self, engine: &mut Engine<'_>) -> Result<Option<usize>, String> {
        let mut sent = 0;
        loop {
            let effects = engine.take_effects();
            if effects.is_empty() {
                return Ok(Some(sent));
            }
            let mut records: BTreeMap<u16, Vec<JournalRecord>> = BTreeMap::new();
            let mut calls = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Journal { vault, record } => records.entry(vault).or_default().push(record),
                    Effect::Call(call) => calls.push(call),
                    Effect::Emit(kind) => self.note(&format!("{kind:?}")),
                }
            }
            for (vault, records) in records {
                let share = self.dies().then(|| self.scenario.rng.random_range(0.0..=1.0));
                let Some(disk) = self.disks.get_mut(usize::from(vault)) else {
                    continue;
                };
                disk.append(&records, share)?;
                if share.is_some() {
                    self.totals.torn += 1;
                    self.note("died while writing");
                    return Ok(None);
                }
            }
            for call in calls {
                if self.dies() {
                    self.note("died while sending");
                    return Ok(None);
                }
                self.send(call);
                sent += 1;
            }
        }
    }
}
