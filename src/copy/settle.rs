//! What a ledger makes of what was found in the destination: copied points are skipped, jobs under way
//! are adopted.

use std::sync::Arc;

use chrono::Utc;

use super::eligibility::SkipReason;
use super::evidence::{Findings, Known};
use crate::state::{IllegalTransition, Items, JournalRecord, Standing};

/// Settles the items of a new plan; attempts are numbered past those that AWS has seen. With `force`
/// points are copied that are there already.
///
/// # Errors
/// If the findings are not of these items.
pub fn settle_new(items: &mut Items, findings: &Findings, force: bool) -> Result<(), IllegalTransition> {
    for (number, jobs) in &findings.ended_jobs {
        items.count_jobs(*number, *jobs);
    }
    for (number, known) in &findings.known {
        if let Known::UnderWay { .. } = known {
            let ended = findings.ended_jobs.get(number).copied().unwrap_or(0);
            items.count_jobs(*number, ended.saturating_add(1));
        }
    }
    let mut wanted = records(items, findings);
    wanted.retain(|record| !(force && matches!(record, JournalRecord::Skipped { .. })));
    items.apply_all(&wanted)
}

/// The records that settle a loaded ledger's items: those that wait, and those under way for so long
/// that AWS may know their jobs no more. A job that it still lists is left to the loop.
pub fn settle_loaded(items: &Items, findings: &Findings) -> Vec<JournalRecord> {
    let requeued = findings.known.keys().filter_map(|number| {
        let row = items
            .row(*number)
            .filter(|row| row.standing() != Standing::Pending)?;
        Some(JournalRecord::Requeued {
            recovery_point_arn: row.recovery_point_arn(),
            reason: "AWS lists no job of it, and its copy is there".to_owned(),
        })
    });
    requeued.chain(records(items, findings)).collect()
}

fn records(items: &Items, findings: &Findings) -> Vec<JournalRecord> {
    let reason: Arc<str> = SkipReason::AlreadyCopied.as_str().into();
    let record = |(number, known): (&u32, &Known)| {
        let recovery_point_arn = items.row(*number)?.recovery_point_arn();
        Some(match known {
            Known::Copied => JournalRecord::Skipped {
                recovery_point_arn,
                reason: Arc::clone(&reason),
            },
            Known::UnderWay { copy_job_id, since } => JournalRecord::Started {
                recovery_point_arn,
                copy_job_id: copy_job_id.clone(),
                // By AWS's clock: polls look for ends after that, and ours may be wrong.
                at: since.unwrap_or_else(Utc::now),
            },
        })
    };
    findings.known.iter().filter_map(record).collect()
}

#[cfg(test)]
mod tests;
