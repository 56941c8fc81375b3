//! What AWS is asked for a preflight beyond the plan: a handful of calls, whatever the number of points.

use std::collections::BTreeMap;

use super::Look;
use crate::aws::{ApiError, BackupClient, KmsKey, PassRole, RegionSettings, Role};
use crate::domain::IamRoleArn;

/// What AWS answered.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) cross_account_backup: Result<Option<bool>, ApiError>,
    pub(super) source_settings: Result<RegionSettings, ApiError>,
    pub(super) dest_settings: Option<Result<RegionSettings, ApiError>>,
    /// Of the role, if it may be one.
    pub(super) role: Option<RoleAnswers>,
    /// Keys of the destination account, by ARN.
    pub(super) keys: BTreeMap<String, Result<KmsKey, ApiError>>,
}

/// What IAM says of the role.
#[derive(Debug)]
pub(super) struct RoleAnswers {
    pub(super) role: Result<Option<Role>, ApiError>,
    pub(super) pass: Result<PassRole, ApiError>,
}

/// The management account switches cross-account backup on for all; any account of the organization may read it.
async fn cross_account_backup(look: &Look<'_>) -> Result<Option<bool>, ApiError> {
    let answer = look.clients.source.is_cross_account_backup_enabled().await;
    match (answer, &look.clients.destination) {
        (Err(error), Some(destination)) => destination.is_cross_account_backup_enabled().await.or(Err(error)),
        (answer, _) => answer,
    }
}

async fn role(source: &BackupClient, role: &IamRoleArn) -> RoleAnswers {
    let (role, pass) = tokio::join!(Box::pin(source.role(role)), Box::pin(source.may_pass(role)));
    RoleAnswers { role, pass }
}

impl Answers {
    /// Asks, all at a time but for the keys, of which there is seldom more than one.
    pub(super) async fn ask(look: &Look<'_>, role_arn: Option<&IamRoleArn>, keys: Vec<String>) -> Self {
        let source = &look.clients.source;
        let destination = look.clients.destination.as_ref();
        let settings = async {
            match destination {
                Some(client) => Some(client.region_settings().await),
                None => None,
            }
        };
        let of_role = async {
            match role_arn {
                Some(arn) => Some(role(source, arn).await),
                None => None,
            }
        };
        let of_keys = async {
            let mut answers = BTreeMap::new();
            if let Some(client) = destination {
                for key in keys {
                    let answer = client.describe_key(&key).await;
                    answers.insert(key, answer);
                }
            }
            answers
        };
        let (cross_account_backup, source_settings, dest_settings, role, keys) = tokio::join!(
            Box::pin(cross_account_backup(look)),
            Box::pin(source.region_settings()),
            Box::pin(settings),
            Box::pin(of_role),
            Box::pin(of_keys)
        );
        Self {
            cross_account_backup,
            source_settings,
            dest_settings,
            role,
            keys,
        }
    }
}
