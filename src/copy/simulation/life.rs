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
use super::watch::Watch;
use crate::copy::call::{Answer, Call};
use crate::copy::engine::Moment;
use crate::copy::poller::Seen;
use crate::domain::{BackupVaultArn, BackupVaultName, CopyJobState, RecoveryPointArn, ResourceArn};
use crate::state::{Item, ItemState};

/// Time by which every life has to be over, after its faults are.
pub(super) const LIMIT: Duration = Duration::from_hours(48);
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
pub(super) enum End {
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
    /// When the process began.
    pub(super) began: Duration,
    epoch: DateTime<Utc>,
    events: BinaryHeap<Reverse<(Duration, u64)>>,
    by_number: BTreeMap<u64, Event>,
    next_number: u64,
    pub(super) process: u32,
    pub(super) log: String,
    pub(super) violations: Vec<String>,
    pub(super) watch: Watch,
    pub(super) totals: Totals,
}

pub(super) fn vault_name(vault: u16) -> BackupVaultName {
    BackupVaultName::from_aws(&format!("v{vault}"))
}

pub(super) fn vault_arn(vault: u16) -> BackupVaultArn {
    BackupVaultArn::from_aws(&format!(
        "arn:aws:backup:us-east-1:987654321098:backup-vault:v{vault}"
    ))
}

/// Gives a point a job of an earlier run, or none; answers how many of its attempts are known of.
fn former_job(aws: &mut Aws, scenario: &mut Scenario, point: &RecoveryPointArn, vault: u16) -> u32 {
    if !scenario.chance(scenario.former) {
        return 0;
    }
    if scenario.rng.random_bool(0.3) {
        // A copy in another vault, made just now: nothing of this run's.
        aws.add_former(point, &vault_arn(99), CopyJobState::Completed, TimeDelta::zero());
    }
    let age = scenario.former_age + TimeDelta::seconds(scenario.rng.random_range(0..=1_000_000));
    let copied = scenario.rng.random_bool(0.5);
    let end = if copied {
        CopyJobState::Completed
    } else {
        CopyJobState::Failed
    };
    aws.add_former(point, &vault_arn(vault), end, age);
    // Where the list of jobs could not be read, a failure is met only by the answer to its token.
    u32::from(copied || scenario.rng.random_bool(0.7))
}

impl Life {
    pub(super) fn new(mut scenario: Scenario) -> Self {
        let epoch = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let item = |vault: u16, n: u32| Item {
            recovery_point_arn: RecoveryPointArn::from_aws(&format!(
                "arn:aws:backup:us-east-1:1:recovery-point:{vault}-{n}"
            )),
            resource_arn: ResourceArn::from_aws(&format!("r{vault}-{}", n % scenario.resources)),
            resource_type: if (n % scenario.resources).is_multiple_of(2) {
                "EFS"
            } else {
                "EBS"
            }
            .into(),
            creation_date: epoch - TimeDelta::days(i64::from(n)),
            backup_size_bytes: Some(1),
            lifecycle: None,
            attempt: 0,
            // One in eight needs no copy.
            state: if n % 8 == 7 {
                ItemState::Skipped {
                    reason: "cold".into(),
                }
            } else {
                ItemState::Pending
            },
        };
        let created = epoch + scenario.skew;
        let disks = (0..scenario.vaults)
            .map(|vault| (vault, (0..scenario.points).map(|n| item(vault, n)).collect()))
            .collect::<Vec<(u16, Vec<Item>)>>();
        let mut aws = Aws::new(epoch);
        let disks = disks
            .into_iter()
            .map(|(vault, mut items)| {
                for item in &mut items {
                    item.attempt = former_job(&mut aws, &mut scenario, &item.recovery_point_arn, vault);
                }
                Disk::new(items, created)
            })
            .collect();
        Self {
            aws,
            disks,
            now: Duration::ZERO,
            began: Duration::ZERO,
            epoch,
            events: BinaryHeap::new(),
            by_number: BTreeMap::new(),
            next_number: 0,
            process: 0,
            log: String::new(),
            violations: Vec::new(),
            watch: Watch::default(),
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
        self.violations.append(&mut self.watch.violations);
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

    pub(super) fn moment(&self, began: Duration) -> Moment {
        Moment {
            elapsed: self.now.saturating_sub(began),
            date: self.epoch + self.now + self.scenario.skew,
        }
    }

    pub(super) fn next_event(&mut self) -> Option<Event> {
        let Reverse((at, number)) = self.events.pop()?;
        self.now = self.now.max(at);
        self.by_number.remove(&number)
    }
}
