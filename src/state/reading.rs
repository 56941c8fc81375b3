//! Reading a state file and its journal. Changes nothing, and believes nothing that does not add up.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::checksum;
use super::document;
use super::error::StateError;
use super::files::{self, Open};
use super::format::{FORMAT, Item, RunHeader, VERSION};
use super::items::Items;
use super::journal::{self, JournalLine};
use super::location::{is_there, journals};

/// How often files that are replaced while they are opened are opened again.
const MOST_TRIES: u32 = 100;
/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(5);

/// A document; its items may be `IgnoredAny`, which are only passed over.
#[derive(Deserialize)]
struct Document<I> {
    format: Option<String>,
    version: Option<u64>,
    crc32: Option<String>,
    #[serde(flatten)]
    header: RunHeader,
    sequence: u64,
    finished: bool,
    items: I,
}

/// What a document says of itself: just enough to tell what a file is that cannot be read.
#[derive(Deserialize)]
struct Probe {
    format: Option<String>,
    version: Option<u64>,
    crc32: Option<String>,
}

impl<I> Document<I> {
    fn probe(&self) -> Probe {
        Probe {
            format: self.format.clone(),
            version: self.version,
            crc32: self.crc32.clone(),
        }
    }
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
    pub(super) sequence: u64,
}

/// A document and its journals as they were at one moment, each journal in the order of their lines.
struct Files {
    document: File,
    journals: [(PathBuf, Option<File>); 2],
}

impl Files {
    /// Opens them. The run whose files they are may fold one into the other meanwhile (`folding.rs`),
    /// or end; what is open stays as it is, so that they only have to be opened at one moment.
    fn open(path: &Path) -> Result<Self, StateError> {
        for _ in 0..MOST_TRIES {
            let document = files::open(path, Open::Read)?;
            let [old, journal] = journals(path);
            let opened = Self {
                document,
                journals: [open_if_there(old)?, open_if_there(journal)?],
            };
            if opened.are_in_place(path) {
                return Ok(opened);
            }
            thread::sleep(PAUSE);
        }
        let problem = "it was replaced each time that it was opened";
        Err(StateError::io("read", path, io::Error::other(problem)))
    }

    /// Whether all have their names still. The document is looked at last: no old journal comes and
    /// goes without a new document.
    fn are_in_place(&self, path: &Path) -> bool {
        let in_place = |(path, file): &(PathBuf, Option<File>)| match file {
            Some(file) => files::is_at(file, path),
            None => !is_there(path),
        };
        self.journals.iter().all(in_place) && files::is_at(&self.document, path)
    }
}

fn open_if_there(path: PathBuf) -> Result<(PathBuf, Option<File>), StateError> {
    match files::open(&path, Open::Read) {
        Ok(file) => Ok((path, Some(file))),
        Err(StateError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok((path, None)),
        Err(error) => Err(error),
    }
}

/// Reads a state file and what its journal adds. Changes nothing, and locks nothing: a run may go on
/// with them meanwhile.
///
/// # Errors
/// If it is missing, broken, or of a newer version.
pub fn load(path: &Path) -> Result<Loaded, StateError> {
    let files = Files::open(path)?;
    let (header, items, finished, sequence) = if let Some((head, items)) = document::read(&files.document) {
        (head.header, items, head.finished, head.sequence)
    } else {
        // Of another layout, or broken.
        let document: Document<Vec<Item>> = parse(path, &read(path, &files.document)?)?;
        let items = Items::new(document.items);
        (document.header, items, document.finished, document.sequence)
    };
    let mut loaded = Loaded {
        header,
        items,
        finished,
        notes: Vec::new(),
        sequence,
    };
    for (path, journal) in &files.journals {
        if let Some(journal) = journal {
            replay(path, journal, &mut loaded)?;
        }
    }
    Ok(loaded)
}

/// What a state file is about and whether nothing was left to do, without building its items.
///
/// # Errors
/// As [`load`].
pub(super) fn heading(path: &Path) -> Result<(RunHeader, bool), StateError> {
    let files = Files::open(path)?;
    let (header, sequence, finished) = if let Some(head) = document::read_head(&files.document) {
        (head.header, head.sequence, head.finished)
    } else {
        let document: Document<IgnoredAny> = parse(path, &read(path, &files.document)?)?;
        (document.header, document.sequence, document.finished)
    };
    // What is finished has no journal, unless the process died before it could remove it.
    let mut newest = 0;
    for (path, journal) in files.journals.iter().filter(|_| finished) {
        if let Some(journal) = journal {
            read_journal(path, journal, sequence.max(newest), |line| {
                newest = line.sequence;
                Ok(())
            })?;
        }
    }
    Ok((header, finished && newest <= sequence))
}

/// All of an open file.
fn read(path: &Path, mut file: &File) -> Result<Vec<u8>, StateError> {
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut bytes))
        .map_err(|error| StateError::io("read", path, error))?;
    Ok(bytes)
}

/// Reads a document in one go; a file of a million points is not read twice to learn its version.
fn parse<I: DeserializeOwned>(path: &Path, text: &[u8]) -> Result<Document<I>, StateError> {
    let error = match serde_json::from_slice::<Document<I>>(text) {
        Ok(document) => return check(path, &document.probe(), text).map(|()| document),
        Err(error) => error,
    };
    // What it is says more than where it ceases to be what we expect.
    if let Ok(probe) = serde_json::from_slice::<Probe>(text) {
        check(path, &probe, text)?;
    }
    Err(StateError::InvalidJson {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
        problem: words_of(&error),
    })
}

/// What a parser says, without the place that it adds.
pub(crate) fn words_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ")
        .map_or_else(|| text.clone(), |(words, _)| words.to_owned())
}

fn check(path: &Path, probe: &Probe, text: &[u8]) -> Result<(), StateError> {
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
    if probe.crc32.is_some() && !checksum::is_whole(text) {
        return Err(StateError::Checksum {
            path: path.to_owned(),
        });
    }
    Ok(())
}

/// Reads the journal of a document that ends with line `sequence`, line by line, and answers the
/// length of a torn last one.
fn read_journal(
    path: &Path,
    file: &File,
    sequence: u64,
    mut take: impl FnMut(JournalLine) -> Result<(), String>,
) -> Result<usize, StateError> {
    let bytes = read(path, file)?;
    let read = journal::each_line(&bytes, |line, offset| {
        if offset == 0 && line.sequence > sequence.saturating_add(1) {
            return Err(format!(
                "its number is {}, and the state file ends with {sequence}: lines are missing, or the two do not \
                 belong together",
                line.sequence
            ));
        }
        take(line)
    });
    read.map_err(|bad| StateError::DamagedJournal {
        path: path.to_owned(),
        line: bad.line,
        offset: bad.offset,
        problem: bad.problem,
    })
}

fn replay(path: &Path, file: &File, loaded: &mut Loaded) -> Result<(), StateError> {
    let folded_in = loaded.sequence;
    let torn_bytes = read_journal(path, file, folded_in, |line| {
        // Lines up to the document's sequence are in it already: the program died between the two.
        if line.sequence > folded_in {
            loaded
                .items
                .apply(&line.record)
                .map_err(|problem| problem.to_string())?;
            loaded.finished = false;
            loaded.sequence = line.sequence;
        }
        Ok(())
    })?;
    if torn_bytes > 0 {
        loaded.notes.push(format!(
            "the last line of {} was cut off by a crash: {torn_bytes} bytes were dropped",
            path.display(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::state::items::Items;
    use crate::state::store::Store;
    use crate::state::store::journal_path;
    use crate::state::store::tests::{header, run};

    #[test]
    fn a_run_is_finished_if_its_document_says_so_and_no_line_came_after() {
        let home = tempfile::tempdir().unwrap();
        let [begun, ended] = ["begun.json", "ended.json"].map(|name| home.path().join(name));
        run(&begun);
        assert!(!heading(&begun).unwrap().1);
        let lines = fs::read(journal_path(&begun)).unwrap();
        fs::remove_file(journal_path(&begun)).unwrap();
        assert!(!heading(&begun).unwrap().1);

        let none = Items::new([]);
        let lock = Store::lock(&ended).unwrap();
        let store = Store::create(&ended, lock, header(), &none).unwrap();
        store.finish(&none).unwrap();
        assert!(heading(&ended).unwrap().1);
        fs::write(journal_path(&ended), lines).unwrap();
        assert!(!heading(&ended).unwrap().1);
    }

    #[test]
    fn a_journal_that_cannot_be_opened_is_not_taken_for_an_empty_one() {
        let home = tempfile::tempdir().unwrap();
        let short = home.path().join("s.json");
        run(&short);
        // The longest name that there is: its journal's is too long.
        let long = home.path().join("x".repeat(255));
        fs::copy(&short, &long).unwrap();
        let error = load(&long).unwrap_err();
        assert!(error.to_string().starts_with("cannot read "), "{error}");
    }
}
