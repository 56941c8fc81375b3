//! Settings that decide about copies: DescribeGlobalSettings, DescribeRegionSettings.

use std::collections::BTreeMap;

use super::BackupClient;
use crate::aws::error::ApiError;
use crate::aws::retry::RetryRule;

const CROSS_ACCOUNT: &str = "isCrossAccountBackupEnabled";

/// What a Region's settings say of resource types, by AWS's names of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegionSettings {
    /// Whether AWS Backup is to protect the type.
    pub opted_in: BTreeMap<String, bool>,
    /// Whether AWS Backup manages backups of the type fully.
    pub fully_managed: BTreeMap<String, bool>,
}

impl BackupClient {
    /// Whether cross-account backup is switched on in the organization; `None` if AWS does not say.
    ///
    /// # Errors
    /// As the call: AWS answers one outside of an organization.
    pub async fn is_cross_account_backup_enabled(&self) -> Result<Option<bool>, ApiError> {
        let answer = self
            .call("DescribeGlobalSettings", RetryRule::Question, || {
                self.sdk.describe_global_settings().send()
            })
            .await?;
        let flag = answer
            .global_settings()
            .and_then(|settings| settings.get(CROSS_ACCOUNT));
        Ok(flag.map(|value| value.eq_ignore_ascii_case("true")))
    }

    /// The settings of this client's Region.
    ///
    /// # Errors
    /// As the call.
    pub async fn region_settings(&self) -> Result<RegionSettings, ApiError> {
        let answer = self
            .call("DescribeRegionSettings", RetryRule::Question, || {
                self.sdk.describe_region_settings().send()
            })
            .await?;
        Ok(RegionSettings {
            opted_in: answer
                .resource_type_opt_in_preference
                .unwrap_or_default()
                .into_iter()
                .collect(),
            fully_managed: answer
                .resource_type_management_preference
                .unwrap_or_default()
                .into_iter()
                .collect(),
        })
    }
}
