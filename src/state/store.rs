//! A state file: one valid JSON document, and beside it, while a run is on, its journal and lock.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use super::document;
use super::error::StateError;
use super::files::{self, Open};
use super::folding::Folding;
use super::format::RunHeader;
use super::items::Items;
use super::journal::{JournalHandle, Progress};
use super::location;
use super::lock::StateLock;
use super::reading::Loaded;

/// An open state file. Holds its lock.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    header: RunHeader,
    journal: JournalHandle,
    writer: thread::JoinHandle<()>,
    progress: Arc<Progress>,
    lock: StateLock,
}

/// The journal beside a state file.
pub fn journal_path(path: &Path) -> PathBuf {
    files::beside(path, ".journal")
}

/// The journal that is being folded into a state file.
pub fn old_journal_path(path: &Path) -> PathBuf {
    files::beside(path, ".journal.old")
}

impl Store {
    /// Locks `path`, for [`Store::create`] or [`Store::resume`].
    ///
    /// # Errors
    /// If another process holds it, or it is a symbolic link.
    pub fn lock(path: &Path) -> Result<StateLock, StateError> {
        refuse_symlink(path)?;
        refuse_symlink(&journal_path(path))?;
        refuse_symlink(&old_journal_path(path))?;
        StateLock::acquire(path)
    }

    /// Begins a state file with the items of a plan. A journal that lies there belongs to another
    /// run and is put aside first: its lines must never be taken for this one's.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(
        path: &Path,
        lock: StateLock,
        header: RunHeader,
        items: &Items,
    ) -> Result<Self, StateError> {
        for kept in location::set_journals_aside(path)? {
            tracing::warn!(
                "a journal without its state file was beside {}; it is kept as {}",
                path.display(),
                kept.display()
            );
        }
        write_document(path, &header, 0, items)?;
        Self::open(path, lock, header, 0)
    }

    /// Goes on with a loaded state: its journal is folded in and begun anew.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn resume(path: &Path, lock: StateLock, loaded: Loaded) -> Result<(Self, Items), StateError> {
        write_document(path, &loaded.header, loaded.sequence, &loaded.items)?;
        let store = Self::open(path, lock, loaded.header, loaded.sequence)?;
        Ok((store, loaded.items))
    }

    fn open(path: &Path, lock: StateLock, header: RunHeader, sequence: u64) -> Result<Self, StateError> {
        let journal = journal_path(path);
        remove_journals(path)?;
        let file = files::open(&journal, Open::New)?;
        files::sync_directory(&journal)?;
        let progress = Arc::new(Progress::from(sequence));
        let folding = |busy| Folding::new(path, header.clone(), busy);
        let (handle, writer) = JournalHandle::start(file, &journal, Arc::clone(&progress), folding)?;
        Ok(Self {
            path: path.to_owned(),
            header,
            journal: handle,
            writer,
            progress,
            lock,
        })
    }

    /// Sets the bytes of the journal after which it is folded into the document while the run goes
    /// on; 64 MiB if it is not called.
    pub fn fold_after(&self, bytes: u64) {
        self.progress.fold_after(bytes);
    }

    /// Where changes are appended.
    pub fn journal(&self) -> JournalHandle {
        self.journal.clone()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the run is about.
    pub fn header(&self) -> &RunHeader {
        &self.header
    }

    /// Closes the file: one document that holds everything, no journal, no lock. All other handles
    /// of the journal must be gone.
    ///
    /// # Errors
    /// If the document cannot be written; document and journal of before are then still there.
    pub fn finish(self, items: &Items) -> Result<(), StateError> {
        drop(self.journal);
        // A writer that panicked has told whoever waited for it; what was lived is in `items`.
        let _ = self.writer.join();
        // Lines whose write failed may be whole on disk all the same. They are in `items`, so that
        // their numbers have to count as folded in, or the next load would apply them twice.
        let sequence = self.progress.attempted.load(Ordering::Acquire);
        write_document(&self.path, &self.header, sequence, items)?;
        remove_journals(&self.path)?;
        drop(self.lock);
        Ok(())
    }

    /// Leaves document and journal as they are, for `--resume`: the end of a process that has no
    /// time. The lock goes with the process, not before, because the writer may still be at work.
    #[expect(
        clippy::mem_forget,
        reason = "the kernel takes the lock back when the process is gone"
    )]
    pub fn abandon(self) {
        std::mem::forget(self.lock);
    }
}

fn write_document(path: &Path, header: &RunHeader, sequence: u64, items: &Items) -> Result<(), StateError> {
    files::replace(path, |writer| document::write(writer, header, sequence, items))
}

/// Writes what the journal adds into the document, so that one file holds everything.
///
/// # Errors
/// If the document cannot be written; nothing has changed then.
pub(super) fn fold(path: &Path, loaded: &Loaded) -> Result<(), StateError> {
    write_document(path, &loaded.header, loaded.sequence, &loaded.items)?;
    remove_journals(path)
}

/// The old one first: what is left of a process that dies in between has no gap.
fn remove_journals(path: &Path) -> Result<(), StateError> {
    files::remove(&old_journal_path(path))?;
    files::remove(&journal_path(path))
}

fn refuse_symlink(path: &Path) -> Result<(), StateError> {
    match fs::symlink_metadata(path) {
        Ok(meta) if !meta.is_file() => Err(StateError::NotAFile {
            path: path.to_owned(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs::OpenOptions;

    use chrono::DateTime;

    use super::*;
    use crate::domain::{AccountId, BackupVaultName, CopyJobId, IdempotencyToken, RecoveryPointArn};
    use crate::state::counts::Counts;
    use crate::state::format::{Endpoint, Item, JournalRecord};
    use crate::state::journal::{JournalLine, encode};
    use crate::state::reading::load;

    pub(in crate::state) fn header() -> RunHeader {
        let account: AccountId = "123456789012".parse().unwrap();
        let vault: BackupVaultName = "v1".parse().unwrap();
        let region = crate::domain::Region::us_east_1();
        RunHeader {
            run_id: "r".to_owned(),
            created_by: "test".to_owned(),
            created_at: DateTime::UNIX_EPOCH,
            endpoint: Endpoint::Simulated,
            source_account: account.clone(),
            dest_account: account.clone(),
            region: region.clone(),
            dest_region: region.clone(),
            destination_vault_arn: crate::domain::BackupVaultArn::new(&region, &account, &vault),
            source_vault: vault,
            selection: "all".to_owned(),
            resume_command: Vec::new(),
        }
    }

    fn arn(n: u32) -> RecoveryPointArn {
        RecoveryPointArn::from_aws(&format!("arn:aws:ec2:us-east-1::snapshot/snap-{n}"))
    }

    fn items() -> Items {
        Items::new((0..3).map(|n| Item::for_test(arn(n).as_str())))
    }

    /// Appends records as the loop does: the ledger takes them, then they are written.
    async fn append(
        journal: &JournalHandle,
        items: &mut Items,
        records: Vec<JournalRecord>,
    ) -> Result<(), StateError> {
        for record in &records {
            items.apply(record)?;
        }
        journal.append(records).await
    }

    fn intended(n: u32) -> JournalRecord {
        JournalRecord::StartIntended {
            recovery_point_arn: arn(n),
            attempt: 1,
            idempotency_token: IdempotencyToken::for_attempt(&arn(n), &header().destination_vault_arn, 1),
            at: None,
        }
    }

    fn started(n: u32) -> JournalRecord {
        JournalRecord::Started {
            recovery_point_arn: arn(n),
            copy_job_id: CopyJobId::from_aws("j"),
            at: DateTime::UNIX_EPOCH,
        }
    }

    fn wait<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    fn begin(path: &Path) -> Store {
        Store::create(path, Store::lock(path).unwrap(), header(), &items()).unwrap()
    }

    /// A run that dies with two lines in its journal; what it knew.
    pub(in crate::state) fn run(path: &Path) -> Counts {
        let store = begin(path);
        let mut items = items();
        let journal = store.journal();
        wait(append(&journal, &mut items, vec![intended(0), started(0)])).unwrap();
        items.counts()
    }

    #[test]
    fn an_abandoned_state_stays_locked_as_long_as_its_process_lives() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.json");
        begin(&path).abandon();
        let again = Store::lock(&path);
        assert!(matches!(again, Err(StateError::Locked { .. })), "{again:?}");
    }

    fn journal_of(records: Vec<JournalRecord>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (sequence, record) in (1..).zip(records) {
            encode(&JournalLine { sequence, record }, &mut bytes).unwrap();
        }
        bytes
    }

    #[test]
    fn a_journal_of_another_run_is_never_taken_for_this_ones() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.json");
        let stale = journal_of(vec![intended(1), started(1)]);
        fs::write(journal_path(&path), &stale).unwrap();
        drop(begin(&path));
        fs::remove_file(&path).unwrap();
        fs::write(journal_path(&path), &stale).unwrap();
        drop(begin(&path));
        assert_eq!(load(&path).unwrap().items.counts().pending, 3);
        for kept in ["s.json.journal.bak", "s.json.journal.bak.1"] {
            assert_eq!(fs::read(directory.path().join(kept)).unwrap(), stale, "{kept}");
        }
    }

    #[test]
    fn lines_whose_write_failed_count_as_folded_in() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.json");
        let mut store = begin(&path);
        // Takes what is written and cannot be synced.
        let unsyncable = OpenOptions::new().write(true).open("/dev/null").unwrap();
        let progress = Arc::clone(&store.progress);
        let folding = |busy| Folding::new(&path, header(), busy);
        let (journal, writer) =
            JournalHandle::start(unsyncable, &journal_path(&path), progress, folding).unwrap();
        (store.journal, store.writer) = (journal, writer);
        let mut known = items();
        let records = vec![intended(0), started(0)];
        let journal = store.journal();
        wait(append(&journal, &mut known, records.clone())).unwrap_err();
        drop(journal);
        store.finish(&known).unwrap();
        // The lines have reached the disk all the same, and the program died before it removed them.
        fs::write(journal_path(&path), journal_of(records)).unwrap();
        let loaded = load(&path).unwrap();
        assert_eq!(loaded.items.counts(), known.counts());
        assert_eq!(loaded.sequence, 2);
    }

    #[test]
    fn a_writer_that_panicked_does_not_set_the_numbers_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.json");
        let mut store = begin(&path);
        let mut known = items();
        let journal = store.journal();
        wait(append(&journal, &mut known, vec![intended(0), started(0)])).unwrap();
        drop(journal);
        store.writer = thread::spawn(|| panic!("as the writer might"));
        store.finish(&known).unwrap();
        let loaded = load(&path).unwrap();
        assert_eq!((loaded.sequence, loaded.items.counts()), (2, known.counts()));
    }

    #[test]
    fn journals_with_missing_lines_are_refused_by_file_line_and_byte() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.json");
        let before = run(&path);
        let journal = journal_path(&path);
        let text = fs::read_to_string(&journal).unwrap();
        let (first, second) = text.split_once('\n').unwrap();
        for (broken, place) in [
            // The second line only: it does not follow on the document.
            (second.to_owned(), "line 1 (byte 0)"),
            // The first one twice: the second does not follow on it.
            (
                format!("{first}\n{first}\n"),
                &*format!("line 2 (byte {})", first.len() + 1),
            ),
        ] {
            fs::write(&journal, &broken).unwrap();
            let error = load(&path).unwrap_err().to_string();
            assert!(
                error.contains("s.json.journal") && error.contains(place),
                "{error}"
            );
            assert_eq!(fs::read_to_string(&journal).unwrap(), broken);
        }
        fs::write(&journal, &text).unwrap();
        assert_eq!(load(&path).unwrap().items.counts(), before);
    }
}
