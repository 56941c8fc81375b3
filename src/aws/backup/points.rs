//! Recovery points: ListRecoveryPointsByBackupVault.

use std::ops::ControlFlow;

use super::BackupClient;
use super::vaults::Pages;
use crate::aws::convert;
use crate::aws::error::ApiError;
use crate::aws::retry::RetryRule;
use crate::domain::{BackupVaultName, RecoveryPoint};

/// Most points that AWS puts on a page.
const PAGE: i32 = 1000;
const OPERATION: &str = "ListRecoveryPointsByBackupVault";

/// One page of recovery points.
#[derive(Debug, Clone, PartialEq)]
pub struct RecoveryPointPage {
    /// The points.
    pub points: Vec<RecoveryPoint>,
    /// Where the next page begins; `None` on the last.
    pub next_token: Option<String>,
}

impl BackupClient {
    /// One page of a vault's points.
    ///
    /// # Errors
    /// As the call.
    pub async fn list_recovery_points(
        &self,
        vault: &BackupVaultName,
        next_token: Option<String>,
    ) -> Result<RecoveryPointPage, ApiError> {
        let answer = self
            .call(OPERATION, RetryRule::Repeatable, || {
                self.sdk
                    .list_recovery_points_by_backup_vault()
                    .backup_vault_name(vault.as_str())
                    .max_results(PAGE)
                    .set_next_token(next_token.clone())
                    .send()
            })
            .await?;
        let points = answer
            .recovery_points()
            .iter()
            .map(|point| convert::recovery_point(vault, point))
            .collect::<Result<_, _>>()?;
        Ok(RecoveryPointPage {
            points,
            next_token: answer.next_token().map(str::to_owned),
        })
    }

    /// All points of a vault, page by page, until the last or until `page` breaks.
    ///
    /// # Errors
    /// As the calls, and if AWS repeats a page token.
    pub async fn all_recovery_points(
        &self,
        vault: &BackupVaultName,
        mut page: impl FnMut(Vec<RecoveryPoint>) -> ControlFlow<()>,
    ) -> Result<(), ApiError> {
        let mut token = None;
        let mut pages = Pages::of(OPERATION);
        loop {
            let answer = self.list_recovery_points(vault, token).await?;
            let members = answer.points.len();
            if page(answer.points).is_break() {
                return Ok(());
            }
            token = pages.next(answer.next_token.as_deref(), members)?;
            if token.is_none() {
                return Ok(());
            }
        }
    }
}
