//! The end of a life: what the ledgers say must be what AWS did. And the end of a process: what it
//! tells must be what it did.

use std::time::Duration;

use super::life::{Life, vault_arn};
use super::watch::{Watch, is_busy, items};
use crate::copy::engine::Engine;
use crate::domain::CopyJobState;
use crate::state::ItemState;

impl Life {
    /// What the ledgers say must be what AWS did.
    pub(super) fn judge(&mut self) {
        if !self.violations.is_empty() {
            return;
        }
        for (vault, disk) in (0_u16..).zip(&mut self.disks) {
            let Ok(items) = disk.load() else {
                self.violations
                    .push("the state cannot be read at the end".to_owned());
                continue;
            };
            for item in items.iter() {
                let ends = self.aws.ends(&item.recovery_point_arn, &vault_arn(vault));
                let copies = ends.iter().filter(|end| **end == CopyJobState::Completed).count();
                let arn = &item.recovery_point_arn;
                match &item.state {
                    ItemState::Completed { .. } if copies == 1 => self.totals.copied += 1,
                    ItemState::Skipped { .. } if copies == 0 => {}
                    // AWS denied its own job, so that nobody can say.
                    ItemState::Failed { error_code, .. }
                        if error_code == "CopyJobVanished"
                            && self.scenario.forgotten > 0.0
                            && copies <= 1 =>
                    {
                        self.totals.failed += 1;
                    }
                    ItemState::Failed {
                        error_code, message, ..
                    } if copies == 0 => {
                        self.totals.failed += 1;
                        let is_final = error_code == "InvalidRequest"
                            || error_code == "CopyJobPartial"
                            || message.starts_with("Cannot find")
                            || (message.starts_with("An internal") && ends.len() >= 4);
                        if !is_final {
                            self.violations
                                .push(format!("{arn} failed of {error_code}: {message}, which passes"));
                        }
                    }
                    state => self
                        .violations
                        .push(format!("{arn} has {copies} copies and is {state:?}")),
                }
            }
        }
    }
}

impl Watch {
    /// The process ends in order: its numbers are those of what it did.
    pub(super) fn process_ends(&mut self, engine: &Engine<'_>, now: Duration) {
        let stats = engine.stats();
        let count = |wanted: &dyn Fn(&ItemState) -> bool| {
            items(engine).filter(|(_, item)| wanted(&item.state)).count()
        };
        let failed = |state: &ItemState| matches!(state, ItemState::Failed { .. });
        for (what, told, found) in [
            ("points", stats.total, count(&|_| true)),
            (
                "completed",
                stats.completed,
                count(&|s| matches!(s, ItemState::Completed { .. })),
            ),
            (
                "skipped",
                stats.skipped,
                count(&|s| matches!(s, ItemState::Skipped { .. })),
            ),
            // Each has one byte.
            (
                "bytes",
                usize::try_from(stats.bytes_completed).unwrap_or(usize::MAX),
                stats.completed,
            ),
            ("failed", stats.failed, count(&failed)),
            ("pending", stats.pending, count(&|s| *s == ItemState::Pending)),
            (
                "in progress",
                stats.in_progress,
                items(engine).filter(|(_, item)| is_busy(item)).count(),
            ),
            (
                "completed by this process",
                stats.completed_this_run,
                self.completed,
            ),
            ("failures", engine.failures().len(), count(&failed)),
            (
                "waiting",
                engine.scheduler.pending(),
                count(&|s| *s == ItemState::Pending),
            ),
        ] {
            self.must(told == found, || {
                format!("{now:?}: {what}: {told} are told of and {found} found")
            });
        }
        let (told, made) = (engine.repeated_calls, self.settling_calls);
        self.must(told == made, || {
            format!("{now:?}: {told} repeated calls are told of and {made} were made")
        });
    }
}
