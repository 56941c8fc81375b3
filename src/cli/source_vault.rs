//! The source vault that was named: there, or else the names that come nearest.

use crate::aws::{BackupClient, BackupVault};
use crate::domain::BackupVaultName;
use crate::error::AppError;

/// Likeness of two names, 0 to 1, from which one is offered for the other.
const ALIKE: f64 = 0.6;
/// Names that are offered.
const MOST_OFFERED: usize = 3;

/// The vault.
///
/// # Errors
/// If it does not exist, with the nearest names; as the calls.
pub(super) async fn require(client: &BackupClient, name: &BackupVaultName) -> Result<BackupVault, AppError> {
    if let Some(vault) = client.describe_backup_vault(name).await? {
        return Ok(vault);
    }
    let all = client.list_backup_vaults().await?;
    let mut near: Vec<(f64, &str)> = all
        .iter()
        .map(|vault| {
            (
                strsim::jaro_winkler(vault.name.as_str(), name.as_str()),
                vault.name.as_str(),
            )
        })
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let names: Vec<String> = near
        .iter()
        .take(MOST_OFFERED)
        .map(|(_, name)| format!("`{name}`"))
        .collect();
    let (account, region) = (client.account(), client.region());
    let list =
        format!("list the vaults with: shuffle-aws-vaults list --source-account {account} --region {region}");
    Err(AppError::usage(
        format!("the backup vault `{name}` does not exist in account {account}, Region {region}"),
        if names.is_empty() {
            list
        } else {
            format!("did you mean {}? Or {list}", names.join(" or "))
        },
    ))
}
