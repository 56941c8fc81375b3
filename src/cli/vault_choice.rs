//! From options to vaults: those that are there, and where each goes.

use std::ops::ControlFlow;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::args::DestArgs;
use super::source_vault;
use super::vault_map::VaultMap;
use super::vault_options::VaultOptions;
use crate::aws::{ApiError, BackupClient, BackupVault};
use crate::domain::BackupVaultName;
use crate::error::AppError;

/// Vaults that are looked at, or read, at the same time. Reading one long list makes many calls at once by
/// itself; with many short ones the waiting for each answer is what takes time.
pub(super) const VAULTS_AT_ONCE: usize = 8;

/// A source vault, and the vault that it is copied to.
#[derive(Debug, Clone)]
pub(super) struct ChosenVault {
    pub(super) source: BackupVault,
    pub(super) destination: BackupVaultName,
}

/// What the options come to.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// Vaults that can be copied, in the order of the options; all vaults by name.
    pub(super) chosen: Vec<ChosenVault>,
    /// Vaults that are named and cannot be used, with what is wrong with each.
    pub(super) unusable: Vec<Unusable>,
}

/// A vault that cannot be used, and why.
type Unusable = Box<(BackupVaultName, AppError)>;

/// The vaults that the options name, in their order; all vaults by name.
///
/// # Errors
/// If one is not there or has no name that a destination vault may have; as the calls.
pub(super) async fn choose(
    options: &VaultOptions,
    dest: &DestArgs,
    client: &BackupClient,
) -> Result<Vec<ChosenVault>, AppError> {
    let choice = choose_each(options, dest, client).await?;
    let mut unusable = choice.unusable.into_iter().rev().map(|unusable| unusable.1);
    let Some(last) = unusable.next() else {
        return Ok(choice.chosen);
    };
    // Each is told, so that nobody mends one after the other.
    for error in unusable.rev() {
        tracing::error!("{error}; {}", error.hint().unwrap_or_default());
    }
    Err(last)
}

/// The same where one that cannot be used does not stand in the way of the others.
///
/// # Errors
/// As the calls that are about no single vault.
pub(super) async fn choose_each(
    options: &VaultOptions,
    dest: &DestArgs,
    client: &BackupClient,
) -> Result<Choice, AppError> {
    let mut choice = Choice::default();
    if !options.pairs.is_empty() {
        let (names, destinations): (Vec<_>, Vec<_>) = options.pairs.iter().cloned().unzip();
        for (found, destination) in each(client, &names).await.into_iter().zip(destinations) {
            match found {
                Ok(source) => choice.chosen.push(ChosenVault { source, destination }),
                Err(unusable) => choice.unusable.push(unusable),
            }
        }
        return Ok(choice);
    }
    let map = match &options.vault_map {
        Some(file) => VaultMap::read(file)?,
        None => VaultMap::default(),
    };
    let sources = if options.all_vaults || options.is_empty() {
        let found = all(client, &options.exclude_vault).await?;
        let names: Vec<BackupVaultName> = found.iter().map(|vault| vault.name.clone()).collect();
        warn_of_unused(&map, &names);
        found.into_iter().map(Ok).collect()
    } else {
        let names = if options.vault.is_empty() {
            map.sources().cloned().collect()
        } else {
            options.vault.clone()
        };
        warn_of_unused(&map, &names);
        each(client, &names).await
    };
    for source in sources {
        let usable = source.and_then(|source| {
            let given = dest.dest_vault.as_ref().or_else(|| map.destination(&source.name));
            let destination = given.unwrap_or(&source.name).clone();
            if destination.as_str().parse::<BackupVaultName>().is_ok() {
                return Ok(ChosenVault { source, destination });
            }
            let error = no_such_name(&destination, options.vault.len() == 1);
            Err(Box::new((source.name, error)))
        });
        match usable {
            Ok(vault) => choice.chosen.push(vault),
            Err(unusable) => choice.unusable.push(unusable),
        }
    }
    Ok(choice)
}

/// Vaults by name, several looked for at a time.
async fn each(client: &BackupClient, names: &[BackupVaultName]) -> Vec<Result<BackupVault, Unusable>> {
    let found = stream::iter(names).map(|name| async move {
        let found = source_vault::require(client, name).await;
        found.map_err(|error| Box::new((name.clone(), error)))
    });
    found.buffered(VAULTS_AT_ONCE).collect().await
}

fn no_such_name(name: &BackupVaultName, is_one: bool) -> AppError {
    AppError::usage(
        format!("no vault can be created under the name of {name}, which is one of AWS Backup's own"),
        if is_one {
            "name its destination with --dest-vault"
        } else {
            "name its destination in a --vault-map, or leave it out with --exclude-vault"
        },
    )
}

/// Every vault that holds points. AWS calls the number of points that it lists approximate, so that one that
/// is said to be empty is looked into.
async fn all(client: &BackupClient, excluded: &[BackupVaultName]) -> Result<Vec<BackupVault>, AppError> {
    let vaults = client.list_backup_vaults().await?;
    for name in excluded {
        if !vaults.iter().any(|vault| vault.name == *name) {
            tracing::warn!("--exclude-vault {name}: there is no such vault");
        }
    }
    let wanted = vaults.into_iter().filter(|vault| !excluded.contains(&vault.name));
    let looked_into = stream::iter(wanted).map(|vault| async move {
        let holds = vault.recovery_points > 0 || !is_empty(client, &vault.name).await?;
        Ok::<_, ApiError>(holds.then_some(vault))
    });
    let found: Vec<Option<BackupVault>> = looked_into.buffered(VAULTS_AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

async fn is_empty(client: &BackupClient, vault: &BackupVaultName) -> Result<bool, ApiError> {
    let mut empty = true;
    let look = |page: Vec<_>| {
        empty &= page.is_empty();
        if empty {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    };
    client.all_recovery_points(vault, look).await?;
    Ok(empty)
}

fn warn_of_unused(map: &VaultMap, used: &[BackupVaultName]) {
    for source in map.sources().filter(|source| !used.contains(source)) {
        tracing::warn!(
            "--vault-map {}: {source} is not among the vaults that are wanted, or holds no recovery point",
            map.file().display()
        );
    }
}
