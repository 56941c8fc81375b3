//! AWS Backup's operations, one method each, in domain types.

mod copy_jobs;
mod points;
mod settings;
mod vaults;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_backup::Client;
use aws_sdk_backup::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_backup::operation::RequestId;
use aws_smithy_types::retry::RetryConfig;
use backon::Retryable as _;
use chrono::{DateTime, TimeDelta, Utc};

use super::clock::ReadDate;
use super::credentials::{CredentialsLife, Next, RenewableCredentials};
use super::error::{ApiError, ErrorClass};
use super::keys::KmsClients;
use super::listing::{Listing, Window};
use super::loading::timeouts;
use super::retry::{MOST_RETRIES, RetryRule, backoff};
use super::{Context, SideSettings};
use crate::domain::{AccountId, Region};

pub use copy_jobs::{CopyJobFilter, StartCopyJob, StartedCopyJob};
pub use settings::RegionSettings;
pub use vaults::BackupVault;

/// AWS Backup in one account and Region, under an identity that STS has confirmed.
#[derive(Debug, Clone)]
pub struct BackupClient {
    sdk: Client,
    settings: Arc<SideSettings>,
    credentials: RenewableCredentials,
    context: Context,
    identity: Arc<str>,
    /// What clients of other services of the same account are made of.
    config: Arc<SdkConfig>,
    kms: KmsClients,
}

impl BackupClient {
    pub(super) fn new(
        config: SdkConfig,
        settings: SideSettings,
        credentials: RenewableCredentials,
        context: Context,
        identity: String,
    ) -> Self {
        // The retry layer is ours alone, and so is the caching of credentials: a rejected identity
        // must not come back from a cache that cannot be told.
        let config = config
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
            .identity_cache(IdentityCache::no_cache())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts(&settings))
            .build();
        let backup = aws_sdk_backup::config::Builder::from(&config)
            .interceptor(ReadDate(Arc::clone(&context.clock)))
            .build();
        Self {
            sdk: Client::from_conf(backup),
            config: Arc::new(config),
            kms: KmsClients::default(),
            settings: Arc::new(settings),
            credentials,
            context,
            identity: identity.into(),
        }
    }

    /// The account.
    pub fn account(&self) -> &AccountId {
        &self.settings.account
    }

    /// The Region.
    pub fn region(&self) -> &Region {
        &self.settings.region
    }

    /// ARN of the identity.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The time by AWS's clock: to be compared with dates that AWS gives.
    pub fn aws_now(&self) -> DateTime<Utc> {
        self.context.clock.now()
    }

    /// How far AWS's clock is ahead of ours; nothing if they are about the same.
    pub fn clock_ahead(&self) -> TimeDelta {
        self.context.clock.ahead()
    }

    /// How long the identity's credentials last.
    pub async fn credentials(&self) -> CredentialsLife {
        self.credentials.life().await
    }

    /// Ends every call and wait of the process's clients.
    pub fn cancel(&self) {
        self.context.cancel.cancel();
    }

    /// Waits until [`BackupClient::cancel`] is called.
    pub async fn cancelled(&self) {
        self.context.cancel.cancelled().await;
    }

    /// The configuration of clients of other services: this account's, with this client's credentials. Their
    /// own retries are off, as [`BackupClient::call`] has them.
    pub(super) fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// Clients of KMS that were made already.
    pub(super) fn kms(&self) -> &KmsClients {
        &self.kms
    }

    /// How a list that may be long is read.
    fn listing(&self, operation: &'static str, whole: Window) -> Listing {
        Listing {
            operation,
            whole,
            workers: self.settings.list_workers,
            now: self.aws_now(),
            counters: Arc::clone(&self.context.counters),
        }
    }

    /// Sends a call, again where the rule covers the fault, and with renewed credentials where AWS
    /// rejects those in use.
    pub(super) async fn call<T, E, F, Fut>(
        &self,
        operation: &'static str,
        rule: RetryRule,
        send: F,
    ) -> Result<T, ApiError>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, SdkError<E>>>,
        T: RequestId,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let retries = AtomicUsize::new(0);
        // Whether AWS may have, or get, a request whose answer is not known.
        let under_way = AtomicBool::new(false);
        let attempts = || {
            let number = retries.load(Ordering::Relaxed) + 1;
            self.attempt(operation, (rule, number), &under_way, &send)
        };
        let repeated = attempts
            .retry(backoff())
            .sleep(tokio::time::sleep)
            .when(|error| rule.covers(error))
            .notify(|error: &ApiError, _| {
                let attempt = retries.fetch_add(1, Ordering::Relaxed) + 1;
                self.context.counters.retry();
                tracing::warn!(
                    operation,
                    account = self.account().as_str(),
                    region = self.region().as_str(),
                    cause = error.message,
                    "Transient error: {} (attempt {attempt}/{MOST_RETRIES})",
                    error.code
                );
            });
        tokio::select! {
            result = repeated => result,
            () = self.context.cancel.cancelled() => Err(ApiError::cancelled(operation, under_way.load(Ordering::Relaxed))),
        }
        .map_err(|error| error.at(&self.settings))
    }

    /// One attempt. Rejected credentials are renewed and do not count; nor does, once, a signature that
    /// was made by a clock that is off, because the answer has told the SDK the time to sign by.
    async fn attempt<T, E, F, Fut>(
        &self,
        operation: &'static str,
        (rule, attempt): (RetryRule, usize),
        under_way: &AtomicBool,
        send: &F,
    ) -> Result<T, ApiError>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, SdkError<E>>>,
        T: RequestId,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let mut knows_time = false;
        loop {
            let generation = self.credentials.settled(operation).await?;
            let began = Instant::now();
            self.context.counters.call(operation);
            under_way.store(true, Ordering::Relaxed);
            // Boxed, because the SDK's futures are large and callers hold many.
            let error = match Box::pin(send()).await {
                Ok(answer) => {
                    self.credentials.accepted(operation);
                    let request_id = answer.request_id().unwrap_or("-");
                    let milliseconds = began.elapsed().as_millis();
                    tracing::debug!(operation, milliseconds, request_id, attempt, "AWS answered");
                    return Ok(answer);
                }
                Err(error) => ApiError::from_sdk(operation, &error),
            };
            under_way.store(error.in_doubt(), Ordering::Relaxed);
            let milliseconds = began.elapsed().as_millis();
            tracing::debug!(
                operation,
                milliseconds,
                request_id = error.request_id.as_deref().unwrap_or("-"),
                attempt,
                code = error.code,
                reason = error.message,
                "AWS call failed"
            );
            if error.may_be_of_clock() && !knows_time {
                knows_time = true;
                self.context.counters.retry();
                continue;
            }
            if error.class == ErrorClass::Throttling {
                self.context.counters.throttle();
            }
            if !rule.renews_for(&error) || self.credentials.rejected(generation, &error).await == Next::GiveUp
            {
                return Err(error);
            }
        }
    }
}
