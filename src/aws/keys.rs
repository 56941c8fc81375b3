//! KMS keys: DescribeKey. That is all that is ever asked of KMS.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::types::KeyManagerType;
use aws_types::region::Region;

use super::backup::BackupClient;
use super::endpoint::{self, Service};
use super::error::{ApiError, ErrorClass};
use super::retry::RetryRule;
use crate::domain::arn;

const OPERATION: &str = "DescribeKey";

/// A KMS key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsKey {
    /// Its ARN, even if an alias was asked for.
    pub arn: String,
    /// Whether AWS manages it for one of its services (`aws/ebs`, `aws/rds`, ...): no other account can be
    /// let use it.
    pub by_aws: bool,
    /// Whether it can be used.
    pub enabled: bool,
}

/// Clients of KMS, by Region. A client has its own connections and certificates: one is made for many questions.
#[derive(Debug, Clone, Default)]
pub(super) struct KmsClients(Arc<Mutex<BTreeMap<String, Client>>>);

impl KmsClients {
    fn of_region(&self, region: &str, config: &SdkConfig) -> Client {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let config = aws_sdk_kms::config::Builder::from(config);
            Client::from_conf(config.region(Region::new(region.to_owned())).build())
        };
        clients.entry(region.to_owned()).or_insert_with(new).clone()
    }
}

impl BackupClient {
    /// A key of this account, by the ARN of the key or of an alias; in the Region of the ARN.
    ///
    /// # Errors
    /// As the call, and without one in a rehearsal that has no KMS.
    pub async fn describe_key(&self, key_arn: &str) -> Result<KmsKey, ApiError> {
        let wrong =
            |message: String| ApiError::local(OPERATION, "InvalidArn", message, ErrorClass::InvalidRequest);
        let parts = arn::split(key_arn).filter(|parts| parts.service == "kms");
        let parts = parts.ok_or_else(|| wrong(format!("`{key_arn}` is no ARN of a KMS key")))?;
        endpoint::may_be_asked(Service::Kms)
            .map_err(|problem| ApiError::local(OPERATION, "NoEndpoint", problem, ErrorClass::Other))?;
        let kms = self.kms().of_region(parts.region, self.config());
        let answer = self
            .call(OPERATION, RetryRule::Question, || {
                kms.describe_key().key_id(key_arn).send()
            })
            .await
            .map_err(|error| error.about(key_arn))?;
        let incomplete = |member: &str| {
            let message = format!("AWS answered without {member}");
            ApiError::local(OPERATION, "IncompleteResponse", message, ErrorClass::Other)
        };
        let key = answer.key_metadata().ok_or_else(|| incomplete("KeyMetadata"))?;
        Ok(KmsKey {
            arn: key.arn().unwrap_or(key_arn).to_owned(),
            by_aws: *key.key_manager().ok_or_else(|| incomplete("KeyManager"))? == KeyManagerType::Aws,
            enabled: key.enabled(),
        })
    }
}
