//! This machine, and how long its credentials last.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::{Finding, Verdict};
use crate::aws::{CredentialsLife, Side};
use crate::report::{bytes, duration};

/// Bytes of a state file for a point, with room.
const BYTES_PER_POINT: u64 = 600;
/// Longest run that keys with a session token are surely good for: an hour is what AssumeRole gives.
const KEYS_LAST: Duration = Duration::from_hours(1);

/// The credentials of a side, against how long the run is likely to last.
pub fn credentials(side: Side, life: &CredentialsLife, now: DateTime<Utc>, run: Duration) -> Finding {
    const CHECK: &str = "credentials";
    let finding = match life.ends_at {
        _ if life.are_temporary_keys && run > KEYS_LAST => Finding::warning(
            CHECK,
            format!(
                "temporary keys from the environment end at a time that nothing tells, and the run is likely to take {}",
                duration(run)
            ),
            format!(
                "{}. The run stops with exit 2 when they end, and --resume goes on",
                life.advice
            ),
        ),
        None => Finding::ok(CHECK, "nothing says that they end"),
        Some(at) => {
            let left = (at - now).to_std().unwrap_or_default();
            let end = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            if life.are_renewable {
                Finding::ok(CHECK, format!("good until {end}, then renewed ({})", life.advice))
            } else if left < run {
                Finding::warning(
                    CHECK,
                    format!(
                        "good until {end}, and the run is likely to take {}",
                        duration(run)
                    ),
                    format!(
                        "{}. The run stops with exit 2 when they end, and --resume goes on",
                        life.advice
                    ),
                )
            } else {
                Finding::ok(
                    CHECK,
                    format!("good until {end}, longer than the run is likely to take"),
                )
            }
        }
    };
    finding.of(side.to_string())
}

/// This machine's clock against AWS's.
pub fn clock(ahead: TimeDelta) -> Finding {
    const CHECK: &str = "clock";
    if ahead.is_zero() {
        return Finding::ok(CHECK, "less than 4 minutes off AWS's");
    }
    let direction = if ahead > TimeDelta::zero() {
        "behind"
    } else {
        "ahead of"
    };
    Finding::warning(
        CHECK,
        format!(
            "this machine's clock is {} s {direction} AWS's; calls are made by AWS's time",
            ahead.abs().num_seconds()
        ),
        "set the clock, for example by NTP",
    )
}

/// Where state is to be kept.
#[derive(Debug, Clone)]
pub struct Space {
    /// The directory.
    pub directory: PathBuf,
    /// Why it cannot be written to, if it cannot.
    pub unwritable: Option<String>,
    /// Bytes that are free, if that is known.
    pub free: Option<u64>,
    /// Points of the run.
    pub points: usize,
    /// Bytes of the journal at most.
    pub journal: u64,
}

/// The same for a copy that begins: it finds out by itself, and safely, when it writes.
pub fn room_for_state(space: &Space) -> Finding {
    let finding = state_directory(space);
    Finding {
        verdict: finding.verdict.min(Verdict::Warning),
        ..finding
    }
}

/// Whether there is room for the state.
pub fn state_directory(space: &Space) -> Finding {
    const CHECK: &str = "state_directory";
    let place = space.directory.display();
    if let Some(problem) = &space.unwritable {
        let next = "give --state-file a place in a directory of your own";
        return Finding::problem(CHECK, format!("{place} cannot be written to: {problem}"), next);
    }
    let document = BYTES_PER_POINT * u64::try_from(space.points).unwrap_or(u64::MAX / BYTES_PER_POINT);
    // A journal cannot be larger than what all points together write, some four times over.
    let journal = space.journal.min(document * 4);
    let next = format!("make room in {place}, or give --state-file a place elsewhere");
    match space.free {
        None => Finding::ok(CHECK, format!("{place} can be written to")),
        Some(free) if free < document => Finding::problem(
            CHECK,
            format!(
                "{} are free in {place}, and the state of {} points takes {}",
                bytes(free),
                space.points,
                bytes(document)
            ),
            next,
        ),
        // While the journal is folded in, the old document and the new one are there.
        Some(free) if free < document * 2 + journal => Finding::warning(
            CHECK,
            format!(
                "{} are free in {place}; the state of {} points takes up to {} with its journal",
                bytes(free),
                space.points,
                bytes(document * 2 + journal)
            ),
            next,
        ),
        Some(free) => Finding::ok(CHECK, format!("{place}, {} free", bytes(free))),
    }
}
