//! Finding the right identity for an account, before anything else is called.

use aws_config::SdkConfig;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::ProvideRegion as _;
use aws_config::profile::ProfileFileRegionProvider;

use super::backup::BackupClient;
use super::credentials::{RenewableCredentials, caller, load_config};
use super::error::{ApiError, ErrorClass, SessionError};
use super::profiles::{self, Profiles};
use super::{Context, SideSettings};
use crate::domain::Region;

/// Most profiles with static keys that are asked for their account.
const MOST_PROBES: usize = 20;

/// The Region of the environment, else of the profile. EC2's metadata service is not asked: a
/// machine elsewhere would wait for it.
pub async fn default_region(profile: Option<&str>) -> Option<Region> {
    if let Some(region) = EnvironmentVariableRegionProvider::new().region().await {
        return region.as_ref().parse().ok();
    }
    let mut builder = ProfileFileRegionProvider::builder();
    if let Some(profile) = profile {
        builder = builder.profile_name(profile);
    }
    builder.build().region().await?.as_ref().parse().ok()
}

/// A client for one account, whose identity STS has confirmed.
///
/// With neither profile nor role given, the default chain serves; if its account is another, the one
/// profile that belongs to the account is used.
///
/// # Errors
/// If there are no credentials, or they belong to another account.
pub async fn connect(settings: SideSettings, context: Context) -> Result<BackupClient, SessionError> {
    let config = load_config(&settings, settings.profile.as_deref()).await;
    let found = caller(&config).await;
    if let Ok((account, arn)) = &found
        && account == settings.account.as_str()
    {
        let profile = settings.profile.clone();
        return Ok(client(&config, settings, profile, context, arn.clone()));
    }
    let named = settings.profile.is_some() || settings.role_arn.is_some();
    if let Err(error) = &found
        && (named || error.class != ErrorClass::Credentials)
    {
        return Err(failed(&settings, error.clone(), None));
    }
    if named {
        return Err(wrong(&settings, found, &Profiles::default()));
    }
    let profiles = profiles::read(&settings.account).await;
    match by_profile(&settings, &profiles).await {
        Some((profile, config, arn)) => {
            tracing::info!(
                "profile `{profile}` is used for the {} account {}",
                settings.side,
                settings.account
            );
            Ok(client(&config, settings, Some(profile), context, arn))
        }
        None => Err(wrong(&settings, found, &profiles)),
    }
}

fn client(
    config: &SdkConfig,
    settings: SideSettings,
    profile: Option<String>,
    context: Context,
    identity: String,
) -> BackupClient {
    let credentials = RenewableCredentials::new(settings.clone(), profile, context.clone());
    BackupClient::new(config, settings, credentials, context, identity)
}

/// The one profile that belongs to the account: of those that name it, else of those with keys.
async fn by_profile(settings: &SideSettings, profiles: &Profiles) -> Option<(String, SdkConfig, String)> {
    let candidates = if profiles.of_account.is_empty() {
        &profiles.with_keys
    } else {
        &profiles.of_account
    };
    if profiles.of_account.len() > 1 {
        return None;
    }
    let mut found = None;
    for name in candidates.iter().take(MOST_PROBES) {
        let config = load_config(settings, Some(name)).await;
        match caller(&config).await {
            Ok((account, arn)) if account == settings.account.as_str() => {
                if found.is_some() {
                    return None;
                }
                found = Some((name.clone(), config, arn));
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("profile `{name}` does not work: {error}"),
        }
    }
    found
}

fn failed(settings: &SideSettings, error: ApiError, hint: Option<String>) -> SessionError {
    if error.class == ErrorClass::Credentials {
        let prefix = settings.side.option_prefix();
        SessionError::NoCredentials {
            side: settings.side,
            account: settings.account.clone(),
            problem: error.message,
            hint: hint.unwrap_or_else(|| {
                format!("check --{prefix}-profile and --{prefix}-role-arn, or renew the credentials")
            }),
        }
    } else {
        SessionError::Sts {
            side: settings.side,
            source: error,
        }
    }
}

fn wrong(
    settings: &SideSettings,
    found: Result<(String, String), ApiError>,
    profiles: &Profiles,
) -> SessionError {
    let prefix = settings.side.option_prefix();
    let candidates = if profiles.of_account.is_empty() {
        &profiles.all
    } else {
        &profiles.of_account
    };
    let hint = if candidates.is_empty() {
        format!("name the identity with --{prefix}-profile or --{prefix}-role-arn")
    } else {
        format!(
            "name the identity with --{prefix}-profile or --{prefix}-role-arn; {} in the AWS configuration: {}",
            if profiles.of_account.is_empty() {
                "profiles"
            } else {
                "profiles of this account"
            },
            candidates.join(", ")
        )
    };
    match found {
        Ok((_, identity)) => SessionError::WrongAccount {
            side: settings.side,
            account: settings.account.clone(),
            identity,
            hint,
        },
        Err(error) => failed(settings, error, Some(hint)),
    }
}
