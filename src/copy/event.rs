//! What happens in a copy run, as facts that the reporters show.
//!
//! The driver is the only sender. Every event carries the counts of its moment, so that no
//! reporter keeps counters of its own and all of them agree.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::failure::FailureCause;
use crate::domain::{BackupVaultName, CopyJobId, RecoveryPointArn};
use crate::state::{Counts, ItemRow, ItemState, Standing};

/// Counts of a run at one moment. `total` is the sum of the others down to `pending`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunStats {
    /// All recovery points of the run.
    pub total: usize,
    /// Copied.
    pub completed: usize,
    /// Ended without a copy.
    pub failed: usize,
    /// Needed no copy, or could have none.
    pub skipped: usize,
    /// Started, or being started.
    pub in_progress: usize,
    /// Those of them whose start AWS has not answered: being sent, or in doubt.
    pub unanswered: usize,
    /// Not started yet.
    pub pending: usize,
    /// Bytes of the completed points, where AWS gave sizes.
    pub bytes_completed: u64,
    /// Completed in this process, as opposed to before a resume.
    pub completed_this_run: usize,
}

impl RunStats {
    /// Items that are over and done with.
    pub fn done(&self) -> usize {
        self.completed + self.failed + self.skipped
    }
}

/// Why a run stops before its work is done. Ordered: a reason is only ever raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopReason {
    /// The runtime limit is near or reached.
    RuntimeLimit,
    /// Credentials are gone and nobody renewed them.
    CredentialsGone,
    /// Every job fails for the same cause, which lies outside the points.
    Systemic,
    /// A fault of this program.
    Internal,
    /// State can no longer be written.
    StateUnwritable,
    /// A signal.
    Interrupted,
    /// A second signal: leave at once.
    InterruptedAgain,
}

impl StopReason {
    /// A few words for the operator.
    pub fn describe(self) -> &'static str {
        match self {
            Self::RuntimeLimit => "runtime limit reached",
            Self::CredentialsGone => "credentials expired and were not renewed",
            Self::Systemic => "every copy job fails for the same cause",
            Self::Internal => "a fault of this program; please report it",
            Self::StateUnwritable => "the state can no longer be written",
            Self::Interrupted | Self::InterruptedAgain => "interrupted by a signal",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyEventKind {
    /// The loop begins; `resumed` when it goes on from a state file.
    RunStarted {
        /// Whether earlier work was loaded.
        resumed: bool,
    },
    /// AWS accepted a copy job, or one that was running already was found again.
    CopyJobStarted {
        /// Number of its vault in [`CopyEvent::vaults`].
        vault: u16,
        /// The point.
        recovery_point_arn: RecoveryPointArn,
        /// Its job.
        copy_job_id: CopyJobId,
        /// Whether the job was found rather than started.
        adopted: bool,
    },
    /// A point is copied.
    ItemCompleted {
        /// Number of its vault in [`CopyEvent::vaults`].
        vault: u16,
        /// The point.
        recovery_point_arn: RecoveryPointArn,
        /// The job that copied it.
        copy_job_id: CopyJobId,
    },
    /// A point could not be copied.
    ItemFailed {
        /// Number of its vault in [`CopyEvent::vaults`].
        vault: u16,
        /// The point.
        recovery_point_arn: RecoveryPointArn,
        /// What AWS said.
        failure: ItemFailure,
    },
    /// A point goes back to the queue for a cause that passes.
    ItemRequeued {
        /// Number of its vault in [`CopyEvent::vaults`].
        vault: u16,
        /// The point.
        recovery_point_arn: RecoveryPointArn,
        /// Why.
        reason: String,
    },
    /// AWS takes no more jobs for now.
    QuotaReached {
        /// Jobs under way at that moment.
        in_flight: usize,
    },
    /// AWS asked for fewer starts, and they are slowed down.
    StartsThrottled {
        /// Starts a minute from now on.
        starts_per_minute: u32,
    },
    /// With `--max-in-flight auto`: so many jobs may be in flight now of the types that share a quota.
    WindowChanged {
        /// One of these types.
        resource_type: String,
        /// Jobs in flight at most.
        most_in_flight: usize,
    },
    /// The run will stop.
    StopRequested {
        /// Why.
        reason: StopReason,
    },
    /// Time passed; for displays.
    Tick,
    /// The loop has ended.
    RunFinished,
}

/// A failure of one point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemFailure {
    /// AWS's error code, or `CopyJobFailed` for a job that ended in FAILED.
    pub error_code: String,
    /// AWS's text.
    pub message: String,
    /// What it means.
    pub cause: FailureCause,
    /// When it was seen.
    pub at: DateTime<Utc>,
    /// Its copy job, if this process has seen it end.
    pub copy_job_id: Option<CopyJobId>,
    /// AWS's id of the request that was refused, if this process has sent it.
    pub request_id: Option<String>,
}

impl ItemFailure {
    /// A failure with what is known in any case; the code and AWS's text tell the cause.
    pub fn new(error_code: String, message: String, at: DateTime<Utc>) -> Self {
        Self {
            cause: FailureCause::of(&error_code, &message),
            error_code,
            message,
            at,
            copy_job_id: None,
            request_id: None,
        }
    }

    /// What a ledger tells of an item that has failed; `None` of any other.
    pub fn of(row: &ItemRow<'_>) -> Option<Self> {
        if row.standing() != Standing::Failed {
            return None;
        }
        let ItemState::Failed {
            error_code,
            message,
            at,
        } = row.state()
        else {
            return None;
        };
        Some(Self::new(error_code, message, at))
    }
}

/// How far one vault of a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultProgress {
    /// The source vault.
    pub name: BackupVaultName,
    /// Its points.
    pub counts: Counts,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyEvent {
    /// Wall clock.
    pub at: DateTime<Utc>,
    /// Since the run began, monotonic.
    pub elapsed: Duration,
    /// Until the runtime limit, if there is one.
    pub time_left: Option<Duration>,
    /// Counts of this moment.
    pub stats: RunStats,
    /// The vaults of the run, as they stood at the latest tick: a thousand events a second need no new look at
    /// hundreds of vaults.
    pub vaults: Arc<[VaultProgress]>,
    /// When the oldest copy job under way was made, as it was at the latest tick.
    pub oldest_job: Option<DateTime<Utc>>,
    /// What happened.
    pub kind: CopyEventKind,
}
