//! The progress bar as it is drawn on a terminal.

use std::io::{self, Write as _};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What the bar shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct BarFigures {
    /// Items that are done.
    pub(super) position: usize,
    /// All items.
    pub(super) total: usize,
    /// The line of counts.
    pub(super) counts: String,
    /// The line of rate and estimate, and what follows it.
    pub(super) pace: String,
}

/// Draws a second that the library lets through: more than the console asks for, so that the figures
/// of one line are never left older than those of another.
const DRAWS: u8 = 60;

/// The bar and where it is.
#[derive(Debug)]
pub(super) struct Display {
    bars: MultiProgress,
    bar: Option<ProgressBar>,
}

impl Display {
    /// No bar yet.
    pub(super) fn new() -> Self {
        Self {
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS)),
            bar: None,
        }
    }

    /// Takes the bar away while `write` writes.
    pub(super) fn above_bar(&mut self, write: impl FnOnce()) {
        if self.bar.is_none() {
            return write();
        }
        self.bars.suspend(write);
        rest_cursor();
    }

    /// Takes the bar away: one that stays would be torn by the lines that follow.
    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Draws the bar anew.
    pub(super) fn show(&mut self, figures: &BarFigures) {
        let bar = self
            .bar
            .get_or_insert_with(|| self.bars.add(styled(figures.total as u64)));
        bar.set_position(figures.position as u64);
        bar.set_message(format!("{}\n  {}", figures.counts, figures.pace));
        rest_cursor();
    }
}

fn styled(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let template = "Progress: [{bar:32}] {percent}% ({pos}/{len})\n  {msg}";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("█▌ ")),
        Err(_) => bar,
    }
}

/// The bar's last line is filled up to the terminal's edge, where the `^C` that the terminal echoes
/// at Ctrl-C would begin a new line, and the bar would be cleared one line too low. At the line's
/// beginning it does no harm.
fn rest_cursor() {
    use std::io::IsTerminal as _;
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        // A terminal that has gone is no reason to stop copying.
        let _ = stderr.write_all(b"\r").and_then(|()| stderr.flush());
    }
}
