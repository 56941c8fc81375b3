//! The journal: one checksummed line for each change, appended and synced before the change counts.
//!
//! A thread owns the file. Appends that arrive while it syncs are written together, so that many
//! at once cost one sync. After a failed write it takes nothing more: a journal with a hole would
//! lie about what was done. Once it is long it is folded into the document (`folding.rs`).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::error::StateError;
use super::files;
use super::folding::Folding;
use super::format::JournalRecord;
use super::items::Items;

/// Appends that may wait for the writer before the next one has to wait itself.
const QUEUE: usize = 256;
/// Bytes of a journal that is folded, unless the caller says otherwise: what is read in a fraction of a
/// second, and written seldom enough for a document of a million items.
const FOLD_AFTER: u64 = 64 << 20;

/// A line of the journal: a record and its place in the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JournalLine {
    /// Greater by one from line to line.
    pub sequence: u64,
    /// What happened.
    #[serde(flatten)]
    pub record: JournalRecord,
}

/// Encodes a line: CRC-32 in hexadecimal, a space, JSON, a newline.
///
/// # Errors
/// If the record cannot be written as JSON.
pub fn encode(line: &JournalLine, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let json = serde_json::to_vec(line)?;
    out.extend_from_slice(format!("{:08x} ", crc32fast::hash(&json)).as_bytes());
    out.extend_from_slice(&json);
    out.push(b'\n');
    Ok(())
}

/// Why a line is not one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Number of the line, from 1.
    pub line: usize,
    /// Offset of its first byte.
    pub offset: usize,
    /// What is wrong.
    pub problem: String,
}

/// What a journal holds.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Its lines.
    pub lines: Vec<JournalLine>,
    /// Length of the whole lines.
    pub good_bytes: usize,
    /// Length of what follows them: a last line that was being written when the program died.
    pub torn_bytes: usize,
}

/// Decodes a journal. A last line that ends without a newline was torn by a crash and is left out.
///
/// # Errors
/// If any whole line is broken, or its number does not follow on that of the line before: that is
/// no crash, and nothing after it can be trusted.
pub fn decode(bytes: &[u8]) -> Result<Decoded, BadLine> {
    let mut decoded = Decoded::default();
    decoded.torn_bytes = each_line(bytes, |line, _| {
        decoded.lines.push(line);
        Ok(())
    })?;
    decoded.good_bytes = bytes.len() - decoded.torn_bytes;
    Ok(decoded)
}

/// Hands on each line and its offset, one by one: the journal of a long run has millions, which need
/// not be held all at once. Answers the length of a torn last line.
///
/// # Errors
/// As [`decode`], and where `take` refuses a line.
pub(super) fn each_line(
    bytes: &[u8],
    mut take: impl FnMut(JournalLine, usize) -> Result<(), String>,
) -> Result<usize, BadLine> {
    let (mut rest, mut offset, mut number, mut before) = (bytes, 0, 0, None);
    while let Some(end) = rest.iter().position(|b| *b == b'\n') {
        let (text, after) = rest.split_at(end);
        number += 1;
        let line = decode_line(text).and_then(|line| follows(before, line));
        let taken = line.and_then(|line| {
            before = Some(line.sequence);
            take(line, offset)
        });
        taken.map_err(|problem| BadLine {
            line: number,
            offset,
            problem,
        })?;
        offset += end + 1;
        rest = after.get(1..).unwrap_or_default();
    }
    Ok(rest.len())
}

fn follows(before: Option<u64>, line: JournalLine) -> Result<JournalLine, String> {
    match before {
        Some(before) if before.checked_add(1) != Some(line.sequence) => Err(format!(
            "its number is {}, and that of the line before is {before}",
            line.sequence
        )),
        _ => Ok(line),
    }
}

fn decode_line(text: &[u8]) -> Result<JournalLine, String> {
    let (sum, json) = text
        .split_at_checked(9)
        .filter(|(sum, _)| sum.last() == Some(&b' '))
        .ok_or("there is no checksum")?;
    let wanted = std::str::from_utf8(sum.get(..8).unwrap_or_default())
        .ok()
        .and_then(|hex| u32::from_str_radix(hex, 16).ok())
        .ok_or("the checksum is not a number")?;
    if crc32fast::hash(json) != wanted {
        return Err("the checksum does not match".to_owned());
    }
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

type Ack = oneshot::Sender<Result<(), StateError>>;

/// What the writer is asked for.
enum Job {
    Append(Vec<JournalRecord>, Ack),
    Fold(Box<Items>),
}

/// What the writer tells.
#[derive(Debug)]
pub(super) struct Progress {
    /// The greatest number that any line was given, written or not.
    pub(super) attempted: AtomicU64,
    /// Bytes of the journal.
    length: AtomicU64,
    /// Length at which it is folded into the document.
    fold_after: AtomicU64,
    /// Whether that is under way.
    folding: Arc<AtomicBool>,
}

impl Progress {
    /// Of a journal that is empty, and whose next line has the number after `attempted`.
    pub(super) fn from(attempted: u64) -> Self {
        Self {
            attempted: AtomicU64::new(attempted),
            length: AtomicU64::new(0),
            fold_after: AtomicU64::new(FOLD_AFTER),
            folding: Arc::default(),
        }
    }

    /// Sets the length at which the journal is folded.
    pub(super) fn fold_after(&self, bytes: u64) {
        self.fold_after.store(bytes, Ordering::Release);
    }
}

/// Feeds the journal of one state file. Clones feed the same one.
#[derive(Debug, Clone)]
pub struct JournalHandle {
    queue: mpsc::Sender<Job>,
    path: PathBuf,
    progress: Arc<Progress>,
}

impl JournalHandle {
    /// Starts the writer on `file`, which `folding` folds into the document. The writer tells the number
    /// of a line before the line is written.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(super) fn start(
        file: File,
        path: &Path,
        progress: Arc<Progress>,
        folding: impl FnOnce(Arc<AtomicBool>) -> Folding,
    ) -> Result<(Self, thread::JoinHandle<()>), StateError> {
        let (queue, inbox) = mpsc::channel(QUEUE);
        let writer = Writer {
            file,
            path: path.to_owned(),
            folding: folding(Arc::clone(&progress.folding)),
            progress: Arc::clone(&progress),
            broken: false,
        };
        let thread = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run(inbox))
            .map_err(|error| StateError::io("start the journal writer for", path, error))?;
        Ok((
            Self {
                queue,
                path: path.to_owned(),
                progress,
            },
            thread,
        ))
    }

    /// Whether the journal has become so long that it should be folded into the document.
    pub fn is_long(&self) -> bool {
        let fold_after = self.progress.fold_after.load(Ordering::Acquire);
        self.progress.length.load(Ordering::Acquire) >= fold_after && !self.is_folding()
    }

    /// Whether it is being folded at this moment.
    pub fn is_folding(&self) -> bool {
        self.progress.folding.load(Ordering::Acquire)
    }

    /// Has the journal folded into the document, beside the run. `items` have every record that was
    /// appended, and no other.
    pub async fn fold(&self, items: Items) {
        self.progress.folding.store(true, Ordering::Release);
        // A writer that has gone has told whoever waited for it.
        let _ = self.queue.send(Job::Fold(Box::new(items))).await;
    }

    /// Appends the records and waits until they are on disk.
    ///
    /// # Errors
    /// If they could not be written; then nothing more will be.
    pub async fn append(&self, records: Vec<JournalRecord>) -> Result<(), StateError> {
        let (ack, answer) = oneshot::channel();
        let closed = || StateError::JournalClosed {
            path: self.path.clone(),
        };
        self.queue
            .send(Job::Append(records, ack))
            .await
            .map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

struct Writer {
    file: File,
    path: PathBuf,
    folding: Folding,
    progress: Arc<Progress>,
    broken: bool,
}

impl Writer {
    fn run(mut self, mut inbox: mpsc::Receiver<Job>) {
        let mut batch: Vec<(Vec<JournalRecord>, Ack)> = Vec::new();
        while let Some(first) = inbox.blocking_recv() {
            let mut next = Some(first);
            let mut fold = None;
            while let Some(job) = next.take() {
                match job {
                    Job::Append(records, ack) => batch.push((records, ack)),
                    // What comes after it belongs to the next journal.
                    Job::Fold(items) => {
                        fold = Some(items);
                        break;
                    }
                }
                next = inbox.try_recv().ok();
            }
            let (records, acks): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
            let mut result = if acks.is_empty() {
                Ok(())
            } else {
                self.write(records.into_iter().flatten())
            };
            for ack in acks {
                let answer = match &mut result {
                    Ok(()) => Ok(()),
                    Err(error) => Err(error.again(&self.path)),
                };
                // The run may have gone away; the record is on disk all the same.
                let _ = ack.send(answer);
            }
            if let Some(items) = fold {
                self.fold(*items);
            }
        }
    }

    fn fold(&mut self, items: Items) {
        if self.broken {
            return;
        }
        match self
            .folding
            .begin(self.progress.attempted.load(Ordering::Acquire), items)
        {
            Ok(new) => {
                if let Some(file) = new {
                    self.file = file;
                }
                self.progress.length.store(0, Ordering::Release);
            }
            Err(error) => {
                tracing::error!("no new journal can be begun: {error}");
                self.broken = true;
            }
        }
    }

    fn write(&mut self, records: impl Iterator<Item = JournalRecord>) -> Result<(), StateError> {
        if self.broken {
            return Err(StateError::JournalClosed {
                path: self.path.clone(),
            });
        }
        let mut bytes = Vec::new();
        let mut sequence = self.progress.attempted.load(Ordering::Acquire);
        let mut encoded = Ok(());
        for record in records {
            sequence = sequence.saturating_add(1);
            encoded = encoded.and_then(|()| encode(&JournalLine { sequence, record }, &mut bytes));
        }
        self.progress.attempted.store(sequence, Ordering::Release);
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.progress.length.fetch_add(length, Ordering::AcqRel);
        let written = encoded
            .map_err(io::Error::from)
            .and_then(|()| files::append(&mut self.file, &bytes));
        written.map_err(|error| {
            self.broken = true;
            StateError::io("write", &self.path, error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CopyJobId, RecoveryPointArn};
    use chrono::DateTime;
    use proptest::prelude::*;

    fn lines(count: u64) -> Vec<JournalLine> {
        (1..=count)
            .map(|sequence| JournalLine {
                sequence,
                record: JournalRecord::Started {
                    recovery_point_arn: RecoveryPointArn::from_aws(&format!(
                        "arn:aws:ec2:r::snapshot/snap-{sequence}"
                    )),
                    copy_job_id: CopyJobId::from_aws("j\u{e9}\n"),
                    at: DateTime::UNIX_EPOCH,
                },
            })
            .collect()
    }

    fn encoded(lines: &[JournalLine]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in lines {
            encode(line, &mut bytes).unwrap();
        }
        bytes
    }

    #[test]
    fn cut_off_at_any_byte_it_gives_back_the_whole_lines() {
        let lines = lines(4);
        let bytes = encoded(&lines);
        for length in 0..=bytes.len() {
            let decoded = decode(&bytes[..length]).unwrap();
            let whole = bytes[..length].split(|b| *b == b'\n').count() - 1;
            assert_eq!(decoded.lines, lines[..whole]);
            assert_eq!(decoded.good_bytes + decoded.torn_bytes, length);
        }
    }

    #[test]
    fn every_bit_flip_is_caught_or_tears_the_last_line() {
        let lines = lines(3);
        let bytes = encoded(&lines);
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut broken = bytes.clone();
                broken[place] ^= 1 << bit;
                match decode(&broken) {
                    Err(bad) => assert!(bad.offset <= place),
                    // Only the case of the checksum's hexadecimal digits, or the last newline.
                    Ok(decoded) if decoded.torn_bytes > 0 => assert_eq!(decoded.lines, lines[..2]),
                    Ok(decoded) => assert_eq!(decoded.lines, lines, "byte {place} bit {bit}"),
                }
            }
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
        }
    }
}
