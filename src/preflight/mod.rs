//! What is looked at before a copy begins, and what each look means: fine, a warning or a problem, with the cause
//! and the next step. Pure: facts in, findings out; `cli/copy/preflight` reads the facts.
//!
//! What AWS does not let be read is no problem: the copies themselves will tell.

mod accounts;
mod place;
mod quotas;
mod vaults;

use serde::Serialize;

pub use accounts::{
    RoleFacts, cross_account_backup, endpoint, identity, no_identity, partition, pass_role, region_settings,
    role,
};
pub use place::{Space, clock, credentials, room_for_state, state_directory};
pub use quotas::{region_quotas, vault_quota};
pub use vaults::{
    DestinationFacts, destination_vault, missing_key, policy, source_keys, source_vault, types_with_own_key,
    unusable_destination_vault, unusable_keys, unusable_policy, unusable_source_vault, vault_key, vault_lock,
};

/// What a finding means for the copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing is in the way.
    Ok,
    /// Something may be, or cannot be read.
    Warning,
    /// Copies will fail.
    Problem,
}

/// One line of a preflight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: a stable name.
    pub check: &'static str,
    /// Of which vault, Region or side, if there are several.
    pub subject: Option<String>,
    /// What it means.
    pub verdict: Verdict,
    /// Whether it could be read at all.
    pub is_known: bool,
    /// What was found.
    pub cause: String,
    /// What to do next.
    pub next_step: Option<String>,
}

impl Finding {
    fn new(check: &'static str, verdict: Verdict, cause: String, next_step: Option<String>) -> Self {
        Self {
            check,
            subject: None,
            verdict,
            is_known: true,
            cause,
            next_step,
        }
    }

    fn ok(check: &'static str, cause: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, cause.into(), None)
    }

    fn warning(check: &'static str, cause: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warning, cause.into(), Some(next_step.into()))
    }

    fn problem(check: &'static str, cause: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self::new(check, Verdict::Problem, cause.into(), Some(next_step.into()))
    }

    /// What cannot be read.
    fn unknown(check: &'static str, cause: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self {
            is_known: false,
            ..Self::warning(check, cause, next_step)
        }
    }

    fn of(self, subject: impl Into<String>) -> Self {
        Self {
            subject: Some(subject.into()),
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
