//! Recovery points: ListRecoveryPointsByBackupVault.

use std::ops::ControlFlow;

use super::BackupClient;
use crate::aws::convert;
use crate::aws::error::ApiError;
use crate::aws::listing::{Page, Window};
use crate::aws::retry::RetryRule;
use crate::domain::{BackupVaultName, RecoveryPoint};

/// Most points that AWS puts on a page.
const PAGE: i32 = 1000;
const OPERATION: &str = "ListRecoveryPointsByBackupVault";

impl BackupClient {
    async fn recovery_points_page(
        &self,
        vault: &BackupVaultName,
        window: Window,
        next_token: Option<String>,
    ) -> Result<Page<RecoveryPoint>, ApiError> {
        let answer = self
            .call(OPERATION, RetryRule::Repeatable, || {
                self.sdk
                    .list_recovery_points_by_backup_vault()
                    .backup_vault_name(vault.as_str())
                    .set_by_created_after(window.created_after().map(convert::smithy_date))
                    .set_by_created_before(window.created_before().map(convert::smithy_date))
                    .max_results(PAGE)
                    .set_next_token(next_token.clone())
                    .send()
            })
            .await
            .map_err(|error| error.about(vault))?;
        let points = answer.recovery_points.unwrap_or_default().into_iter();
        Ok(Page {
            members: points
                .map(|point| convert::recovery_point(vault, point))
                .collect::<Result<_, _>>()?,
            next_token: answer.next_token,
        })
    }

    /// All points of a vault, page by page in order of arrival, until the last or until `page` breaks.
    /// With one worker for lists, that is AWS's order.
    ///
    /// # Errors
    /// As the calls, and if AWS repeats a page token.
    pub async fn all_recovery_points(
        &self,
        vault: &BackupVaultName,
        page: impl FnMut(Vec<RecoveryPoint>) -> ControlFlow<()>,
    ) -> Result<(), ApiError> {
        let fetch = |window, token| {
            let (client, vault) = (self.clone(), vault.clone());
            async move { client.recovery_points_page(&vault, window, token).await }
        };
        self.listing(OPERATION, Window::default()).read(fetch, page).await
    }

    /// All points of a vault, oldest first.
    ///
    /// # Errors
    /// As [`BackupClient::all_recovery_points`].
    pub async fn sorted_recovery_points(
        &self,
        vault: &BackupVaultName,
    ) -> Result<Vec<RecoveryPoint>, ApiError> {
        let mut points = Vec::new();
        let read = self.all_recovery_points(vault, |page| {
            points.extend(page);
            ControlFlow::Continue(())
        });
        read.await?;
        points.sort_unstable_by(|a, b| {
            (a.creation_date, &a.recovery_point_arn).cmp(&(b.creation_date, &b.recovery_point_arn))
        });
        Ok(points)
    }
}
