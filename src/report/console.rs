//! The one way to stderr: lines go above the progress bar and never tear it.
//!
//! A thread of its own writes them. Whoever has something to say only queues it, so that a terminal
//! that stands still (Ctrl-S), a full pipe that nobody reads or a reader that has gone never hold up
//! the run. What waits is bounded; what has to be dropped is counted and said.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::LogFormat;
use super::bar::{BarFigures, Display};
use super::screen::Stderr;
use super::text::{escape_controls, sanitize};

/// Bytes of ordinary lines that may wait for a reader.
const MOST_WAITING: usize = 1 << 20;
/// The same where warnings, errors and the run's own lines are among them.
const MOST_URGENT: usize = 16 << 20;
/// Time between two drawings of the bar.
const REDRAW: Duration = Duration::from_millis(100);
/// The thread is woken when there is something to do; this long it sleeps without.
const IDLE: Duration = Duration::from_hours(1);
/// Time between looks at whether everything is written.
const LOOK: Duration = Duration::from_millis(2);

/// Standard error, shared by log lines and the progress bar.
#[derive(Debug, Clone)]
pub struct Console {
    shared: Arc<Shared>,
    format: LogFormat,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Something is there to be written.
    filled: Condvar,
    stderr: Arc<Stderr>,
}

#[derive(Debug, Default)]
struct Queue {
    texts: VecDeque<Vec<u8>>,
    /// Bytes of `texts`.
    waiting: usize,
    /// Lines that found no room.
    dropped: usize,
    bar: Option<BarFigures>,
    bar_changed: bool,
    /// Whether the thread is writing.
    busy: bool,
    /// Set once the thread has ended, which only a fault of the program can bring about.
    dead: bool,
    thread: Option<ThreadId>,
}

/// What the thread takes from the queue.
struct Batch {
    text: Vec<u8>,
    draw: Draw,
    dropped: usize,
}

/// What becomes of the bar.
enum Draw {
    Nothing,
    Bar(BarFigures),
    Gone,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, text: &[u8], most: usize) {
        let mut queue = self.lock();
        if queue.dead || queue.waiting + text.len() > most {
            queue.dropped += 1;
            return;
        }
        queue.waiting += text.len();
        queue.texts.push_back(text.to_vec());
        self.filled.notify_one();
    }

    /// Waits for something to do. A bar that was drawn a moment ago waits for that moment to pass.
    fn take(&self, drawn: Option<Instant>) -> Batch {
        let mut queue = self.lock();
        queue.busy = false;
        loop {
            let rest = drawn.map_or(Duration::ZERO, |at| REDRAW.saturating_sub(at.elapsed()));
            let gone = queue.bar.is_none();
            if !queue.texts.is_empty() || (queue.bar_changed && (gone || rest.is_zero())) {
                break;
            }
            let wait = if queue.bar_changed { rest } else { IDLE };
            let waited = self.filled.wait_timeout(queue, wait);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.busy = true;
        queue.waiting = 0;
        let bar_changed = std::mem::take(&mut queue.bar_changed);
        Batch {
            text: queue.texts.drain(..).flatten().collect(),
            draw: match &queue.bar {
                _ if !bar_changed => Draw::Nothing,
                Some(bar) => Draw::Bar(bar.clone()),
                None => Draw::Gone,
            },
            dropped: std::mem::take(&mut queue.dropped),
        }
    }

    fn run(&self) {
        let _ended = Ended(self);
        self.lock().thread = Some(thread::current().id());
        let mut display = Display::new(Arc::clone(&self.stderr));
        let mut drawn = None;
        loop {
            let batch = self.take(drawn);
            if !batch.text.is_empty() {
                display.write(&batch.text);
            }
            match batch.draw {
                Draw::Nothing => {}
                Draw::Bar(figures) => {
                    display.show(&figures);
                    drawn = Some(Instant::now());
                }
                Draw::Gone => display.clear(),
            }
            if batch.dropped > 0 {
                tracing::warn!(
                    "{} lines are not shown: standard error was not read for a while",
                    batch.dropped
                );
            }
        }
    }
}

/// Marks the console as dead when its thread ends.
struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.lock().dead = true;
    }
}

impl Console {
    /// A console on which no bar is shown yet.
    ///
    /// # Errors
    /// If its thread cannot be started.
    pub fn start(format: LogFormat) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        thread::Builder::new()
            .name("console".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self { shared, format })
    }

    /// Lines of the operator's own kind: not log lines, so that they have no level in text. Control
    /// characters in them are made visible.
    pub fn line(&self, text: &str) {
        self.push(&plain(text), text, MOST_URGENT);
    }

    /// Text as it is: a question has no end of line.
    pub fn text(&self, text: &str) {
        self.push(text, text, MOST_URGENT);
    }

    /// A line that a newer one makes worthless.
    pub(super) fn passing_line(&self, text: &str) {
        self.push(&plain(text), text, MOST_WAITING);
    }

    /// A line that is a JSON object already.
    pub(super) fn object(&self, object: &Value) {
        self.shared.push(json_line(object).as_bytes(), MOST_WAITING);
    }

    /// An error, and what to do next, which is `shown` in text.
    pub fn error(&self, shown: &str, message: &str, help: Option<&str>) {
        let told = match self.format {
            LogFormat::Text => shown.to_owned(),
            LogFormat::Json => error_object(message, help),
        };
        self.shared.push(told.as_bytes(), MOST_URGENT);
    }

    fn push(&self, shown: &str, message: &str, most: usize) {
        match self.format {
            LogFormat::Text => self.shared.push(shown.as_bytes(), most),
            LogFormat::Json => self
                .shared
                .push(json_line(&told("INFO", message)).as_bytes(), most),
        }
    }

    /// Shows the bar with these figures, or takes it away. Figures that have not been drawn when
    /// newer ones come are passed over.
    pub(super) fn bar(&self, figures: Option<BarFigures>) {
        let mut queue = self.shared.lock();
        queue.bar = figures;
        queue.bar_changed = true;
        self.shared.filled.notify_one();
    }

    /// Where log lines are written.
    pub fn writer(&self) -> ConsoleWriter {
        ConsoleWriter {
            console: self.clone(),
            most: MOST_URGENT,
        }
    }

    /// Ends when all that was said is written, when stderr has taken nothing for as long as
    /// `patience`, or when nobody is there to write it.
    pub async fn written(&self, patience: Duration) {
        let mut before = 0;
        let mut since = tokio::time::Instant::now();
        loop {
            if self.is_written() {
                return;
            }
            let taken = self.shared.stderr.taken();
            if taken != before {
                before = taken;
                since = tokio::time::Instant::now();
            }
            if since.elapsed() >= patience {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The same where there is no runtime to wait in, for this long at most.
    pub fn written_within(&self, time: Duration) {
        let began = Instant::now();
        while !self.is_written() && began.elapsed() < time {
            thread::sleep(LOOK);
        }
    }

    /// Whether all that was said is written, or nobody is there to write it.
    fn is_written(&self) -> bool {
        let queue = self.shared.lock();
        let idle = queue.texts.is_empty() && !queue.bar_changed && !queue.busy;
        idle || queue.dead
    }

    /// Whether the calling thread is the one that writes: what it says of its own end it has to
    /// write by itself.
    pub fn is_own_thread(&self) -> bool {
        self.shared.lock().thread == Some(thread::current().id())
    }
}

/// A message as log lines have it.
fn told(level: &str, message: &str) -> Value {
    json!({
        "timestamp": Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true),
        "level": level,
        "message": message.trim_end(),
        "target": "shuffle_aws_vaults",
    })
}

/// The line of an error in JSON.
pub fn error_object(message: &str, help: Option<&str>) -> String {
    let mut object = told("ERROR", message);
    if let (Some(members), Some(help)) = (object.as_object_mut(), help) {
        members.insert("help".to_owned(), help.into());
    }
    json_line(&object)
}

fn json_line(object: &Value) -> String {
    let mut line = escape_controls(&object.to_string());
    line.push('\n');
    line
}

fn plain(text: &str) -> String {
    let lines = text.split('\n').map(sanitize);
    lines.flat_map(|line| [line, "\n".into()]).collect()
}

/// Queues log lines.
#[derive(Debug, Clone)]
pub struct ConsoleWriter {
    console: Console,
    most: usize,
}

impl Write for ConsoleWriter {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.console.shared.push(text, self.most);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for ConsoleWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self {
        let urgent = *meta.level() <= Level::WARN;
        Self {
            console: self.console.clone(),
            most: if urgent { MOST_URGENT } else { MOST_WAITING },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reads_is_bounded_and_counted_and_errors_have_room() {
        let shared = Shared::default();
        let line = vec![b'x'; 1000];
        for _ in 0..3000 {
            shared.push(&line, MOST_WAITING);
        }
        shared.push(b"an error", MOST_URGENT);
        let batch = shared.take(None);
        assert!(batch.text.len() <= MOST_WAITING + 8);
        assert!(batch.text.ends_with(b"an error"));
        assert_eq!(batch.dropped, 3000 - (batch.text.len() - 8) / 1000);
    }

    #[test]
    fn only_the_newest_figures_are_drawn() {
        let console = Console {
            shared: Arc::default(),
            format: LogFormat::Text,
        };
        for position in 1..=3 {
            console.bar(Some(BarFigures {
                position,
                ..BarFigures::default()
            }));
        }
        let drawn = console.shared.take(None).draw;
        assert!(matches!(drawn, Draw::Bar(figures) if figures.position == 3));
    }
}
