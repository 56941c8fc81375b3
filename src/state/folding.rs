//! Folding a long journal into the document while the run goes on, so that neither a crash after days
//! nor the end of a run has much to read: beside the run, on a thread of its own.
//!
//! The journal so far is put aside (`<state>.journal.old`) and a new one begun; then a document is
//! written that has everything up to that line, and the old journal is removed. Whenever the process
//! dies, document, old journal and journal, read in this order, have every line: those that the
//! document has already are passed over by their numbers.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::document;
use super::error::StateError;
use super::files::{self, Open};
use super::format::RunHeader;
use super::items::Items;
use super::store::{journal_path, old_journal_path};

/// Folds the journal of one state file, one time after the other.
#[derive(Debug)]
pub(super) struct Folding {
    state: PathBuf,
    header: RunHeader,
    /// Whether one is under way: no other is begun meanwhile.
    busy: Arc<AtomicBool>,
    abandoned: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Folding {
    /// For the state file `state`; `busy` tells others of a folding that is under way.
    pub(super) fn new(state: &Path, header: RunHeader, busy: Arc<AtomicBool>) -> Self {
        Self {
            state: state.to_owned(),
            header,
            busy,
            abandoned: Arc::default(),
            thread: None,
        }
    }

    /// Begins to fold lines up to `sequence`, of which `items` have everything. Answers the new
    /// journal that further lines belong to, unless an earlier folding failed and has left its own.
    ///
    /// # Errors
    /// If no new journal can be begun. The old one may have been put aside then, and takes no more lines.
    pub(super) fn begin(&mut self, sequence: u64, items: Items) -> Result<Option<File>, StateError> {
        self.wait();
        let (journal, old) = (journal_path(&self.state), old_journal_path(&self.state));
        let file = if old.exists() {
            None
        } else {
            files::rename(&journal, &old)?;
            let file = files::open(&journal, Open::New)?;
            files::sync_directory(&journal)?;
            Some(file)
        };
        let (state, header) = (self.state.clone(), self.header.clone());
        let (busy, abandoned) = (Arc::clone(&self.busy), Arc::clone(&self.abandoned));
        let fold = move || {
            if let Err(error) = write(&state, &header, sequence, &items, &abandoned)
                && !abandoned.load(Ordering::Acquire)
            {
                // Nothing is lost by it, and it is tried again.
                tracing::warn!(
                    "the journal could not be folded into the state file, and goes on growing: {error}"
                );
            }
            busy.store(false, Ordering::Release);
        };
        let thread = thread::Builder::new().name("folding".to_owned()).spawn(fold);
        self.thread =
            Some(thread.map_err(|error| StateError::io("fold the journal of", &self.state, error))?);
        Ok(file)
    }

    fn wait(&mut self) {
        if let Some(thread) = self.thread.take() {
            // One that panicked has left files that can be read.
            let _ = thread.join();
        }
    }
}

impl Drop for Folding {
    /// A document that is being written is given up: whoever ends the run writes the last one.
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Release);
        self.wait();
    }
}

fn write(
    state: &Path,
    header: &RunHeader,
    sequence: u64,
    items: &Items,
    abandoned: &AtomicBool,
) -> Result<(), StateError> {
    files::replace(state, |writer| {
        let mut writer = Abandonable { writer, abandoned };
        document::write(&mut writer, header, sequence, items)
    })?;
    files::remove(&old_journal_path(state))
}

/// Fails once nobody wants any more what is written.
struct Abandonable<'a, W> {
    writer: W,
    abandoned: &'a AtomicBool,
}

impl<W: Write> Write for Abandonable<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.abandoned.load(Ordering::Acquire) {
            return Err(io::Error::other("the run ends"));
        }
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::format::Item;
    use crate::state::store::tests::header;

    #[test]
    fn no_folding_outlives_its_owner() {
        let items = Items::new((0..20_000).map(|n| Item::for_test(&format!("a:{n}"))));
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state.json");
        std::fs::write(journal_path(&state), "").unwrap();
        let busy = Arc::new(AtomicBool::new(true));
        let mut folding = Folding::new(&state, header(), Arc::clone(&busy));
        assert!(folding.begin(0, items).unwrap().is_some());
        drop(folding);
        assert!(!busy.load(Ordering::Acquire));
    }

    #[test]
    fn nothing_is_written_once_it_is_given_up() {
        let abandoned = AtomicBool::new(false);
        let mut writer = Abandonable {
            writer: Vec::new(),
            abandoned: &abandoned,
        };
        assert_eq!(writer.write(b"ab").unwrap(), 2);
        abandoned.store(true, Ordering::Release);
        assert!(writer.write(b"c").is_err());
        assert_eq!(writer.writer, b"ab");
    }
}
