//! What the state costs at ten thousand, a hundred thousand and a million items: `cargo bench --bench state`.
//!
//! Loading, writing and copying the ledger are timed by criterion. How long an append takes until it is
//! on disk, beside a document of each size, and what an item costs on disk and in memory, is printed
//! first. Files are made where `TMPDIR` says: on the disk that is to be judged.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark may fail, and prints what it measured"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta};
use criterion::{BatchSize, BenchmarkId, Criterion};
use shuffle_aws_vaults::domain::{
    BackupVaultArn, CopyJobId, IdempotencyToken, Lifecycle, RecoveryPointArn, Region, ResourceArn,
};
use shuffle_aws_vaults::state::{Endpoint, Item, ItemState, Items, JournalRecord, RunHeader, Store, load};

const SIZES: [u32; 3] = [10_000, 100_000, 1_000_000];

fn header() -> RunHeader {
    RunHeader {
        run_id: "bench".to_owned(),
        created_by: "bench".to_owned(),
        created_at: DateTime::UNIX_EPOCH,
        endpoint: Endpoint::Simulated,
        source_account: "123456789012".parse().unwrap(),
        dest_account: "987654321098".parse().unwrap(),
        region: Region::us_east_1(),
        dest_region: Region::us_east_1(),
        source_vault: "v1".parse().unwrap(),
        destination_vault_arn: vault(),
        selection: "all".to_owned(),
        resume_command: Vec::new(),
    }
}

fn vault() -> BackupVaultArn {
    BackupVaultArn::from_aws("arn:aws:backup:us-east-1:987654321098:backup-vault:v1")
}

/// A number that looks like a UUID and is another one for each `n`.
fn uuid(n: u32, salt: u64) -> String {
    let x = (u64::from(n) + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let y = x.rotate_left(29).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    format!(
        "{:08X}-{:04X}-4{:03X}-8{:03X}-{:012X}",
        x >> 32,
        x & 0xFFFF,
        y & 0xFFF,
        (y >> 12) & 0xFFF,
        y >> 16
    )
}

fn arn(n: u32) -> RecoveryPointArn {
    let id = uuid(n, 0);
    RecoveryPointArn::from_aws(&format!(
        "arn:aws:backup:us-east-1:123456789012:recovery-point:{id}"
    ))
}

fn copy(n: u32) -> ItemState {
    let id = uuid(n, 1 << 40);
    let copy = format!("arn:aws:backup:us-east-1:987654321098:recovery-point:{id}");
    ItemState::Completed {
        copy_job_id: CopyJobId::from_aws(&uuid(n, 1 << 41)),
        destination_recovery_point_arn: Some(RecoveryPointArn::from_aws(&copy)),
        at: DateTime::UNIX_EPOCH + TimeDelta::milliseconds(1_764_000_000_000 + i64::from(n)),
    }
}

/// Two points of each resource, as the simulator makes them; all copied, as that takes most room.
fn item(n: u32, state: ItemState) -> Item {
    let table = n / 2;
    Item {
        recovery_point_arn: arn(n),
        resource_arn: ResourceArn::from_aws(&format!(
            "arn:aws:dynamodb:us-east-1:123456789012:table/table-v1-{table:06}"
        )),
        resource_type: "DynamoDB".into(),
        creation_date: DateTime::UNIX_EPOCH + TimeDelta::milliseconds(1_700_000_000_000 + i64::from(n) * 977),
        backup_size_bytes: Some(i64::from(n) * 1_048_576),
        lifecycle: Some(Lifecycle {
            delete_after_days: Some(730),
            ..Lifecycle::default()
        }),
        attempt: 1,
        state,
    }
}

fn ledger(size: u32) -> Items {
    Items::new((0..size).map(|n| item(n, copy(n))))
}

fn create(path: &Path, items: &Items) -> Store {
    let _ = std::fs::remove_file(path);
    Store::create(path, Store::lock(path).unwrap(), header(), items).unwrap()
}

/// Resident memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}

/// How long this thread has been on a CPU.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = text.split_whitespace().next().and_then(|n| n.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

fn costs(directory: &Path) {
    for size in SIZES {
        let before = resident();
        let items = ledger(size);
        let memory = (resident() - before) / u64::from(size);
        let path = directory.join(format!("{size}.json"));
        create(&path, &items).finish(&items).unwrap();
        let document = std::fs::metadata(&path).unwrap().len() / u64::from(size);
        drop(items);
        let (began, on_cpu) = (Instant::now(), cpu());
        let loaded = load(&path).unwrap();
        let (wall, on_cpu) = (began.elapsed(), cpu().saturating_sub(on_cpu));
        assert_eq!(loaded.items.counts().completed, usize::try_from(size).unwrap());
        println!(
            "{size:>9} items: {memory} B of memory and {document} B of the document an item; loaded in {wall:.2?}, \
             {on_cpu:.2?} of them on the CPU"
        );
    }
}

/// How long it takes until ten starts that are journalled together are on disk.
fn appends(directory: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for size in SIZES {
        let mut items = Items::new((0..size).map(|n| item(n, ItemState::Pending)));
        let path = directory.join(format!("{size}.json"));
        let store = create(&path, &items);
        let mut times: Vec<Duration> = (0..1_000)
            .map(|batch| {
                let records: Vec<JournalRecord> = (batch * 10..batch * 10 + 10).map(intended).collect();
                let began = Instant::now();
                for record in &records {
                    items.apply(record).unwrap();
                }
                runtime.block_on(store.journal().append(records)).unwrap();
                began.elapsed()
            })
            .collect();
        times.sort_unstable();
        let at = |share: usize| times[times.len() * share / 1000];
        println!(
            "{size:>9} items: 10 records applied, appended and synced: median {:?}, p99 {:?}, most {:?}",
            at(500),
            at(990),
            at(999)
        );
    }
}

fn intended(n: u32) -> JournalRecord {
    JournalRecord::StartIntended {
        recovery_point_arn: arn(n),
        attempt: 2,
        idempotency_token: IdempotencyToken::for_attempt(&arn(n), &vault(), 2),
        at: Some(DateTime::UNIX_EPOCH),
    }
}

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    costs(directory.path());
    appends(directory.path());
    let mut group = criterion.benchmark_group("state");
    for size in SIZES {
        let mut items = ledger(size);
        let path = directory.path().join(format!("{size}.json"));
        create(&path, &items).finish(&items).unwrap();
        let id = |name: &str| BenchmarkId::new(name, size);
        group.bench_function(id("load"), |b| b.iter_with_large_drop(|| load(&path).unwrap()));
        group.bench_function(id("write and sync"), |b| {
            b.iter_batched(|| (), |()| create(&path, &items), BatchSize::PerIteration);
        });
        group.bench_function(id("copy for folding"), |b| {
            b.iter_with_large_drop(|| items.snapshot());
        });
    }
    group.finish();
    criterion.final_summary();
}
