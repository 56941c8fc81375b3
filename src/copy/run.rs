//! What a run is given, and what it answers.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::event::{ItemFailure, RunStats, StopReason};
use super::failure::FailureCause;
use super::retention::{OtherRetention, Retention};
use super::scheduler::Limits;
use super::stop::RuntimeLimit;
use crate::domain::{BackupVaultArn, BackupVaultName, IamRoleArn, RecoveryPointArn};
use crate::state::{Items, StateError};

/// One vault of a run.
#[derive(Debug)]
pub struct VaultLedger {
    /// The vault that is copied.
    pub source_vault: BackupVaultName,
    /// The vault that it is copied to.
    pub destination_vault_arn: BackupVaultArn,
    /// When the run, or the one that it goes on with, began.
    pub created_at: DateTime<Utc>,
    /// Its points.
    pub items: Items,
}

/// What a run's decisions depend on.
#[derive(Debug, Clone)]
pub struct RunPolicy {
    /// Concurrent AWS calls.
    pub workers: usize,
    /// Time between polls.
    pub poll_interval: Duration,
    /// Bounds of jobs in flight.
    pub limits: Limits,
    /// Role for StartCopyJob.
    pub iam_role_arn: IamRoleArn,
    /// Retention of copies.
    pub retention: Retention,
    /// Whether a systemic failure stops the run.
    pub circuit_breaker: bool,
    /// How long AWS may take to list a new job.
    pub list_grace: Duration,
    /// Whether points are copied that are in the destination already.
    pub recopy: bool,
}

/// How the loop goes about its work.
#[derive(Debug, Clone)]
pub struct DriverSettings {
    /// What its decisions depend on.
    pub policy: RunPolicy,
    /// Runtime limit.
    pub runtime_limit: Option<RuntimeLimit>,
    /// How long jobs in flight are awaited after a signal.
    pub drain: Duration,
    /// Time between ticks of the display.
    pub tick: Duration,
    /// Whether the run goes on from an earlier one.
    pub resumed: bool,
}

/// How a run ended.
#[derive(Debug)]
pub struct RunEnd {
    /// Why it stopped before its work was done, if it did.
    pub stop: Option<StopReason>,
    /// The cause that stopped it, if it was systemic: cause and one sample message.
    pub systemic: Option<(FailureCause, String)>,
    /// Set when the state could not be written.
    pub state_error: Option<StateError>,
    /// Final counts.
    pub stats: RunStats,
    /// Calls that settled starts whose answer was lost, and starts that were sent again for it.
    pub repeated_calls: u64,
    /// Copies that this process saw end, and that were given another retention than was asked for.
    pub other_retention: OtherRetention,
    /// Every failure of this process, and those loaded with the state.
    pub failures: Vec<(RecoveryPointArn, ItemFailure)>,
}
