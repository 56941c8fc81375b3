//! The progress bar as it is drawn on a terminal.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::screen::{Screen, Stderr};
use super::vault_lines;
use crate::copy::event::VaultProgress;

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
    /// The vaults of the run.
    pub(super) vaults: Arc<[VaultProgress]>,
}

/// Lines of the vaults where the terminal has room for more.
const MOST_VAULTS: usize = 12;
/// Rows of the terminal that are not for vaults: the bar with its figures, and a few lines above it.
const OTHER_ROWS: usize = 8;

/// Drawings a second that the library lets through: more than the console asks for, so that the
/// figures of one line are never left older than those of another.
const DRAWINGS: u8 = 60;

/// Where the bar is, if it is shown.
#[derive(Debug)]
pub(super) struct Display {
    stderr: Arc<Stderr>,
    bar: Option<ProgressBar>,
}

impl Display {
    /// No bar yet.
    pub(super) fn new(stderr: Arc<Stderr>) -> Self {
        Self { stderr, bar: None }
    }

    /// Writes lines; the bar makes room.
    pub(super) fn write(&mut self, text: &[u8]) {
        match &self.bar {
            None => self.stderr.write(text),
            Some(bar) => bar.suspend(|| self.stderr.write(text)),
        }
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
            .get_or_insert_with(|| styled(&self.stderr, figures.total as u64));
        bar.set_position(figures.position as u64);
        let room = usize::from(Screen::rows()).saturating_sub(OTHER_ROWS);
        let mut message = format!("{}\n  {}", figures.counts, figures.pace);
        for line in vault_lines::lines(&figures.vaults, room.min(MOST_VAULTS)) {
            message.push_str("\n  ");
            message.push_str(&line);
        }
        bar.set_message(message);
    }
}

fn styled(stderr: &Arc<Stderr>, total: u64) -> ProgressBar {
    let target = match Screen::new(stderr) {
        Some(screen) => ProgressDrawTarget::term_like_with_hz(Box::new(screen), DRAWINGS),
        None => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    let template = "Progress: [{bar:32}] {percent}% ({pos}/{len})\n  {msg}";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("█▌ ")),
        Err(_) => bar,
    }
}
