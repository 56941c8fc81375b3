//! The plan of a copy run, before anything is done.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

use super::OutputFormat;
use super::text::{bytes, csv_error, duration, sanitize};
use crate::copy::plan::{PlanTally, Tally};

/// One vault of a plan.
#[derive(Debug, Clone)]
pub struct PlannedVault {
    /// Source vault.
    pub source: String,
    /// Destination vault.
    pub destination_arn: String,
    /// What would be set up first, in words.
    pub setup: Vec<String>,
    /// The numbers.
    pub tally: PlanTally,
    /// Points of the resource that has most of them.
    pub longest_queue: usize,
}

/// What a run may take, if copy jobs take [`ASSUMED_JOB_TIME`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Jobs in flight at once.
    pub in_flight: usize,
    /// Time between looks at the jobs.
    pub poll_interval: Duration,
}

/// AWS promises no time for a copy job; this is an assumption, and said to be one.
pub const ASSUMED_JOB_TIME: Duration = Duration::from_mins(5);

impl Pace {
    /// Expected duration and calls. One resource's points are copied one after the other.
    fn expect(&self, vault: &PlannedVault) -> (Duration, usize) {
        let points = vault.tally.to_copy_total().points;
        let rounds = points.div_ceil(self.in_flight.max(1)).max(vault.longest_queue);
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        let time = ASSUMED_JOB_TIME.saturating_mul(rounds);
        let polls = time.as_millis() / self.poll_interval.as_millis().max(1);
        (
            time,
            points.saturating_add(usize::try_from(polls).unwrap_or(usize::MAX)),
        )
    }
}

/// Writes a plan.
///
/// # Errors
/// If `out` cannot be written.
pub fn plan(
    vaults: &[PlannedVault],
    selection: &str,
    pace: Pace,
    format: OutputFormat,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        OutputFormat::Table => vaults
            .iter()
            .try_for_each(|vault| text(vault, selection, pace, out)),
        OutputFormat::Json => {
            let all: Vec<Value> = vaults.iter().map(|vault| object(vault, pace)).collect();
            serde_json::to_writer_pretty(
                &mut *out,
                &json!({"dry_run": true, "selection": selection, "vaults": all}),
            )?;
            writeln!(out)
        }
        OutputFormat::Ndjson => vaults
            .iter()
            .try_for_each(|vault| writeln!(out, "{}", object(vault, pace))),
        OutputFormat::Csv => {
            let mut writer = csv::Writer::from_writer(out);
            let line = writer.write_record(["backup_vault_name", "action", "detail", "points", "bytes"]);
            line.map_err(csv_error)?;
            for vault in vaults {
                let copy = vault
                    .tally
                    .to_copy
                    .iter()
                    .map(|(kind, t)| ("copy", kind.as_str(), *t));
                let skip = vault
                    .tally
                    .skipped
                    .iter()
                    .map(|(reason, t)| ("skip", reason.as_str(), *t));
                for (action, detail, tally) in copy.chain(skip) {
                    let (points, size) = (tally.points.to_string(), tally.bytes.to_string());
                    let record = writer.write_record([&vault.source, action, detail, &points, &size]);
                    record.map_err(csv_error)?;
                }
            }
            writer.flush()
        }
    }
}

fn tally(name: &str, key: &str, tally: Tally) -> Value {
    json!({key: name, "points": tally.points, "bytes": tally.bytes})
}

fn object(vault: &PlannedVault, pace: Pace) -> Value {
    let (time, calls) = pace.expect(vault);
    let total = vault.tally.to_copy_total();
    json!({
        "backup_vault_name": vault.source,
        "destination_backup_vault_arn": vault.destination_arn,
        "setup": vault.setup,
        "to_copy": total.points,
        "bytes_to_copy": total.bytes,
        "by_resource_type":
            vault.tally.to_copy.iter().map(|(k, t)| tally(k, "resource_type", *t)).collect::<Vec<_>>(),
        "skipped": vault.tally.skipped.iter().map(|(k, t)| tally(k, "reason", *t)).collect::<Vec<_>>(),
        "expected_calls": calls,
        "expected_seconds": time.as_secs(),
        "assumed_job_seconds": ASSUMED_JOB_TIME.as_secs(),
        "under_way": vault.tally.under_way.points,
        "completed": vault.tally.completed.points,
        "failed": vault.tally.failed.points,
    })
}

fn text(vault: &PlannedVault, selection: &str, pace: Pace, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "Vault {} -> {}",
        sanitize(&vault.source),
        sanitize(&vault.destination_arn)
    )?;
    if selection != "all" {
        writeln!(out, "  Filters: {}", sanitize(selection))?;
    }
    for step in &vault.setup {
        writeln!(out, "  Set-up: {}", sanitize(step))?;
    }
    let total = vault.tally.to_copy_total();
    writeln!(
        out,
        "  To copy: {} recovery points, {}",
        total.points,
        bytes(total.bytes)
    )?;
    for (kind, tally) in &vault.tally.to_copy {
        writeln!(
            out,
            "    {}: {}, {}",
            sanitize(kind),
            tally.points,
            bytes(tally.bytes)
        )?;
    }
    if total.points > 0 {
        let (time, calls) = pace.expect(vault);
        let (time, job) = (duration(time), duration(ASSUMED_JOB_TIME));
        let in_flight = pace.in_flight;
        writeln!(
            out,
            "  Expected: about {time} and {calls} calls, if a copy job takes {job} (assumed) with {in_flight} at once"
        )?;
    }
    for (name, tally) in [
        ("Under way in AWS", vault.tally.under_way),
        ("Copied by this run before", vault.tally.completed),
        ("Failed before", vault.tally.failed),
    ] {
        if tally.points > 0 {
            writeln!(out, "  {name}: {}", tally.points)?;
        }
    }
    if vault.tally.skipped_total() > 0 {
        writeln!(out, "  Skipped: {}", vault.tally.skipped_total())?;
        for (reason, tally) in &vault.tally.skipped {
            writeln!(out, "    {reason}: {}", tally.points)?;
        }
    }
    Ok(())
}
