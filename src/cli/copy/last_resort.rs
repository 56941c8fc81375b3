//! What is done when a state file cannot be closed, as on a full disk: whatever is known of copy
//! jobs and not on disk is written elsewhere, or shown.
//!
//! Nothing depends on it. Every start was on disk before it was sent, so that `--resume` finds its
//! job by itself; this is for the operator who wants to see with his own eyes.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::CopyCommand;
use crate::domain::{BackupVaultArn, CopyJobId, IdempotencyToken, RecoveryPointArn};
use crate::state::{self, Item, ItemState, Items};

/// What one vault's state file lacks.
#[derive(Debug)]
pub(super) struct UnsavedVault {
    state_file: PathBuf,
    destination_vault_arn: BackupVaultArn,
    items: Vec<Item>,
}

impl UnsavedVault {
    /// Items that are being started, in flight or copied, and whose state file does not say so;
    /// `None` if it says all.
    pub(super) fn of(
        state_file: PathBuf,
        destination_vault_arn: BackupVaultArn,
        items: &Items,
    ) -> Option<Self> {
        let on_disk = state::load(&state_file).map(|loaded| loaded.items).ok();
        let is_saved = |item: &Item| {
            let saved = on_disk.as_ref()?.get(&item.recovery_point_arn)?;
            Some(saved.state == item.state)
        };
        let is_wanted = |item: &Item| match item.state {
            // What runs in AWS is told in any case.
            ItemState::Starting { .. } | ItemState::InFlight { .. } => true,
            ItemState::Completed { .. } => is_saved(item) != Some(true),
            _ => false,
        };
        let items: Vec<Item> = items.iter().filter(is_wanted).collect();
        (!items.is_empty()).then_some(Self {
            state_file,
            destination_vault_arn,
            items,
        })
    }
}

/// One line.
#[derive(Debug, Serialize)]
struct UnsavedItem<'a> {
    recovery_point_arn: &'a RecoveryPointArn,
    destination_backup_vault_arn: &'a BackupVaultArn,
    status: &'static str,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_token: Option<&'a IdempotencyToken>,
    #[serde(skip_serializing_if = "Option::is_none")]
    copy_job_id: Option<&'a CopyJobId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_recovery_point_arn: Option<&'a RecoveryPointArn>,
    state_file: String,
}

fn line<'a>(vault: &'a UnsavedVault, item: &'a Item) -> UnsavedItem<'a> {
    let mut line = UnsavedItem {
        recovery_point_arn: &item.recovery_point_arn,
        destination_backup_vault_arn: &vault.destination_vault_arn,
        status: "starting",
        attempt: item.attempt,
        idempotency_token: None,
        copy_job_id: None,
        destination_recovery_point_arn: None,
        state_file: vault.state_file.display().to_string(),
    };
    match &item.state {
        ItemState::Starting {
            idempotency_token, ..
        } => line.idempotency_token = Some(idempotency_token),
        ItemState::InFlight { copy_job_id, .. } => {
            line.status = "in_flight";
            line.copy_job_id = Some(copy_job_id);
        }
        ItemState::Completed {
            copy_job_id,
            destination_recovery_point_arn,
            ..
        } => {
            line.status = "completed";
            line.copy_job_id = Some(copy_job_id);
            line.destination_recovery_point_arn = destination_recovery_point_arn.as_ref();
        }
        _ => {}
    }
    line
}

/// Writes the items beside the summary, else into the temporary directory, else to stderr.
pub(super) fn keep(command: &CopyCommand, unsaved: &[UnsavedVault]) {
    if unsaved.is_empty() {
        return;
    }
    let mut text = Vec::new();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (vault, item) in unsaved.iter().flat_map(|v| v.items.iter().map(move |i| (v, i))) {
        let line = line(vault, item);
        *counts.entry(line.status).or_default() += 1;
        // Text that cannot become JSON does not exist in these types; the other lines count.
        if serde_json::to_writer(&mut text, &line).is_ok() {
            text.push(b'\n');
        }
    }
    let count = |status| counts.get(status).copied().unwrap_or(0);
    let what = format!(
        "{} copy jobs in flight, {} starts without an answer and {} copies made",
        count("in_flight"),
        count("starting"),
        count("completed"),
    );
    let again = "free space and run with --resume: it finds all of them again by itself";
    let name = format!("shuffle-aws-vaults-unsaved-{}.jsonl", command.run_id);
    for directory in directories(command.args.summary_output.as_deref()) {
        let path = directory.join(&name);
        match write(&path, &text) {
            Ok(()) => {
                tracing::warn!(
                    "the state could not be saved. {what} are listed in {}; {again}",
                    path.display()
                );
                return;
            }
            Err(error) => tracing::warn!("cannot write {}: {error}", path.display()),
        }
    }
    tracing::warn!("the state could not be saved. {what} are listed below; {again}");
    command
        .session
        .console
        .line(String::from_utf8_lossy(&text).trim_end());
}

fn directories(summary: Option<&Path>) -> Vec<PathBuf> {
    let beside = summary.map(|path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    });
    beside.into_iter().chain([std::env::temp_dir()]).collect()
}

/// Writes a new file, for its owner only. What cannot be written whole is taken away again.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let written = file.write_all(text).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written
}
