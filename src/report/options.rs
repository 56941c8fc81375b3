//! What options are set to, and where that comes from (`config show`).

use std::io::{self, Write};

use serde::Serialize;

use super::OutputFormat;
use super::listing::table;
use super::records::Records;
use super::text::sanitize;

/// One option of one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OptionOrigin {
    /// The command.
    pub command: String,
    /// The option, with its dashes.
    pub option: String,
    /// Its value; `None` if it has none.
    pub value: Option<String>,
    /// `flag`, `environment NAME`, `FILE:LINE` or `default`.
    pub origin: String,
}

const COLUMNS: &[&str] = &["command", "option", "value", "origin"];

/// Writes options.
///
/// # Errors
/// If `out` cannot be written.
pub fn options(rows: &[OptionOrigin], format: OutputFormat, out: &mut dyn Write) -> io::Result<()> {
    if format == OutputFormat::Table {
        let mut shown = table(&["Command", "Option", "Value", "Origin"]);
        for row in rows {
            let value = row.value.as_deref().unwrap_or("-");
            shown.add_row(
                [&row.command, &row.option, value, &row.origin].map(|text| sanitize(text).into_owned()),
            );
        }
        return writeln!(out, "{shown}");
    }
    let mut records = Records::new(format, COLUMNS);
    records.begin(out)?;
    rows.iter().try_for_each(|row| records.record(row, out))?;
    records.end(out)
}
