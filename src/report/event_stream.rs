//! The stream of `--events`: JSON lines that a thread of its own writes.
//!
//! A run never waits for whoever reads them. What waits is bounded; what found no room is counted, and the next
//! line that finds some says how many are missing. An error of the file or pipe is told once and ends the stream.

use std::io::{self, Write};
use std::iter;
use std::mem;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::text::escape_controls;

/// Version of the lines' form.
const SCHEMA_VERSION: u32 = 1;
/// Bytes of lines that may wait for a slow reader.
const MOST_WAITING: usize = 4 << 20;
/// The same with the run's own lines, of which there are few: how it ended is told in any case.
const MOST_URGENT: usize = 8 << 20;
/// Bytes that are written at once, unless a line is longer.
const MOST_AT_ONCE: usize = 16 << 10;
/// Time between looks at whether everything is written.
const LOOK: Duration = Duration::from_millis(2);

/// A line's own members.
pub(super) type Members = Map<String, Value>;

/// The stream. Clones write to the same.
#[derive(Debug, Clone)]
pub struct EventStream {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    began: Instant,
}

#[derive(Debug, Default)]
struct Queue {
    run_id: String,
    text: Vec<u8>,
    sequence: u64,
    left_out: u64,
    /// Bytes that were taken by the file or pipe.
    written: u64,
    busy: bool,
    /// Nothing can be written any more.
    is_over: bool,
}

impl Queue {
    /// Appends a line. Without room it is counted.
    fn push(&mut self, event: &str, members: Members, elapsed: Duration, most: usize) {
        if self.is_over {
            return;
        }
        self.sequence += 1;
        if self.text.len() >= most {
            self.left_out += 1;
            return;
        }
        let missing = mem::take(&mut self.left_out);
        if missing > 0 {
            let mut count = Members::new();
            count.insert("count".to_owned(), missing.into());
            // It stands in the place of those that are missing.
            self.write(self.sequence - 1, "events_left_out", count, elapsed);
        }
        self.write(self.sequence, event, members, elapsed);
    }

    fn write(&mut self, sequence: u64, event: &str, members: Members, elapsed: Duration) {
        let mut line = json!({
            "schema_version": SCHEMA_VERSION,
            "sequence": sequence,
            "event": event,
            "timestamp": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            "elapsed_seconds": (elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
            "run_id": self.run_id,
        });
        if let Some(line) = line.as_object_mut() {
            line.extend(members);
        }
        self.text.extend(escape_controls(&line.to_string()).into_bytes());
        self.text.push(b'\n');
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until nothing can be written any more.
    fn run(&self, to: &mut dyn Write, name: &str) {
        loop {
            let text = {
                let mut queue = self.lock();
                queue.busy = false;
                while queue.text.is_empty() {
                    queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
                }
                queue.busy = true;
                mem::take(&mut queue.text)
            };
            for piece in pieces(&text) {
                if let Err(error) = to.write_all(piece).and_then(|()| to.flush()) {
                    self.lock().is_over = true;
                    tracing::warn!("{name} takes no more events, and the run goes on without: {error}");
                    return;
                }
                self.lock().written += piece.len() as u64;
            }
        }
    }
}

/// Whole lines, some at a time: a reader that is slow is to be told from one that has stopped, and two processes
/// that append to one file must not break each other's lines.
fn pieces(mut text: &[u8]) -> impl Iterator<Item = &[u8]> {
    iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let (most, rest) = text.split_at(text.len().min(MOST_AT_ONCE));
        let end = |text: &[u8]| memchr::memrchr(b'\n', text).map(|at| at + 1);
        let first_end = || memchr::memchr(b'\n', rest).map(|at| most.len() + at + 1);
        let length = end(most).or_else(first_end).unwrap_or(text.len());
        let (piece, left) = text.split_at(length);
        text = left;
        Some(piece)
    })
}

/// Opens what `--events` names: standard output for `-`, else a file that is appended to. Opening a pipe waits for
/// its reader.
///
/// # Errors
/// If it cannot be opened or written.
fn open(path: &Path) -> io::Result<Box<dyn Write + Send>> {
    use std::os::unix::fs::FileExt as _;

    if path == Path::new("-") {
        return Ok(Box::new(io::stdout()));
    }
    let is_special = std::fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir());
    if is_special {
        return Ok(Box::new(std::fs::OpenOptions::new().write(true).open(path)?));
    }
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
    // A process that was killed may have left half a line, which must not spoil the next. Where the file can be
    // written but not read, an empty line is better than a spoilt one.
    let mut last = [0];
    let length = file.metadata()?.len();
    let is_read = std::fs::File::open(path)
        .and_then(|file| file.read_exact_at(&mut last, length.saturating_sub(1)))
        .is_ok();
    if length > 0 && (!is_read || last != [b'\n']) {
        file.write_all(b"\n")?;
    }
    Ok(Box::new(file))
}

impl EventStream {
    /// Opens the stream and starts its thread. `run_id` stands in its lines until [`EventStream::set_run_id`]; times
    /// count from `began`.
    ///
    /// # Errors
    /// If the file cannot be opened, or no thread be started.
    pub fn open(path: &Path, run_id: &str, began: Instant) -> io::Result<Self> {
        let mut to = open(path)?;
        let name = match path.to_str() {
            Some("-") => "standard output".to_owned(),
            _ => path.display().to_string(),
        };
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                run_id: run_id.to_owned(),
                ..Queue::default()
            }),
            filled: Condvar::new(),
            began,
        });
        let writer = Arc::clone(&shared);
        thread::Builder::new()
            .name("events".to_owned())
            .spawn(move || writer.run(&mut *to, &name))?;
        Ok(Self { shared })
    }

    /// The id of the run that is gone on with.
    pub(super) fn set_run_id(&self, run_id: &str) {
        run_id.clone_into(&mut self.shared.lock().run_id);
    }

    /// A line that may be left out if the reader is slow.
    pub(super) fn line(&self, event: &str, members: Members) {
        self.push(event, members, MOST_WAITING);
    }

    /// A line of which there are few, and which has to be read.
    pub(super) fn urgent_line(&self, event: &str, members: Members) {
        self.push(event, members, MOST_URGENT);
    }

    fn push(&self, event: &str, members: Members, most: usize) {
        let elapsed = self.shared.began.elapsed();
        self.shared.lock().push(event, members, elapsed, most);
        self.shared.filled.notify_one();
    }

    /// Ends when all is written, when nothing can be written any more, or when nothing was taken for as long as
    /// `patience`.
    pub async fn written(&self, patience: Duration) {
        let (mut before, mut since) = (0, Instant::now());
        loop {
            {
                let queue = self.shared.lock();
                if queue.is_over || (queue.text.is_empty() && !queue.busy) {
                    return;
                }
                if queue.written != before {
                    (before, since) = (queue.written, Instant::now());
                }
            }
            if since.elapsed() >= patience {
                tracing::warn!("the reader of the events takes nothing: the last of them are lost");
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<Value> {
        let lines = std::str::from_utf8(text).unwrap().lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn what_finds_no_room_is_counted_where_it_is_missing() {
        let mut queue = Queue::default();
        let push = |queue: &mut Queue, event, most| queue.push(event, Members::new(), Duration::ZERO, most);
        push(&mut queue, "a", 1);
        for _ in 0..5 {
            push(&mut queue, "lost", 1);
        }
        push(&mut queue, "urgent", 10_000);
        let told = lines(&queue.text);
        let names: Vec<&str> = told.iter().map(|line| line["event"].as_str().unwrap()).collect();
        assert_eq!(names, ["a", "events_left_out", "urgent"]);
        assert_eq!(told[1]["count"], 5);
        let numbers: Vec<u64> = told
            .iter()
            .map(|line| line["sequence"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, [1, 6, 7]);
    }

    #[test]
    fn no_control_character_stands_as_it_is() {
        let mut queue = Queue::default();
        let mut members = Members::new();
        members.insert("message".to_owned(), "a\u{1b}[2J\u{7f}\u{9b}31m".into());
        queue.push("item_failed", members.clone(), Duration::ZERO, 1);
        let text = std::str::from_utf8(&queue.text).unwrap().trim_end();
        assert!(!text.contains(char::is_control), "{text:?}");
        assert_eq!(lines(text.as_bytes())[0]["message"], members["message"]);
    }

    #[test]
    fn what_is_written_at_once_ends_with_a_line() {
        let line = |length: usize| [&vec![b'x'; length - 1], &b"\n"[..]].concat();
        let lengths = |text: &[u8]| pieces(text).map(<[u8]>::len).collect::<Vec<_>>();
        let short = line(1000).repeat(40);
        assert_eq!(lengths(&short), [16_000, 16_000, 8_000]);
        assert_eq!(pieces(&short).collect::<Vec<_>>().concat(), short);
        assert_eq!(
            lengths(&[line(10), line(20_000), line(10)].concat()),
            [10, 20_000, 10]
        );
        assert_eq!(lengths(b"no end"), [6]);
        assert!(lengths(b"").is_empty());
    }

    #[test]
    fn a_line_that_was_cut_off_is_ended_before_more_is_added() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events");
        std::fs::write(&path, "{\"half").unwrap();
        for _ in 0..2 {
            open(&path).unwrap().write_all(b"{}\n").unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"half\n{}\n{}\n");
        assert!(open(directory.path()).is_err());
    }
}
