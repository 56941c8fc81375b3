//! Where items stand, and how many stand where.

use super::format::ItemState;

/// How many items stand where. The six states add up to `total`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub total: usize,
    /// Waiting.
    pub pending: usize,
    /// Being started.
    pub starting: usize,
    /// With a job.
    pub in_flight: usize,
    /// Copied.
    pub completed: usize,
    /// Not copied.
    pub failed: usize,
    /// Needing no copy.
    pub skipped: usize,
    /// Bytes of the copied points, where AWS gave sizes.
    pub bytes_completed: u64,
}

impl Counts {
    /// Started, or being started.
    pub fn in_progress(&self) -> usize {
        self.starting + self.in_flight
    }

    /// Not over yet.
    pub fn left(&self) -> usize {
        self.pending + self.in_progress()
    }
}

/// Where an item stands, without its particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Waits.
    Pending,
    /// Being started.
    Starting,
    /// With a job.
    InFlight,
    /// Copied.
    Completed,
    /// Not copied.
    Failed,
    /// Needs no copy, or can have none.
    Skipped,
}

impl Standing {
    /// Of a state.
    pub fn of(state: &ItemState) -> Self {
        match state {
            ItemState::Pending => Self::Pending,
            ItemState::Starting { .. } => Self::Starting,
            ItemState::InFlight { .. } => Self::InFlight,
            ItemState::Completed { .. } => Self::Completed,
            ItemState::Failed { .. } => Self::Failed,
            ItemState::Skipped { .. } => Self::Skipped,
        }
    }

    /// Its name in a state file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Starting => "starting",
            Self::InFlight => "in_flight",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl Counts {
    fn slot(&mut self, standing: Standing) -> &mut usize {
        match standing {
            Standing::Pending => &mut self.pending,
            Standing::Starting => &mut self.starting,
            Standing::InFlight => &mut self.in_flight,
            Standing::Completed => &mut self.completed,
            Standing::Failed => &mut self.failed,
            Standing::Skipped => &mut self.skipped,
        }
    }

    pub(super) fn add(&mut self, standing: Standing, bytes: u64) {
        self.total += 1;
        *self.slot(standing) += 1;
        if standing == Standing::Completed {
            self.bytes_completed += bytes;
        }
    }

    /// No bytes are taken back: nothing follows `completed`.
    pub(super) fn remove(&mut self, standing: Standing) {
        self.total -= 1;
        *self.slot(standing) -= 1;
    }
}
