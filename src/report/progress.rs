//! Progress of a copy run: a bar on a terminal, plain lines or JSON elsewhere.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::bar::BarFigures;
use super::console::Console;
use super::text::{duration, percent};
use super::vault_lines::{self, DoneVaults};
use crate::copy::event::{CopyEvent, CopyEventKind, RunStats, StopReason};
use crate::domain::CopyJobId;

/// The rate is that of this much time past.
const RATE_WINDOW: Duration = Duration::from_mins(10);
/// Points between milestone lines.
const MILESTONE: usize = 100;

/// What stands for the rate before there is one.
const NO_RATE: &str = "Rate: -";

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressMode {
    /// A bar that is redrawn.
    Bar,
    /// A line now and then.
    Plain,
    /// A JSON object a line.
    Json,
    /// Nothing.
    None,
}

/// Shows the events of a run.
#[derive(Debug)]
pub struct ProgressReporter {
    console: Console,
    mode: ProgressMode,
    interval: Duration,
    /// Rate and estimate as the bar shows them.
    pace: Option<String>,
    samples: VecDeque<(Duration, usize)>,
    shown_at: Option<Duration>,
    milestone: usize,
    latest: Option<CopyEvent>,
    printed: Option<RunStats>,
    stopping: Option<StopReason>,
    done_vaults: DoneVaults,
}

impl ProgressReporter {
    /// A reporter that repeats its line, or redraws its figures, every `interval`.
    pub fn new(console: Console, mode: ProgressMode, interval: Duration) -> Self {
        Self {
            console,
            mode,
            interval,
            pace: None,
            samples: VecDeque::new(),
            shown_at: None,
            milestone: 0,
            latest: None,
            printed: None,
            stopping: None,
            done_vaults: DoneVaults::default(),
        }
    }

    /// Takes in what happened.
    pub fn event(&mut self, event: &CopyEvent) {
        self.sample(event);
        let done = event.stats.done();
        match &event.kind {
            CopyEventKind::RunStarted { resumed } => {
                self.milestone = done / MILESTONE;
                if self.mode != ProgressMode::None && self.mode != ProgressMode::Json {
                    let text = if *resumed {
                        "Resuming copy operation..."
                    } else {
                        "Starting copy operation..."
                    };
                    self.console.line(text);
                }
            }
            CopyEventKind::ItemFailed {
                recovery_point_arn,
                failure,
                ..
            } => tracing::error!(
                error_code = failure.error_code,
                copy_job_id = failure.copy_job_id.as_ref().map(CopyJobId::as_str),
                request_id = failure.request_id,
                "Failed to copy recovery point {recovery_point_arn}: {}",
                failure.message
            ),
            CopyEventKind::ItemRequeued {
                recovery_point_arn,
                reason,
                ..
            } => {
                tracing::debug!("{recovery_point_arn} goes back to the queue: {reason}");
            }
            CopyEventKind::CopyJobStarted {
                recovery_point_arn,
                copy_job_id,
                adopted,
                ..
            } => {
                let what = if *adopted { "found" } else { "started" };
                tracing::debug!("{what} copy job {copy_job_id} of {recovery_point_arn}");
            }
            CopyEventKind::ItemCompleted {
                recovery_point_arn, ..
            } => {
                tracing::debug!("copied {recovery_point_arn}");
            }
            CopyEventKind::QuotaReached { in_flight } => {
                tracing::debug!("AWS takes no more copy jobs for now; {in_flight} are in flight");
            }
            CopyEventKind::StartsThrottled { starts_per_minute } => {
                tracing::debug!("AWS asks for fewer starts; {starts_per_minute} a minute from now on");
            }
            CopyEventKind::WindowChanged {
                resource_type,
                most_in_flight,
            } => {
                tracing::debug!(
                    "{most_in_flight} copy jobs of {resource_type} and its like may be in flight"
                );
            }
            CopyEventKind::StopRequested { reason } => self.stopping(*reason, &event.stats),
            CopyEventKind::Tick => {}
            CopyEventKind::RunFinished => return self.finish(event),
        }
        self.tell_done_vaults(event);
        self.show(event, done);
        self.latest = Some(event.clone());
    }

    /// Says once why the run stops, and what that means.
    pub fn stopping(&mut self, reason: StopReason, stats: &RunStats) {
        if self.stopping.is_some_and(|said| reason <= said) {
            return;
        }
        self.stopping = Some(reason);
        let why = first_upper(reason.describe());
        let jobs = under_way(stats);
        match reason {
            StopReason::InterruptedAgain => tracing::warn!("{why} again: leaving at once"),
            StopReason::Interrupted => {
                tracing::warn!("{why}: stopping gracefully; {jobs}. A second signal leaves at once");
            }
            _ => tracing::warn!("{why}: stopping gracefully; {jobs}"),
        }
    }

    /// Shows the latest figures at once, on demand.
    pub fn show_now(&self) {
        if let Some(event) = &self.latest {
            self.console.line(&self.line(event));
        }
    }

    fn tell_done_vaults(&mut self, event: &CopyEvent) {
        let lines = self.done_vaults.new_ones(&event.vaults);
        if [ProgressMode::Bar, ProgressMode::Plain].contains(&self.mode) {
            for line in lines {
                self.console.line(&line);
            }
        }
    }

    fn sample(&mut self, event: &CopyEvent) {
        let now = event.elapsed;
        if self
            .samples
            .back()
            .is_none_or(|(at, _)| now >= *at + Duration::from_millis(200))
        {
            self.samples.push_back((now, event.stats.completed_this_run));
        }
        while self.samples.len() > 2
            && self
                .samples
                .front()
                .is_some_and(|(at, _)| *at + RATE_WINDOW < now)
        {
            self.samples.pop_front();
        }
    }

    /// Points an hour, once there is something to tell it from.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn rate(&self, event: &CopyEvent) -> Option<f64> {
        let (from, before) = *self.samples.front()?;
        let time = event.elapsed.saturating_sub(from).as_secs_f64();
        let copied = event.stats.completed_this_run.saturating_sub(before);
        (time > 0.5 && copied > 0).then(|| copied as f64 / time * 3600.0)
    }

    fn figures(&self, event: &CopyEvent) -> (String, String) {
        let stats = &event.stats;
        let skipped = if stats.skipped > 0 {
            format!(" | Skipped: {}", stats.skipped)
        } else {
            String::new()
        };
        let counts = format!(
            "Completed: {} | Failed: {}{skipped} | In Progress: {}",
            stats.completed, stats.failed, stats.in_progress
        );
        let mut pace = match self.rate(event) {
            None => format!("{NO_RATE} | ETA: -"),
            Some(rate) => {
                #[expect(clippy::cast_precision_loss, reason = "an estimate")]
                let left = (stats.total - stats.done()) as f64 / rate * 3600.0;
                let eta = Duration::try_from_secs_f64(left).map_or_else(|_| "-".to_owned(), duration);
                format!("Rate: {rate:.0} items/hour | ETA: {eta}")
            }
        };
        if let Some(left) = event.time_left {
            pace.push_str(" | Time left: ");
            pace.push_str(&duration(left));
        }
        (counts, pace)
    }

    fn line(&self, event: &CopyEvent) -> String {
        let (counts, pace) = self.figures(event);
        let (done, total) = (event.stats.done(), event.stats.total);
        format!(
            "Progress: {}% ({done}/{total}) | {counts} | {pace}",
            percent(done, total)
        )
    }

    fn bar(&mut self, event: &CopyEvent, due: bool) {
        let (counts, pace) = self.figures(event);
        // Rate and estimate change slowly; redrawn with every point they could not be read.
        if due || self.pace.as_ref().is_none_or(|shown| shown.starts_with(NO_RATE)) {
            self.pace = Some(pace);
            self.shown_at = Some(event.elapsed);
        }
        let pace = self.pace.clone().unwrap_or_default();
        self.console.bar(Some(BarFigures {
            position: event.stats.done(),
            total: event.stats.total,
            counts,
            pace,
            vaults: Arc::clone(&event.vaults),
        }));
    }

    fn show(&mut self, event: &CopyEvent, done: usize) {
        let due = self.shown_at.is_none_or(|at| event.elapsed >= at + self.interval);
        let milestone = done / MILESTONE > self.milestone;
        self.milestone = self.milestone.max(done / MILESTONE);
        match self.mode {
            ProgressMode::None => {}
            ProgressMode::Bar => {
                self.bar(event, due);
                if milestone {
                    tracing::info!("{done} of {} items processed", event.stats.total);
                }
            }
            ProgressMode::Plain | ProgressMode::Json => {
                if due || milestone {
                    self.shown_at = Some(event.elapsed);
                    self.print(event, "progress");
                    self.printed = Some(event.stats);
                }
            }
        }
    }

    fn print(&self, event: &CopyEvent, kind: &str) {
        if self.mode == ProgressMode::Plain {
            self.console.passing_line(&self.line(event));
            return;
        }
        let stats = &event.stats;
        let mut object = json!({
            "event": kind,
            "timestamp": event.at.to_rfc3339(),
            "elapsed_seconds": event.elapsed.as_secs_f64(),
            "total_items": stats.total,
            "completed": stats.completed,
            "failed": stats.failed,
            "skipped": stats.skipped,
            "in_progress": stats.in_progress,
            "pending": stats.pending,
            "rate_per_hour": self.rate(event),
        });
        if let (true, Some(members)) = (event.vaults.len() > 1, object.as_object_mut()) {
            let vaults = event.vaults.iter().map(vault_lines::object).collect();
            members.insert("vaults".to_owned(), vaults);
        }
        self.console.object(&object);
    }

    fn finish(&mut self, event: &CopyEvent) {
        self.tell_done_vaults(event);
        if self.mode == ProgressMode::Bar {
            self.console.bar(None);
            self.console.line(&self.line(event));
        } else if self.mode == ProgressMode::Json
            || (self.mode == ProgressMode::Plain && self.printed != Some(event.stats))
        {
            self.print(event, "finished");
        }
    }
}

/// What goes on at AWS when the run stops.
fn under_way(stats: &RunStats) -> String {
    let number = |n: usize, one: &str, many: &str| match n {
        1 => one.to_owned(),
        n => format!("{n} {many}"),
    };
    let running = stats.in_progress.saturating_sub(stats.unanswered);
    let jobs = match running {
        0 => "no copy job is running".to_owned(),
        n => number(n, "1 copy job goes on in AWS", "copy jobs go on in AWS"),
    };
    match stats.unanswered {
        0 => jobs,
        n => {
            let unanswered = number(n, "1 start is", "starts are");
            format!("{jobs}, and {unanswered} not answered yet")
        }
    }
}

fn first_upper(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}
