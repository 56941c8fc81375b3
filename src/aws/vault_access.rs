//! The destination vault: there, and open to copies from the source account. Nothing is ever
//! overwritten: one statement is added to the access policy that stands. Locks are never touched.

use thiserror::Error;

use super::backup::{BackupClient, BackupVault};
use super::error::{ApiError, ErrorClass};
use crate::crash;
use crate::domain::BackupVaultName;
use crate::vault_policy::{self, Copier};

/// A destination vault as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestVault {
    /// The vault; `None` if there is none.
    pub vault: Option<BackupVault>,
    /// Its access policy, if it has one.
    pub policy: Option<String>,
}

/// What has to be done to a destination vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultSetup {
    /// Whether it has to be created.
    pub create: bool,
    /// What its access policy has to become, if that is to be changed.
    pub policy: Option<PolicyChange>,
}

/// A change of an access policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyChange {
    /// What stands.
    pub old: Option<String>,
    /// What is to stand.
    pub new: String,
}

impl VaultSetup {
    /// Whether there is anything to do.
    pub fn is_needed(&self) -> bool {
        self.create || self.policy.is_some()
    }
}

/// Why a destination vault cannot be made ready.
#[derive(Debug, Error)]
pub enum VaultSetupError {
    /// A call failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The policy that stands is not one that a statement can be added to.
    #[error("the access policy of the destination vault {vault} cannot be read: {problem}")]
    UnreadablePolicy {
        /// The vault.
        vault: BackupVaultName,
        /// What is wrong with it.
        problem: String,
    },
    /// AWS refused a policy that is longer than what it is taken to accept.
    #[error(
        "AWS refused the access policy of the destination vault {vault}, which has {bytes} bytes with the statement \
         that lets the source account copy into it: {source}"
    )]
    PolicyTooLarge {
        /// The vault.
        vault: BackupVaultName,
        /// Its size.
        bytes: usize,
        /// What AWS said.
        source: Box<ApiError>,
    },
}

/// Reads what is there.
///
/// # Errors
/// As the calls.
pub async fn read(client: &BackupClient, name: &BackupVaultName) -> Result<DestVault, ApiError> {
    let vault = client.describe_backup_vault(name).await?;
    let policy = match &vault {
        Some(_) => client.get_backup_vault_access_policy(name).await?,
        None => None,
    };
    Ok(DestVault { vault, policy })
}

/// What has to be done, so that the copier can copy.
///
/// # Errors
/// If the policy that stands cannot be understood.
pub fn needed(
    dest: &DestVault,
    name: &BackupVaultName,
    copier: Copier<'_>,
) -> Result<VaultSetup, VaultSetupError> {
    let new = vault_policy::merged(dest.policy.as_deref(), copier).map_err(|problem| {
        VaultSetupError::UnreadablePolicy {
            vault: name.clone(),
            problem,
        }
    })?;
    Ok(VaultSetup {
        create: dest.vault.is_none(),
        policy: new.map(|new| PolicyChange {
            old: dest.policy.clone(),
            new,
        }),
    })
}

/// Does it.
///
/// # Errors
/// As the calls.
pub async fn apply(
    client: &BackupClient,
    name: &BackupVaultName,
    encryption_key_arn: Option<&str>,
    setup: &VaultSetup,
) -> Result<(), VaultSetupError> {
    if setup.create {
        client.create_backup_vault(name, encryption_key_arn).await?;
        crash::point("vault created");
        tracing::info!("created the backup vault {name} in account {}", client.account());
    }
    if let Some(change) = &setup.policy {
        let put = client.put_backup_vault_access_policy(name, &change.new).await;
        put.map_err(|error| refused(error, name, change.new.len()))?;
        crash::point("vault policy set");
        tracing::info!("the access policy of {name} now lets the source account copy into it");
    }
    Ok(())
}

/// AWS's text for a policy that is too long is not known; its length is told wherever it may be the cause.
fn refused(source: ApiError, vault: &BackupVaultName, bytes: usize) -> VaultSetupError {
    let is_long = bytes > vault_policy::ASSUMED_LIMIT;
    match source.class {
        ErrorClass::InvalidRequest | ErrorClass::Quota if is_long => VaultSetupError::PolicyTooLarge {
            vault: vault.clone(),
            bytes,
            source: Box::new(source),
        },
        _ => source.into(),
    }
}
