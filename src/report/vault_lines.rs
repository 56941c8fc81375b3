//! The vaults of a run that copies several: a line for each in the display, and one when it is done.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};

use super::text::{percent, sanitize};
use crate::copy::event::VaultProgress;

/// At most `most` lines: a line for a vault, those where something is going on first, in the order of the run, and
/// a last one for the others. None for a vault that is alone.
pub(super) fn lines(vaults: &[VaultProgress], most: usize) -> Vec<String> {
    if vaults.len() < 2 || most == 0 {
        return Vec::new();
    }
    let room = if vaults.len() > most { most - 1 } else { most };
    let urgency = |vault: &VaultProgress| match &vault.counts {
        counts if counts.in_progress() > 0 => 0,
        counts if counts.left() > 0 => 1,
        _ => 2,
    };
    let mut order: Vec<usize> = (0..vaults.len()).collect();
    order.sort_by_key(|at| vaults.get(*at).map(urgency));
    let mut shown: Vec<usize> = order.iter().copied().take(room).collect();
    shown.sort_unstable();
    let shown: Vec<&VaultProgress> = shown.into_iter().filter_map(|at| vaults.get(at)).collect();
    let width = shown
        .iter()
        .map(|vault| vault.name.as_str().len())
        .max()
        .unwrap_or(0);
    let mut lines: Vec<String> = shown.into_iter().map(|vault| line(vault, width)).collect();
    let others: Vec<&VaultProgress> = { order }
        .into_iter()
        .skip(room)
        .filter_map(|at| vaults.get(at))
        .collect();
    if !others.is_empty() {
        let done = others.iter().filter(|vault| vault.counts.left() == 0).count();
        lines.push(format!(
            "{} more vaults: {done} done, {} waiting or under way",
            others.len(),
            others.len() - done
        ));
    }
    lines
}

fn line(vault: &VaultProgress, width: usize) -> String {
    let counts = &vault.counts;
    let (done, total) = (counts.total - counts.left(), counts.total);
    let mut line = format!(
        "{:width$}  {:>3}% ({done}/{total})",
        sanitize(vault.name.as_str()),
        percent(done, total)
    );
    for (name, count) in [("Failed", counts.failed), ("In Progress", counts.in_progress())] {
        if count > 0 {
            let _ = write!(line, " | {name}: {count}");
        }
    }
    line
}

/// A vault's part of a JSON line.
pub(super) fn object(vault: &VaultProgress) -> Value {
    let counts = &vault.counts;
    json!({
        "backup_vault_name": vault.name.as_str(),
        "total_items": counts.total,
        "completed": counts.completed,
        "failed": counts.failed,
        "skipped": counts.skipped,
        "in_progress": counts.in_progress(),
        "pending": counts.pending,
    })
}

/// Tells which vaults have come to their end since it was last asked.
#[derive(Debug, Default)]
pub(super) struct DoneVaults {
    told: Vec<bool>,
}

impl DoneVaults {
    /// The vaults that are newly done, each with a line on it. At first those that were done before are only
    /// taken note of.
    pub(super) fn new_ones(&mut self, vaults: &Arc<[VaultProgress]>) -> Vec<String> {
        let done: Vec<bool> = vaults.iter().map(|vault| vault.counts.left() == 0).collect();
        if vaults.len() < 2 || self.told.len() != done.len() {
            self.told = done;
            return Vec::new();
        }
        let so_far = done.iter().filter(|done| **done).count();
        let is_new = |at: &usize| done.get(*at) == Some(&true) && self.told.get(*at) == Some(&false);
        let lines = (0..done.len())
            .filter(is_new)
            .filter_map(|at| vaults.get(at))
            .map(|vault| {
                let counts = &vault.counts;
                format!(
                    "Vault {} is done: {} completed, {} failed, {} skipped ({so_far} of {} vaults)",
                    vault.name,
                    counts.completed,
                    counts.failed,
                    counts.skipped,
                    vaults.len()
                )
            });
        let lines = lines.collect();
        self.told = done;
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::BackupVaultName;
    use crate::state::Counts;

    fn vault(name: &str, completed: usize, in_flight: usize, pending: usize) -> VaultProgress {
        VaultProgress {
            name: BackupVaultName::from_aws(name),
            counts: Counts {
                total: completed + in_flight + pending,
                completed,
                in_flight,
                pending,
                ..Counts::default()
            },
        }
    }

    #[test]
    fn vaults_where_something_is_going_on_have_their_lines_first() {
        let vaults = [
            vault("done", 10, 0, 0),
            vault("waits", 0, 0, 4),
            vault("runs", 1, 2, 1),
            vault("also-runs", 1, 1, 0),
        ];
        let wanted = [
            "runs        25% (1/4) | In Progress: 2",
            "also-runs   50% (1/2) | In Progress: 1",
            "2 more vaults: 1 done, 1 waiting or under way",
        ];
        assert_eq!(lines(&vaults, 3), wanted);
        assert_eq!(lines(&vaults, 4).len(), 4);
        assert_eq!(lines(&vaults, 4)[0], "done       100% (10/10)");
        assert_eq!(
            lines(&vaults, 1),
            ["4 more vaults: 1 done, 3 waiting or under way"]
        );
        assert!(lines(&vaults, 0).is_empty());
        assert!(lines(&vaults[..1], 9).is_empty(), "the bar says it all");
    }

    #[test]
    fn a_vault_that_is_done_is_told_once() {
        let mut done = DoneVaults::default();
        let before: Arc<[VaultProgress]> =
            [vault("old", 1, 0, 0), vault("v1", 0, 1, 0), vault("v2", 0, 0, 1)].into();
        assert!(done.new_ones(&before).is_empty(), "it was done before");
        let after: Arc<[VaultProgress]> =
            [vault("old", 1, 0, 0), vault("v1", 1, 0, 0), vault("v2", 0, 0, 1)].into();
        let wanted = ["Vault v1 is done: 1 completed, 0 failed, 0 skipped (2 of 3 vaults)"];
        assert_eq!(done.new_ones(&after), wanted);
        assert!(done.new_ones(&after).is_empty());
    }
}
