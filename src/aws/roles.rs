//! IAM roles: whether one is there, whom it trusts, and whether the identity may hand it to AWS Backup. Only
//! GetRole and SimulatePrincipalPolicy are ever asked of IAM.

use aws_sdk_iam::Client;
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType};
use percent_encoding::percent_decode_str;

use super::backup::BackupClient;
use super::endpoint::{self, Service};
use super::error::{ApiError, ErrorClass};
use super::retry::RetryRule;
use crate::domain::IamRoleArn;
use crate::domain::arn::split;

const GET_ROLE: &str = "GetRole";
const SIMULATE: &str = "SimulatePrincipalPolicy";
/// Whom the role is passed to.
const BACKUP: &str = "backup.amazonaws.com";
/// What IAM answers for what is not there.
const NO_SUCH_ENTITY: &str = "NoSuchEntity";

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its ARN, with its path.
    pub arn: String,
    /// Whether its trust policy speaks of AWS Backup.
    pub trusts_backup: bool,
}

/// What IAM says of passing a role to AWS Backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassRole {
    /// It may be passed.
    Allowed,
    /// It may not; `true` if a statement says so, and not only none allows it.
    Denied(bool),
    /// It depends on what IAM could not know: names of context keys.
    Depends(Vec<String>),
}

impl BackupClient {
    /// A role of this account, by name; `None` if there is none.
    ///
    /// # Errors
    /// As the call.
    pub async fn role(&self, arn: &IamRoleArn) -> Result<Option<Role>, ApiError> {
        let resource = arn.parts().map_or("", |parts| parts.resource);
        self.role_named(resource.rsplit('/').next().unwrap_or_default())
            .await
    }

    async fn role_named(&self, name: &str) -> Result<Option<Role>, ApiError> {
        let iam = self.iam(GET_ROLE)?;
        let answer = self
            .call(GET_ROLE, RetryRule::Question, || {
                iam.get_role().role_name(name).send()
            })
            .await;
        match answer {
            Ok(answer) => Ok(answer.role().map(|role| {
                // IAM writes the policy as part of a URL.
                let trust = percent_decode_str(role.assume_role_policy_document().unwrap_or_default());
                Role {
                    arn: role.arn().to_owned(),
                    trusts_backup: trust.decode_utf8_lossy().contains(BACKUP),
                }
            })),
            Err(error) if error.code == NO_SUCH_ENTITY => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether this identity may pass a role to AWS Backup, by all policies that IAM knows of it.
    ///
    /// # Errors
    /// As the calls, and if the identity is none that IAM has policies of.
    pub async fn may_pass(&self, role: &IamRoleArn) -> Result<PassRole, ApiError> {
        let unknown = || {
            let message = format!("IAM has no policies of {}", self.identity());
            ApiError::local(SIMULATE, "NoPolicies", message, ErrorClass::Other)
        };
        let parts = split(self.identity()).ok_or_else(unknown)?;
        let kind = parts.resource.split('/').next().unwrap_or_default();
        match (parts.service, kind) {
            ("iam", "root") => Ok(PassRole::Allowed),
            ("iam", "user") => self.simulate(self.identity(), role).await,
            ("sts", "assumed-role") => {
                let name = parts.resource.split('/').nth(1).ok_or_else(unknown)?;
                // A session's ARN does not have the path of its role.
                let plain = format!("arn:{}:iam::{}:role/{name}", parts.partition, parts.account);
                match self.simulate(&plain, role).await {
                    Err(error) if error.code == NO_SUCH_ENTITY => {
                        let found = self.role_named(name).await?.ok_or_else(unknown)?;
                        self.simulate(&found.arn, role).await
                    }
                    answer => answer,
                }
            }
            _ => Err(unknown()),
        }
    }

    async fn simulate(&self, identity: &str, role: &IamRoleArn) -> Result<PassRole, ApiError> {
        let iam = self.iam(SIMULATE)?;
        let passed_to = ContextEntry::builder()
            .context_key_name("iam:PassedToService")
            .context_key_type(ContextKeyTypeEnum::String)
            .context_key_values(BACKUP)
            .build();
        let answer = self
            .call(SIMULATE, RetryRule::Question, || {
                iam.simulate_principal_policy()
                    .policy_source_arn(identity)
                    .action_names("iam:PassRole")
                    .resource_arns(role.as_str())
                    .context_entries(passed_to.clone())
                    .send()
            })
            .await?;
        let result = answer.evaluation_results().first().ok_or_else(|| {
            let message = "AWS answered without EvaluationResults";
            ApiError::local(SIMULATE, "IncompleteResponse", message, ErrorClass::Other)
        })?;
        let missing = result.missing_context_values();
        Ok(match result.eval_decision() {
            PolicyEvaluationDecisionType::Allowed => PassRole::Allowed,
            _ if !missing.is_empty() => PassRole::Depends(missing.to_vec()),
            PolicyEvaluationDecisionType::ExplicitDeny => PassRole::Denied(true),
            _ => PassRole::Denied(false),
        })
    }

    fn iam(&self, operation: &'static str) -> Result<Client, ApiError> {
        endpoint::may_be_asked(Service::Iam)
            .map_err(|problem| ApiError::local(operation, "NoEndpoint", problem, ErrorClass::Other))?;
        Ok(Client::new(self.config()))
    }
}
