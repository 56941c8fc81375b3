//! What state files are called, which is the newest, and how an old one is put aside.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime, SubsecRound as _, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::StateError;
use super::files;
use super::format::RunHeader;
use super::lock::StateLock;
use super::reading::{heading, load};
use super::store::{fold, journal_path, old_journal_path};
use crate::domain::{AccountId, BackupVaultArn, BackupVaultName};

/// Vault names of AWS's own hold slashes; nothing but these stays as it is in a file name.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
/// The longest escaped vault name in a file name. Names that people may give have 50 characters at
/// most; longer ones are cut, and told apart by the file's contents.
const LONGEST_NAME: usize = 150;
const TIME: &str = "%Y%m%dT%H%M%SZ";

fn prefix(account: &AccountId, vault: &BackupVaultName) -> String {
    let mut name = utf8_percent_encode(vault.as_str(), ESCAPED).to_string();
    name.truncate(LONGEST_NAME);
    format!("state_{account}_{name}_")
}

/// A path for a new state file that no file has yet, and that is the newest of all: where a clock was
/// set back, it is named after the newest that is there.
pub fn new_path(
    directory: &Path,
    account: &AccountId,
    vault: &BackupVaultName,
    now: DateTime<Utc>,
) -> PathBuf {
    let prefix = prefix(account, vault);
    let there = names(directory).unwrap_or_default();
    let newest = there.iter().filter_map(|name| begun(name, &prefix)).max();
    let (time, number) = match newest {
        Some((time, number)) if time >= now.naive_utc().trunc_subsecs(0) => (time, number.saturating_add(1)),
        _ => (now.naive_utc(), 1),
    };
    let stem = format!("{prefix}{}", time.format(TIME));
    let first = directory.join(format!("{stem}.json"));
    if number == 1 {
        return first;
    }
    let others = (number..=u32::MAX).map(|n| directory.join(format!("{stem}-{n}.json")));
    others.into_iter().find(|path| !path.exists()).unwrap_or(first)
}

/// The state files of a directory, of all accounts and vaults, newest first.
///
/// # Errors
/// If the directory is there and cannot be read.
pub fn all(directory: &Path) -> Result<Vec<PathBuf>, StateError> {
    newest_first(directory, |name| {
        let (vault, _) = name.strip_prefix("state_")?.rsplit_once('_')?;
        begun(name, &format!("state_{vault}_"))
    })
}

/// The files of a directory of whose names it can be told when they were begun.
fn newest_first(
    directory: &Path,
    begun: impl Fn(&str) -> Option<(NaiveDateTime, u32)>,
) -> Result<Vec<PathBuf>, StateError> {
    let mut all: Vec<_> = names(directory)?
        .into_iter()
        .filter_map(|name| Some((begun(&name)?, name)))
        .collect();
    all.sort_unstable();
    let names = all.into_iter().rev().map(|(_, name)| directory.join(name));
    Ok(names.collect())
}

/// When a file of this name was begun, and its number among those of that second; `None` if the
/// name is not one of [`new_path`]'s.
fn begun(name: &str, prefix: &str) -> Option<(NaiveDateTime, u32)> {
    let rest = name.strip_prefix(prefix)?.strip_suffix(".json")?;
    let (time, number) = match rest.split_once('-') {
        Some((time, number)) => (time, number.parse().ok()?),
        None => (rest, 1),
    };
    Some((NaiveDateTime::parse_from_str(time, TIME).ok()?, number))
}

/// A state file that may be gone on with.
#[derive(Debug)]
pub struct Newest {
    /// The file.
    pub path: PathBuf,
    /// What it is about and whether nothing was left to do; an error if it cannot be read, so that
    /// it cannot be told whether it is the one that is looked for.
    pub heading: Result<(RunHeader, bool), StateError>,
}

/// The newest state file of this source vault and destination, or a newer one that cannot be read.
/// An older one must not be taken silently in place of a broken newer one.
///
/// # Errors
/// If the directory is there and cannot be read.
pub fn newest(
    directory: &Path,
    account: &AccountId,
    vault: &BackupVaultName,
    destination: &BackupVaultArn,
) -> Result<Option<Newest>, StateError> {
    let prefix = prefix(account, vault);
    let all = newest_first(directory, |name| begun(name, &prefix))?;
    let newest_first = all.into_iter().map(|path| Newest {
        heading: heading(&path),
        path,
    });
    let is_ours = |found: &Newest| match &found.heading {
        Ok((header, _)) => header.source_vault == *vault && header.destination_vault_arn == *destination,
        Err(_) => true,
    };
    Ok({ newest_first }.find(is_ours))
}

fn names(directory: &Path) -> Result<Vec<String>, StateError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.and_then(Iterator::collect::<io::Result<Vec<_>>>),
    };
    let entries = entries.map_err(|error| StateError::io("read", directory, error))?;
    Ok(entries
        .into_iter()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect())
}

/// Takes away what processes left that died before they had a state file: lock files without one,
/// and documents that were never put in their place.
pub fn clear_unborn(directory: &Path, account: &AccountId, vault: &BackupVaultName) {
    let prefix = prefix(account, vault);
    for name in names(directory).unwrap_or_default() {
        let Some(state) = name.strip_suffix(".lock") else {
            continue;
        };
        let path = directory.join(state);
        if begun(state, &prefix).is_none() || path.exists() {
            continue;
        }
        // Where another process is about to begin, its lock is held.
        if let Ok(lock) = StateLock::acquire(&path) {
            if !path.exists() {
                // Litter; a run does not fail for it.
                let _ = files::remove(&files::beside(&path, ".new"));
            }
            drop(lock);
        }
    }
}

/// Moves a state file out of the way, with what its journal adds: `.bak`, then `.bak.1` and so on.
///
/// # Errors
/// If it cannot be renamed. Nothing is ever overwritten.
pub fn set_aside(path: &Path) -> Result<PathBuf, StateError> {
    // In one file it moves in one step. One that cannot be read moves as it is, in several.
    if journals(path).iter().any(|journal| is_there(journal))
        && let Ok(loaded) = load(path)
        && let Err(error) = fold(path, &loaded)
    {
        tracing::debug!("{error}");
    }
    let target = free_name(path, |p| {
        is_there(p) || journals(p).iter().any(|journal| is_there(journal))
    });
    files::rename(path, &target)?;
    for (journal, target) in journals(path).iter().zip(journals(&target)) {
        if is_there(journal) {
            files::rename(journal, &target)?;
        }
    }
    files::sync_directory(path)?;
    Ok(target)
}

/// Moves journals that have no state file out of the way; empty ones are removed. Answers where
/// they are now.
///
/// # Errors
/// If that cannot be done.
pub(super) fn set_journals_aside(path: &Path) -> Result<Vec<PathBuf>, StateError> {
    let mut kept = Vec::new();
    for journal in journals(path) {
        let Ok(meta) = fs::symlink_metadata(&journal) else {
            continue;
        };
        if meta.len() == 0 {
            files::remove(&journal)?;
        } else {
            let target = free_name(&journal, is_there);
            files::rename(&journal, &target)?;
            kept.push(target);
        }
        files::sync_directory(path)?;
    }
    Ok(kept)
}

/// The journals that a state file may have, in the order of their lines.
pub(super) fn journals(path: &Path) -> [PathBuf; 2] {
    [old_journal_path(path), journal_path(path)]
}

/// Whether anything has this name.
pub(super) fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn free_name(path: &Path, is_taken: impl Fn(&Path) -> bool) -> PathBuf {
    let first = files::beside(path, ".bak");
    if !is_taken(&first) {
        return first;
    }
    (1..=u32::MAX)
        .map(|n| files::beside(path, &format!(".bak.{n}")))
        .find(|p| !is_taken(p))
        .unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::store::tests::{header, run};

    fn ids() -> (AccountId, BackupVaultName, BackupVaultArn) {
        let header = header();
        (
            header.source_account,
            header.source_vault,
            header.destination_vault_arn,
        )
    }

    fn found(directory: &Path) -> Option<Newest> {
        let (account, vault, destination) = ids();
        newest(directory, &account, &vault, &destination).unwrap()
    }

    fn next(directory: &Path, time: &str) -> PathBuf {
        let (account, vault, _) = ids();
        let time = NaiveDateTime::parse_from_str(time, TIME).unwrap().and_utc();
        new_path(directory, &account, &vault, time)
    }

    #[test]
    fn names_of_vaults_stay_in_the_directory() {
        let (account, _, _) = ids();
        let directory = Path::new("/d");
        let long = "x".repeat(255);
        let wide = "\u{202e}".repeat(85);
        for name in [
            "../../etc/x",
            "..",
            "/etc/passwd",
            "a/b",
            "\u{1b}]52;c;eA==\u{7}",
            "%s\n",
            "",
            &long,
            &wide,
        ] {
            let vault = BackupVaultName::from_aws(name);
            let path = new_path(directory, &account, &vault, Utc::now());
            assert_eq!(path.parent(), Some(directory), "{name}");
            let file = path.file_name().unwrap().to_str().unwrap();
            assert!(
                file.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_-.%".contains(&b)),
                "{file}"
            );
            assert!(file.len() + ".journal.bak.4294967295".len() <= 255, "{file}");
        }
    }

    #[test]
    fn the_newest_is_the_one_that_was_begun_last() {
        let directory = tempfile::tempdir().unwrap();
        let mut last = PathBuf::new();
        for time in ["20240101T000000Z"; 12].into_iter().chain(["20240101T000001Z"]) {
            last = next(directory.path(), time);
            run(&last);
            assert_eq!(found(directory.path()).unwrap().path, last);
        }
        assert!(last.ends_with("state_123456789012_v1_20240101T000001Z.json"));
        // Others whose names begin alike.
        for name in [
            "state_123456789012_v1_2_20250101T000000Z.json",
            "state_123456789012_v1_x.json",
            "state_123456789012_v1_20250101T000000Z.json.bak",
        ] {
            fs::write(directory.path().join(name), "{").unwrap();
        }
        assert_eq!(found(directory.path()).unwrap().path, last);
    }

    /// A finished run of "next year" must not be what `--resume` finds for all that time.
    #[test]
    fn a_clock_that_was_set_back_does_not_make_an_older_file_the_newest() {
        let directory = tempfile::tempdir().unwrap();
        run(&next(directory.path(), "20300101T000000Z"));
        for _ in 0..3 {
            let last = next(directory.path(), "20240101T000000Z");
            run(&last);
            assert_eq!(found(directory.path()).unwrap().path, last);
        }
    }

    #[test]
    fn a_broken_newest_file_is_not_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        run(&next(directory.path(), "20240101T000000Z"));
        let newer = next(directory.path(), "20240102T000000Z");
        for text in [
            "{\"format\": ",
            "",
            "{\"format\":\"shuffle-aws-vaults/state\",\"version\":2}",
        ] {
            fs::write(&newer, text).unwrap();
            let found = found(directory.path()).unwrap();
            assert_eq!(found.path, newer);
            assert!(found.heading.is_err(), "{text}");
        }
        // One for another destination is.
        let text = fs::read_to_string(next_of(directory.path())).unwrap();
        let text = text.replace("\"crc32\"", "\"was\"");
        fs::write(&newer, text.replace("backup-vault:v1", "backup-vault:v2")).unwrap();
        assert_ne!(found(directory.path()).unwrap().path, newer);
    }

    fn next_of(directory: &Path) -> PathBuf {
        directory.join("state_123456789012_v1_20240101T000000Z.json")
    }

    #[test]
    fn what_was_never_born_is_cleared_and_what_lives_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let (account, vault, _) = ids();
        let dead = next(directory.path(), "20240101T000000Z");
        let about_to_begin = next(directory.path(), "20240102T000000Z");
        let begun = next(directory.path(), "20240103T000000Z");
        fs::write(files::beside(&dead, ".lock"), "").unwrap();
        fs::write(files::beside(&dead, ".new"), "{").unwrap();
        let lock = StateLock::acquire(&about_to_begin).unwrap();
        fs::write(files::beside(&about_to_begin, ".new"), "{").unwrap();
        run(&begun);
        // Locks of others, whose state is no file of this vault's.
        let foreign = directory.path().join("notes.lock");
        fs::write(&foreign, "").unwrap();
        clear_unborn(directory.path(), &account, &vault);
        assert!(!is_there(&files::beside(&dead, ".lock")) && !is_there(&files::beside(&dead, ".new")));
        assert!(is_there(&files::beside(&about_to_begin, ".lock")));
        assert!(is_there(&files::beside(&about_to_begin, ".new")));
        assert!(begun.exists() && foreign.exists());
        drop(lock);
    }

    #[test]
    fn a_directory_that_is_not_there_has_no_states_and_one_that_cannot_be_read_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let (account, vault, destination) = ids();
        assert!(found(&home.path().join("none")).is_none());
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        let error = newest(&file, &account, &vault, &destination).unwrap_err();
        assert!(error.to_string().starts_with("cannot read "), "{error}");
    }

    #[test]
    fn an_unfinished_state_is_put_aside_as_one_file_that_holds_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.json");
        let before = run(&path);
        assert!(is_there(&journal_path(&path)));
        let kept = set_aside(&path).unwrap();
        assert_eq!(kept, directory.path().join("s.json.bak"));
        assert!(!is_there(&journal_path(&kept)) && !is_there(&journal_path(&path)));
        assert_eq!(load(&kept).unwrap().items.counts(), before);
        // A broken one moves as it is, and nothing is written over.
        fs::write(&path, "{").unwrap();
        fs::write(journal_path(&path), "junk\n").unwrap();
        let kept = set_aside(&path).unwrap();
        assert_eq!(kept, directory.path().join("s.json.bak.1"));
        assert_eq!(fs::read_to_string(journal_path(&kept)).unwrap(), "junk\n");
    }
}
