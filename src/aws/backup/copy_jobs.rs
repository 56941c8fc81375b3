//! Copy jobs: StartCopyJob, DescribeCopyJob, ListCopyJobs.

use std::ops::ControlFlow;

use aws_sdk_backup::types::CopyJobState as SdkState;
use chrono::{DateTime, Utc};

use super::BackupClient;
use crate::aws::convert;
use crate::aws::error::{ApiError, ErrorClass};
use crate::aws::listing::{Listing, Page, Window};
use crate::aws::retry::RetryRule;
use crate::domain::{
    BackupVaultArn, BackupVaultName, CopyJob, CopyJobId, IamRoleArn, IdempotencyToken, Lifecycle,
    RecoveryPointArn,
};

/// Most jobs that AWS puts on a page.
const PAGE: i32 = 1000;
const LIST: &str = "ListCopyJobs";

/// What StartCopyJob is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct StartCopyJob {
    /// The point to copy.
    pub recovery_point_arn: RecoveryPointArn,
    /// The vault that it is in.
    pub source_vault: BackupVaultName,
    /// The vault to copy it to.
    pub destination_vault_arn: BackupVaultArn,
    /// The role that AWS Backup uses, in the source account.
    pub iam_role_arn: IamRoleArn,
    /// Retention of the copy.
    pub lifecycle: Option<Lifecycle>,
    /// By which AWS knows a repetition.
    pub idempotency_token: IdempotencyToken,
}

/// What StartCopyJob answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedCopyJob {
    /// The job.
    pub copy_job_id: CopyJobId,
    /// When it was made.
    pub creation_date: Option<DateTime<Utc>>,
}

/// Which jobs ListCopyJobs is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyJobFilter {
    /// In this state.
    pub state: Option<&'static str>,
    /// Into this vault.
    pub destination_vault_arn: Option<BackupVaultArn>,
    /// Made after this moment.
    pub created_after: Option<DateTime<Utc>>,
    /// Ended after this moment.
    pub completed_after: Option<DateTime<Utc>>,
    /// Of this point.
    pub source_recovery_point_arn: Option<RecoveryPointArn>,
}

impl BackupClient {
    /// Starts a copy job. Only a request that surely never reached AWS is sent again here.
    ///
    /// # Errors
    /// As the call; see [`ApiError::in_doubt`].
    pub async fn start_copy_job(&self, request: &StartCopyJob) -> Result<StartedCopyJob, ApiError> {
        let answer = self
            .call("StartCopyJob", RetryRule::OnlyUnsent, || {
                self.sdk
                    .start_copy_job()
                    .recovery_point_arn(request.recovery_point_arn.as_str())
                    .source_backup_vault_name(request.source_vault.as_str())
                    .destination_backup_vault_arn(request.destination_vault_arn.as_str())
                    .iam_role_arn(request.iam_role_arn.as_str())
                    .set_lifecycle(request.lifecycle.as_ref().map(convert::sdk_lifecycle))
                    .idempotency_token(request.idempotency_token.as_str())
                    .send()
            })
            .await?;
        let Some(id) = answer.copy_job_id().filter(|id| !id.is_empty()) else {
            return Err(ApiError::cut_short(
                "StartCopyJob",
                "AWS answered without CopyJobId",
            ));
        };
        Ok(StartedCopyJob {
            copy_job_id: CopyJobId::from_aws(id),
            creation_date: answer.creation_date().and_then(convert::date),
        })
    }

    /// One copy job.
    ///
    /// # Errors
    /// As the call.
    pub async fn describe_copy_job(&self, id: &CopyJobId) -> Result<CopyJob, ApiError> {
        const OPERATION: &str = "DescribeCopyJob";
        let answer = self
            .call(OPERATION, RetryRule::Repeatable, || {
                self.sdk.describe_copy_job().copy_job_id(id.as_str()).send()
            })
            .await
            .map_err(|error| error.about(id))?;
        let job = answer.copy_job().ok_or_else(|| {
            ApiError::local(
                OPERATION,
                "IncompleteResponse",
                "AWS answered without CopyJob",
                ErrorClass::Other,
            )
        })?;
        convert::copy_job(OPERATION, job)
    }

    async fn copy_jobs_page(
        &self,
        filter: &CopyJobFilter,
        window: Window,
        next_token: Option<String>,
    ) -> Result<Page<CopyJob>, ApiError> {
        let answer = self
            .call(LIST, RetryRule::Repeatable, || {
                self.sdk
                    .list_copy_jobs()
                    .set_by_state(filter.state.map(SdkState::from))
                    .set_by_destination_vault_arn(text(filter.destination_vault_arn.as_ref()))
                    .set_by_created_after(window.created_after().map(convert::smithy_date))
                    .set_by_created_before(window.created_before().map(convert::smithy_date))
                    .set_by_complete_after(filter.completed_after.map(convert::smithy_date))
                    .set_by_source_recovery_point_arn(text(filter.source_recovery_point_arn.as_ref()))
                    .max_results(PAGE)
                    .set_next_token(next_token.clone())
                    .send()
            })
            .await?;
        let job = |job| match convert::copy_job(LIST, job) {
            Ok(job) => Some(job),
            Err(error) => {
                // One that has no id is nobody's, and must not hide the others.
                tracing::warn!(%error, "a copy job in AWS's list is passed over");
                None
            }
        };
        Ok(Page {
            members: answer.copy_jobs().iter().filter_map(job).collect(),
            next_token: answer.next_token().map(str::to_owned),
        })
    }

    /// All copy jobs that the filter names, page after page, in AWS's order.
    ///
    /// # Errors
    /// As [`Self::each_copy_job`].
    pub async fn list_copy_jobs(&self, filter: &CopyJobFilter) -> Result<Vec<CopyJob>, ApiError> {
        let mut jobs = Vec::new();
        self.each_copy_job(filter, |job| jobs.push(job)).await?;
        Ok(jobs)
    }

    /// Hands on the copy jobs that the filter names, page after page, in AWS's order.
    ///
    /// # Errors
    /// As the calls, and if AWS repeats a page token.
    pub async fn each_copy_job(
        &self,
        filter: &CopyJobFilter,
        take: impl FnMut(CopyJob),
    ) -> Result<(), ApiError> {
        self.read_copy_jobs(filter, 1, take).await
    }

    /// The same in order of arrival, with as many calls at a time as lists may have.
    ///
    /// # Errors
    /// As [`Self::each_copy_job`].
    pub async fn all_copy_jobs(
        &self,
        filter: &CopyJobFilter,
        take: impl FnMut(CopyJob),
    ) -> Result<(), ApiError> {
        self.read_copy_jobs(filter, self.settings.list_workers, take)
            .await
    }

    async fn read_copy_jobs(
        &self,
        filter: &CopyJobFilter,
        workers: usize,
        mut take: impl FnMut(CopyJob),
    ) -> Result<(), ApiError> {
        let fetch = |window, token| {
            let (client, filter) = (self.clone(), filter.clone());
            async move { client.copy_jobs_page(&filter, window, token).await }
        };
        let whole = filter.created_after.map_or_else(Window::default, Window::since);
        let listing = Listing {
            workers,
            ..self.listing(LIST, whole)
        };
        let page = |page: Vec<CopyJob>| {
            page.into_iter().for_each(&mut take);
            ControlFlow::Continue(())
        };
        listing.read(fetch, page).await
    }
}

fn text(arn: Option<&impl ToString>) -> Option<String> {
    arn.map(ToString::to_string)
}
