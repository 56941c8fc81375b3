//! How long a run is expected to take: in words and as JSON.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

use super::text::{duration, sanitize};
use crate::copy::forecast::{Bound, BoundKind, Forecast, TypeForecast};

/// Starts and looks of a run.
pub(super) fn calls(forecast: &Forecast) -> u64 {
    let points: usize = forecast.types.iter().map(|t| t.points).sum();
    u64::try_from(points)
        .unwrap_or(u64::MAX)
        .saturating_add(forecast.polls)
}

/// The time of a copy job, on average over what is to be copied.
pub(super) fn mean_job(forecast: &Forecast) -> Duration {
    let (mut time, mut points) = (0, 0);
    for t in &forecast.types {
        let count = u128::try_from(t.points).unwrap_or(u128::MAX);
        time += t.likely_job.as_millis().saturating_mul(count);
        points += count;
    }
    Duration::from_millis(u64::try_from(time / points.max(1)).unwrap_or(u64::MAX))
}

/// The members of a forecast. Seconds have fractions: jobs of a rehearsal are short.
pub(super) fn object(forecast: &Forecast) -> Value {
    let types: Vec<Value> = forecast.types.iter().map(job_time).collect();
    let quotas: Vec<Value> = forecast
        .quotas
        .iter()
        .map(|(quota, at_once)| json!({"resource_types": quota.types, "at_once": at_once}))
        .collect();
    json!({
        "best_seconds": forecast.best.as_secs_f64(),
        "likely_seconds": forecast.likely.as_secs_f64(),
        "bounded_by": forecast.bound.as_ref().map(bounded_by),
        "job_times": types,
        "assumed_quotas": quotas,
    })
}

fn job_time(t: &TypeForecast) -> Value {
    json!({
        "resource_type": t.resource_type,
        "points": t.points,
        "longest_queue": t.longest_queue,
        "best_seconds": t.best_job.as_secs_f64(),
        "likely_seconds": t.likely_job.as_secs_f64(),
        "former_jobs": t.former_jobs,
        "assumed": t.former_jobs == 0,
    })
}

fn bounded_by(bound: &Bound) -> Value {
    let kind = match bound.kind {
        BoundKind::MaxInFlight => "max_in_flight",
        BoundKind::Limit => "limit",
        BoundKind::Quota => "quota",
        BoundKind::Resource => "resource",
        BoundKind::Job => "job",
    };
    json!({"kind": kind, "name": bound.name, "points": bound.points, "at_once": bound.at_once})
}

/// The lines of a forecast; none if there is nothing to copy.
pub(super) fn text(forecast: &Forecast, out: &mut dyn Write) -> io::Result<()> {
    let Some(bound) = &forecast.bound else {
        return Ok(());
    };
    let (best, likely) = (duration(forecast.best), duration(forecast.likely));
    let calls = calls(forecast);
    writeln!(
        out,
        "  Expected: {best} at best, likely {likely}; about {calls} calls"
    )?;
    writeln!(out, "    Bounded by {}", bound_in_words(bound))?;
    let times: Vec<String> = forecast.types.iter().map(time_in_words).collect();
    writeln!(out, "    A copy job takes: {}", times.join("; "))?;
    if !forecast.quotas.is_empty() {
        let quotas: Vec<String> = forecast
            .quotas
            .iter()
            .map(|(quota, at_once)| format!("{at_once} of {}", quota.name))
            .collect();
        writeln!(
            out,
            "    Assumed: AWS runs {} at a time (--limit TYPE=NUM tells otherwise)",
            quotas.join(", ")
        )?;
    }
    Ok(())
}

fn bound_in_words(bound: &Bound) -> String {
    let (points, at_once) = (bound.points, bound.at_once);
    let name = sanitize(&bound.name);
    match bound.kind {
        BoundKind::MaxInFlight => format!("--max-in-flight: {points} points, {at_once} at a time"),
        BoundKind::Limit => format!("--limit {name}: {points} points, {at_once} at a time"),
        BoundKind::Quota => format!("AWS's quota of {name}: {points} points, {at_once} at a time"),
        BoundKind::Resource => format!("one resource of {name}: {points} points, one after the other"),
        BoundKind::Job => format!("the copy jobs of {name} themselves: all start at once"),
    }
}

fn time_in_words(t: &TypeForecast) -> String {
    let kind = sanitize(&t.resource_type);
    let likely = duration(t.likely_job);
    match t.former_jobs {
        0 => format!("{kind} {likely} (assumed)"),
        jobs => {
            let best = duration(t.best_job);
            format!("{kind} {likely}, at best {best} ({jobs} former jobs)")
        }
    }
}
