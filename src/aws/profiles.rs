//! Which profile of the AWS configuration belongs to an account.
//!
//! Operators have one profile for each account. Those that name the account themselves (a role's
//! ARN, an SSO account id) are found by reading; those with static keys have to be asked of STS.

use aws_config::profile::{self, Profile};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};

use super::error::chain;
use crate::domain::arn;
use crate::domain::{AccountId, IamRoleArn};

/// Profiles of the AWS configuration, as far as they tell of accounts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Profiles {
    /// Those whose `role_arn` or `sso_account_id` names the account.
    pub(super) of_account: Vec<String>,
    /// Those with static keys, which name no account.
    pub(super) with_keys: Vec<String>,
    /// All.
    pub(super) all: Vec<String>,
    /// Why the files cannot be read, if they cannot.
    pub(super) problem: Option<String>,
}

/// Reads the AWS configuration files; none, or broken ones, are as good as empty here. The credentials chain says that
/// they are broken, and not where.
pub(super) async fn read(account: &AccountId) -> Profiles {
    let files = EnvConfigFiles::default();
    let set = match profile::load(&Fs::real(), &Env::real(), &files, None).await {
        Ok(set) => set,
        Err(error) => {
            let problem = chain(&error).split_whitespace().collect::<Vec<_>>().join(" ");
            return Profiles {
                problem: Some(problem),
                ..Profiles::default()
            };
        }
    };
    let mut names: Vec<&str> = set.profiles().collect();
    names.sort_unstable();
    let mut profiles = Profiles::default();
    for name in names {
        let Some(profile) = set.get_profile(name) else {
            continue;
        };
        profiles.all.push(name.to_owned());
        match account_of(profile).as_deref() {
            Some(id) if id == account.as_str() => profiles.of_account.push(name.to_owned()),
            None if profile.get("aws_access_key_id").is_some() => profiles.with_keys.push(name.to_owned()),
            _ => {}
        }
    }
    profiles
}

fn account_of(profile: &Profile) -> Option<String> {
    if let Some(role) = profile.get("role_arn") {
        let role: IamRoleArn = role.trim().parse().ok()?;
        return arn::split(role.as_str()).map(|p| p.account.to_owned());
    }
    profile.get("sso_account_id").map(|id| id.trim().to_owned())
}
