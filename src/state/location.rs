//! Where state files are, and what they are called.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::StateError;
use super::files;
use super::format::RunHeader;
use super::store::{journal_path, load};
use crate::domain::{AccountId, BackupVaultArn, BackupVaultName};

/// Vault names of AWS's own hold slashes; nothing but these stays as it is in a file name.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// `~/.shuffle-aws-vaults`.
///
/// # Errors
/// If no home directory is known.
pub fn default_directory() -> Result<PathBuf, StateError> {
    std::env::home_dir()
        .filter(|home| !home.as_os_str().is_empty())
        .map(|home| home.join(".shuffle-aws-vaults"))
        .ok_or(StateError::NoHome)
}

/// Makes the directory, for its owner only, if it is not there.
///
/// # Errors
/// If it cannot be made.
pub fn make_directory(directory: &Path) -> Result<(), StateError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| StateError::io("create", directory, error))
}

fn prefix(account: &AccountId, vault: &BackupVaultName) -> String {
    format!(
        "state_{account}_{}_",
        utf8_percent_encode(vault.as_str(), ESCAPED)
    )
}

/// A path for a new state file that no file has yet.
pub fn new_path(
    directory: &Path,
    account: &AccountId,
    vault: &BackupVaultName,
    now: DateTime<Utc>,
) -> PathBuf {
    let stem = format!("{}{}", prefix(account, vault), now.format("%Y%m%dT%H%M%SZ"));
    let first = directory.join(format!("{stem}.json"));
    if !first.exists() {
        return first;
    }
    let others = (2..=u32::MAX).map(|n| directory.join(format!("{stem}-{n}.json")));
    others.into_iter().find(|path| !path.exists()).unwrap_or(first)
}

/// The newest state file of this source vault and destination, with its header.
pub fn newest(
    directory: &Path,
    account: &AccountId,
    vault: &BackupVaultName,
    destination: &BackupVaultArn,
) -> Option<(PathBuf, RunHeader, bool)> {
    let prefix = prefix(account, vault);
    let mut names: Vec<String> = fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            Path::new(name).extension().is_some_and(|e| e == "json")
                && name
                    .strip_prefix(&prefix)
                    .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
        .collect();
    names.sort_unstable();
    names.into_iter().rev().find_map(|name| {
        let path = directory.join(name);
        let loaded = load(&path).ok()?;
        (loaded.header.destination_vault_arn == *destination).then_some((
            path,
            loaded.header,
            loaded.finished,
        ))
    })
}

/// Moves a state file, and its journal, out of the way: `.bak`, then `.bak.1` and so on.
///
/// # Errors
/// If it cannot be renamed. Nothing is ever overwritten.
pub fn set_aside(path: &Path) -> Result<PathBuf, StateError> {
    let named = |suffix: &str| files::beside(path, suffix);
    let first = named(".bak");
    let free = |p: &PathBuf| !p.exists() && !journal_path(p).exists();
    let target = if free(&first) {
        first
    } else {
        (1..=u32::MAX)
            .map(|n| named(&format!(".bak.{n}")))
            .find(free)
            .unwrap_or(first)
    };
    files::rename(path, &target)?;
    let journal = journal_path(path);
    if journal.exists() {
        files::rename(&journal, &journal_path(&target))?;
    }
    files::sync_directory(path)?;
    Ok(target)
}
