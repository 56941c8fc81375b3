//! What deciding costs: `cargo bench --bench scheduling`.
//!
//! First printed, in virtual time: how long points of other resources wait where one resource has a
//! third of all points, in the order of the queue and in the order of the listing. Then timed by
//! criterion: the work of the loop for one point from its start to its end (queue and ledger), beside
//! ten thousand, a hundred thousand and a million others.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark may fail, and prints what it measured"
)]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use chrono::DateTime;
use criterion::{BenchmarkId, Criterion};
use shuffle_aws_vaults::copy::scheduler::{ItemId, Limits, Scheduler};
use shuffle_aws_vaults::domain::{
    BackupVaultArn, CopyJobId, IdempotencyToken, RecoveryPointArn, ResourceArn,
};
use shuffle_aws_vaults::state::{Item, ItemState, Items, JournalRecord};

/// Points of the crowded resource, of all others, and jobs in flight.
const CROWD: usize = 1_000;
const OTHERS: usize = 2_000;
const IN_FLIGHT: usize = 100;

fn limits() -> Limits {
    Limits {
        in_flight: IN_FLIGHT,
        found_from: None,
        per_resource: 1,
        per_type: BTreeMap::new(),
    }
}

fn id(index: usize) -> ItemId {
    ItemId {
        vault: 0,
        index: u32::try_from(index).unwrap(),
    }
}

/// The resource of a point: the crowd is listed first, as points of one volume often are.
fn resource(index: usize) -> usize {
    if index < CROWD { 0 } else { index }
}

/// AWS runs one job of a resource at a time, each for one step, and lets others of it wait while they
/// count as in flight. Answers after how many steps all points but the crowd's are copied, and all.
fn steps(mut next: impl FnMut() -> Option<usize>, mut ended: impl FnMut(usize)) -> (usize, usize) {
    let mut waiting: HashMap<usize, VecDeque<usize>> = HashMap::new();
    let (mut in_flight, mut others, mut all, mut others_at, mut step) = (0, 0, 0, 0, 0);
    while all < CROWD + OTHERS {
        step += 1;
        while in_flight < IN_FLIGHT
            && let Some(point) = next()
        {
            waiting.entry(resource(point)).or_default().push_back(point);
            in_flight += 1;
        }
        let done: Vec<usize> = waiting.values_mut().filter_map(VecDeque::pop_front).collect();
        waiting.retain(|_, queue| !queue.is_empty());
        for point in done {
            ended(point);
            in_flight -= 1;
            all += 1;
            others += usize::from(point >= CROWD);
        }
        if others == OTHERS && others_at == 0 {
            others_at = step;
        }
    }
    (others_at, step)
}

fn crowd() {
    let scheduler = std::cell::RefCell::new(Scheduler::new(limits()));
    for point in 0..CROWD + OTHERS {
        let arn = format!("resource-{}", resource(point));
        scheduler.borrow_mut().add_pending(id(point), &arn, "EBS");
    }
    let next = || {
        let taken = scheduler.borrow_mut().take_start(Duration::ZERO);
        taken.map(|id| usize::try_from(id.index).unwrap())
    };
    let (others, all) = steps(next, |point| scheduler.borrow_mut().finished(id(point)));
    let mut listed = 0..CROWD + OTHERS;
    let (others_listed, all_listed) = steps(|| listed.next(), |_| ());
    println!(
        "one resource has {CROWD} of {} points, {IN_FLIGHT} in flight: the others are copied after {others} job times \
         and all after {all}; in the order of the listing after {others_listed} and {all_listed}",
        CROWD + OTHERS
    );
}

fn arn(n: u32) -> RecoveryPointArn {
    RecoveryPointArn::from_aws(&format!("arn:aws:ec2:us-east-1::snapshot/snap-{n:017x}"))
}

fn item(n: u32) -> Item {
    Item {
        recovery_point_arn: arn(n),
        resource_arn: resource_arn(n),
        resource_type: "EBS".into(),
        creation_date: DateTime::UNIX_EPOCH,
        backup_size_bytes: Some(1),
        lifecycle: None,
        attempt: 0,
        state: ItemState::Pending,
    }
}

fn resource_arn(n: u32) -> ResourceArn {
    ResourceArn::from_aws(&format!(
        "arn:aws:ec2:us-east-1:123456789012:volume/vol-{:017x}",
        n / 2
    ))
}

/// What the loop does for one point: it leaves the queue, three records change its item, its slot is free.
fn copy_one(scheduler: &mut Scheduler, items: &mut Items, vault: &BackupVaultArn) {
    let now = Duration::from_secs(1);
    let Some(id) = scheduler.take_start(now) else {
        return;
    };
    let recovery_point_arn = items.row(id.index).unwrap().recovery_point_arn();
    let idempotency_token = IdempotencyToken::for_attempt(&recovery_point_arn, vault, 1);
    let copy_job_id = CopyJobId::from_aws("9A1B2C3D-0000-4000-8000-0123456789AB");
    let at = DateTime::UNIX_EPOCH;
    for record in [
        JournalRecord::StartIntended {
            recovery_point_arn: recovery_point_arn.clone(),
            attempt: 1,
            idempotency_token,
            at: Some(at),
        },
        JournalRecord::Started {
            recovery_point_arn: recovery_point_arn.clone(),
            copy_job_id: copy_job_id.clone(),
            at,
        },
        JournalRecord::Completed {
            recovery_point_arn: recovery_point_arn.clone(),
            copy_job_id,
            destination_recovery_point_arn: Some(recovery_point_arn.clone()),
            at,
        },
    ] {
        items.apply(&record).unwrap();
    }
    scheduler.finished(id);
}

fn main() {
    crowd();
    let mut criterion = Criterion::default().configure_from_args();
    let vault = BackupVaultArn::from_aws("arn:aws:backup:us-east-1:987654321098:backup-vault:v1");
    let mut group = criterion.benchmark_group("scheduling");
    for size in [10_000, 100_000, 1_000_000] {
        group.bench_function(BenchmarkId::new("copy one point of", size), |b| {
            b.iter_custom(|wanted| {
                // As many as there are, again and again with new ones: what is made anew is not timed.
                let (mut left, mut took) = (wanted, Duration::ZERO);
                while left > 0 {
                    let mut items = Items::new((0..size).map(item));
                    let mut scheduler = Scheduler::new(limits());
                    for n in 0..size {
                        let id = ItemId { vault: 0, index: n };
                        scheduler.add_pending(id, resource_arn(n).as_str(), "EBS");
                    }
                    let began = std::time::Instant::now();
                    let now = left.min(u64::from(size));
                    for _ in 0..now {
                        copy_one(&mut scheduler, &mut items, &vault);
                    }
                    took += began.elapsed();
                    left -= now;
                }
                took
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
