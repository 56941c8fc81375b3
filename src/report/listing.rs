//! Vaults and recovery points on stdout, in each form of `--output`.

use std::io::{self, Write};

use chrono::SecondsFormat;
use comfy_table::{Table, presets};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::OutputFormat;
use super::records::{Records, csv_record};
use super::text::{bytes, csv_error, sanitize};
use crate::aws::BackupVault;
use crate::domain::{RecoveryPoint, in_milliseconds};
use crate::metadata::{MetadataTable, Row};

/// Rows of a table that are laid out together: the table must not grow with the vault.
const TABLE_ROWS: usize = 1000;

pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    table
}

#[derive(Serialize)]
struct VaultRow<'a> {
    backup_vault_name: &'a str,
    backup_vault_arn: &'a str,
    recovery_points: i64,
    encryption_key_arn: Option<&'a str>,
    locked: bool,
    min_retention_days: Option<i64>,
    max_retention_days: Option<i64>,
}

/// Writes backup vaults.
///
/// # Errors
/// If `out` cannot be written.
pub fn vaults(all: &[BackupVault], format: OutputFormat, out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<VaultRow<'_>> = all
        .iter()
        .map(|vault| VaultRow {
            backup_vault_name: vault.name.as_str(),
            backup_vault_arn: vault.arn.as_str(),
            recovery_points: vault.recovery_points,
            encryption_key_arn: vault.encryption_key_arn.as_deref(),
            locked: vault.locked,
            min_retention_days: vault.min_retention_days,
            max_retention_days: vault.max_retention_days,
        })
        .collect();
    match format {
        OutputFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, &rows)?;
            writeln!(out)
        }
        OutputFormat::Ndjson => rows.iter().try_for_each(|row| {
            serde_json::to_writer(&mut *out, row)?;
            writeln!(out)
        }),
        OutputFormat::Csv => {
            let mut writer = csv::Writer::from_writer(out);
            rows.iter()
                .try_for_each(|row| writer.serialize(row))
                .map_err(csv_error)?;
            writer.flush()
        }
        OutputFormat::Table => {
            let mut shown = table(&["VAULT", "RECOVERY POINTS", "LOCKED", "KEY"]);
            for row in &rows {
                shown.add_row([
                    sanitize(row.backup_vault_name).into_owned(),
                    row.recovery_points.to_string(),
                    if row.locked { "yes" } else { "no" }.to_owned(),
                    sanitize(row.encryption_key_arn.unwrap_or("-")).into_owned(),
                ]);
            }
            writeln!(out, "{}", shown.trim_fmt())?;
            let total: i64 = rows.iter().map(|r| r.recovery_points).sum();
            writeln!(out, "\nTotal: {} vaults, {total} recovery points", rows.len())
        }
    }
}

/// How many points a filter takes, and leaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FilterCount {
    /// Points taken.
    pub included: usize,
    /// Their bytes.
    pub included_bytes: u64,
    /// Points left, of other APMIDs.
    pub excluded: usize,
    /// Their bytes.
    pub excluded_bytes: u64,
    /// Points left because their APMID is not known.
    pub no_metadata: usize,
    /// Their bytes.
    pub no_metadata_bytes: u64,
}

/// Writes recovery points as they come, page by page.
#[derive(Debug)]
pub struct PointRows<'a> {
    format: OutputFormat,
    metadata: Option<&'a MetadataTable>,
    written: usize,
    bytes: u64,
    wrapped: bool,
    waiting: Vec<Vec<String>>,
    /// JSON; CSV has the columns of the metadata too.
    records: Records,
}

const COLUMNS: [&str; 8] = [
    "recovery_point_arn",
    "backup_vault_name",
    "resource_arn",
    "resource_type",
    "status",
    "creation_date",
    "backup_size_bytes",
    "is_encrypted",
];

impl<'a> PointRows<'a> {
    /// Rows with the metadata of their resources. If `wrapped`, the JSON form is an object with a
    /// summary beside the points instead of an array of them.
    pub fn new(format: OutputFormat, metadata: Option<&'a MetadataTable>, wrapped: bool) -> Self {
        Self {
            format,
            metadata,
            written: 0,
            bytes: 0,
            wrapped,
            waiting: Vec::new(),
            records: Records::new(format, &COLUMNS),
        }
    }

    fn is_wrapped(&self) -> bool {
        self.wrapped && self.format == OutputFormat::Json
    }

    /// Writes what comes before the first point.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn begin(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.format {
            OutputFormat::Json | OutputFormat::Ndjson => {
                if self.is_wrapped() {
                    write!(out, "{{\"recovery_points\": ")?;
                }
                self.records.begin(out)
            }
            OutputFormat::Csv => {
                let columns = self.metadata.map(MetadataTable::columns).unwrap_or_default();
                let names = COLUMNS.iter().copied().chain(columns.iter().map(String::as_str));
                csv_record(names.collect::<Vec<_>>(), out)
            }
            OutputFormat::Table => Ok(()),
        }
    }

    /// Writes one point and the metadata of its resource.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn point(
        &mut self,
        point: &RecoveryPoint,
        row: Option<Row<'_>>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.written += 1;
        self.bytes += point
            .backup_size_bytes
            .and_then(|b| u64::try_from(b).ok())
            .unwrap_or(0);
        match self.format {
            OutputFormat::Json | OutputFormat::Ndjson => self.records.record(&Line::of(point, row), out),
            OutputFormat::Csv => {
                let fields = fields(point);
                let more = self
                    .metadata
                    .map(MetadataTable::columns)
                    .unwrap_or_default()
                    .iter();
                let more = more.map(|name| row.and_then(|r| r.get(name)).unwrap_or_default());
                let all = fields.iter().map(String::as_str).chain(more);
                csv_record(all.collect::<Vec<_>>(), out)
            }
            OutputFormat::Table => {
                self.waiting.push(table_row(point, row));
                if self.waiting.len() == TABLE_ROWS {
                    self.flush(out)
                } else {
                    Ok(())
                }
            }
        }
    }

    fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let mut header = vec![
            "RESOURCE TYPE",
            "CREATED",
            "SIZE",
            "STATUS",
            "RESOURCE",
            "RECOVERY POINT",
        ];
        if self.metadata.is_some() {
            header.push("METADATA");
        }
        let mut shown = table(&header);
        self.waiting.drain(..).for_each(|row| {
            shown.add_row(row);
        });
        writeln!(out, "{}", shown.trim_fmt())
    }

    /// Writes what comes after the last point; `count` with `filter`.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn end(mut self, count: Option<&FilterCount>, out: &mut dyn Write) -> io::Result<()> {
        match self.format {
            OutputFormat::Json | OutputFormat::Ndjson => match count.filter(|_| self.is_wrapped()) {
                Some(count) => {
                    self.records.close(out)?;
                    writeln!(out, ", \"summary\": {}}}", summary(count))
                }
                None => self.records.end(out),
            },
            OutputFormat::Csv => Ok(()),
            OutputFormat::Table => {
                if self.written == 0 || !self.waiting.is_empty() {
                    self.flush(out)?;
                }
                if let Some(count) = count {
                    write_count(count, out)
                } else {
                    writeln!(
                        out,
                        "\nTotal: {} recovery points, {}",
                        self.written,
                        bytes(self.bytes)
                    )
                }
            }
        }
    }
}

fn write_count(count: &FilterCount, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "\nIncluded: {} recovery points, {}",
        count.included,
        bytes(count.included_bytes)
    )?;
    writeln!(
        out,
        "Excluded: {} recovery points, {}",
        count.excluded,
        bytes(count.excluded_bytes)
    )?;
    if count.no_metadata > 0 {
        let size = bytes(count.no_metadata_bytes);
        writeln!(
            out,
            "Without metadata: {} recovery points, {size} (excluded)",
            count.no_metadata
        )?;
    }
    Ok(())
}

fn summary(count: &FilterCount) -> Value {
    json!({
        "included": count.included,
        "included_bytes": count.included_bytes,
        "excluded": count.excluded,
        "excluded_bytes": count.excluded_bytes,
        "no_metadata": count.no_metadata,
        "no_metadata_bytes": count.no_metadata_bytes,
    })
}

fn fields(point: &RecoveryPoint) -> [String; 8] {
    [
        point.recovery_point_arn.to_string(),
        point.backup_vault_name.to_string(),
        point.resource_arn.to_string(),
        point.resource_type.clone(),
        point.status.as_str().to_owned(),
        in_milliseconds(point.creation_date),
        point.backup_size_bytes.map(|b| b.to_string()).unwrap_or_default(),
        point.is_encrypted.to_string(),
    ]
}

/// A point as a JSON object.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    point: &'a RecoveryPoint,
    metadata: Metadata<'a>,
}

impl<'a> Line<'a> {
    fn of(point: &'a RecoveryPoint, row: Option<Row<'a>>) -> Self {
        Self {
            point,
            metadata: Metadata(row),
        }
    }
}

struct Metadata<'a>(Option<Row<'a>>);

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let columns = self.0.into_iter().flat_map(Row::iter);
        serializer.collect_map(columns.filter(|(name, _)| !name.eq_ignore_ascii_case("resourceArn")))
    }
}

fn table_row(point: &RecoveryPoint, row: Option<Row<'_>>) -> Vec<String> {
    let size = point.backup_size_bytes.and_then(|b| u64::try_from(b).ok());
    let mut cells = vec![
        sanitize(&point.resource_type).into_owned(),
        point.creation_date.to_rfc3339_opts(SecondsFormat::Secs, true),
        size.map_or_else(|| "-".to_owned(), bytes),
        sanitize(point.status.as_str()).into_owned(),
        sanitize(point.resource_arn.as_str()).into_owned(),
        sanitize(point.recovery_point_arn.as_str()).into_owned(),
    ];
    if let Some(row) = row {
        let pairs = row
            .iter()
            .filter(|(name, _)| !name.eq_ignore_ascii_case("resourceArn"));
        let text: Vec<String> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
        cells.push(sanitize(&text.join(" ")).into_owned());
    }
    cells
}
