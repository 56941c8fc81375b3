//! Before a run starts: what the destination has already, and what is on its way there.
//!
//! This is what makes a second run, a lost state file, or a run beside someone else's, harmless:
//! points that are there are skipped, jobs that are under way are adopted (`evidence.rs`, `settle.rs`).

use std::ops::ControlFlow;

use chrono::TimeDelta;

use super::evidence::{Evidence, Findings};
use super::job_times::JobTimes;
use crate::aws::{ApiError, BackupClient, CopyJobFilter, ErrorClass};
use crate::domain::{BackupVaultArn, BackupVaultName};

/// How long AWS lists copy jobs, as far as is documented.
const JOBS_LISTED: TimeDelta = TimeDelta::days(30);

/// Reads the copy jobs into the destination vault, then its points: the copy of a job that is seen
/// completed is there afterwards. How long the jobs took is noted along the way.
///
/// # Errors
/// If AWS cannot be read. Denied permissions are no error: the evidence is then thinner, and the log
/// says so.
pub async fn read(
    source: &BackupClient,
    dest: Option<&BackupClient>,
    dest_vault: &BackupVaultName,
    dest_vault_arn: &BackupVaultArn,
    mut evidence: Evidence<'_>,
    job_times: &mut JobTimes,
) -> Result<Findings, ApiError> {
    let filter = CopyJobFilter {
        destination_vault_arn: Some(dest_vault_arn.clone()),
        created_after: Some(source.aws_now() - JOBS_LISTED),
        ..CopyJobFilter::default()
    };
    let jobs = source.all_copy_jobs(&filter, |job| {
        evidence.job(&job);
        job_times.add(&job);
    });
    match jobs.await {
        Ok(()) => {}
        Err(error) if error.class == ErrorClass::AccessDenied => {
            tracing::warn!(
                %error,
                "cannot look for copy jobs that are under way already: what another run has just started may be copied \
                 twice; {}",
                error.hint().unwrap_or_default()
            );
        }
        Err(error) => return Err(error),
    }
    if let Some(client) = dest {
        read_points(client, dest_vault, &mut evidence).await?;
    }
    Ok(evidence.conclude())
}

async fn read_points(
    client: &BackupClient,
    vault: &BackupVaultName,
    evidence: &mut Evidence<'_>,
) -> Result<(), ApiError> {
    let read = client
        .all_recovery_points(vault, |page| {
            for point in &page {
                evidence.point(point);
            }
            ControlFlow::Continue(())
        })
        .await;
    match read {
        Ok(()) => evidence.vault_was_read(),
        Err(error) if error.class == ErrorClass::NotFound => evidence.vault_was_read(),
        Err(error) if error.class == ErrorClass::AccessDenied => {
            tracing::warn!(
                %error,
                "cannot read the destination vault: of the copies in it, only those of the last 30 days are known, from \
                 their copy jobs; {}",
                error.hint().unwrap_or_default()
            );
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
