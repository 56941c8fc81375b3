//! `--plan`: a run that copies exactly what a plan says, or tells what has changed since it was made.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::plan_file::{PlanFile, PlanHeader, PlanPoint, PlanVault};
use super::prepare::Preparation;
use super::prepared_vault::PreparedVault;
use crate::cli::args::CopyArgs;
use crate::copy::eligibility::SkipReason;
use crate::copy::retention::Retention;
use crate::domain::{BackupVaultName, RecoveryPointArn, Region};
use crate::error::AppError;
use crate::report::Plan;
use crate::state::{Items, JournalRecord, Standing};

/// Differences that are told one by one.
const MOST_TOLD: usize = 10;

/// What a plan and a command line, or what is there now, say differently.
#[derive(Debug, Default)]
struct Differences(Vec<String>);

impl Differences {
    fn of(&mut self, what: &str, planned: &(impl Display + PartialEq), now: &(impl Display + PartialEq)) {
        let (planned, now) = (planned.to_string(), now.to_string());
        if planned != now {
            self.0
                .push(format!("{what} is {planned} in the plan and {now} here"));
        }
    }

    /// An option that was left out is the plan's.
    fn option<T: Display + PartialEq + Clone>(
        &mut self,
        option: &str,
        planned: Option<&T>,
        own: &mut Option<T>,
    ) {
        match (own.as_ref(), planned) {
            (Some(own), Some(planned)) => self.of(option, planned, own),
            (Some(own), None) => self
                .0
                .push(format!("{option} is {own} here, and the plan has none")),
            (None, planned) => *own = planned.cloned(),
        }
    }

    fn flag(&mut self, flag: &str, planned: bool, own: &mut bool) {
        if *own && !planned {
            self.0
                .push(format!("{flag} is set here, and was not in the plan"));
        }
        *own = planned;
    }

    /// # Errors
    /// If there are any.
    fn none(self, plan: &PlanFile) -> Result<(), AppError> {
        let count = self.0.len();
        if count == 0 {
            return Ok(());
        }
        let more = match count.saturating_sub(MOST_TOLD) {
            0 => String::new(),
            n => format!("; and {n} more"),
        };
        let told: Vec<String> = self.0.into_iter().take(MOST_TOLD).collect();
        Err(AppError::usage(
            format!(
                "the plan {} cannot be done as it is: {}{more}",
                plan.path.display(),
                told.join("; ")
            ),
            "nothing was changed. Leave out the options that differ, or make a new plan with --dry-run --plan-out",
        ))
    }
}

/// Makes the plan's options those of the run.
///
/// # Errors
/// If an option was given that differs from the plan's.
pub(super) fn take_over(
    plan: &PlanFile,
    args: &mut CopyArgs,
    region: &mut Option<Region>,
) -> Result<(), AppError> {
    let header = &plan.header;
    let mut differences = Differences::default();
    differences.of(
        "the source account",
        &header.source_account,
        &args.terms.source.source_account,
    );
    differences.of(
        "the destination account",
        &header.dest_account,
        &args.terms.dest.dest_account,
    );
    differences.option("--region", Some(&header.region), region);
    differences.option(
        "--dest-region",
        Some(&header.dest_region),
        &mut args.terms.dest.dest_region,
    );
    differences.option(
        "--iam-role-arn",
        Some(&header.iam_role_arn),
        &mut args.terms.iam_role_arn,
    );
    differences.option(
        "--dest-kms-key-arn",
        header.dest_kms_key_arn.as_ref(),
        &mut args.terms.dest_kms_key_arn,
    );
    differences.option(
        "--min-remaining-days",
        header.min_remaining_days.as_ref(),
        &mut args.terms.min_remaining_days,
    );
    differences.flag(
        "--include-expired",
        header.include_expired,
        &mut args.terms.include_expired,
    );
    differences.flag("--try-all", header.try_all, &mut args.terms.try_all);
    differences.flag(
        "--skip-dest-setup",
        header.skip_dest_setup,
        &mut args.terms.skip_dest_setup,
    );
    differences.flag(
        "--no-reconcile",
        header.no_reconcile,
        &mut args.terms.no_reconcile,
    );
    differences.flag(
        "--force-recopy",
        header.force_recopy,
        &mut args.terms.force_recopy,
    );
    let planned: Retention = header.retention.parse().map_err(|error| {
        AppError::usage(
            format!("--plan {}: retention: {error}", plan.path.display()),
            "make the plan anew",
        )
    })?;
    if args.terms.retention != Retention::default() {
        differences.of("--retention", &planned, &args.terms.retention);
    }
    args.terms.retention = planned;
    if args.terms.vaults.is_empty() {
        if let Some(dest_vault) = &args.terms.dest.dest_vault {
            let planned = header
                .vaults
                .iter()
                .map(|vault| &vault.destination_backup_vault_name);
            planned.for_each(|planned| differences.of("--dest-vault", planned, dest_vault));
        }
        let pair = |vault: &PlanVault| {
            (
                vault.backup_vault_name.clone(),
                vault.destination_backup_vault_name.clone(),
            )
        };
        args.terms.vaults.pairs = header.vaults.iter().map(pair).collect();
    }
    differences.none(plan)?;
    args.terms
        .vaults
        .check(&args.terms.dest, args.terms.state_file.is_some())
}

impl Preparation<'_> {
    /// The header of the plan file of this run.
    pub(super) fn plan_header(&self, plan: &Plan, vaults: &[PreparedVault]) -> PlanHeader {
        let args = self.args;
        let (format, version) = PlanHeader::form();
        let region = self.connections.region().clone();
        let vault = |(planned, vault): (&crate::report::PlannedVault, &PreparedVault)| {
            let total = planned.tally.to_copy_total();
            PlanVault {
                backup_vault_name: vault.header.source_vault.clone(),
                destination_backup_vault_name: vault.dest_vault.clone(),
                setup: planned.setup.clone(),
                policy_difference: planned.policy_difference.clone(),
                to_copy: total.points,
                bytes_to_copy: total.bytes,
            }
        };
        PlanHeader {
            format,
            version,
            created_by: concat!("shuffle-aws-vaults ", env!("CARGO_PKG_VERSION")).to_owned(),
            created_at: self.now,
            endpoint: super::prepare::endpoint(),
            source_account: args.terms.source.source_account.clone(),
            dest_account: args.terms.dest.dest_account.clone(),
            iam_role_arn: args.role(&region),
            dest_region: self.connections.dest_region(&args.terms.dest),
            region,
            retention: args.terms.retention.to_string(),
            selection: self.selection.describe(),
            min_remaining_days: args.terms.min_remaining_days,
            include_expired: args.terms.include_expired,
            try_all: args.terms.try_all,
            skip_dest_setup: args.terms.skip_dest_setup,
            dest_kms_key_arn: args.terms.dest_kms_key_arn.clone(),
            no_reconcile: args.terms.no_reconcile,
            force_recopy: args.terms.force_recopy,
            vaults: plan.vaults.iter().zip(vaults).map(vault).collect(),
        }
    }

    /// Compares the plan with what is there now. What has come since is left alone and is no difference.
    ///
    /// # Errors
    /// If the plan cannot be done exactly.
    pub(super) fn require_plan(&self, now: &Plan, vaults: &[PreparedVault]) -> Result<(), AppError> {
        // A run that goes on has begun the plan, and so has changed what the plan was made from.
        let Some(plan) = self.plan.filter(|_| !self.args.resume) else {
            return Ok(());
        };
        let found = self.plan_header(now, vaults);
        let mut differences = Differences::default();
        if plan.header.endpoint != found.endpoint {
            let what = "it was made against another AWS endpoint: a rehearsal is no plan for AWS";
            differences.0.push(what.to_owned());
        }
        if found.selection != "all" {
            differences.of("the selection", &plan.header.selection, &found.selection);
        }
        differences.vaults(&plan.header.vaults, &found.vaults);
        for vault in vaults {
            differences.points(plan, vault, self.args.terms.retention)?;
        }
        differences.none(plan)
    }
}

impl Differences {
    fn vaults(&mut self, planned: &[PlanVault], found: &[PlanVault]) {
        for vault in found {
            let name = &vault.backup_vault_name;
            let Some(planned) = planned.iter().find(|planned| planned.backup_vault_name == *name) else {
                self.0.push(format!("the vault {name} is not in the plan"));
                continue;
            };
            self.of(
                &format!("the destination of {name}"),
                &planned.destination_backup_vault_name,
                &vault.destination_backup_vault_name,
            );
            if (&planned.setup, &planned.policy_difference) != (&vault.setup, &vault.policy_difference) {
                let words = |setup: &[String]| match setup {
                    [] => "nothing".to_owned(),
                    steps => steps.join(" and "),
                };
                self.0.push(format!(
                    "the set-up of {} was to be: {}; and is now: {}{}",
                    planned.destination_backup_vault_name,
                    words(&planned.setup),
                    words(&vault.setup),
                    if planned.setup == vault.setup {
                        ", with another statement"
                    } else {
                        ""
                    }
                ));
            }
        }
        for vault in planned {
            if !found
                .iter()
                .any(|found| found.backup_vault_name == vault.backup_vault_name)
            {
                self.0.push(format!(
                    "the vault {} is not copied here",
                    vault.backup_vault_name
                ));
            }
        }
    }

    /// Points of the plan that cannot be copied as it says, by what has become of them.
    fn points(
        &mut self,
        plan: &PlanFile,
        vault: &PreparedVault,
        retention: Retention,
    ) -> Result<(), AppError> {
        let name = &vault.header.source_vault;
        let mut changed: BTreeMap<String, (usize, RecoveryPointArn)> = BTreeMap::new();
        let mut add = |what: String, arn: RecoveryPointArn| changed.entry(what).or_insert((0, arn)).0 += 1;
        let mut seen = 0;
        for row in vault.items().rows() {
            let arn = row.recovery_point_arn();
            if !plan.has(name, &arn) {
                continue;
            }
            seen += 1;
            let sent = retention.lifecycle(row.lifecycle().as_ref());
            match row.standing() {
                Standing::Skipped => add(format!("skipped as {}", row.skip_reason()), arn),
                Standing::Pending if plan.has_with(name, &arn, sent.as_ref()) => {}
                Standing::Pending => add("given another retention".to_owned(), arn),
                _ => add("being copied already".to_owned(), arn),
            }
        }
        let planned = plan
            .header
            .vaults
            .iter()
            .find(|planned| planned.backup_vault_name == *name);
        if planned.is_some_and(|planned| planned.to_copy > seen) {
            for arn in gone(plan, vault.items(), name.as_str())? {
                add("gone from the vault".to_owned(), arn);
            }
        }
        for (what, (count, arn)) in changed {
            self.0
                .push(format!("{count} points of {name} would be {what}, such as {arn}"));
        }
        Ok(())
    }
}

/// The points of a vault that are in the plan and no longer in the vault.
fn gone(plan: &PlanFile, items: &Items, vault: &str) -> Result<Vec<RecoveryPointArn>, AppError> {
    let mut gone = Vec::new();
    plan.each_point(|point: PlanPoint| {
        if point.backup_vault_name.as_str() == vault && items.get(&point.recovery_point_arn).is_none() {
            gone.push(point.recovery_point_arn);
        }
    })?;
    Ok(gone)
}

/// The records that pass over what could be copied and is not in a plan.
pub(super) fn others(plan: &PlanFile, vault: &BackupVaultName, items: &Items) -> Vec<JournalRecord> {
    let waiting = items.rows().filter(|row| row.standing() == Standing::Pending);
    let arns = waiting.map(|row| row.recovery_point_arn());
    let others = arns.filter(|arn| !plan.has(vault, arn));
    let skipped = others.map(|recovery_point_arn| JournalRecord::Skipped {
        recovery_point_arn,
        reason: SkipReason::NotInPlan.as_str().into(),
    });
    skipped.collect()
}

/// The points that a vault's part of a plan copies.
pub(super) fn points(vault: &PreparedVault, retention: Retention) -> impl Iterator<Item = PlanPoint> {
    let waiting = vault
        .items()
        .rows()
        .filter(|row| row.standing() == Standing::Pending);
    waiting.map(move |row| PlanPoint {
        backup_vault_name: vault.header.source_vault.clone(),
        recovery_point_arn: row.recovery_point_arn(),
        resource_arn: row.resource_arn(),
        resource_type: row.resource_type().to_string(),
        creation_date: row.creation_date(),
        backup_size_bytes: row.backup_size_bytes(),
        lifecycle: retention.lifecycle(row.lifecycle().as_ref()),
    })
}
