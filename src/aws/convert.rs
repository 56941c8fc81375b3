//! The SDK's shapes as domain types. All members of AWS's answers are optional; what we cannot do
//! without is an error that names it.

use aws_sdk_backup::types as sdk;
use aws_smithy_types::DateTime as SmithyDateTime;
use chrono::{DateTime, Utc};

use super::backup::BackupVault;
use super::error::{ApiError, ErrorClass};
use crate::domain::{
    BackupVaultArn, BackupVaultName, CopyJob, CopyJobId, CopyJobState, Lifecycle, RecoveryPoint,
    RecoveryPointArn, RecoveryPointStatus, ResourceArn,
};

pub(super) fn date(value: &SmithyDateTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(value.secs(), value.subsec_nanos())
}

pub(super) fn smithy_date(value: DateTime<Utc>) -> SmithyDateTime {
    SmithyDateTime::from_secs(value.timestamp())
}

fn missing(operation: &'static str, member: &str) -> ApiError {
    ApiError::local(
        operation,
        "IncompleteResponse",
        format!("AWS answered without {member}"),
        ErrorClass::Other,
    )
}

/// A list has millions of points: what AWS's answer holds is moved where it can be.
pub(super) fn recovery_point(
    vault: &BackupVaultName,
    point: sdk::RecoveryPointByBackupVault,
) -> Result<RecoveryPoint, ApiError> {
    let missing = |member| missing("ListRecoveryPointsByBackupVault", member);
    let recovery_point_arn = point.recovery_point_arn.as_deref();
    let resource_arn = point.resource_arn.as_deref();
    let calculated = point.calculated_lifecycle.as_ref();
    Ok(RecoveryPoint {
        recovery_point_arn: RecoveryPointArn::from_aws(
            recovery_point_arn.ok_or_else(|| missing("RecoveryPointArn"))?,
        ),
        backup_vault_name: vault.clone(),
        resource_arn: ResourceArn::from_aws(resource_arn.ok_or_else(|| missing("ResourceArn"))?),
        status: RecoveryPointStatus::from_aws(point.status.as_ref().map_or("unknown", |s| s.as_str())),
        creation_date: point
            .creation_date
            .as_ref()
            .and_then(date)
            .ok_or_else(|| missing("CreationDate"))?,
        completion_date: point.completion_date.as_ref().and_then(date),
        backup_size_bytes: point.backup_size_in_bytes,
        is_encrypted: point.is_encrypted,
        lifecycle: point.lifecycle.as_ref().map(lifecycle),
        move_to_cold_storage_at: calculated
            .and_then(|c| c.move_to_cold_storage_at())
            .and_then(date),
        delete_at: calculated.and_then(|c| c.delete_at()).and_then(date),
        is_parent: point.is_parent,
        parent_recovery_point_arn: point
            .parent_recovery_point_arn
            .as_deref()
            .map(RecoveryPointArn::from_aws),
        resource_type: point.resource_type.unwrap_or_else(|| "unknown".to_owned()),
        encryption_key_arn: point.encryption_key_arn,
        composite_member_identifier: point.composite_member_identifier,
        source_backup_vault_arn: point.source_backup_vault_arn,
    })
}

pub(super) fn lifecycle(value: &sdk::Lifecycle) -> Lifecycle {
    Lifecycle {
        move_to_cold_storage_after_days: value.move_to_cold_storage_after_days(),
        delete_after_days: value.delete_after_days(),
        opt_in_to_archive_for_supported_resources: value.opt_in_to_archive_for_supported_resources(),
    }
}

pub(super) fn sdk_lifecycle(value: &Lifecycle) -> sdk::Lifecycle {
    sdk::Lifecycle::builder()
        .set_move_to_cold_storage_after_days(value.move_to_cold_storage_after_days)
        .set_delete_after_days(value.delete_after_days)
        .set_opt_in_to_archive_for_supported_resources(value.opt_in_to_archive_for_supported_resources)
        .build()
}

pub(super) fn copy_job(operation: &'static str, job: &sdk::CopyJob) -> Result<CopyJob, ApiError> {
    Ok(CopyJob {
        copy_job_id: CopyJobId::from_aws(job.copy_job_id().ok_or_else(|| missing(operation, "CopyJobId"))?),
        source_recovery_point_arn: job.source_recovery_point_arn().map(RecoveryPointArn::from_aws),
        destination_backup_vault_arn: job.destination_backup_vault_arn().map(BackupVaultArn::from_aws),
        destination_recovery_point_arn: job
            .destination_recovery_point_arn()
            .map(RecoveryPointArn::from_aws),
        resource_arn: job.resource_arn().map(ResourceArn::from_aws),
        resource_type: job.resource_type().map(Box::from),
        state: CopyJobState::from_aws(job.state().map_or("unknown", |s| s.as_str())),
        status_message: job.status_message().map(str::to_owned),
        message_category: job.message_category().map(str::to_owned),
        creation_date: job.creation_date().and_then(date),
        completion_date: job.completion_date().and_then(date),
        backup_size_bytes: job.backup_size_in_bytes(),
        destination_lifecycle: job.destination_recovery_point_lifecycle().map(lifecycle),
    })
}

pub(super) fn vault(vault: &sdk::BackupVaultListMember) -> Result<BackupVault, ApiError> {
    let missing = |member| missing("ListBackupVaults", member);
    Ok(BackupVault {
        name: BackupVaultName::from_aws(
            vault
                .backup_vault_name()
                .ok_or_else(|| missing("BackupVaultName"))?,
        ),
        arn: BackupVaultArn::from_aws(
            vault
                .backup_vault_arn()
                .ok_or_else(|| missing("BackupVaultArn"))?,
        ),
        recovery_points: vault.number_of_recovery_points(),
        encryption_key_arn: vault.encryption_key_arn().map(str::to_owned),
        locked: vault.locked().unwrap_or(false),
        min_retention_days: vault.min_retention_days(),
        max_retention_days: vault.max_retention_days(),
    })
}
