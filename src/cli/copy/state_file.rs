//! Which state file a run begins, goes on with, or puts aside: `--state-file`, `--resume`, `--reset`.

use std::path::PathBuf;

use chrono::Utc;

use crate::cli::args::CopyArgs;
use crate::state::{self, Loaded, RunHeader, StateError, StateLock, Store, location};

/// A state file that a run has chosen. Nothing but the lock has been written.
#[derive(Debug)]
pub(super) struct Opened {
    /// The file.
    pub(super) path: PathBuf,
    /// Its lock; none in a dry run.
    pub(super) lock: Option<StateLock>,
    /// What it holds, if the run goes on with it.
    pub(super) loaded: Option<Loaded>,
    /// Whether a file that is there has to be put aside first.
    pub(super) set_aside: bool,
}

fn lock(args: &CopyArgs, path: &std::path::Path) -> Result<Option<StateLock>, StateError> {
    if args.dry_run {
        Ok(None)
    } else {
        Store::lock(path).map(Some)
    }
}

/// Chooses the file by the options.
pub(super) fn choose(args: &CopyArgs, header: &RunHeader) -> Result<Opened, StateError> {
    if args.resume {
        return resume(args, header);
    }
    if let Some(path) = &args.state_file {
        let lock = lock(args, path)?;
        let there = path.exists();
        if there && !args.reset && !state::load(path)?.finished {
            return Err(StateError::Unfinished { path: path.clone() });
        }
        return Ok(Opened {
            path: path.clone(),
            lock,
            loaded: None,
            set_aside: there,
        });
    }
    let directory = location::default_directory()?;
    if !args.dry_run {
        location::make_directory(&directory)?;
    }
    let (account, vault) = (&header.source_account, &header.source_vault);
    let newest = location::newest(&directory, account, vault, &header.destination_vault_arn);
    if let Some((path, _, finished)) = newest {
        if args.reset && !args.dry_run {
            // Whoever still writes it must not lose it under its hands.
            let lock = Store::lock(&path)?;
            let kept = location::set_aside(&path)?;
            lock.release();
            tracing::info!("the earlier state is kept as {}", kept.display());
        } else if !finished {
            tracing::info!(
                "an unfinished run is in {}; --resume goes on with it. A new run is begun: what was copied \
                 already is found in the destination",
                path.display()
            );
        }
    }
    let path = location::new_path(&directory, account, vault, Utc::now());
    let lock = lock(args, &path)?;
    Ok(Opened {
        path,
        lock,
        loaded: None,
        set_aside: false,
    })
}

fn resume(args: &CopyArgs, header: &RunHeader) -> Result<Opened, StateError> {
    let path = if let Some(path) = &args.state_file {
        if !path.exists() {
            return Err(StateError::NothingToResume {
                looked_for: format!("{} does not exist", path.display()),
            });
        }
        path.clone()
    } else {
        let directory = location::default_directory()?;
        let (account, vault) = (&header.source_account, &header.source_vault);
        match location::newest(&directory, account, vault, &header.destination_vault_arn) {
            Some((path, _, _)) => path,
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
        set_aside: false,
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
