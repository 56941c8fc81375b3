//! Getting credentials of one side from the AWS configuration, and asking STS whose they are.

use std::error::Error as StdError;
use std::future::Future;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_sts::error::SdkError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::region::Region;

use super::SideSettings;
use super::error::{ApiError, ErrorClass, chain};

/// What errors of what provides credentials are called after.
const LOADING: &str = "loading credentials";
/// What is asked of STS.
const OPERATION: &str = "GetCallerIdentity";
/// There are none.
const NOWHERE: &str = "none are in the environment, in the AWS configuration files, with a web identity, a container or \
                       an instance";
/// Most characters of a provider's own text that are shown: a `credential_process` may print pages.
const MOST_TEXT: usize = 400;

/// Credentials that STS accepted, and whose they are.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) config: SdkConfig,
    pub(super) credentials: Credentials,
    pub(super) account: String,
    pub(super) arn: String,
}

/// Loads the configuration afresh, because the SDK keeps files that it has read; gets credentials
/// from it, and has STS say whose they are.
///
/// # Errors
/// If there are no credentials, none came in time, or STS does not accept them.
pub(super) async fn load(settings: &SideSettings, profile: Option<&str>) -> Result<Loaded, ApiError> {
    let config = load_config(settings, profile).await;
    let credentials = in_time(settings, provide(&config))
        .await
        .map_err(|error| error.at(settings))?;
    let checked = config
        .clone()
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
        .build();
    let (account, arn) = caller(&checked).await.map_err(|error| error.at(settings))?;
    Ok(Loaded {
        config,
        credentials,
        account,
        arn,
    })
}

/// As [`load`], within the time that one call may take, and of the right account only.
///
/// # Errors
/// As [`load`], and if they belong to another account.
pub(super) async fn renew(settings: &SideSettings, profile: Option<&str>) -> Result<Credentials, ApiError> {
    let loaded = in_time(settings, Box::pin(load(settings, profile))).await?;
    if loaded.account == settings.account.as_str() {
        Ok(loaded.credentials)
    } else {
        // A login into another account is no renewal.
        Err(no_credentials(format!(
            "they belong to account {}, not to {}",
            loaded.account, settings.account
        )))
    }
}

/// Ends what hangs: a `credential_process` that waits for ever has no time-out in the SDK.
async fn in_time<T>(
    settings: &SideSettings,
    work: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let limit = attempt_limit(settings);
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        Err(no_credentials(format!(
            "none came within {} s (a credential_process that waits, or a service that does not answer)",
            limit.as_secs_f64()
        )))
    })
}

async fn provide(config: &SdkConfig) -> Result<Credentials, ApiError> {
    let provider = config
        .credentials_provider()
        .ok_or_else(|| no_credentials("no credentials provider is configured".to_owned()))?;
    let result = provider.provide_credentials().await;
    result.map_err(|error| match assume_role(&error) {
        Some(refused) => refused,
        None => no_credentials(short(&plain_chain(&error))),
    })
}

/// What STS said of a role, if that is at the bottom of an error.
fn assume_role(error: &(dyn StdError + 'static)) -> Option<ApiError> {
    let mut cause = Some(error);
    while let Some(e) = cause {
        if let Some(refused) = e.downcast_ref::<SdkError<AssumeRoleError>>() {
            return Some(ApiError::of_assume_role(refused));
        }
        cause = e.source();
    }
    None
}

/// An error of a provider and its causes. Where the SDK has looked everywhere, it tells of each place at length that
/// nothing is there.
fn plain_chain(error: &(dyn StdError + 'static)) -> String {
    let text = chain(error);
    if text.contains("no credentials found in chain") {
        return NOWHERE.to_owned();
    }
    let layers = [
        "an error occurred while loading credentials: ",
        "the credential provider was not enabled: ",
    ];
    let inner = layers.iter().find_map(|layer| text.strip_prefix(layer));
    inner.unwrap_or(&text).to_owned()
}

fn no_credentials(problem: String) -> ApiError {
    ApiError::local(LOADING, "NoCredentials", problem, ErrorClass::Credentials)
}

/// One line of bounded length.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST_TEXT) {
        Some((end, _)) => format!("{} ...", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// The AWS configuration of one side. A profile that is named is what counts, as with the aws tool:
/// the SDK's default chain would let keys in the environment win over it.
async fn load_config(settings: &SideSettings, profile: Option<&str>) -> SdkConfig {
    let timeouts = timeouts(settings);
    let region = Region::new(settings.region.as_str().to_owned());
    let version = aws_config::BehaviorVersion::v2026_01_12();
    let mut loader = aws_config::defaults(version)
        .region(region.clone())
        .retry_config(RetryConfig::standard())
        .timeout_config(timeouts.clone());
    if let Some(profile) = profile {
        let provider = ProviderConfig::default()
            .with_region(Some(region.clone()))
            .with_behavior_version(Some(version))
            .with_retry_config(RetryConfig::standard())
            .with_timeout_config(timeouts);
        let provider = ProfileFileCredentialsProvider::builder()
            .configure(&provider)
            .profile_name(profile)
            .build();
        loader = loader.profile_name(profile).credentials_provider(provider);
    }
    let config = loader.load().await;
    let Some(role) = &settings.role_arn else {
        return config;
    };
    let name = settings.role_session_name.as_deref();
    let mut provider = AssumeRoleProvider::builder(role.as_str())
        .session_name(name.unwrap_or("shuffle-aws-vaults"))
        .region(region)
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

/// Longest time that one attempt of a call may take.
fn attempt_limit(settings: &SideSettings) -> Duration {
    settings.connect_timeout + settings.read_timeout * 2
}

/// Every call has an end: without these the SDK waits for ever for an answer that does not begin.
pub(super) fn timeouts(settings: &SideSettings) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.read_timeout)
        .operation_attempt_timeout(attempt_limit(settings))
        .build()
}

/// Account and ARN that STS names for a configuration's credentials.
async fn caller(config: &SdkConfig) -> Result<(String, String), ApiError> {
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
