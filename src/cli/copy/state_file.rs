//! Which state file a run begins, goes on with, or puts aside: `--state-file`, `--resume`, `--reset`.

use std::path::{Path, PathBuf};

use chrono::Utc;

use crate::cli::args::CopyArgs;
use crate::state::location::Newest;
use crate::state::{self, Loaded, RunHeader, StateError, StateLock, Store, directory, location};

/// A state file that a run has chosen. Nothing but the lock has been written.
#[derive(Debug)]
pub(super) struct Opened {
    /// The file.
    pub(super) path: PathBuf,
    /// Its lock; none in a dry run.
    pub(super) lock: Option<StateLock>,
    /// What it holds, if the run goes on with it.
    pub(super) loaded: Option<Loaded>,
    /// A file that has to be put aside first, and its lock if it is another one.
    pub(super) set_aside: Option<(PathBuf, Option<StateLock>)>,
}

fn lock(args: &CopyArgs, path: &std::path::Path) -> Result<Option<StateLock>, StateError> {
    if args.dry_run {
        Ok(None)
    } else {
        Store::lock(path).map(Some)
    }
}

fn warn_of_place(path: &std::path::Path) {
    if let Some(warning) = directory::warning(path) {
        tracing::warn!("{warning}");
    }
}

/// Chooses the file by the options.
pub(super) fn choose(args: &CopyArgs, header: &RunHeader) -> Result<Opened, StateError> {
    if args.resume {
        return resume(args, header);
    }
    if let Some(path) = &args.terms.state_file {
        warn_of_place(path);
        let lock = lock(args, path)?;
        let there = path.exists();
        if there && !args.reset && !state::load(path)?.finished {
            return Err(StateError::Unfinished { path: path.clone() });
        }
        return Ok(Opened {
            path: path.clone(),
            lock,
            loaded: None,
            set_aside: there.then(|| (path.clone(), None)),
        });
    }
    let directory = directory::default_directory()?;
    let (account, vault) = (&header.source_account, &header.source_vault);
    if !args.dry_run {
        if let Some(note) = directory::make(&directory)? {
            tracing::warn!("{note}");
        }
        location::clear_unborn(&directory, account, vault);
    }
    let newest = location::newest(&directory, account, vault, &header.destination_vault_arn)?;
    let set_aside = match newest {
        Some(newest) => before_new_run(args, newest)?,
        None => None,
    };
    begin(args, header, &directory, set_aside)
}

/// A new file in the default place.
fn begin(
    args: &CopyArgs,
    header: &RunHeader,
    directory: &Path,
    set_aside: Option<(PathBuf, Option<StateLock>)>,
) -> Result<Opened, StateError> {
    let path = location::new_path(
        directory,
        &header.source_account,
        &header.source_vault,
        Utc::now(),
    );
    let lock = lock(args, &path)?;
    Ok(Opened {
        path,
        lock,
        loaded: None,
        set_aside,
    })
}

/// Says that an unfinished run is there, or is on.
fn tell_of_unfinished(path: &Path) {
    let path_shown = path.display();
    if let Some(holder) = state::holder(path) {
        // A lock that a process on another machine has left looks the same.
        let is = if holder.is_here { "is" } else { "seems to be" };
        tracing::warn!(
            "{} {is} at work on this vault, with the state file {path_shown}; a new run is begun beside it. If that is not \
             meant, stop this one, and see: shuffle-aws-vaults status {path_shown}",
            holder.text
        );
    } else {
        tracing::info!(
            "an unfinished run is in {path_shown}; --resume goes on with it. A new run is begun: what was copied already is \
             found in the destination"
        );
    }
}

/// What is to be done about, or said of, the newest state of before when a new run is begun. It is put
/// aside only when that run begins: one that is not confirmed must leave it for `--resume`.
fn before_new_run(
    args: &CopyArgs,
    newest: Newest,
) -> Result<Option<(PathBuf, Option<StateLock>)>, StateError> {
    let Newest { path, heading } = newest;
    if args.reset && !args.dry_run {
        // Whoever still writes it must not lose it under its hands.
        let lock = Store::lock(&path)?;
        return Ok(Some((path, Some(lock))));
    }
    match heading {
        Ok((_, true)) => {}
        Ok((_, false)) => tell_of_unfinished(&path),
        Err(error) => tracing::warn!(
            "the newest state cannot be read, and is left as it is: {error}. A new run is begun: what was copied \
             already is found in the destination"
        ),
    }
    Ok(None)
}

fn resume(args: &CopyArgs, header: &RunHeader) -> Result<Opened, StateError> {
    let path = if let Some(path) = &args.terms.state_file {
        if !path.exists() {
            return Err(StateError::NothingToResume {
                looked_for: format!("{} does not exist", path.display()),
            });
        }
        warn_of_place(path);
        path.clone()
    } else {
        let directory = directory::default_directory()?;
        if !args.dry_run
            && directory.exists()
            && let Some(note) = directory::make(&directory)?
        {
            tracing::warn!("{note}");
        }
        let (account, vault) = (&header.source_account, &header.source_vault);
        match location::newest(&directory, account, vault, &header.destination_vault_arn)? {
            // Whether a broken one is the one that is wanted cannot be known, so it is not passed over.
            Some(Newest { path, heading }) => {
                heading?;
                path
            }
            None if args.terms.vaults.may_be_several() && !args.terms.no_reconcile => {
                tracing::info!("vault {vault} has no state yet and is begun anew");
                return begin(args, header, &directory, None);
            }
            None => {
                return Err(StateError::NothingToResume {
                    looked_for: format!(
                        "no state of vault {vault}, account {account}, copied to {}, is in {}",
                        header.destination_vault_arn,
                        directory.display()
                    ),
                });
            }
        }
    };
    let lock = lock(args, &path)?;
    let loaded = state::load(&path)?;
    if let Some(differences) = differences(&loaded.header, header) {
        return Err(StateError::OtherRun { path, differences });
    }
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
    tracing::info!("going on with {}", path.display());
    Ok(Opened {
        path,
        lock,
        loaded: Some(loaded),
        set_aside: None,
    })
}

fn differences(file: &RunHeader, run: &RunHeader) -> Option<String> {
    let pairs = [
        (
            "AWS endpoint",
            format!("{:?}", file.endpoint),
            format!("{:?}", run.endpoint),
        ),
        (
            "source account",
            file.source_account.to_string(),
            run.source_account.to_string(),
        ),
        (
            "destination account",
            file.dest_account.to_string(),
            run.dest_account.to_string(),
        ),
        ("Region", file.region.to_string(), run.region.to_string()),
        (
            "destination Region",
            file.dest_region.to_string(),
            run.dest_region.to_string(),
        ),
        (
            "vault",
            file.source_vault.to_string(),
            run.source_vault.to_string(),
        ),
        (
            "destination vault",
            file.destination_vault_arn.to_string(),
            run.destination_vault_arn.to_string(),
        ),
    ];
    let all: Vec<String> = pairs
        .iter()
        .filter(|(_, file, run)| file != run)
        .map(|(name, file, run)| format!("{name} is {file} in the file and {run} in this run"))
        .collect();
    (!all.is_empty()).then(|| all.join("; "))
}
