//! Finding the right identity for an account, before anything else is called.

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::ProvideRegion as _;
use aws_config::profile::ProfileFileRegionProvider;

use super::backup::BackupClient;
use super::credentials::RenewableCredentials;
use super::error::{ASSUME_ROLE, ApiError, ErrorClass, SessionError};
use super::loading::{Loaded, load};
use super::origin::Origin;
use super::profiles::{self, Profiles};
use super::{Context, SideSettings};
use crate::domain::Region;
use crate::nearest::did_you_mean;

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
    let found = load(&settings, settings.profile.as_deref()).await;
    let found = match found {
        Ok(loaded) if loaded.account == settings.account.as_str() => {
            let profile = settings.profile.clone();
            return Ok(client(loaded, settings, profile, context));
        }
        found => found.map(|loaded| loaded.arn),
    };
    let named = settings.profile.is_some() || settings.role_arn.is_some();
    if let Err(error) = &found
        && (named || error.class != ErrorClass::Credentials)
    {
        let hint = match hint_of_files(&settings, &profiles::read(&settings.account).await) {
            Some(hint) => hint,
            None => hint(&settings, settings.profile.as_deref()).await,
        };
        return Err(failed(&settings, error.clone(), hint));
    }
    if named {
        return Err(wrong(&settings, found, &Profiles::default()).await);
    }
    let profiles = profiles::read(&settings.account).await;
    match by_profile(&settings, &profiles).await {
        Ok((profile, loaded)) => {
            tracing::info!(
                "profile `{profile}` is used for the {} account {}",
                settings.side,
                settings.account
            );
            Ok(client(loaded, settings, Some(profile), context))
        }
        Err(Some((profile, error))) => {
            let hint = hint(&settings, Some(&profile)).await;
            Err(failed(&settings, error, hint))
        }
        Err(None) => Err(wrong(&settings, found, &profiles).await),
    }
}

fn client(loaded: Loaded, settings: SideSettings, profile: Option<String>, context: Context) -> BackupClient {
    let Loaded {
        config,
        credentials,
        arn,
        ..
    } = loaded;
    let credentials = RenewableCredentials::new(credentials, settings.clone(), profile, context.clone());
    BackupClient::new(config, settings, credentials, context, arn)
}

/// The one profile that belongs to the account: of those that name it, else of those with keys. If
/// the one that names it does not work, the reason.
async fn by_profile(
    settings: &SideSettings,
    profiles: &Profiles,
) -> Result<(String, Loaded), Option<(String, ApiError)>> {
    let named = !profiles.of_account.is_empty();
    let candidates = if named {
        &profiles.of_account
    } else {
        &profiles.with_keys
    };
    if profiles.of_account.len() > 1 {
        return Err(None);
    }
    let mut found = Err(None);
    for name in candidates.iter().take(MOST_PROBES) {
        match Box::pin(load(settings, Some(name))).await {
            Ok(loaded) if loaded.account == settings.account.as_str() => {
                if found.is_ok() {
                    return Err(None);
                }
                found = Ok((name.clone(), loaded));
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!("profile `{name}` does not work: {error}");
                if named {
                    found = Err(Some((name.clone(), error)));
                }
            }
        }
    }
    found
}

/// What to do if the profile that was named, by the option or by `AWS_PROFILE`, is not there.
fn no_such_profile(settings: &SideSettings, profiles: &Profiles) -> Option<String> {
    let option = format!("--{}-profile", settings.side.option_prefix());
    let (place, name) = match &settings.profile {
        Some(name) => (option, name.clone()),
        None => ("AWS_PROFILE".to_owned(), std::env::var("AWS_PROFILE").ok()?),
    };
    let all = &profiles.all;
    if all.is_empty() || name.is_empty() || all.contains(&name) {
        return None;
    }
    let near = did_you_mean(&name, all.iter().map(String::as_str));
    Some(format!(
        "{place}: the AWS configuration has no profile `{name}`; {}it has {}",
        near.map_or_else(String::new, |near| format!("{near} ")),
        all.join(", ")
    ))
}

/// What to do about files that cannot be read, or a profile that is not there, if that is why there are no credentials.
fn hint_of_files(settings: &SideSettings, profiles: &Profiles) -> Option<String> {
    let problem = profiles.problem.as_ref();
    let broken = problem.map(|problem| format!("mend the AWS configuration files: {problem}"));
    broken.or_else(|| no_such_profile(settings, profiles))
}

async fn hint(settings: &SideSettings, profile: Option<&str>) -> String {
    let prefix = settings.side.option_prefix();
    let advice = Origin::find(profile).await.advice();
    format!("{advice}, or check --{prefix}-profile and --{prefix}-role-arn")
}

fn failed(settings: &SideSettings, error: ApiError, hint: String) -> SessionError {
    let (side, account) = (settings.side, settings.account.clone());
    if error.operation == ASSUME_ROLE {
        SessionError::Role {
            side,
            account,
            source: Box::new(error),
        }
    } else if error.class == ErrorClass::Credentials {
        // Those that AWS was never shown have no code of AWS's.
        let problem = if error.http_status.is_some() {
            error.reason()
        } else {
            error.message
        };
        SessionError::NoCredentials {
            side,
            account,
            problem,
            hint,
        }
    } else {
        SessionError::Sts {
            side,
            account,
            source: Box::new(error),
        }
    }
}

/// The identity is not the one that is needed, and no other could be found.
async fn wrong(
    settings: &SideSettings,
    found: Result<String, ApiError>,
    profiles: &Profiles,
) -> SessionError {
    let hint = match &found {
        Ok(_) => named(settings, profiles),
        Err(error) => hint_without_identity(settings, error, profiles).await,
    };
    match found {
        Ok(identity) => SessionError::WrongAccount {
            side: settings.side,
            account: settings.account.clone(),
            identity,
            hint,
        },
        Err(error) => failed(settings, error, hint),
    }
}

/// How an identity is named, and which there are.
fn named(settings: &SideSettings, profiles: &Profiles) -> String {
    let prefix = settings.side.option_prefix();
    let options = format!("name the identity with --{prefix}-profile or --{prefix}-role-arn");
    let (what, candidates) = if profiles.of_account.is_empty() {
        ("profiles", &profiles.all)
    } else {
        ("profiles of this account", &profiles.of_account)
    };
    if candidates.is_empty() {
        return options;
    }
    format!(
        "{options}; {what} in the AWS configuration: {}",
        candidates.join(", ")
    )
}

async fn hint_without_identity(settings: &SideSettings, error: &ApiError, profiles: &Profiles) -> String {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_set("AWS_ACCESS_KEY_ID") && !is_set("AWS_SECRET_ACCESS_KEY") {
        return "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY: set both, or neither".to_owned();
    }
    if let Some(hint) = hint_of_files(settings, profiles) {
        return hint;
    }
    let named = named(settings, profiles);
    if error.http_status.is_some() {
        // There are some, and AWS does not take them.
        format!("{}, or {named}", Origin::find(None).await.advice())
    } else if profiles.all.is_empty() {
        format!(
            "make a profile (aws configure sso), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; or {named}"
        )
    } else {
        named
    }
}
