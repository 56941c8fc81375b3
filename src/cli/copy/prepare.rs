//! Everything before the first copy job: what is there, what is to be done, and where it is kept.
//! Nothing is changed here.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::plan_file::PlanFile;
use super::planned;
use super::prepared_vault::PreparedVault;
use super::state_file;
use crate::aws::vault_access::{self, DestVault, VaultSetup};
use crate::aws::{BackupClient, custom_endpoint};
use crate::cli::args::CopyArgs;
use crate::cli::connection::Connections;
use crate::cli::copy_args::RetryFailed;
use crate::cli::resume_command;
use crate::cli::selection::Selection;
use crate::cli::vault_choice::{self, ChosenVault, VAULTS_AT_ONCE};
use crate::copy::eligibility::EligibilityRules;
use crate::copy::evidence::Evidence;
use crate::copy::job_times::JobTimes;
use crate::copy::plan::{self, PlanRules};
use crate::copy::source_keys::{PointsByKey, SourceKeys};
use crate::copy::{reconcile, settle};
use crate::domain::selection::Decision;
use crate::domain::{BackupVaultArn, BackupVaultName};
use crate::error::AppError;
use crate::state::{Endpoint, ItemState, Items, RunHeader, StateError, directory, location};
use crate::vault_policy::Copier;

/// The two accounts. The destination's may be missing if its vault is said to be ready.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) source: BackupClient,
    pub(super) destination: Option<BackupClient>,
    /// Keys of the source account.
    pub(super) keys: SourceKeys,
}

/// What is behind the AWS client.
pub(super) fn endpoint() -> Endpoint {
    match custom_endpoint() {
        Some(custom) if custom.simulated => Endpoint::Simulated,
        _ => Endpoint::Aws,
    }
}

/// The destination vault as it is at this moment, if it is there, and what has to be done to it.
pub(super) async fn destination(
    args: &CopyArgs,
    client: &BackupClient,
    name: &BackupVaultName,
    header: &RunHeader,
) -> Result<(DestVault, VaultSetup), AppError> {
    let dest = vault_access::read(client, name).await?;
    let copier = Copier {
        account: &header.source_account,
        partition: client.region().partition(),
        role: &args.role(&header.region),
        vault: &header.destination_vault_arn,
    };
    let setup = vault_access::needed(&dest, name, copier)?;
    Ok((dest, setup))
}

/// Reads everything and plans.
pub(super) struct Preparation<'a> {
    pub(super) args: &'a CopyArgs,
    pub(super) connections: &'a Connections,
    pub(super) selection: &'a Selection,
    /// What `--plan` names: nothing else is copied.
    pub(super) plan: Option<&'a PlanFile>,
    pub(super) run_id: &'a str,
    pub(super) now: DateTime<Utc>,
    /// Whether it is only to be told what there is: the destination is read even if it is left alone.
    pub(super) only_looks: bool,
}

impl Preparation<'_> {
    /// Both identities.
    pub(super) async fn connect(&self) -> Result<Clients, AppError> {
        let source = self.connections.source(&self.args.terms.source).await?;
        let destination = match self.connections.destination(&self.args.terms.dest).await {
            Ok(client) => Some(client),
            Err(error) if self.args.terms.skip_dest_setup => {
                tracing::warn!(
                    "{error}; going on without, as --skip-dest-setup says that the vault is ready"
                );
                None
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Clients {
            keys: SourceKeys::new(source.clone()),
            source,
            destination,
        })
    }

    /// All vaults of the run, several at a time.
    pub(super) async fn vaults(&self, clients: &Clients) -> Result<Vec<PreparedVault>, AppError> {
        let chosen =
            vault_choice::choose(&self.args.terms.vaults, &self.args.terms.dest, &clients.source).await?;
        if chosen.is_empty() {
            tracing::warn!("no backup vault holds a recovery point: there is nothing to copy");
        }
        self.require_a_state(&chosen)?;
        let prepare = |chosen| Box::pin(self.vault(clients, chosen));
        let vaults = stream::iter(chosen).map(prepare).buffered(VAULTS_AT_ONCE);
        vaults.try_collect().await
    }

    /// A run of several vaults goes on if one of them has begun: the others were not reached, or are new.
    fn require_a_state(&self, chosen: &[ChosenVault]) -> Result<(), AppError> {
        if !self.args.resume || !self.args.terms.vaults.may_be_several() {
            return Ok(());
        }
        let directory = directory::default_directory()?;
        for vault in chosen {
            let header = self.header(&vault.source.name, &vault.destination);
            let (account, destination) = (&header.source_account, &header.destination_vault_arn);
            if location::newest(&directory, account, &vault.source.name, destination)?.is_some() {
                return Ok(());
            }
        }
        let names: Vec<_> = chosen.iter().map(|vault| vault.source.name.as_str()).collect();
        let looked_for = format!(
            "no state of any of the vaults {} is in {}",
            names.join(", "),
            directory.display()
        );
        Err(StateError::NothingToResume { looked_for }.into())
    }

    /// One vault.
    pub(super) async fn vault(
        &self,
        clients: &Clients,
        chosen: ChosenVault,
    ) -> Result<PreparedVault, AppError> {
        let ChosenVault {
            source: vault,
            destination: dest_vault,
        } = chosen;
        let name = &vault.name;
        let header = self.header(name, &dest_vault);
        let is_left_alone = self.args.terms.skip_dest_setup;
        let dest = match &clients.destination {
            Some(client) if !is_left_alone || self.only_looks => {
                Some(destination(self.args, client, &dest_vault, &header).await?)
            }
            _ => None,
        };
        let needed = dest.as_ref().map(|(_, setup)| setup);
        let setup = needed
            .filter(|setup| setup.is_needed() && !is_left_alone)
            .cloned();
        let mut opened = state_file::choose(self.args, &header)?;
        if self.plan.is_none() {
            self.selection.load().await?;
        }
        let mut items = Items::default();
        let mut job_times = JobTimes::default();
        if let Some(loaded) = &mut opened.loaded {
            self.follow_up(clients, name, &header, loaded).await?;
        } else {
            items = self.list(clients, name).await?;
        }
        if !self.args.terms.no_reconcile {
            let ledger = match &mut opened.loaded {
                Some(loaded) => (&mut loaded.items, true),
                None => (&mut items, false),
            };
            job_times = self
                .reconcile(clients, &header, &dest_vault, &vault.arn, ledger)
                .await?;
        }
        Ok(PreparedVault {
            header,
            dest_vault,
            setup,
            source: vault,
            dest,
            dest_kms_key_arn: self.args.terms.dest_kms_key_arn.clone(),
            opened,
            items,
            job_times,
        })
    }

    fn header(&self, vault: &BackupVaultName, dest_vault: &BackupVaultName) -> RunHeader {
        let dest_region = self.connections.dest_region(&self.args.terms.dest);
        RunHeader {
            run_id: self.run_id.to_owned(),
            created_by: concat!("shuffle-aws-vaults ", env!("CARGO_PKG_VERSION")).to_owned(),
            created_at: self.now,
            endpoint: endpoint(),
            source_account: self.args.terms.source.source_account.clone(),
            dest_account: self.args.terms.dest.dest_account.clone(),
            region: self.connections.region().clone(),
            destination_vault_arn: BackupVaultArn::new(
                &dest_region,
                &self.args.terms.dest.dest_account,
                dest_vault,
            ),
            dest_region,
            source_vault: vault.clone(),
            selection: self.selection_text(),
            resume_command: resume_command::typed(),
        }
    }

    /// All that decides which points are wanted: if it changes, a resumed run is planned anew.
    pub(super) fn selection_text(&self) -> String {
        let mut text = match self.plan {
            Some(plan) => plan.describe(),
            None => self.selection.describe(),
        };
        if self.args.terms.include_expired {
            text.push_str("; expired ones too");
        }
        if self.args.terms.try_all {
            text.push_str("; whatever AWS is known to refuse");
        }
        if let Some(days) = self.args.terms.min_remaining_days {
            let _ = write!(text, "; at least {days} days left");
        }
        text
    }

    /// Settles what waits against what the destination has; answers how long former jobs took.
    async fn reconcile(
        &self,
        clients: &Clients,
        header: &RunHeader,
        dest_vault: &BackupVaultName,
        source_vault_arn: &BackupVaultArn,
        (items, resumed): (&mut Items, bool),
    ) -> Result<JobTimes, AppError> {
        let evidence = Evidence::of(items, source_vault_arn.as_str(), Utc::now());
        let dest = clients.destination.as_ref();
        let dest_vault_arn = &header.destination_vault_arn;
        let mut job_times = JobTimes::default();
        let findings = reconcile::read(
            &clients.source,
            dest,
            dest_vault,
            dest_vault_arn,
            evidence,
            &mut job_times,
        )
        .await?;
        if resumed {
            if !self.args.terms.force_recopy {
                let records = settle::settle_loaded(items, &findings);
                items.apply_all(&records).map_err(StateError::from)?;
            }
        } else {
            settle::settle_new(items, &findings, self.args.terms.force_recopy).map_err(StateError::from)?;
        }
        Ok(job_times)
    }

    async fn list(&self, clients: &Clients, vault: &BackupVaultName) -> Result<Items, AppError> {
        let eligibility = EligibilityRules {
            include_expired: self.args.terms.include_expired,
            try_all: self.args.terms.try_all,
            min_remaining_days: self.args.terms.min_remaining_days,
        };
        let rules = PlanRules {
            eligibility,
            now: self.now,
        };
        let mut items = Items::default();
        let mut keys = PointsByKey::default();
        let pages = clients.source.all_recovery_points(vault, |page| {
            for (point, row) in self.selection.with_metadata(&page) {
                let decision = match self.plan {
                    // The plan has been selected from already.
                    Some(_) => Decision::Selected,
                    None => self.selection.decide(point, row),
                };
                let item = rules.item(point, decision);
                if let Some(number) = items.add(&item)
                    && item.state == ItemState::Pending
                    && let Some(key) = rules.deciding_key(point)
                {
                    keys.add(key, number);
                }
            }
            ControlFlow::Continue(())
        });
        pages.await?;
        let marked = clients.keys.skip_managed(&mut items, &keys).await;
        marked.map_err(StateError::from)?;
        if let Some(plan) = self.plan {
            let others = planned::others(plan, vault, &items);
            items.apply_all(&others).map_err(StateError::from)?;
        }
        Ok(items)
    }

    /// Brings a loaded state in line with changed filters and `--retry-failed`.
    async fn follow_up(
        &self,
        clients: &Clients,
        vault: &BackupVaultName,
        header: &RunHeader,
        loaded: &mut crate::state::Loaded,
    ) -> Result<(), AppError> {
        loaded.header.resume_command.clone_from(&header.resume_command);
        let mut records = Vec::new();
        if loaded.header.selection != header.selection {
            tracing::warn!(
                "the filters have changed from \"{}\" to \"{}\": planning anew, and keeping what is done",
                loaded.header.selection,
                header.selection
            );
            loaded.header.selection.clone_from(&header.selection);
            records = plan::replan(&loaded.items, self.list(clients, vault).await?.iter());
        }
        let wanted = &self.args.retry_failed;
        let is_wanted = |cause| {
            wanted
                .iter()
                .any(|w| [RetryFailed::All, RetryFailed::Of(cause)].contains(w))
        };
        records.extend(plan::retry_failed(&loaded.items, is_wanted));
        loaded.items.apply_all(&records).map_err(StateError::from)?;
        Ok(())
    }
}
