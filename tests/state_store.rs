//! A state file through its whole life, by the library's own interface: begun, cut off, gone on with, closed.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_in_result,
    reason = "a test may fail"
)]

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use chrono::DateTime;
use shuffle_aws_vaults::domain::{
    BackupVaultArn, CopyJobId, IdempotencyToken, RecoveryPointArn, Region, ResourceArn,
};
use shuffle_aws_vaults::state::{
    Endpoint, Item, ItemState, Items, JournalLine, JournalRecord, RunHeader, StateError, Store, encode,
    journal_path, load, old_journal_path,
};

fn header() -> RunHeader {
    RunHeader {
        run_id: "r1".to_owned(),
        created_by: "0.1.0".to_owned(),
        created_at: DateTime::UNIX_EPOCH,
        endpoint: Endpoint::Simulated,
        source_account: "123456789012".parse().unwrap(),
        dest_account: "987654321098".parse().unwrap(),
        region: Region::us_east_1(),
        dest_region: Region::us_east_1(),
        source_vault: "v1".parse().unwrap(),
        destination_vault_arn: BackupVaultArn::from_aws(
            "arn:aws:backup:us-east-1:987654321098:backup-vault:v1",
        ),
        selection: "all".to_owned(),
        resume_command: Vec::new(),
    }
}

fn arn(n: u8) -> RecoveryPointArn {
    RecoveryPointArn::from_aws(&format!("arn:aws:ec2:us-east-1::snapshot/snap-{n}"))
}

fn items(count: u8) -> Items {
    Items::new((0..count).map(|n| Item {
        recovery_point_arn: arn(n),
        resource_arn: ResourceArn::from_aws("r"),
        resource_type: "EBS".into(),
        creation_date: DateTime::UNIX_EPOCH,
        backup_size_bytes: Some(10),
        lifecycle: None,
        attempt: 0,
        state: ItemState::Pending,
    }))
}

/// Records that take an item from its plan to a copy.
fn copied(n: u8) -> Vec<JournalRecord> {
    let (at, copy_job_id) = (DateTime::UNIX_EPOCH, CopyJobId::from_aws("j"));
    vec![
        JournalRecord::StartIntended {
            recovery_point_arn: arn(n),
            attempt: 1,
            idempotency_token: IdempotencyToken::for_attempt(&arn(n), &header().destination_vault_arn, 1),
            at: None,
        },
        JournalRecord::Started {
            recovery_point_arn: arn(n),
            copy_job_id: copy_job_id.clone(),
            at,
        },
        JournalRecord::Completed {
            recovery_point_arn: arn(n),
            copy_job_id,
            destination_recovery_point_arn: None,
            at,
        },
    ]
}

fn append(store: &Store, items: &mut Items, records: Vec<JournalRecord>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for record in &records {
        items.apply(record).unwrap();
    }
    runtime.block_on(store.journal().append(records)).unwrap();
}

/// A state of two items, and the first records of the first one's copy in its journal; the process is gone.
fn cut_off(path: &Path, records: usize) -> Items {
    let mut all = items(2);
    let store = Store::create(path, Store::lock(path).unwrap(), header(), &all).unwrap();
    assert_eq!((store.path(), store.header()), (path, &header()));
    append(&store, &mut all, copied(0).into_iter().take(records).collect());
    all
}

#[test]
fn what_was_written_before_a_crash_is_there_afterwards_and_is_gone_on_with() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("s.json");
    let mut all = cut_off(&path, 2);
    assert_eq!(journal_path(&path), home.path().join("s.json.journal"));
    let loaded = load(&path).unwrap();
    assert_eq!(loaded.header, header());
    assert!(loaded.items.iter().eq(all.iter()) && !loaded.finished && loaded.notes.is_empty());

    // Folded in, and the journal begun anew: numbers go on, so that old lines are never taken twice.
    let old = std::fs::read(journal_path(&path)).unwrap();
    let (store, resumed) = Store::resume(&path, Store::lock(&path).unwrap(), loaded).unwrap();
    assert!(resumed.iter().eq(all.iter()));
    assert_eq!(std::fs::read(journal_path(&path)).unwrap(), b"");
    std::fs::write(journal_path(&path), &old).unwrap();
    assert!(
        load(&path).unwrap().items.iter().eq(all.iter()),
        "lines that are in the document already"
    );
    std::fs::write(journal_path(&path), b"").unwrap();

    append(
        &store,
        &mut all,
        copied(0).into_iter().skip(2).chain(copied(1)).collect(),
    );
    store.finish(&all).unwrap();
    assert!(!journal_path(&path).exists());
    let loaded = load(&path).unwrap();
    assert!(loaded.finished && loaded.items.iter().eq(all.iter()));
    assert_eq!(
        (
            loaded.items.counts().completed,
            loaded.items.counts().bytes_completed
        ),
        (2, 20)
    );
    let entries: Vec<_> = std::fs::read_dir(home.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(entries, ["s.json"], "one document, no journal, no lock");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Folds, and waits until that is over.
fn fold(store: &Store, items: &mut Items) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.journal().fold(items.snapshot()));
    let deadline = Instant::now() + Duration::from_secs(20);
    while store.journal().is_folding() {
        assert!(Instant::now() < deadline, "it folds for ever");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_long_journal_is_folded_and_a_new_one_begun() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("s.json");
    let mut all = items(2);
    let store = Store::create(&path, Store::lock(&path).unwrap(), header(), &all).unwrap();
    append(&store, &mut all, copied(0).into_iter().take(2).collect());
    assert!(!store.journal().is_long());
    store.fold_after(1);
    assert!(store.journal().is_long());
    fold(&store, &mut all);
    assert!(!store.journal().is_long());
    assert_eq!(std::fs::read(journal_path(&path)).unwrap(), b"");
    assert!(!old_journal_path(&path).exists());
    assert!(load(&path).unwrap().items.iter().eq(all.iter()));
    // What comes later goes on from there, and is in the new journal alone.
    append(&store, &mut all, copied(0).into_iter().skip(2).collect());
    append(&store, &mut all, copied(1));
    assert!(load(&path).unwrap().items.iter().eq(all.iter()));
    store.finish(&all).unwrap();
    assert!(load(&path).unwrap().items.iter().eq(all.iter()));
}

#[test]
fn what_a_folding_that_died_has_left_is_read_in_order() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("s.json");
    let mut all = cut_off(&path, 2);
    std::fs::rename(journal_path(&path), old_journal_path(&path)).unwrap();
    let mut lines = Vec::new();
    for (sequence, record) in (3..).zip(copied(0).into_iter().skip(2).chain(copied(1))) {
        all.apply(&record).unwrap();
        encode(&JournalLine { sequence, record }, &mut lines).unwrap();
    }
    std::fs::write(journal_path(&path), &lines).unwrap();
    let loaded = load(&path).unwrap();
    assert!(loaded.items.iter().eq(all.iter()));
    // A gap between the two is one like any other.
    let after_first = lines.iter().position(|b| *b == b'\n').unwrap() + 1;
    std::fs::write(journal_path(&path), &lines[after_first..]).unwrap();
    assert!(matches!(
        load(&path).unwrap_err(),
        StateError::DamagedJournal { .. }
    ));
    drop(Store::resume(&path, Store::lock(&path).unwrap(), loaded).unwrap());
    assert!(!old_journal_path(&path).exists());
    assert!(load(&path).unwrap().items.iter().eq(all.iter()));
}

#[test]
fn no_journal_is_put_in_the_place_of_one_that_is_still_to_be_folded() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("s.json");
    let mut all = items(2);
    let store = Store::create(&path, Store::lock(&path).unwrap(), header(), &all).unwrap();
    append(&store, &mut all, copied(0));
    std::fs::copy(journal_path(&path), old_journal_path(&path)).unwrap();
    append(&store, &mut all, copied(1));
    let lines = std::fs::read(journal_path(&path)).unwrap();
    fold(&store, &mut all);
    assert!(!old_journal_path(&path).exists());
    assert_eq!(std::fs::read(journal_path(&path)).unwrap(), lines);
    assert!(load(&path).unwrap().items.iter().eq(all.iter()));
    fold(&store, &mut all);
    assert_eq!(std::fs::read(journal_path(&path)).unwrap(), b"");
    assert!(load(&path).unwrap().items.iter().eq(all.iter()));
}

#[test]
fn a_line_that_the_document_has_already_is_passed_over() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("s.json");
    // What line 3 ends cannot be ended again.
    let all = cut_off(&path, 3);
    let old = std::fs::read(journal_path(&path)).unwrap();
    let loaded = load(&path).unwrap();
    drop(Store::resume(&path, Store::lock(&path).unwrap(), loaded).unwrap());
    std::fs::write(journal_path(&path), &old).unwrap();
    assert!(load(&path).unwrap().items.iter().eq(all.iter()));
}

#[test]
fn an_item_in_any_open_state_keeps_a_run_unfinished() {
    let home = tempfile::tempdir().unwrap();
    for (records, finished) in [(0, false), (1, false), (2, false), (3, true)] {
        let path = home.path().join(format!("{records}.json"));
        let mut one = items(1);
        let store = Store::create(&path, Store::lock(&path).unwrap(), header(), &one).unwrap();
        append(&store, &mut one, copied(0).into_iter().take(records).collect());
        store.finish(&one).unwrap();
        assert_eq!(load(&path).unwrap().finished, finished, "{records}");
    }
}

#[test]
fn a_torn_line_is_told_and_dropped_and_a_damaged_one_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("s.json");
    cut_off(&path, 1);
    let journal = journal_path(&path);
    let whole = std::fs::read(&journal).unwrap();
    let torn = [whole.as_slice(), &whole[..whole.len() / 2]].concat();
    std::fs::write(&journal, &torn).unwrap();
    let loaded = load(&path).unwrap();
    assert_eq!(loaded.items.counts().starting, 1);
    let note = format!(
        "the last line of {} was cut off by a crash: {} bytes were dropped",
        journal.display(),
        whole.len() / 2
    );
    assert_eq!(loaded.notes, [note]);
    let mut damaged = whole;
    damaged[12] ^= 1;
    std::fs::write(&journal, &damaged).unwrap();
    assert!(matches!(
        load(&path).unwrap_err(),
        StateError::DamagedJournal {
            line: 1,
            offset: 0,
            ..
        }
    ));
    std::fs::remove_file(&journal).unwrap();
    std::fs::create_dir(&journal).unwrap();
    assert!(
        matches!(load(&path).unwrap_err(), StateError::NotAFile { .. }),
        "a journal that cannot be read"
    );
}

#[test]
fn numbers_of_lines_go_on_over_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("s.json");
    cut_off(&path, 2);
    let loaded = load(&path).unwrap();
    let (store, mut all) = Store::resume(&path, Store::lock(&path).unwrap(), loaded).unwrap();
    append(&store, &mut all, copied(1));
    let mut wanted = Vec::new();
    for (sequence, record) in (3..).zip(copied(1)) {
        encode(&JournalLine { sequence, record }, &mut wanted).unwrap();
    }
    assert_eq!(std::fs::read(journal_path(&path)).unwrap(), wanted);
}

#[test]
fn what_is_no_state_file_of_this_version_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("s.json");
    std::fs::write(&path, "{\"format\": \"other\", \"version\": 1}").unwrap();
    assert!(matches!(load(&path).unwrap_err(), StateError::InvalidJson { .. }));
    std::fs::write(
        &path,
        "{\"format\": \"shuffle-aws-vaults/state\", \"version\": 2}",
    )
    .unwrap();
    assert!(matches!(
        load(&path).unwrap_err(),
        StateError::Version {
            found: 2,
            supported: 1,
            ..
        }
    ));
    std::fs::write(
        &path,
        "{\"format\": \"shuffle-aws-vaults/state\",\n \"version\": 1, ]",
    )
    .unwrap();
    assert!(matches!(
        load(&path).unwrap_err(),
        StateError::InvalidJson {
            line: 2,
            column: 16,
            ..
        }
    ));
    assert!(matches!(
        load(&home.path().join("none")).unwrap_err(),
        StateError::Io { .. }
    ));
}

#[test]
fn a_lock_is_held_by_one_and_not_through_symbolic_links() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("s.json");
    let lock = Store::lock(&path).unwrap();
    assert!(matches!(
        Store::lock(&path).unwrap_err(),
        StateError::Locked { .. }
    ));
    drop(lock);
    drop(Store::lock(&path).unwrap());
    for (link, locked) in [("a.json", "a.json"), ("b.json.journal", "b.json")] {
        symlink("elsewhere", home.path().join(link)).unwrap();
        let error = Store::lock(&home.path().join(locked)).unwrap_err();
        assert!(matches!(error, StateError::NotAFile { .. }), "{link}");
    }
}

/// Whoever looks at a run that is on sees all that was written before, whatever is folded meanwhile.
#[test]
fn a_state_is_read_whole_while_its_journal_is_folded() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("s.json");
    let mut all = items(1);
    let store = Store::create(&path, Store::lock(&path).unwrap(), header(), &all).unwrap();
    store.fold_after(1);
    let (written, done) = (AtomicU32::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let readers = [(); 2].map(|()| {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let before = written.load(Ordering::SeqCst);
                    let attempt = load(&path).unwrap().items.item(0).unwrap().attempt;
                    assert!(attempt >= before, "{attempt} of {before}");
                }
            })
        });
        for attempt in 1..=600 {
            if readers.iter().any(std::thread::ScopedJoinHandle::is_finished) {
                break;
            }
            let mut records = copied(0);
            if let Some(JournalRecord::StartIntended { attempt: number, .. }) = records.first_mut() {
                *number = attempt;
            }
            records.truncate(2);
            records.push(JournalRecord::Requeued {
                recovery_point_arn: arn(0),
                reason: "again".to_owned(),
            });
            append(&store, &mut all, records);
            written.store(attempt, Ordering::SeqCst);
            fold(&store, &mut all);
        }
        done.store(true, Ordering::SeqCst);
    });
}
