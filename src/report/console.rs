//! The one way to stderr: lines go above the progress bar and never tear it.

use std::io::{self, Write};

use indicatif::MultiProgress;
use tracing_subscriber::fmt::MakeWriter;

/// Standard error, shared by log lines and the progress bar.
#[derive(Debug, Clone, Default)]
pub struct Console {
    bars: MultiProgress,
}

impl Console {
    /// A console on which no bar is shown yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A line of the operator's own kind: not a log line, so that it has no level.
    pub fn line(&self, text: &str) {
        // Nobody can be told that stderr is closed.
        let _ = writeln!(self.writer(), "{text}");
    }

    /// Where log lines are written.
    pub fn writer(&self) -> ConsoleWriter {
        ConsoleWriter {
            bars: self.bars.clone(),
        }
    }

    pub(super) fn bars(&self) -> &MultiProgress {
        &self.bars
    }
}

/// Writes above the bar.
#[derive(Debug, Clone)]
pub struct ConsoleWriter {
    bars: MultiProgress,
}

impl Write for ConsoleWriter {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        // A reader of stderr that has gone is no reason to stop copying.
        let _ = self.bars.suspend(|| io::stderr().write_all(text));
        Ok(text.len())
    }

    fn write_fmt(&mut self, text: std::fmt::Arguments<'_>) -> io::Result<()> {
        self.write(text.to_string().as_bytes()).map(|_| ())
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
}
