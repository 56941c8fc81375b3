//! The end of a life: what the ledgers say must be what AWS did.

use super::life::{Life, vault_arn};
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
            for item in &items {
                let ends = self.aws.ends(&item.recovery_point_arn, &vault_arn(vault));
                let copies = ends.iter().filter(|end| **end == CopyJobState::Completed).count();
                let arn = &item.recovery_point_arn;
                match &item.state {
                    ItemState::Completed { .. } if copies == 1 => self.totals.copied += 1,
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
