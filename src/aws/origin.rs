//! Where the credentials of a side come from, and so what renews them.

use std::collections::HashSet;
use std::env;

use aws_config::profile::{self, ProfileSet};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};

/// The source at the bottom of a chain of roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// `AWS_ACCESS_KEY_ID` and the like.
    Environment,
    /// A profile with an SSO session.
    Sso(String),
    /// A profile with a `credential_process`.
    Process(String),
    /// A profile with keys.
    Keys(String),
    /// A token file of an identity provider.
    WebIdentity,
    /// A container's or an instance's own service.
    Service,
    /// Cannot be told.
    Unknown,
}

impl Origin {
    /// Finds it, the way the SDK's chain does: a named profile, the environment, the default profile.
    pub(super) async fn find(profile: Option<&str>) -> Self {
        if profile.is_none() && is_set("AWS_ACCESS_KEY_ID") {
            return Self::Environment;
        }
        let files = EnvConfigFiles::default();
        let name = profile.map(|name| name.to_owned().into());
        let found = match profile::load(&Fs::real(), &Env::real(), &files, name).await {
            Ok(set) => Self::of_profile(&set, set.selected_profile()),
            Err(_) => None,
        };
        match found {
            Some(origin) => origin,
            None if profile.is_some() => Self::Unknown,
            None if is_set("AWS_WEB_IDENTITY_TOKEN_FILE") => Self::WebIdentity,
            None if ["FULL", "RELATIVE"].iter().any(|kind| {
                let name = format!("AWS_CONTAINER_CREDENTIALS_{kind}_URI");
                is_set(&name)
            }) =>
            {
                Self::Service
            }
            None => Self::Unknown,
        }
    }

    fn of_profile(set: &ProfileSet, name: &str) -> Option<Self> {
        let mut name = name;
        let mut seen = HashSet::new();
        loop {
            let profile = set.get_profile(name)?;
            let has = |key: &str| profile.get(key).is_some();
            let own = || name.to_owned();
            match profile.get("source_profile") {
                Some(next) if has("role_arn") && next != name && seen.insert(name) => name = next,
                _ if has("web_identity_token_file") => return Some(Self::WebIdentity),
                _ if has("sso_session") || has("sso_start_url") => return Some(Self::Sso(own())),
                _ if has("credential_process") => return Some(Self::Process(own())),
                _ if has("aws_access_key_id") => return Some(Self::Keys(own())),
                _ => {
                    return match profile.get("credential_source") {
                        Some("Environment") => Some(Self::Environment),
                        Some(_) => Some(Self::Service),
                        None => None,
                    };
                }
            }
        }
    }

    /// Whether somebody outside of the process can change them.
    pub(super) fn is_renewable(&self) -> bool {
        *self != Self::Environment
    }

    /// What the operator can do.
    pub(super) fn advice(&self) -> String {
        match self {
            Self::Environment => {
                "keys in the environment (AWS_ACCESS_KEY_ID, ...) cannot be renewed for a running \
                                  program: set new ones, or use a profile"
                    .to_owned()
            }
            Self::Sso(profile) => format!("run: aws sso login --profile {}", quoted(profile)),
            Self::Process(profile) => format!("check the credential_process of the profile {profile}"),
            Self::Keys(profile) => {
                format!("write new keys for the profile {profile} into the AWS credentials file")
            }
            Self::WebIdentity => "check the web identity token file and its role".to_owned(),
            Self::Service => "check the credentials service of the container or instance".to_owned(),
            Self::Unknown => "renew the credentials in the AWS configuration".to_owned(),
        }
    }
}

fn is_set(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty())
}

/// As it is typed in a shell.
fn quoted(profile: &str) -> String {
    shlex::try_quote(profile).map_or_else(|_| profile.to_owned(), std::borrow::Cow::into_owned)
}
