//! Credentials that can be renewed in the middle of a run: once for all callers, from a fresh load
//! of the AWS configuration, and never of another account than the one that was asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use tokio::sync::{Mutex, oneshot};
use tokio::time::Instant;

use super::error::{ApiError, ErrorClass, chain};
use super::{Context, CredentialPrompt, SideSettings};
use crate::domain::AccountId;

/// Credentials are renewed this long before they expire.
const EARLY: Duration = Duration::from_mins(2);
/// Renewals in a row that may fail before the operator is needed.
const MOST_RENEWALS: u32 = 3;
/// Time between looks for renewed credentials where nobody can be asked.
const WAIT_STEP: Duration = Duration::from_secs(15);

/// The AWS configuration of one side, loaded afresh.
pub(super) async fn load_config(settings: &SideSettings, profile: Option<&str>) -> SdkConfig {
    let timeouts = timeouts(settings);
    let mut loader = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12())
        .region(aws_config::Region::new(settings.region.as_str().to_owned()))
        .retry_config(RetryConfig::standard())
        .timeout_config(timeouts);
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    let config = loader.load().await;
    let Some(role) = &settings.role_arn else {
        return config;
    };
    let mut provider = AssumeRoleProvider::builder(role.as_str())
        .session_name(
            settings
                .role_session_name
                .as_deref()
                .unwrap_or("shuffle-aws-vaults"),
        )
        .region(aws_config::Region::new(settings.region.as_str().to_owned()))
        .configure(&config);
    if let Some(external_id) = &settings.external_id {
        provider = provider.external_id(external_id);
    }
    let provider = match config.credentials_provider() {
        Some(base) => provider.build_from_provider(base).await,
        None => provider.build().await,
    };
    config
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(provider))
        .build()
}

/// Every call has an end: without these the SDK waits for ever for an answer that does not begin.
pub(super) fn timeouts(settings: &SideSettings) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.read_timeout)
        .operation_attempt_timeout(settings.connect_timeout + settings.read_timeout * 2)
        .build()
}

/// Account and ARN that STS names for a configuration's credentials.
///
/// # Errors
/// As the call, or as the credentials provider.
pub(super) async fn caller(config: &SdkConfig) -> Result<(String, String), ApiError> {
    const OPERATION: &str = "GetCallerIdentity";
    let client = aws_sdk_sts::Client::new(config);
    let answer = client
        .get_caller_identity()
        .send()
        .await
        .map_err(|error| ApiError::from_sdk(OPERATION, &error))?;
    let none = |member: &str| {
        ApiError::local(
            OPERATION,
            "IncompleteResponse",
            format!("no {member}"),
            ErrorClass::Other,
        )
    };
    Ok((
        answer.account().ok_or_else(|| none("Account"))?.to_owned(),
        answer.arn().ok_or_else(|| none("Arn"))?.to_owned(),
    ))
}

/// What a caller whose credentials were rejected does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Send the call again.
    TryAgain,
    /// Give up: nobody renewed them.
    GiveUp,
}

/// The credentials of one side.
#[derive(Debug, Clone)]
pub(super) struct RenewableCredentials {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: SideSettings,
    profile: Option<String>,
    context: Context,
    /// Held while renewing, so that one renewal serves all who wait.
    slot: Mutex<Option<Credentials>>,
    generation: AtomicU64,
    failures: AtomicU32,
}

impl RenewableCredentials {
    /// Credentials of `settings`, from `profile` if one was named or found.
    pub(super) fn new(settings: SideSettings, profile: Option<String>, context: Context) -> Self {
        Self {
            shared: Arc::new(Shared {
                settings,
                profile,
                context,
                slot: Mutex::new(None),
                generation: AtomicU64::new(0),
                failures: AtomicU32::new(0),
            }),
        }
    }

    /// Number of the credentials in use, once no renewal is under way; a caller notes it before it
    /// sends. Waiting here, and not inside of the call, keeps a long renewal from looking like a
    /// time-out of the call.
    pub(super) async fn settled(&self) -> u64 {
        drop(self.shared.slot.lock().await);
        self.generation()
    }

    fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// AWS accepted them.
    pub(super) fn accepted(&self) {
        if self.shared.failures.load(Ordering::Relaxed) != 0 {
            self.shared.failures.store(0, Ordering::Relaxed);
        }
    }

    /// AWS rejected those of `generation`: renews them, or waits for somebody who does.
    pub(super) async fn rejected(&self, generation: u64, error: &ApiError) -> Next {
        let shared = &self.shared;
        let mut slot = shared.slot.lock().await;
        if self.generation() != generation {
            return Next::TryAgain;
        }
        tracing::warn!("Credential error detected: {}", error.code);
        while shared.failures.fetch_add(1, Ordering::Relaxed) < MOST_RENEWALS {
            tracing::info!("Refreshing credentials and retrying...");
            match shared.load().await {
                Ok(fresh) => {
                    self.replace(&mut slot, fresh);
                    return Next::TryAgain;
                }
                Err(problem) => tracing::warn!("refreshed credentials do not work: {problem}"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        match shared.await_renewal(error).await {
            Some(fresh) => {
                self.replace(&mut slot, fresh);
                Next::TryAgain
            }
            None => Next::GiveUp,
        }
    }

    fn replace(&self, slot: &mut Option<Credentials>, fresh: Credentials) {
        *slot = Some(fresh);
        self.shared.context.counters.renewal();
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
    }

    async fn current(&self) -> Result<Credentials, CredentialsError> {
        let mut slot = self.shared.slot.lock().await;
        let fresh_enough = |c: &Credentials| c.expiry().is_none_or(|at| at > SystemTime::now() + EARLY);
        if let Some(credentials) = slot.as_ref().filter(|c| fresh_enough(c)) {
            return Ok(credentials.clone());
        }
        match self.shared.load_unchecked().await {
            Ok(fresh) => {
                *slot = Some(fresh.clone());
                Ok(fresh)
            }
            // Old ones may still live for a moment.
            Err(error) => match slot
                .as_ref()
                .filter(|c| c.expiry().is_some_and(|at| at > SystemTime::now()))
            {
                Some(credentials) => Ok(credentials.clone()),
                None => Err(error),
            },
        }
    }
}

impl Shared {
    async fn load_unchecked(&self) -> Result<Credentials, CredentialsError> {
        let config = load_config(&self.settings, self.profile.as_deref()).await;
        match config.credentials_provider() {
            Some(provider) => provider.provide_credentials().await,
            None => Err(CredentialsError::not_loaded(
                "no credentials provider is configured",
            )),
        }
    }

    /// Loads credentials and has STS confirm that they work and whose they are.
    async fn load(&self) -> Result<Credentials, String> {
        let config = load_config(&self.settings, self.profile.as_deref()).await;
        let provider = config
            .credentials_provider()
            .ok_or("no credentials provider is configured")?;
        let credentials = provider.provide_credentials().await.map_err(|e| chain(&e))?;
        let checked = config
            .clone()
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
            .build();
        let (account, _) = caller(&checked).await.map_err(|e| e.to_string())?;
        require_account(&account, &self.settings.account)?;
        Ok(credentials)
    }

    /// After the last failed renewal: asks on a terminal, else looks again and again.
    async fn await_renewal(&self, error: &ApiError) -> Option<Credentials> {
        let deadline = Instant::now() + self.settings.credential_wait;
        if self.context.prompts.is_none() {
            tracing::warn!(
                "the {} credentials do not work any more; waiting up to {} s for renewed ones",
                self.settings.side,
                self.settings.credential_wait.as_secs()
            );
        }
        loop {
            if let Some(prompts) = &self.context.prompts {
                let (done, answer) = oneshot::channel();
                let prompt = CredentialPrompt {
                    side: self.settings.side,
                    account: self.settings.account.clone(),
                    problem: error.to_string(),
                    done,
                };
                prompts.send(prompt).await.ok()?;
                let renewed = tokio::select! {
                    renewed = answer => renewed.unwrap_or(false),
                    () = self.context.cancel.cancelled() => false,
                };
                if !renewed {
                    return None;
                }
            } else {
                let step = WAIT_STEP.min(deadline.saturating_duration_since(Instant::now()));
                if step.is_zero() {
                    return None;
                }
                tokio::select! {
                    () = tokio::time::sleep(step) => {}
                    () = self.context.cancel.cancelled() => return None,
                }
            }
            match self.load().await {
                Ok(fresh) => return Some(fresh),
                Err(problem) => tracing::warn!("renewed credentials do not work: {problem}"),
            }
        }
    }
}

/// Renewed credentials must be of the same account: a login into another one is no renewal.
fn require_account(found: &str, wanted: &AccountId) -> Result<(), String> {
    if found == wanted.as_str() {
        Ok(())
    } else {
        Err(format!("they belong to account {found}, not to {wanted}"))
    }
}

impl ProvideCredentials for RenewableCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.current())
    }
}
