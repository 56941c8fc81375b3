//! The result of `verify` on stdout.

use std::io::{self, Write};

use serde_json::json;

use super::OutputFormat;
use super::text::{csv_error, sanitize};
use crate::verify::{ReportedPoint, VaultVerification};

/// Points that a table names; the machine-readable forms and `--missing-output` have all.
const MOST_NAMED: usize = 20;

/// Writes the result.
///
/// # Errors
/// If `out` cannot be written.
pub fn verification(
    vaults: &[VaultVerification],
    format: OutputFormat,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        OutputFormat::Json => {
            let complete = vaults.iter().all(VaultVerification::is_complete);
            serde_json::to_writer_pretty(&mut *out, &json!({"complete": complete, "vaults": vaults}))?;
            writeln!(out)
        }
        OutputFormat::Ndjson => vaults.iter().try_for_each(|vault| {
            serde_json::to_writer(&mut *out, vault)?;
            writeln!(out)
        }),
        OutputFormat::Csv => missing_csv(vaults, out),
        OutputFormat::Table => {
            vaults.iter().try_for_each(|vault| text(vault, out))?;
            let missing: usize = vaults.iter().map(|v| v.missing.len() + v.ambiguous.len()).sum();
            let matched: usize = vaults.iter().map(|v| v.matched).sum();
            if missing == 0 {
                writeln!(
                    out,
                    "Verified: all {matched} recovery points that can be copied are in the destination"
                )
            } else {
                writeln!(
                    out,
                    "Incomplete: {missing} recovery points are missing in the destination"
                )
            }
        }
    }
}

/// Writes the points that have no copy, as CSV with a header.
///
/// # Errors
/// If `out` cannot be written.
pub fn missing_csv(vaults: &[VaultVerification], out: &mut dyn Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    let header = [
        "recovery_point_arn",
        "backup_vault_name",
        "resource_arn",
        "resource_type",
        "creation_date",
    ];
    writer.write_record(header).map_err(csv_error)?;
    for vault in vaults {
        for p in vault.missing.iter().chain(&vault.ambiguous) {
            let name = &vault.backup_vault_name;
            let record = [
                &p.recovery_point_arn,
                name,
                &p.resource_arn,
                &p.resource_type,
                &p.creation_date,
            ];
            writer.write_record(record).map_err(csv_error)?;
        }
    }
    writer.flush()
}

/// Writes the points that have no copy as a list of points to copy: one ARN a line, and the vaults in
/// comments. Nothing if none is missing.
///
/// # Errors
/// If `out` cannot be written.
pub fn missing_list(vaults: &[VaultVerification], out: &mut dyn Write) -> io::Result<()> {
    for vault in vaults.iter().filter(|vault| !vault.is_complete()) {
        let name = sanitize(&vault.backup_vault_name);
        let count = vault.missing.len() + vault.ambiguous.len();
        writeln!(out, "# {count} recovery points of vault {name} that have no copy")?;
        for point in vault.missing.iter().chain(&vault.ambiguous) {
            writeln!(out, "{}", sanitize(&point.recovery_point_arn))?;
        }
    }
    Ok(())
}

fn text(vault: &VaultVerification, out: &mut dyn Write) -> io::Result<()> {
    let name = sanitize(&vault.backup_vault_name);
    writeln!(
        out,
        "Vault {name} -> {}",
        sanitize(&vault.destination_backup_vault_arn)
    )?;
    writeln!(out, "  Source: {}", vault.source)?;
    writeln!(out, "  Matched: {}", vault.matched)?;
    writeln!(out, "  Missing: {}", vault.missing.len())?;
    points(&vault.missing, out)?;
    if !vault.ambiguous.is_empty() {
        writeln!(out, "  Ambiguous: {}", vault.ambiguous.len())?;
        points(&vault.ambiguous, out)?;
    }
    let not_copyable: usize = vault.not_copyable.values().sum();
    writeln!(out, "  Not copyable or not wanted: {not_copyable}")?;
    for (reason, count) in &vault.not_copyable {
        writeln!(out, "    {reason}: {count}")?;
    }
    writeln!(out, "  Extra in the destination: {}", vault.extra)?;
    if !vault.mismatched.is_empty() {
        let retention = match vault.other_retention {
            0 => String::new(),
            n => format!(" ({n} with another retention than they were to have)"),
        };
        writeln!(out, "  Different: {}{retention}", vault.mismatched.len())?;
        points(&vault.mismatched, out)?;
    }
    writeln!(out)
}

fn points(all: &[ReportedPoint], out: &mut dyn Write) -> io::Result<()> {
    for point in all.iter().take(MOST_NAMED) {
        let note = point
            .note
            .as_deref()
            .map(|n| format!(" ({n})"))
            .unwrap_or_default();
        let (arn, kind) = (
            sanitize(&point.recovery_point_arn),
            sanitize(&point.resource_type),
        );
        writeln!(out, "    {arn} {kind} {}{note}", point.creation_date)?;
    }
    if all.len() > MOST_NAMED {
        writeln!(out, "    and {} more", all.len() - MOST_NAMED)?;
    }
    Ok(())
}
