//! Where a run begins: every item goes where its ledger says that it is.

use chrono::{DateTime, Utc};

use super::driver::Driver;
use super::run::VaultRun;
use super::scheduler::ItemId;
use super::start::{self, Start};
use crate::aws::StartCopyJob;
use crate::domain::IdempotencyToken;
use crate::state::{Item, ItemState};

impl Driver<'_> {
    /// Puts every item where its ledger says that it is.
    pub(super) fn load(&mut self) {
        let now = self.now();
        for vault_index in 0..self.vaults.len() {
            let Ok(vault) = u16::try_from(vault_index) else {
                continue;
            };
            let Some(run) = self.vaults.get(vault_index) else {
                continue;
            };
            let mut pending: Vec<(DateTime<Utc>, u32)> = Vec::new();
            let mut doubtful: Vec<Start> = Vec::new();
            for (index, item) in (0u32..).zip(run.items.iter()) {
                let id = ItemId { vault, index };
                match &item.state {
                    ItemState::Pending => pending.push((item.creation_date, index)),
                    ItemState::Starting { .. } => {
                        self.scheduler
                            .add_in_flight(id, item.resource_arn.as_str(), &item.resource_type);
                        doubtful.push(self.request(id, run, item, true));
                    }
                    ItemState::InFlight { copy_job_id, .. } => {
                        self.scheduler
                            .add_in_flight(id, item.resource_arn.as_str(), &item.resource_type);
                        self.in_flight.insert(copy_job_id.clone(), (id, now));
                        self.poller.watch(copy_job_id.clone(), now);
                    }
                    ItemState::Completed { .. } | ItemState::Failed { .. } | ItemState::Skipped { .. } => {}
                }
            }
            pending.sort_unstable();
            for (_, index) in pending {
                if let Some(item) = run.items.item(index) {
                    let id = ItemId { vault, index };
                    self.scheduler
                        .add_pending(id, item.resource_arn.as_str(), &item.resource_type);
                }
            }
            for start in doubtful {
                self.starts.spawn(start::run(self.client.clone(), start));
            }
        }
    }

    pub(super) fn request(&self, id: ItemId, run: &VaultRun, item: &Item, in_doubt: bool) -> Start {
        let token = match &item.state {
            ItemState::Starting { idempotency_token } => idempotency_token.clone(),
            _ => IdempotencyToken::for_attempt(
                &item.recovery_point_arn,
                &run.destination_vault_arn,
                item.attempt.max(1),
            ),
        };
        Start {
            id,
            request: StartCopyJob {
                recovery_point_arn: item.recovery_point_arn.clone(),
                source_vault: run.source_vault.clone(),
                destination_vault_arn: run.destination_vault_arn.clone(),
                iam_role_arn: self.settings.iam_role_arn.clone(),
                lifecycle: self.settings.retention.lifecycle(item.lifecycle.as_ref()),
                idempotency_token: token,
            },
            in_doubt,
            attempt: item.attempt.max(1),
            // A resumed attempt began at an unknown time in an earlier process.
            since: if in_doubt {
                DateTime::<Utc>::MIN_UTC + chrono::TimeDelta::days(1)
            } else {
                Utc::now()
            },
            grace: self.settings.list_grace,
        }
    }
}

/// When the longest-running known job was started, from which on sweeps have to look.
pub(super) fn oldest_in_flight(vaults: &[VaultRun]) -> Option<DateTime<Utc>> {
    vaults
        .iter()
        .flat_map(|v| v.items.iter())
        .filter_map(|item| match &item.state {
            ItemState::InFlight { since, .. } => Some(*since),
            _ => None,
        })
        .min()
}
