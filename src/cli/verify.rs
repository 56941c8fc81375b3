//! `verify`: whether every recovery point is in the destination.

use std::io;
use std::path::Path;

use chrono::Utc;

use super::Session;
use super::args::VerifyArgs;
use super::failures;
use super::output::to_stdout;
use super::selection::Selection;
use super::vault_choice::{self, ChosenVault};
use crate::aws::{BackupClient, BackupVault};
use crate::copy::eligibility::{EligibilityRules, SkipReason};
use crate::copy::plan::PlanRules;
use crate::copy::source_keys::{PointsByKey, SourceKeys};
use crate::domain::{BackupVaultArn, RecoveryPoint};
use crate::error::{AppError, Outcome};
use crate::report::{self, AuditedVault, OutputFormat, PointAudit, WholeFile};
use crate::state::location::Newest;
use crate::state::{Items, StateError, directory, location};
use crate::verify::{Comparison, Finding, VaultVerification, compare};

/// Options that do not go together.
pub(super) fn check(args: &VerifyArgs) -> Result<(), AppError> {
    args.vaults.check(&args.dest, args.state_file.is_some())?;
    match &args.points_output {
        Some(path) if PointAudit::format_of(path).is_none() => Err(AppError::usage(
            format!(
                "--points-output {}: its name does not tell the form that it should have",
                path.display()
            ),
            "let it end in .csv, .json, or .ndjson (.jsonl)",
        )),
        _ => Ok(()),
    }
}

fn cannot_write(path: &Path) -> impl FnOnce(io::Error) -> AppError {
    let action = format!("write {}", path.display());
    move |error| AppError::io(action, error)
}

/// `--points-output`, begun before points are read: a place where nothing can be written is told at once.
fn audit(args: &VerifyArgs) -> Result<Option<(&Path, PointAudit)>, AppError> {
    let Some(path) = args.points_output.as_deref() else {
        return Ok(None);
    };
    let format = PointAudit::format_of(path).unwrap_or(OutputFormat::Csv);
    let audit = PointAudit::begin(path, format).map_err(cannot_write(path))?;
    Ok(Some((path, audit)))
}

/// `--missing-output`.
fn write_missing(path: &Path, results: &[VaultVerification]) -> Result<(), AppError> {
    let write = || {
        let mut file = WholeFile::begin(path)?;
        if PointAudit::format_of(path) == Some(OutputFormat::Csv) {
            report::missing_csv(results, &mut file)?;
        } else {
            report::missing_list(results, &mut file)?;
        }
        file.finish()
    };
    write().map_err(cannot_write(path))
}

pub(super) async fn run(args: VerifyArgs, session: &Session) -> Result<Outcome, AppError> {
    let selection = Selection::new(&args.filter).await?;
    let connections = session.connections(&args.connection, &args.source).await;
    let source = connections.source(&args.source).await?;
    let destination = connections.destination(&args.dest).await?;
    selection.load().await?;
    let vaults = vault_choice::choose(&args.vaults, &args.dest, &source).await?;
    let sides = Sides {
        keys: SourceKeys::new(source.clone()),
        source,
        destination,
    };
    let mut audit = audit(&args)?;
    let mut results = Vec::new();
    for vault in &vaults {
        let audit = audit.as_mut().map(|(_, audit)| audit);
        results.push(Box::pin(verify_vault(&args, &sides, vault, &selection, audit)).await?);
    }
    selection.report_unmatched();
    if let Some(path) = &args.missing_output {
        write_missing(path, &results)?;
    }
    if let Some((path, audit)) = audit {
        audit.finish().map_err(cannot_write(path))?;
    }
    let complete = results.iter().all(VaultVerification::is_complete);
    match to_stdout(|out| report::verification(&results, args.form.output, out)) {
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

/// The two accounts.
#[derive(Debug)]
struct Sides {
    source: BackupClient,
    destination: BackupClient,
    /// Keys of the source account.
    keys: SourceKeys,
}

async fn verify_vault(
    args: &VerifyArgs,
    Sides {
        source,
        destination,
        keys,
    }: &Sides,
    chosen: &ChosenVault,
    selection: &Selection,
    mut audit: Option<&mut PointAudit>,
) -> Result<VaultVerification, AppError> {
    let (vault, dest_name) = (&chosen.source, &chosen.destination);
    let dest_arn = BackupVaultArn::new(destination.region(), destination.account(), dest_name);
    let source_points = source.sorted_recovery_points(&vault.name).await?;
    let dest_points = if destination.describe_backup_vault(dest_name).await?.is_some() {
        destination.sorted_recovery_points(dest_name).await?
    } else {
        tracing::warn!(
            "the destination vault {dest_name} does not exist in account {}, Region {}; if the copies are elsewhere, say \
             where with --dest-vault and --dest-region",
            destination.account(),
            destination.region()
        );
        Vec::new()
    };
    let recorded = recorded(args, vault, &dest_arn)?;
    let rules = PlanRules {
        eligibility: EligibilityRules::default(),
        now: Utc::now(),
    };
    let what = Comparison {
        source: &source_points,
        destination: &dest_points,
        recorded: &recorded,
        source_vault_arn: vault.arn.as_str(),
        retention: args.retention,
    };
    let audited = AuditedVault {
        name: vault.name.as_str(),
        destination_arn: dest_arn.as_str(),
        recorded: &recorded,
    };
    let each = |finding: &Finding<'_>| {
        if let Some(audit) = &mut audit {
            audit.point(audited, finding);
        }
    };
    let mut reasons = skip_reasons(&source_points, selection, rules, keys)
        .await
        .into_iter();
    let mut result = compare(&what, |_| reasons.next().flatten(), each);
    result.backup_vault_name = vault.name.to_string();
    result.destination_backup_vault_arn = dest_arn.to_string();
    Ok(result)
}

/// Why points have no copy by design, for each.
async fn skip_reasons(
    points: &[RecoveryPoint],
    selection: &Selection,
    rules: PlanRules,
    keys: &SourceKeys,
) -> Vec<Option<SkipReason>> {
    let mut reasons: Vec<_> = selection
        .with_metadata(points)
        .map(|(point, row)| rules.skip(point, selection.decide(point, row)))
        .collect();
    let mut by_key = PointsByKey::default();
    for ((number, point), _) in (0..)
        .zip(points)
        .zip(&reasons)
        .filter(|(_, reason)| reason.is_none())
    {
        if let Some(key) = rules.deciding_key(point) {
            by_key.add(key, number);
        }
    }
    for number in keys.managed(&by_key).await {
        if let Some(reason) = usize::try_from(number).ok().and_then(|at| reasons.get_mut(at)) {
            *reason = Some(SkipReason::AwsManagedKey);
        }
    }
    reasons
}

/// What the state tells of the points.
fn recorded(args: &VerifyArgs, vault: &BackupVault, dest_arn: &BackupVaultArn) -> Result<Items, AppError> {
    let account = &args.source.source_account;
    let path = if let Some(path) = &args.state_file {
        path.clone()
    } else {
        let Ok(directory) = directory::default_directory() else {
            return Ok(Items::default());
        };
        match location::newest(&directory, account, &vault.name, dest_arn)? {
            None => return Ok(Items::default()),
            Some(Newest { path, heading: Ok(_) }) => path,
            // The record only helps; the vaults themselves are compared.
            Some(Newest {
                heading: Err(error), ..
            }) => {
                tracing::warn!("the record of copies is not used: {error}");
                return Ok(Items::default());
            }
        }
    };
    let loaded = failures::load(&path)?;
    if loaded.header.source_vault != vault.name || loaded.header.destination_vault_arn != *dest_arn {
        let differences = format!(
            "it copies {} to {}",
            loaded.header.source_vault, loaded.header.destination_vault_arn
        );
        return Err(StateError::OtherRun { path, differences }.into());
    }
    tracing::debug!("the record of copies in {} is used", path.display());
    Ok(loaded.items)
}
