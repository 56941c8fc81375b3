//! What a state file and its journal hold. `docs/state-format.md` is this file in prose.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::{
    AccountId, BackupVaultArn, BackupVaultName, CopyJobId, IdempotencyToken, Lifecycle, RecoveryPointArn,
    Region, ResourceArn,
};

/// Value of the `format` member of every state file.
pub(super) const FORMAT: &str = "shuffle-aws-vaults/state";
/// Version of the format that this program writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// What was behind the AWS client: a rehearsal must never be resumed against real accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// AWS.
    Aws,
    /// The simulator.
    Simulated,
}

/// What a run is about. Two runs may share a state file only if all of the identity agrees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunHeader {
    /// Unique name of the run.
    pub run_id: String,
    /// Program and version that began it.
    pub created_by: String,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// What it ran against.
    pub endpoint: Endpoint,
    /// Source account.
    pub source_account: AccountId,
    /// Destination account.
    pub dest_account: AccountId,
    /// Source Region.
    pub region: Region,
    /// Destination Region.
    pub dest_region: Region,
    /// The vault that is copied.
    pub source_vault: BackupVaultName,
    /// The vault that it is copied to.
    pub destination_vault_arn: BackupVaultArn,
    /// The filters of the run, in words. May change from run to run.
    pub selection: String,
    /// The command line that goes on with the run, word by word; none in files of before it was kept.
    /// May change from run to run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resume_command: Vec<String>,
}

/// Where an item stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum ItemState {
    /// Waits.
    Pending,
    /// StartCopyJob was about to be sent, and perhaps was.
    Starting {
        /// The token that it was, or would have been, sent with.
        idempotency_token: IdempotencyToken,
        /// When it was first sent, or would have been; absent if not known.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        since: Option<DateTime<Utc>>,
        /// The same of the last time.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        sent: Option<DateTime<Utc>>,
    },
    /// AWS has accepted a copy job.
    InFlight {
        /// The job.
        copy_job_id: CopyJobId,
        /// When it was started, or found.
        since: DateTime<Utc>,
    },
    /// Copied.
    Completed {
        /// The job that did it.
        copy_job_id: CopyJobId,
        /// The copy, where AWS named it.
        destination_recovery_point_arn: Option<RecoveryPointArn>,
        /// When.
        at: DateTime<Utc>,
    },
    /// Not copied.
    Failed {
        /// AWS's code, or `CopyJobFailed`, or `CopyJobPartial`.
        error_code: String,
        /// AWS's text.
        message: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// Needs no copy, or can have none.
    Skipped {
        /// Stable reason code, such as `already_copied`.
        reason: Arc<str>,
    },
}

/// One recovery point of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The point.
    pub recovery_point_arn: RecoveryPointArn,
    /// Its resource.
    pub resource_arn: ResourceArn,
    /// AWS's name of the resource's type.
    pub resource_type: Arc<str>,
    /// When the point was made.
    pub creation_date: DateTime<Utc>,
    /// Its size, where AWS gives one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub backup_size_bytes: Option<i64>,
    /// Its retention.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lifecycle: Option<Lifecycle>,
    /// Number of the latest attempt; 0 before the first.
    #[serde(default)]
    pub attempt: u32,
    /// Where it stands.
    #[serde(flatten)]
    pub state: ItemState,
}

#[cfg(test)]
impl Item {
    /// For the tests of what keeps items: one that waits, of which nothing but this is known.
    pub(crate) fn for_test(recovery_point_arn: &str) -> Self {
        Self {
            recovery_point_arn: RecoveryPointArn::from_aws(recovery_point_arn),
            resource_arn: ResourceArn::from_aws("r"),
            resource_type: "EBS".into(),
            creation_date: DateTime::UNIX_EPOCH,
            backup_size_bytes: None,
            lifecycle: None,
            attempt: 0,
            state: ItemState::Pending,
        }
    }
}

/// One change of one item. The journal is a list of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JournalRecord {
    /// An item joins the run.
    Planned {
        /// The item.
        item: Item,
    },
    /// StartCopyJob is about to be sent. Durable before it is.
    StartIntended {
        /// The point.
        recovery_point_arn: RecoveryPointArn,
        /// Number of the attempt.
        attempt: u32,
        /// Its token.
        idempotency_token: IdempotencyToken,
        /// When.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        at: Option<DateTime<Utc>>,
    },
    /// AWS has accepted a job, or one was found.
    Started {
        /// The point.
        recovery_point_arn: RecoveryPointArn,
        /// The job.
        copy_job_id: CopyJobId,
        /// When.
        at: DateTime<Utc>,
    },
    /// AWS surely made no job of the start: the item waits again, and its next start is the same attempt.
    NotTaken {
        /// The point.
        recovery_point_arn: RecoveryPointArn,
        /// Why.
        reason: String,
    },
    /// The job failed of a cause that passes, or an earlier one did: the item waits again.
    Requeued {
        /// The point.
        recovery_point_arn: RecoveryPointArn,
        /// Why.
        reason: String,
    },
    /// Copied.
    Completed {
        /// The point.
        recovery_point_arn: RecoveryPointArn,
        /// The job.
        copy_job_id: CopyJobId,
        /// The copy.
        destination_recovery_point_arn: Option<RecoveryPointArn>,
        /// When.
        at: DateTime<Utc>,
    },
    /// Failed.
    Failed {
        /// The point.
        recovery_point_arn: RecoveryPointArn,
        /// AWS's code.
        error_code: String,
        /// AWS's text.
        message: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// Needs no copy after all.
    Skipped {
        /// The point.
        recovery_point_arn: RecoveryPointArn,
        /// Stable reason code.
        reason: Arc<str>,
    },
    /// A failed or skipped item is to be tried (again).
    Reopened {
        /// The point.
        recovery_point_arn: RecoveryPointArn,
    },
}

impl JournalRecord {
    /// The point that it is about.
    pub fn recovery_point_arn(&self) -> &RecoveryPointArn {
        match self {
            Self::Planned { item } => &item.recovery_point_arn,
            Self::StartIntended {
                recovery_point_arn, ..
            }
            | Self::Started {
                recovery_point_arn, ..
            }
            | Self::NotTaken {
                recovery_point_arn, ..
            }
            | Self::Requeued {
                recovery_point_arn, ..
            }
            | Self::Completed {
                recovery_point_arn, ..
            }
            | Self::Failed {
                recovery_point_arn, ..
            }
            | Self::Skipped {
                recovery_point_arn, ..
            }
            | Self::Reopened { recovery_point_arn } => recovery_point_arn,
        }
    }

    /// Its name, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Planned { .. } => "planned",
            Self::StartIntended { .. } => "start_intended",
            Self::Started { .. } => "started",
            Self::NotTaken { .. } => "not_taken",
            Self::Requeued { .. } => "requeued",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
            Self::Reopened { .. } => "reopened",
        }
    }
}
