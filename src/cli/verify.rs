//! `verify`: whether every recovery point is in the destination.

use std::collections::HashMap;

use chrono::Utc;

use super::args::VerifyArgs;
use super::output::to_stdout;
use super::selection::Selection;
use super::{Session, source_vault};
use crate::aws::{BackupClient, BackupVault};
use crate::copy::eligibility::EligibilityRules;
use crate::copy::plan::PlanRules;
use crate::domain::{BackupVaultArn, RecoveryPoint, RecoveryPointArn};
use crate::error::{AppError, Outcome};
use crate::report;
use crate::state::location::Newest;
use crate::state::{self, ItemState, StateError, directory, location};
use crate::verify::{Comparison, VaultVerification, compare};

/// Options that do not go together.
pub(super) fn check(args: &VerifyArgs) -> Result<(), AppError> {
    let one_vault = args.vault.len() == 1;
    if !one_vault && (args.dest.dest_vault.is_some() || args.state_file.is_some()) {
        return Err(AppError::usage(
            "--dest-vault and --state-file belong to one source vault",
            "name it with --vault, once",
        ));
    }
    Ok(())
}

pub(super) async fn run(args: VerifyArgs, session: &Session) -> Result<Outcome, AppError> {
    let selection = Selection::new(&args.filter).await?;
    let connections = session.connections(&args.connection, &args.source).await;
    let source = connections.source(&args.source).await?;
    let destination = connections.destination(&args.dest).await?;
    selection.load().await?;
    let mut vaults: Vec<BackupVault> = Vec::new();
    for name in &args.vault {
        vaults.push(source_vault::require(&source, name).await?);
    }
    if args.vault.is_empty() {
        vaults = source.list_backup_vaults().await?;
        vaults.retain(|vault| vault.recovery_points > 0);
    }
    let mut results = Vec::new();
    for vault in &vaults {
        results.push(Box::pin(verify_vault(&args, &source, &destination, vault, &selection)).await?);
    }
    selection.report_unmatched();
    if let Some(path) = &args.missing_output {
        let mut text = Vec::new();
        report::missing_csv(&results, &mut text)
            .and_then(|()| std::fs::write(path, &text))
            .map_err(|error| AppError::io(format!("write {}", path.display()), error))?;
    }
    let complete = results.iter().all(VaultVerification::is_complete);
    match to_stdout(|out| report::verification(&results, args.output, out)) {
        // Whoever has read enough still has to be told by the exit code.
        Err(AppError::ClosedPipe) if !complete => {}
        shown => shown?,
    }
    Ok(if complete {
        Outcome::Done
    } else {
        Outcome::WithErrors
    })
}

async fn verify_vault(
    args: &VerifyArgs,
    source: &BackupClient,
    destination: &BackupClient,
    vault: &BackupVault,
    selection: &Selection,
) -> Result<VaultVerification, AppError> {
    let dest_name = args.dest.dest_vault.as_ref().unwrap_or(&vault.name);
    let dest_arn = BackupVaultArn::new(destination.region(), destination.account(), dest_name);
    let source_points = source.sorted_recovery_points(&vault.name).await?;
    let dest_points = if destination.describe_backup_vault(dest_name).await?.is_some() {
        destination.sorted_recovery_points(dest_name).await?
    } else {
        tracing::warn!(
            "the destination vault {dest_name} does not exist in account {}",
            destination.account()
        );
        Vec::new()
    };
    let recorded = recorded(args, vault, &dest_arn)?;
    let select = |point: &RecoveryPoint| selection.decide(point);
    let eligibility = EligibilityRules::default();
    let rules = PlanRules {
        eligibility,
        select: &select,
        now: Utc::now(),
    };
    let what = Comparison {
        source: &source_points,
        destination: &dest_points,
        recorded: &recorded,
        source_vault_arn: vault.arn.as_str(),
    };
    let mut result = compare(&what, |point| rules.skip(point));
    result.backup_vault_name = vault.name.to_string();
    result.destination_backup_vault_arn = dest_arn.to_string();
    Ok(result)
}

/// The copies that the state tells of.
fn recorded(
    args: &VerifyArgs,
    vault: &BackupVault,
    dest_arn: &BackupVaultArn,
) -> Result<HashMap<RecoveryPointArn, RecoveryPointArn>, AppError> {
    let account = &args.source.source_account;
    let path = if let Some(path) = &args.state_file {
        path.clone()
    } else {
        let Ok(directory) = directory::default_directory() else {
            return Ok(HashMap::new());
        };
        match location::newest(&directory, account, &vault.name, dest_arn)? {
            None => return Ok(HashMap::new()),
            Some(Newest { path, heading: Ok(_) }) => path,
            // The record only helps; the vaults themselves are compared.
            Some(Newest {
                heading: Err(error), ..
            }) => {
                tracing::warn!("the record of copies is not used: {error}");
                return Ok(HashMap::new());
            }
        }
    };
    let loaded = state::load(&path)?;
    if loaded.header.source_vault != vault.name || loaded.header.destination_vault_arn != *dest_arn {
        let differences = format!(
            "it copies {} to {}",
            loaded.header.source_vault, loaded.header.destination_vault_arn
        );
        return Err(StateError::OtherRun { path, differences }.into());
    }
    tracing::debug!("the record of copies in {} is used", path.display());
    let copies = loaded.items.iter().filter_map(|item| match item.state {
        ItemState::Completed {
            destination_recovery_point_arn: Some(copy),
            ..
        } => Some((item.recovery_point_arn, copy)),
        _ => None,
    });
    Ok(copies.collect())
}
