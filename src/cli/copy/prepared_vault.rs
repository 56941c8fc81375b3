//! One vault of a run, read and planned, before anything is done.

use std::collections::BTreeSet;

use super::state_file::Opened;
use crate::aws::BackupVault;
use crate::aws::vault_access::{DestVault, VaultSetup};
use crate::cli::args::CopyArgs;
use crate::copy::forecast::{Bounds, Forecast, Mix};
use crate::copy::job_times::JobTimes;
use crate::copy::plan::PlanTally;
use crate::copy::retention::days_kept;
use crate::domain::BackupVaultName;
use crate::report::PlannedVault;
use crate::state::{ItemRow, Items, RunHeader, Standing};
use crate::vault_policy;

/// One vault, ready to be begun.
#[derive(Debug)]
pub(super) struct PreparedVault {
    pub(super) header: RunHeader,
    pub(super) dest_vault: BackupVaultName,
    pub(super) setup: Option<VaultSetup>,
    /// The source vault.
    pub(super) source: BackupVault,
    /// The destination vault as it was read, and what it lacks.
    pub(super) dest: Option<(DestVault, VaultSetup)>,
    /// Key of the destination vault, if it is to be created.
    pub(super) dest_kms_key_arn: Option<String>,
    pub(super) opened: Opened,
    /// The plan of a new run; a loaded state holds its own.
    pub(super) items: Items,
    /// How long copy jobs into the destination have taken.
    pub(super) job_times: JobTimes,
}

impl PreparedVault {
    /// Its items.
    pub(super) fn items(&self) -> &Items {
        self.opened
            .loaded
            .as_ref()
            .map_or(&self.items, |loaded| &loaded.items)
    }

    /// Its part of the plan.
    pub(super) fn planned(&self, bounds: &Bounds) -> PlannedVault {
        let mut setup = Vec::new();
        let mut policy_difference = None;
        if let Some(needed) = &self.setup {
            if needed.create {
                let key = match &self.dest_kms_key_arn {
                    Some(key) => format!("the key {key}"),
                    None => "AWS Backup's default key".to_owned(),
                };
                setup.push(format!(
                    "create the destination vault {} under {key}",
                    self.dest_vault
                ));
            }
            if let Some(change) = &needed.policy {
                setup.push(
                    "let the source account copy into it (one statement is added to its access policy)"
                        .to_owned(),
                );
                let difference = vault_policy::difference(change.old.as_deref(), &change.new);
                policy_difference = Some(difference);
            }
        }
        PlannedVault {
            source: self.header.source_vault.to_string(),
            destination_arn: self.header.destination_vault_arn.to_string(),
            setup,
            policy_difference,
            tally: PlanTally::of(self.items()),
            forecast: Forecast::of(&Mix::of([self.items()]), bounds, &self.job_times),
        }
    }
}

/// How long vaults take together. Those that have one destination know the same jobs.
pub(super) fn forecast(vaults: &[PreparedVault], bounds: &Bounds) -> Forecast {
    let mut job_times = JobTimes::default();
    let mut destinations = BTreeSet::new();
    for vault in vaults {
        if destinations.insert(vault.header.destination_vault_arn.as_str()) {
            job_times.merge(&vault.job_times);
        }
    }
    let mix = Mix::of(vaults.iter().map(PreparedVault::items));
    Forecast::of(&mix, bounds, &job_times)
}

/// Points that wait whose retention a locked vault would refuse, one job after the other.
pub(super) fn outside_of_lock(args: &CopyArgs, vault: &BackupVault, items: &Items) -> usize {
    let is_outside = |row: &ItemRow<'_>| {
        let own = row.lifecycle();
        let sent = args.terms.retention.lifecycle(own.as_ref());
        // What is not sent is the source's.
        let sent = sent.or(own).unwrap_or_default();
        let days = days_kept(&sent);
        vault
            .min_retention_days
            .is_some_and(|min| days.is_some_and(|d| d < min))
            || vault
                .max_retention_days
                .is_some_and(|max| days.is_none_or(|d| d > max))
    };
    let waiting = items.rows().filter(|row| row.standing() == Standing::Pending);
    waiting.filter(is_outside).count()
}
