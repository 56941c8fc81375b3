//! A recovery point as ListRecoveryPointsByBackupVault answers it, and what can be told of it.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize, Serializer};

use super::arn::{RecoveryPointArn, ResourceArn};
use super::ids::BackupVaultName;

/// `RecoveryPointStatus` of the AWS Backup API, with a place for values it may add.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum RecoveryPointStatus {
    /// Being made.
    Creating,
    /// Made; in practice many continuous points stand here.
    Available,
    /// Made: the normal state of a periodic point.
    Completed,
    /// A composite some of whose members are missing.
    Partial,
    /// Past its retention, not yet deleted.
    Expired,
    /// Being deleted.
    Deleting,
    /// A continuous backup that was switched off.
    Stopped,
    /// A value that this version does not know.
    Unknown(String),
}

impl RecoveryPointStatus {
    /// A status by the text that AWS writes.
    pub fn from_aws(text: &str) -> Self {
        match text {
            "CREATING" => Self::Creating,
            "AVAILABLE" => Self::Available,
            "COMPLETED" => Self::Completed,
            "PARTIAL" => Self::Partial,
            "EXPIRED" => Self::Expired,
            "DELETING" => Self::Deleting,
            "STOPPED" => Self::Stopped,
            _ => Self::Unknown(text.to_owned()),
        }
    }

    /// The text as AWS writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Creating => "CREATING",
            Self::Available => "AVAILABLE",
            Self::Completed => "COMPLETED",
            Self::Partial => "PARTIAL",
            Self::Expired => "EXPIRED",
            Self::Deleting => "DELETING",
            Self::Stopped => "STOPPED",
            Self::Unknown(text) => text,
        }
    }
}

impl From<String> for RecoveryPointStatus {
    fn from(text: String) -> Self {
        Self::from_aws(&text)
    }
}

impl From<RecoveryPointStatus> for String {
    fn from(status: RecoveryPointStatus) -> Self {
        status.as_str().to_owned()
    }
}

/// `Lifecycle` of a recovery point: days count from its creation date.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lifecycle {
    /// Days after creation at which the point moves to cold storage.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub move_to_cold_storage_after_days: Option<i64>,
    /// Days after creation at which the point is deleted; -1 is AWS's "always".
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub delete_after_days: Option<i64>,
    /// Whether types that opt in to archiving do so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub opt_in_to_archive_for_supported_resources: Option<bool>,
}

/// One recovery point in one vault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecoveryPoint {
    /// Its ARN.
    pub recovery_point_arn: RecoveryPointArn,
    /// The vault that it was listed in.
    pub backup_vault_name: BackupVaultName,
    /// The resource that was backed up. Kept on a copy, with the source's account in it.
    pub resource_arn: ResourceArn,
    /// AWS's name of the type, such as `EBS`. Open-ended: AWS adds types.
    pub resource_type: String,
    /// Its status.
    pub status: RecoveryPointStatus,
    /// When it was made. A copy keeps its source's date.
    #[serde(serialize_with = "write_date")]
    pub creation_date: DateTime<Utc>,
    /// When it was whole.
    pub completion_date: Option<DateTime<Utc>>,
    /// Size in bytes, where AWS gives one. For EBS it is the volume's size.
    pub backup_size_bytes: Option<i64>,
    /// Whether it is encrypted.
    pub is_encrypted: bool,
    /// ARN of the key that encrypts it.
    pub encryption_key_arn: Option<String>,
    /// Its retention.
    pub lifecycle: Option<Lifecycle>,
    /// When it moves, or moved, to cold storage. Points there cannot be copied.
    pub move_to_cold_storage_at: Option<DateTime<Utc>>,
    /// When it is due for deletion.
    pub delete_at: Option<DateTime<Utc>>,
    /// Whether it is a composite.
    pub is_parent: bool,
    /// The composite that it belongs to.
    pub parent_recovery_point_arn: Option<RecoveryPointArn>,
    /// Its name within a composite.
    pub composite_member_identifier: Option<String>,
    /// On a copy: the vault that it was copied from.
    pub source_backup_vault_arn: Option<String>,
}

/// A date as listings and reports have it: RFC 3339, UTC, in milliseconds. As wide as every other of its kind,
/// so that lines can be sorted by it.
pub fn in_milliseconds(date: DateTime<Utc>) -> String {
    date.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn write_date<S: Serializer>(date: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&in_milliseconds(*date))
}

impl RecoveryPoint {
    /// Whether the point is continuous (point-in-time recovery), which AWS cannot copy on demand.
    ///
    /// No field says so. RDS and Aurora write `continuous:` into the ARN; the id of a periodic S3
    /// point carries a timestamp between bucket and hash, that of a continuous one does not
    /// (AWS Backup Developer Guide, "Access control").
    pub fn is_continuous(&self) -> bool {
        let Some(parts) = self.recovery_point_arn.parts() else {
            return false;
        };
        if parts.resource.contains("continuous:") || self.status == RecoveryPointStatus::Stopped {
            return true;
        }
        if self.resource_type != "S3" {
            return false;
        }
        let id = parts.resource.rsplit(':').next().unwrap_or_default();
        let mut pieces = id.rsplit('-');
        let hash_is_last = pieces.next().is_some();
        let stamp = pieces.next().unwrap_or_default();
        hash_is_last && !(stamp.len() >= 12 && stamp.bytes().all(|b| b.is_ascii_digit()))
    }

    /// Whether it lies in cold storage at `now`; the list operation has no storage class.
    pub fn is_cold(&self, now: DateTime<Utc>) -> bool {
        self.move_to_cold_storage_at.is_some_and(|at| at <= now)
    }

    /// For the tests of what judges points: a plain EFS point, completed at the epoch.
    #[cfg(test)]
    pub(crate) fn for_test(arn: &str, resource_arn: &str) -> Self {
        Self {
            recovery_point_arn: RecoveryPointArn::from_aws(arn),
            backup_vault_name: BackupVaultName::from_aws("v"),
            resource_arn: ResourceArn::from_aws(resource_arn),
            resource_type: "EFS".to_owned(),
            status: RecoveryPointStatus::Completed,
            creation_date: DateTime::UNIX_EPOCH,
            completion_date: None,
            backup_size_bytes: None,
            is_encrypted: true,
            encryption_key_arn: None,
            lifecycle: None,
            move_to_cold_storage_at: None,
            delete_at: None,
            is_parent: false,
            parent_recovery_point_arn: None,
            composite_member_identifier: None,
            source_backup_vault_arn: None,
        }
    }
}
