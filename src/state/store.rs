//! A state file: one valid JSON document, and beside it, while a run is on, its journal and lock.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;

use serde::{Deserialize, Serialize};

use super::error::StateError;
use super::files::{self, Open};
use super::format::{FORMAT, Item, JournalRecord, RunHeader, VERSION};
use super::items::Items;
use super::journal::{self, JournalHandle};
use super::lock::StateLock;

#[derive(Deserialize)]
struct Document {
    #[serde(flatten)]
    header: RunHeader,
    sequence: u64,
    finished: bool,
    items: Vec<Item>,
}

#[derive(Serialize)]
struct DocumentRef<'a> {
    format: &'static str,
    version: u32,
    #[serde(flatten)]
    header: &'a RunHeader,
    sequence: u64,
    finished: bool,
    items: Vec<&'a Item>,
}

/// Just enough to tell what a file is before the rest is read.
#[derive(Deserialize)]
struct Probe {
    format: Option<String>,
    version: Option<u64>,
}

/// What a state file and its journal hold.
#[derive(Debug)]
pub struct Loaded {
    /// What the run is about.
    pub header: RunHeader,
    /// Its items.
    pub items: Items,
    /// Whether nothing was left to do.
    pub finished: bool,
    /// Things the operator should know, such as a torn last line.
    pub notes: Vec<String>,
    sequence: u64,
}

/// An open state file. Holds its lock.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    header: RunHeader,
    journal: JournalHandle,
    writer: thread::JoinHandle<u64>,
    lock: StateLock,
}

/// The journal beside a state file.
pub fn journal_path(path: &Path) -> PathBuf {
    files::beside(path, ".journal")
}

impl Store {
    /// Locks `path`, for [`Store::create`] or [`Store::resume`].
    ///
    /// # Errors
    /// If another process holds it, or it is a symbolic link.
    pub fn lock(path: &Path) -> Result<StateLock, StateError> {
        refuse_symlink(path)?;
        refuse_symlink(&journal_path(path))?;
        StateLock::acquire(path)
    }

    /// Begins a state file with the items of a plan.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(
        path: &Path,
        lock: StateLock,
        header: RunHeader,
        items: &Items,
    ) -> Result<Self, StateError> {
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
        let file = files::open(&journal, Open::Anew)?;
        files::sync_directory(&journal)?;
        let (handle, writer) = JournalHandle::start(file, &journal, sequence)?;
        Ok(Self {
            path: path.to_owned(),
            header,
            journal: handle,
            writer,
            lock,
        })
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
        let sequence = self.writer.join().unwrap_or(0);
        write_document(&self.path, &self.header, sequence, items)?;
        files::remove(&journal_path(&self.path))?;
        self.lock.release();
        Ok(())
    }
}

/// Reads a state file and what its journal adds. Changes nothing.
///
/// # Errors
/// If it is missing, broken, or of a newer version.
pub fn load(path: &Path) -> Result<Loaded, StateError> {
    let text = read(path)?;
    let document = parse(path, &text)?;
    let mut loaded = Loaded {
        header: document.header,
        items: Items::new(document.items),
        finished: document.finished,
        notes: Vec::new(),
        sequence: document.sequence,
    };
    replay(&journal_path(path), &mut loaded)?;
    Ok(loaded)
}

fn read(path: &Path) -> Result<Vec<u8>, StateError> {
    let mut bytes = Vec::new();
    files::open(path, Open::Read)?
        .read_to_end(&mut bytes)
        .map_err(|error| StateError::io("read", path, error))?;
    Ok(bytes)
}

fn parse(path: &Path, text: &[u8]) -> Result<Document, StateError> {
    let invalid = |error: &serde_json::Error| StateError::InvalidJson {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
        problem: error.to_string(),
    };
    let probe: Probe = serde_json::from_slice(text).map_err(|e| invalid(&e))?;
    if probe.format.as_deref() != Some(FORMAT) {
        return Err(StateError::InvalidJson {
            path: path.to_owned(),
            line: 1,
            column: 1,
            problem: format!("this is no state file: `format` is not \"{FORMAT}\""),
        });
    }
    if probe.version != Some(u64::from(VERSION)) {
        return Err(StateError::Version {
            path: path.to_owned(),
            found: probe.version.unwrap_or(0),
            supported: VERSION,
        });
    }
    serde_json::from_slice(text).map_err(|e| invalid(&e))
}

fn replay(path: &Path, loaded: &mut Loaded) -> Result<(), StateError> {
    let bytes = match read(path) {
        Ok(bytes) => bytes,
        Err(StateError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let decoded = journal::decode(&bytes).map_err(|bad| StateError::DamagedJournal {
        path: path.to_owned(),
        line: bad.line,
        offset: bad.offset,
        problem: bad.problem,
    })?;
    let folded_in = loaded.sequence;
    // Lines up to the document's sequence are in it already: the program died between the two.
    for line in decoded.lines.into_iter().filter(|line| line.sequence > folded_in) {
        loaded.items.apply(&line.record)?;
        loaded.finished = false;
        loaded.sequence = line.sequence;
    }
    if decoded.torn_bytes > 0 {
        loaded.notes.push(format!(
            "the last line of {} was cut off by a crash: {} bytes were dropped",
            path.display(),
            decoded.torn_bytes
        ));
    }
    Ok(())
}

fn write_document(path: &Path, header: &RunHeader, sequence: u64, items: &Items) -> Result<(), StateError> {
    let counts = items.counts();
    let document = DocumentRef {
        format: FORMAT,
        version: VERSION,
        header,
        sequence,
        finished: counts.pending + counts.starting + counts.in_flight == 0,
        items: items.iter().collect(),
    };
    files::replace(path, |writer| {
        serde_json::to_writer(&mut *writer, &document)?;
        writer.write_all(b"\n")
    })
}

fn refuse_symlink(path: &Path) -> Result<(), StateError> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_symlink() => Err(StateError::Symlink {
            path: path.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Appends records outside of a run's loop, such as those of a new plan on resume.
///
/// # Errors
/// If the ledger refuses one, or the journal cannot be written.
pub async fn append(
    journal: &JournalHandle,
    items: &mut Items,
    records: Vec<JournalRecord>,
) -> Result<(), StateError> {
    for record in &records {
        items.apply(record)?;
    }
    if records.is_empty() {
        Ok(())
    } else {
        journal.append(records).await
    }
}
