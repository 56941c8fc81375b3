//! A copy job as ListCopyJobs and DescribeCopyJob answer it.

use chrono::{DateTime, Utc};

use super::arn::{BackupVaultArn, RecoveryPointArn, ResourceArn};
use super::ids::CopyJobId;
use super::recovery_point::Lifecycle;

/// `CopyJobState` of the AWS Backup API, with a place for values it may add.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CopyJobState {
    /// Waiting; up to two hours on AWS's own errors, longer behind another job of the resource.
    Created,
    /// Copying.
    Running,
    /// Done.
    Completed,
    /// Ended without a copy.
    Failed,
    /// A composite some of whose members failed: terminal, and no success.
    Partial,
    /// A value that this version does not know; taken as still under way.
    Unknown(String),
}

impl CopyJobState {
    /// Reads AWS's text. `ABORTED`, which only the summary enumeration has, is a failure.
    pub fn from_aws(text: &str) -> Self {
        match text {
            "CREATED" => Self::Created,
            "RUNNING" => Self::Running,
            "COMPLETED" => Self::Completed,
            "FAILED" | "ABORTED" => Self::Failed,
            "PARTIAL" => Self::Partial,
            other => Self::Unknown(other.to_owned()),
        }
    }

    /// Whether the job has ended.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Partial)
    }
}

/// One copy job.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyJob {
    /// Its id.
    pub copy_job_id: CopyJobId,
    /// What it copies.
    pub source_recovery_point_arn: Option<RecoveryPointArn>,
    /// Where it copies to.
    pub destination_backup_vault_arn: Option<BackupVaultArn>,
    /// What it made, once it is made.
    pub destination_recovery_point_arn: Option<RecoveryPointArn>,
    /// The resource behind the point.
    pub resource_arn: Option<ResourceArn>,
    /// AWS's name of its type.
    pub resource_type: Option<Box<str>>,
    /// Its state.
    pub state: CopyJobState,
    /// AWS's text on the state.
    pub status_message: Option<String>,
    /// AWS's ready-made group of the message, such as `AccessDenied`.
    pub message_category: Option<String>,
    /// When it was started.
    pub creation_date: Option<DateTime<Utc>>,
    /// When it ended.
    pub completion_date: Option<DateTime<Utc>>,
    /// Bytes, where AWS gives them.
    pub backup_size_bytes: Option<i64>,
    /// Retention that the copy really got, where AWS gives it.
    pub destination_lifecycle: Option<Lifecycle>,
}

#[cfg(test)]
impl CopyJob {
    /// For the tests of what reads jobs: one of which AWS tells nothing but these.
    pub(crate) fn for_test(id: &str, source_recovery_point_arn: &str, state: CopyJobState) -> Self {
        Self {
            copy_job_id: CopyJobId::from_aws(id),
            source_recovery_point_arn: Some(RecoveryPointArn::from_aws(source_recovery_point_arn)),
            destination_backup_vault_arn: None,
            destination_recovery_point_arn: None,
            resource_arn: None,
            resource_type: None,
            state,
            status_message: None,
            message_category: None,
            creation_date: None,
            completion_date: None,
            backup_size_bytes: None,
            destination_lifecycle: None,
        }
    }
}
