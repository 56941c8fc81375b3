//! The findings of a preflight.

use std::io::{self, Write};

use serde::Serialize;

use super::OutputFormat;
use super::records::Records;
use super::text::sanitize;
use crate::preflight::{Finding, Verdict};

const COLUMNS: &[&str] = &["check", "subject", "result", "known", "cause", "next_step"];

#[derive(Serialize)]
struct Row<'a> {
    check: &'a str,
    subject: Option<&'a str>,
    result: Verdict,
    known: bool,
    cause: &'a str,
    next_step: Option<&'a str>,
}

impl<'a> From<&'a Finding> for Row<'a> {
    fn from(finding: &'a Finding) -> Self {
        Self {
            check: finding.check,
            subject: finding.subject.as_deref(),
            result: finding.verdict,
            known: finding.is_known,
            cause: &finding.cause,
            next_step: finding.next_step.as_deref(),
        }
    }
}

fn count(findings: &[Finding], verdict: Verdict) -> usize {
    findings
        .iter()
        .filter(|finding| finding.verdict == verdict)
        .count()
}

/// `organization: cross-account backup is switched off ...`, on one line.
pub fn finding_line(finding: &Finding) -> String {
    let subject = finding.subject.as_deref().map(|subject| format!(" ({subject})"));
    format!(
        "{}{}: {}",
        finding.check,
        subject.unwrap_or_default(),
        finding.cause
    )
}

/// Writes the findings.
///
/// # Errors
/// If `out` cannot be written.
pub fn preflight(findings: &[Finding], format: OutputFormat, out: &mut dyn Write) -> io::Result<()> {
    let (problems, warnings) = (
        count(findings, Verdict::Problem),
        count(findings, Verdict::Warning),
    );
    match format {
        OutputFormat::Table => {
            for finding in findings {
                text(finding, out)?;
            }
            writeln!(
                out,
                "Preflight: {}, {}",
                number(problems, "problem"),
                number(warnings, "warning")
            )
        }
        OutputFormat::Json => {
            let document = serde_json::json!({
                "ok": problems == 0,
                "problems": problems,
                "warnings": warnings,
                "checks": serde_json::to_value(findings.iter().map(Row::from).collect::<Vec<_>>())?,
            });
            serde_json::to_writer_pretty(&mut *out, &document)?;
            writeln!(out)
        }
        OutputFormat::Ndjson | OutputFormat::Csv => {
            let mut records = Records::new(format, COLUMNS);
            records.begin(out)?;
            findings
                .iter()
                .try_for_each(|finding| records.record(&Row::from(finding), out))?;
            records.end(out)
        }
    }
}

/// `1 problem`, `2 problems`.
fn number(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn text(finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    let verdict = match finding.verdict {
        Verdict::Ok => "ok",
        Verdict::Warning => "warning",
        Verdict::Problem => "PROBLEM",
    };
    writeln!(out, "{verdict:<8} {}", sanitize(&finding_line(finding)))?;
    match &finding.next_step {
        Some(next) => writeln!(out, "         Next: {}", sanitize(next)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::records::tests::assert_columns;

    #[test]
    fn the_columns_are_the_members() {
        let finding = crate::preflight::clock(chrono::TimeDelta::zero());
        assert_columns(&Row::from(&finding), COLUMNS);
    }
}
