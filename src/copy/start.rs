//! Starting one copy job, and finding out whether a start whose answer was lost took effect.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::scheduler::ItemId;
use crate::aws::{ApiError, BackupClient, CopyJobFilter, ErrorClass, StartCopyJob};
use crate::domain::{CopyJob, CopyJobId, CopyJobState};

/// How far AWS's clock and ours may differ when a job's creation date is compared with ours.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// What became of a start.
#[derive(Debug)]
pub(super) enum StartOutcome {
    /// A job copies the point; `adopted` when it was found, not answered.
    Started { copy_job_id: CopyJobId, adopted: bool },
    /// AWS will not copy the point.
    Refused(ApiError),
    /// AWS wants fewer calls; nothing was started.
    Throttled,
    /// AWS takes no more jobs at the moment; nothing was started.
    QuotaReached,
    /// AWS answered with a job of long ago that failed: the token was used before this state knew.
    TokenUsed,
    /// Nothing was started, and nothing can be for now: credentials or connection are gone.
    Unavailable(ApiError),
    /// It is not known whether a job was started; the journalled intent stands.
    InDoubt,
}

/// One start: the item and its request.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) id: ItemId,
    pub(super) request: StartCopyJob,
    /// Whether an earlier process, or call, may have sent it already.
    pub(super) in_doubt: bool,
    /// Number of the attempt, from 1.
    pub(super) attempt: u32,
    /// When the attempt was first sent, as far as known.
    pub(super) since: DateTime<Utc>,
    /// How long AWS may take to list a new job.
    pub(super) grace: Duration,
}

/// How often a start in doubt is settled and sent again in one go before the item is put back.
const MOST_ROUNDS: u32 = 5;

/// Sends the start. A lost answer is settled by looking for the job, after a grace for list lag,
/// before the same token is sent again: two guards, because AWS does not say how long a token holds.
pub(super) async fn run(client: BackupClient, start: Start) -> (ItemId, StartOutcome) {
    let mut in_doubt = start.in_doubt;
    for _ in 0..MOST_ROUNDS {
        if in_doubt {
            tokio::select! {
                () = tokio::time::sleep(start.grace) => {}
                () = client.cancelled() => return (start.id, StartOutcome::InDoubt),
            }
            match find_job(&client, &start).await {
                Ok(Some(copy_job_id)) => {
                    return (
                        start.id,
                        StartOutcome::Started {
                            copy_job_id,
                            adopted: true,
                        },
                    );
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot look for the copy job of a start in doubt");
                    return (start.id, StartOutcome::InDoubt);
                }
            }
        }
        let error = match client.start_copy_job(&start.request).await {
            Ok(started) => {
                let old = started
                    .creation_date
                    .is_some_and(|at| at < start.since - CLOCK_TOLERANCE);
                if old && has_failed(&client, &started.copy_job_id).await {
                    return (start.id, StartOutcome::TokenUsed);
                }
                let outcome = StartOutcome::Started {
                    copy_job_id: started.copy_job_id,
                    adopted: false,
                };
                return (start.id, outcome);
            }
            Err(error) => error,
        };
        if error.in_doubt() {
            tracing::warn!(
                recovery_point = %start.request.recovery_point_arn,
                %error,
                "the answer to StartCopyJob was lost; looking whether a copy job was started"
            );
            in_doubt = true;
            continue;
        }
        // An earlier send of this attempt may have taken effect even though this one did not.
        return (
            start.id,
            if in_doubt {
                outcome_in_doubt(error)
            } else {
                outcome(error)
            },
        );
    }
    (start.id, StartOutcome::InDoubt)
}

fn outcome(error: ApiError) -> StartOutcome {
    match error.class {
        ErrorClass::Throttling => StartOutcome::Throttled,
        ErrorClass::Quota => StartOutcome::QuotaReached,
        ErrorClass::Transient | ErrorClass::Credentials | ErrorClass::Cancelled => {
            StartOutcome::Unavailable(error)
        }
        _ => StartOutcome::Refused(error),
    }
}

fn outcome_in_doubt(error: ApiError) -> StartOutcome {
    match outcome(error) {
        StartOutcome::Refused(error) => StartOutcome::Refused(error),
        _ => StartOutcome::InDoubt,
    }
}

/// The copy job of this attempt, if AWS lists one.
async fn find_job(client: &BackupClient, start: &Start) -> Result<Option<CopyJobId>, ApiError> {
    let filter = CopyJobFilter {
        source_recovery_point_arn: Some(start.request.recovery_point_arn.clone()),
        ..CopyJobFilter::default()
    };
    let jobs = client.list_copy_jobs(&filter).await?;
    Ok(job_of_attempt(&jobs, start).map(|job| job.copy_job_id.clone()))
}

/// A job that is under way or done is this attempt's, whenever it began: sending again would copy
/// twice. One that failed is this attempt's only if there was none before it.
fn job_of_attempt<'a>(jobs: &'a [CopyJob], start: &Start) -> Option<&'a CopyJob> {
    let mine = |job: &&CopyJob| {
        job.source_recovery_point_arn.as_ref() == Some(&start.request.recovery_point_arn)
            && job.destination_backup_vault_arn.as_ref() == Some(&start.request.destination_vault_arn)
            && job
                .creation_date
                .is_none_or(|at| at >= start.since - CLOCK_TOLERANCE)
    };
    let failed = |job: &&CopyJob| matches!(job.state, CopyJobState::Failed | CopyJobState::Partial);
    jobs.iter()
        .filter(mine)
        .find(|job| !failed(job))
        .or_else(|| jobs.iter().filter(mine).find(|_| start.attempt <= 1))
}

async fn has_failed(client: &BackupClient, id: &CopyJobId) -> bool {
    let job = client.describe_copy_job(id).await;
    job.is_ok_and(|job| matches!(job.state, CopyJobState::Failed | CopyJobState::Partial))
}
