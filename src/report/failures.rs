//! Recovery points that failed, by cause: in the summary, as a listing, and as a list of points to copy.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::OutputFormat;
use super::records::Records;
use super::text::sanitize;
use crate::copy::failure::FailureCause;

/// Points of one cause that a table names; the machine-readable forms have all.
const MOST_NAMED: usize = 20;

/// Failures of one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailureGroup {
    /// Stable name of the cause.
    pub cause: String,
    /// How many.
    pub count: usize,
    /// One of their messages.
    pub sample: String,
    /// What the operator can do.
    pub fix: String,
}

impl FailureGroup {
    /// Failures, each with its cause and message, by cause.
    pub fn of<'a>(failures: impl IntoIterator<Item = (FailureCause, &'a str)>) -> Vec<Self> {
        let mut groups: BTreeMap<FailureCause, Self> = BTreeMap::new();
        for (cause, message) in failures {
            groups
                .entry(cause)
                .or_insert_with(|| Self::new(cause, message))
                .count += 1;
        }
        groups.into_values().collect()
    }

    /// A group of none yet.
    fn new(cause: FailureCause, sample: &str) -> Self {
        Self {
            cause: cause.as_str().to_owned(),
            count: 0,
            sample: sample.to_owned(),
            fix: cause.fix().to_owned(),
        }
    }

    /// Two lines for people.
    pub(super) fn lines(&self) -> [String; 2] {
        [
            format!(
                "{} failed: {} ({})",
                self.count,
                sanitize(&self.sample),
                self.cause
            ),
            format!("  Help: {}", self.fix),
        ]
    }
}

/// A point that failed, as a state file tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedPoint {
    /// The state file.
    pub state_file: String,
    /// Source vault.
    pub backup_vault_name: String,
    /// The point.
    pub recovery_point_arn: String,
    /// Its resource.
    pub resource_arn: String,
    /// Its type.
    pub resource_type: String,
    /// Stable name of the cause.
    pub cause: FailureCause,
    /// AWS's code.
    pub error_code: String,
    /// AWS's text.
    pub error_message: String,
    /// When; RFC 3339, UTC.
    pub timestamp: String,
    /// Number of the attempt.
    pub attempt: u32,
}

/// The members of [`FailedPoint`].
const COLUMNS: &[&str] = &[
    "state_file",
    "backup_vault_name",
    "recovery_point_arn",
    "resource_arn",
    "resource_type",
    "cause",
    "error_code",
    "error_message",
    "timestamp",
    "attempt",
];

/// What a table shows of one cause.
#[derive(Debug)]
struct Shown {
    group: FailureGroup,
    points: Vec<String>,
}

/// Writes points that failed as they come; a table has what can be done about each cause.
#[derive(Debug)]
pub struct FailureRows {
    format: OutputFormat,
    records: Records,
    causes: BTreeMap<FailureCause, Shown>,
}

impl FailureRows {
    /// Writes what comes before the first point.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn begin(format: OutputFormat, out: &mut dyn Write) -> io::Result<Self> {
        let records = Records::new(format, COLUMNS);
        records.begin(out)?;
        Ok(Self {
            format,
            records,
            causes: BTreeMap::new(),
        })
    }

    /// Writes one point.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn point(&mut self, point: &FailedPoint, out: &mut dyn Write) -> io::Result<()> {
        if self.format != OutputFormat::Table {
            return self.records.record(point, out);
        }
        let shown = self.causes.entry(point.cause).or_insert_with(|| Shown {
            group: FailureGroup::new(point.cause, &point.error_message),
            points: Vec::new(),
        });
        shown.group.count += 1;
        if shown.points.len() < MOST_NAMED {
            let (arn, kind) = (
                sanitize(&point.recovery_point_arn),
                sanitize(&point.resource_type),
            );
            shown.points.push(format!("{arn} {kind} {}", point.timestamp));
        }
        Ok(())
    }

    /// Writes what comes after the last point.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn end(self, out: &mut dyn Write) -> io::Result<()> {
        if self.format != OutputFormat::Table {
            return self.records.end(out);
        }
        for Shown { group, points } in self.causes.values() {
            for line in group.lines() {
                writeln!(out, "{line}")?;
            }
            for point in points {
                writeln!(out, "    {point}")?;
            }
            if group.count > points.len() {
                writeln!(out, "    and {} more", group.count - points.len())?;
            }
            writeln!(out)?;
        }
        let total: usize = self.causes.values().map(|shown| shown.group.count).sum();
        writeln!(out, "Total: {total} failed recovery points")
    }
}

/// Writes points that failed as a list of points to copy: one ARN a line, and what it is about in
/// comments. Nothing if none failed.
///
/// # Errors
/// If `out` cannot be written.
pub fn failed_list<'a>(
    run_id: &str,
    failures: impl Iterator<Item = (&'a str, FailureCause, &'a str)>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut by_cause: BTreeMap<FailureCause, Vec<(&str, &str)>> = BTreeMap::new();
    for (arn, cause, message) in failures {
        by_cause.entry(cause).or_default().push((arn, message));
    }
    if by_cause.is_empty() {
        return Ok(());
    }
    let total: usize = by_cause.values().map(Vec::len).sum();
    writeln!(out, "# {total} recovery points that failed in run {run_id}")?;
    for (cause, points) in &by_cause {
        let group = FailureGroup::of(points.iter().map(|(_, message)| (*cause, *message)));
        for line in group.iter().flat_map(FailureGroup::lines) {
            writeln!(out, "# {line}")?;
        }
        for (arn, _) in points {
            writeln!(out, "{}", sanitize(arn))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::records::tests::assert_columns;

    #[test]
    fn the_csv_has_the_members_of_the_json() {
        let point = FailedPoint {
            state_file: String::new(),
            backup_vault_name: String::new(),
            recovery_point_arn: String::new(),
            resource_arn: String::new(),
            resource_type: String::new(),
            cause: FailureCause::Role,
            error_code: String::new(),
            error_message: String::new(),
            timestamp: String::new(),
            attempt: 1,
        };
        assert_columns(&point, COLUMNS);
        assert_eq!(serde_json::to_value(&point).unwrap()["cause"], "role");
    }

    #[test]
    fn a_list_is_lines_of_one_arn_and_of_comments_whatever_aws_says() {
        let failures = [
            ("a", FailureCause::Role, "no\nrole"),
            ("b", FailureCause::Gone, "gone"),
            ("c", FailureCause::Role, "x"),
        ];
        let mut list = Vec::new();
        failed_list("r", failures.into_iter(), &mut list).unwrap();
        let list = String::from_utf8(list).unwrap();
        let arns: Vec<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(arns, ["a", "c", "b"]);
        assert!(list.starts_with("# 3 recovery points that failed in run r\n# 2 failed: no\\nrole (role)\n"));
        let mut none = Vec::new();
        failed_list("r", [].into_iter(), &mut none).unwrap();
        assert!(none.is_empty());
    }
}
