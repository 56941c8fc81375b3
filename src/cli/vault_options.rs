//! Which backup vaults are copied or verified, and where each goes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;

use super::args::DestArgs;
use crate::domain::BackupVaultName;
use crate::error::AppError;

/// Which backup vaults are wanted.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Vaults")]
pub struct VaultOptions {
    /// Source backup vault; may be repeated
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_VAULT", value_name = "VAULT_NAME", value_delimiter = ',', value_parser = parse_source_vault)]
    pub vault: Vec<BackupVaultName>,
    /// Every vault of the source account and Region that holds recovery points
    #[arg(long, conflicts_with = "vault")]
    pub all_vaults: bool,
    /// With --all-vaults: this vault is left out; may be repeated
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_EXCLUDE_VAULT", value_name = "VAULT_NAME", value_delimiter = ',', value_parser = parse_source_vault)]
    pub exclude_vault: Vec<BackupVaultName>,
    /// File of destination vaults, `SOURCE_VAULT,DESTINATION_VAULT` a line; alone, it names the source vaults too
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_VAULT_MAP", value_name = "FILE")]
    pub vault_map: Option<PathBuf>,
    /// Source and destination vaults, of a plan that is carried out.
    #[arg(skip)]
    pub(super) pairs: Vec<(BackupVaultName, BackupVaultName)>,
}

impl VaultOptions {
    /// Whether nothing says which vaults are wanted.
    pub(super) fn is_empty(&self) -> bool {
        self.vault.is_empty() && !self.all_vaults && self.vault_map.is_none() && self.pairs.is_empty()
    }

    /// Whether the options may name more than one vault.
    pub(super) fn may_be_several(&self) -> bool {
        self.vault.len() != 1 && self.pairs.len() != 1
    }

    /// Options that do not go together.
    ///
    /// # Errors
    /// If there are such.
    pub(super) fn check(&self, dest: &DestArgs, has_state_file: bool) -> Result<(), AppError> {
        if !self.exclude_vault.is_empty() && !self.all_vaults {
            return Err(AppError::usage(
                "--exclude-vault is for --all-vaults",
                "leave one out, or take the other as well",
            ));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.vault.iter().find(|name| !seen.insert(*name)) {
            return Err(AppError::usage(
                format!("--vault names {twice} twice"),
                "name each vault once",
            ));
        }
        if dest.dest_vault.is_some() && self.vault_map.is_some() {
            return Err(AppError::usage(
                "--dest-vault and --vault-map both name destination vaults",
                "leave one of them out",
            ));
        }
        if self.may_be_several() && dest.dest_vault.is_some() {
            return Err(AppError::usage(
                "--dest-vault belongs to one source vault, and there may be several",
                "name it with --vault, once; or give each vault its destination in a --vault-map",
            ));
        }
        if self.may_be_several() && has_state_file {
            return Err(AppError::usage(
                "--state-file belongs to one source vault, and there may be several",
                "leave it out, so that each vault has its own in ~/.shuffle-aws-vaults; or name one vault with --vault",
            ));
        }
        Ok(())
    }
}

/// Reads the name of a vault that is there, which may be one of AWS Backup's own.
pub(crate) fn parse_source_vault(text: &str) -> Result<BackupVaultName, String> {
    BackupVaultName::of_existing(text).map_err(|error| error.to_string())
}
