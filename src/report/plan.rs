//! The plan of a copy run, before anything is done.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::text::{bytes, csv_error, sanitize};
use super::{OutputFormat, cost, forecast};
use crate::copy::cost::Cost;
use crate::copy::forecast::Forecast;
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
    /// What would be added to the destination vault's access policy, as a unified difference.
    pub policy_difference: Option<String>,
    /// The numbers.
    pub tally: PlanTally,
    /// How long it would take alone.
    pub forecast: Forecast,
}

/// The plan of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its vaults.
    pub vaults: Vec<PlannedVault>,
    /// How long all of them take together, as they share the bounds of the run.
    pub forecast: Forecast,
    /// The filters in words.
    pub selection: String,
    /// What it costs at most, if prices were given.
    pub cost: Option<Cost>,
}

impl Plan {
    /// All vaults together.
    pub fn total(&self) -> PlanTally {
        let mut total = PlanTally::default();
        for vault in &self.vaults {
            total.merge(&vault.tally);
        }
        total
    }
}

/// Writes a plan.
///
/// # Errors
/// If `out` cannot be written.
pub fn plan(plan: &Plan, format: OutputFormat, out: &mut dyn Write) -> io::Result<()> {
    let vaults = &plan.vaults;
    match format {
        OutputFormat::Table => {
            for vault in vaults {
                text(vault, &plan.selection, vaults.len() == 1, out)?;
            }
            if vaults.len() > 1 {
                writeln!(out, "All {} vaults", vaults.len())?;
                numbers(&plan.total(), out)?;
                forecast::text(&plan.forecast, out)?;
            }
            plan.cost.iter().try_for_each(|cost| cost::text(cost, out))
        }
        OutputFormat::Json => {
            let all: Vec<Value> = vaults.iter().map(object).collect();
            let document = json!({
                "dry_run": true,
                "selection": plan.selection,
                "vaults": all,
                "forecast": forecast::object(&plan.forecast),
                "total": totals(&plan.total()),
                "expected_calls": forecast::calls(&plan.forecast),
                "cost": plan.cost.as_ref().map(cost::object),
            });
            serde_json::to_writer_pretty(&mut *out, &document)?;
            writeln!(out)
        }
        OutputFormat::Ndjson => vaults
            .iter()
            .try_for_each(|vault| writeln!(out, "{}", object(vault))),
        OutputFormat::Csv => rows(vaults, out),
    }
}

/// Writes a plan with a line for each vault: of hundreds, nobody reads all.
///
/// # Errors
/// If `out` cannot be written.
pub fn brief_plan(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    for vault in &plan.vaults {
        let total = vault.tally.to_copy_total();
        let mut line = format!(
            "Vault {} -> {}: {} to copy, {}",
            sanitize(&vault.source),
            sanitize(&vault.destination_arn),
            total.points,
            bytes(total.bytes)
        );
        if vault.tally.skipped_total() > 0 {
            let _ = write!(line, ", {} skipped", vault.tally.skipped_total());
        }
        if !vault.setup.is_empty() {
            line.push_str(", to be set up");
        }
        writeln!(out, "{line}")?;
    }
    writeln!(out, "All {} vaults", plan.vaults.len())?;
    numbers(&plan.total(), out)?;
    let of = |part: &str| {
        plan.vaults
            .iter()
            .filter(|v| v.setup.iter().any(|step| step.starts_with(part)))
            .count()
    };
    let (new, policies) = (of("create"), of("let"));
    if new + policies > 0 {
        writeln!(
            out,
            "  Set-up: {new} destination vaults are created, {policies} access policies get one statement (--dry-run shows each)"
        )?;
    }
    forecast::text(&plan.forecast, out)?;
    plan.cost.iter().try_for_each(|cost| cost::text(cost, out))
}

fn rows(vaults: &[PlannedVault], out: &mut dyn Write) -> io::Result<()> {
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

fn tally(name: &str, key: &str, tally: Tally) -> Value {
    json!({key: name, "points": tally.points, "bytes": tally.bytes})
}

fn object(vault: &PlannedVault) -> Value {
    let mut object = json!({
        "backup_vault_name": vault.source,
        "destination_backup_vault_arn": vault.destination_arn,
        "setup": vault.setup,
        "policy_difference": vault.policy_difference,
        "expected_calls": forecast::calls(&vault.forecast),
        "expected_seconds": vault.forecast.likely.as_secs(),
        "assumed_job_seconds": forecast::mean_job(&vault.forecast).as_secs(),
        "forecast": forecast::object(&vault.forecast),
    });
    if let (Some(members), Value::Object(numbers)) = (object.as_object_mut(), totals(&vault.tally)) {
        members.extend(numbers);
    }
    object
}

fn totals(tallied: &PlanTally) -> Value {
    let total = tallied.to_copy_total();
    json!({
        "to_copy": total.points,
        "bytes_to_copy": total.bytes,
        "by_resource_type": tallied.to_copy.iter().map(|(k, t)| tally(k, "resource_type", *t)).collect::<Vec<_>>(),
        "skipped": tallied.skipped.iter().map(|(k, t)| tally(k, "reason", *t)).collect::<Vec<_>>(),
        "under_way": tallied.under_way.points,
        "completed": tallied.completed.points,
        "failed": tallied.failed.points,
    })
}

/// With what is expected of the vault if it is alone.
fn text(vault: &PlannedVault, selection: &str, alone: bool, out: &mut dyn Write) -> io::Result<()> {
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
    for line in vault.policy_difference.iter().flat_map(|text| text.lines()) {
        writeln!(out, "    {}", sanitize(line))?;
    }
    numbers(&vault.tally, out)?;
    if alone {
        forecast::text(&vault.forecast, out)?;
    }
    Ok(())
}

/// What is to be copied and what is not.
fn numbers(tally: &PlanTally, out: &mut dyn Write) -> io::Result<()> {
    let total = tally.to_copy_total();
    writeln!(
        out,
        "  To copy: {} recovery points, {}",
        total.points,
        bytes(total.bytes)
    )?;
    for (kind, tally) in &tally.to_copy {
        writeln!(
            out,
            "    {}: {}, {}",
            sanitize(kind),
            tally.points,
            bytes(tally.bytes)
        )?;
    }
    for (name, tally) in [
        ("Under way in AWS", tally.under_way),
        ("Copied by this run before", tally.completed),
        ("Failed before", tally.failed),
    ] {
        if tally.points > 0 {
            writeln!(out, "  {name}: {}", tally.points)?;
        }
    }
    if tally.skipped_total() > 0 {
        writeln!(out, "  Skipped: {}", tally.skipped_total())?;
        for (reason, tally) in &tally.skipped {
            writeln!(out, "    {reason}: {}", tally.points)?;
        }
    }
    Ok(())
}
