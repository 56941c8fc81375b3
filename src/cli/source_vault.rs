//! The source vault that was named: there, or else the names that come nearest.

use crate::aws::{BackupClient, BackupVault};
use crate::domain::BackupVaultName;
use crate::error::AppError;
use crate::nearest::did_you_mean;

/// The vault.
///
/// # Errors
/// If it does not exist, with the nearest names; as the calls.
pub(super) async fn require(client: &BackupClient, name: &BackupVaultName) -> Result<BackupVault, AppError> {
    if let Some(vault) = client.describe_backup_vault(name).await? {
        return Ok(vault);
    }
    let all = client.list_backup_vaults().await?;
    let near = did_you_mean(name.as_str(), all.iter().map(|vault| vault.name.as_str()));
    let (account, region) = (client.account(), client.region());
    let list =
        format!("list the vaults with: shuffle-aws-vaults list --source-account {account} --region {region}");
    Err(AppError::usage(
        format!("the backup vault `{name}` does not exist in account {account}, Region {region}"),
        match near {
            Some(near) => format!("{near} Or {list}"),
            None => list,
        },
    ))
}
