//! Backup vaults: ListBackupVaults, DescribeBackupVault, CreateBackupVault and their access policy.

use super::BackupClient;
use crate::aws::convert;
use crate::aws::error::{ApiError, ErrorClass};
use crate::aws::listing::Pages;
use crate::aws::retry::RetryRule;
use crate::domain::{BackupVaultArn, BackupVaultName};

/// A backup vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupVault {
    /// Its name.
    pub name: BackupVaultName,
    /// Its ARN.
    pub arn: BackupVaultArn,
    /// Points in it; AWS calls the number approximate.
    pub recovery_points: i64,
    /// The key that encrypts copies of types that AWS Backup fully manages.
    pub encryption_key_arn: Option<String>,
    /// Whether Vault Lock is on.
    pub locked: bool,
    /// Shortest retention, in days, that a locked vault takes.
    pub min_retention_days: Option<i64>,
    /// Longest retention, in days, that a locked vault takes.
    pub max_retention_days: Option<i64>,
}

impl BackupClient {
    /// All vaults, by name.
    ///
    /// # Errors
    /// As the calls.
    pub async fn list_backup_vaults(&self) -> Result<Vec<BackupVault>, ApiError> {
        let mut vaults = Vec::new();
        let mut token: Option<String> = None;
        let mut pages = Pages::of("ListBackupVaults");
        loop {
            let answer = self
                .call("ListBackupVaults", RetryRule::Repeatable, || {
                    self.sdk.list_backup_vaults().set_next_token(token.clone()).send()
                })
                .await?;
            for vault in answer.backup_vault_list() {
                vaults.push(convert::vault(vault)?);
            }
            token = pages.next(answer.next_token(), answer.backup_vault_list().len())?;
            if token.is_none() {
                break;
            }
        }
        vaults.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(vaults)
    }

    /// One vault; `None` if there is none of the name. AWS may answer `AccessDenied` for a vault that
    /// does not exist; the list of vaults settles that where it may be read.
    ///
    /// # Errors
    /// As the call.
    pub async fn describe_backup_vault(
        &self,
        name: &BackupVaultName,
    ) -> Result<Option<BackupVault>, ApiError> {
        let answer = self
            .call("DescribeBackupVault", RetryRule::Repeatable, || {
                self.sdk
                    .describe_backup_vault()
                    .backup_vault_name(name.as_str())
                    .send()
            })
            .await
            .map_err(|error| error.about(name));
        match answer {
            Ok(vault) => Ok(Some(BackupVault {
                name: name.clone(),
                arn: vault.backup_vault_arn().map_or_else(
                    || BackupVaultArn::new(self.region(), self.account(), name),
                    BackupVaultArn::from_aws,
                ),
                recovery_points: vault.number_of_recovery_points(),
                encryption_key_arn: vault.encryption_key_arn().map(str::to_owned),
                locked: vault.locked().unwrap_or(false),
                min_retention_days: vault.min_retention_days(),
                max_retention_days: vault.max_retention_days(),
            })),
            Err(error) if error.class == ErrorClass::NotFound => Ok(None),
            Err(error) if error.class == ErrorClass::AccessDenied => match self.list_backup_vaults().await {
                Ok(vaults) => Ok(vaults.into_iter().find(|v| v.name == *name)),
                Err(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Creates a vault, under the given key or the service's default key.
    ///
    /// # Errors
    /// As the call. A vault that is there already is no error.
    pub async fn create_backup_vault(
        &self,
        name: &BackupVaultName,
        encryption_key_arn: Option<&str>,
    ) -> Result<(), ApiError> {
        let answer = self
            .call("CreateBackupVault", RetryRule::Repeatable, || {
                self.sdk
                    .create_backup_vault()
                    .backup_vault_name(name.as_str())
                    .set_encryption_key_arn(encryption_key_arn.map(str::to_owned))
                    .send()
            })
            .await
            .map_err(|error| error.about(name));
        match answer {
            Ok(_) => Ok(()),
            Err(error) if error.code == "AlreadyExistsException" => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The access policy of a vault; `None` if it has none.
    ///
    /// # Errors
    /// As the call.
    pub async fn get_backup_vault_access_policy(
        &self,
        name: &BackupVaultName,
    ) -> Result<Option<String>, ApiError> {
        let answer = self
            .call("GetBackupVaultAccessPolicy", RetryRule::Repeatable, || {
                self.sdk
                    .get_backup_vault_access_policy()
                    .backup_vault_name(name.as_str())
                    .send()
            })
            .await
            .map_err(|error| error.about(name));
        match answer {
            Ok(answer) => Ok(answer.policy().map(str::to_owned)),
            Err(error) if error.class == ErrorClass::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets the whole access policy of a vault.
    ///
    /// # Errors
    /// As the call.
    pub async fn put_backup_vault_access_policy(
        &self,
        name: &BackupVaultName,
        policy: &str,
    ) -> Result<(), ApiError> {
        self.call("PutBackupVaultAccessPolicy", RetryRule::Repeatable, || {
            self.sdk
                .put_backup_vault_access_policy()
                .backup_vault_name(name.as_str())
                .policy(policy)
                .send()
        })
        .await
        .map(|_| ())
        .map_err(|error| error.about(name))
    }
}
