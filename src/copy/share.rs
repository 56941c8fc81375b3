//! Jobs in flight of the types that share a quota of AWS, and whether it takes one more. Pure.

use std::time::Duration;

use super::window::Window;

/// The jobs of one quota.
#[derive(Debug)]
pub(super) struct Share {
    /// Nothing if only AWS bounds them.
    window: Option<Window>,
    in_flight: usize,
    full: Option<Full>,
    /// The window's size that was told of last.
    told: Option<usize>,
}

/// AWS has said that it takes no more jobs.
#[derive(Debug, Clone, Copy)]
struct Full {
    /// When that is doubted.
    until: Duration,
    /// Jobs that have ended since: so many may be started, and no more, or each job that ends would
    /// cost as many refused calls as there are workers.
    room: usize,
}

impl Share {
    pub(super) fn new(window: Option<Window>) -> Self {
        Self {
            window,
            in_flight: 0,
            full: None,
            told: None,
        }
    }

    /// Whether a job that is ready may be started at `now`.
    pub(super) fn has_room(&mut self, now: Duration) -> bool {
        if self.full.is_some_and(|full| full.room == 0) {
            return false;
        }
        let Some(window) = &mut self.window else {
            return true;
        };
        if self.in_flight >= window.size() {
            window.on_full(now);
        }
        self.in_flight < window.size()
    }

    /// The window's size, if it is another than the last time.
    pub(super) fn changed_window(&mut self) -> Option<usize> {
        let size = self.window.map(|window| window.size());
        let changed = size.filter(|_| size != self.told);
        self.told = size;
        changed
    }

    /// A job is started.
    pub(super) fn started(&mut self) {
        if let Some(full) = &mut self.full {
            full.room = full.room.saturating_sub(1);
        }
    }

    /// A job is in flight.
    pub(super) fn occupied(&mut self) {
        self.in_flight += 1;
    }

    /// It is not any more.
    pub(super) fn freed(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// And AWS has room for another one.
    pub(super) fn ended(&mut self) {
        if let Some(full) = &mut self.full {
            full.room += 1;
        }
    }

    /// AWS took no more at `now`, which is doubted from `until` on.
    pub(super) fn refused(&mut self, now: Duration, until: Duration) {
        if let Some(window) = &mut self.window {
            // What was refused still holds its slot here.
            window.on_quota(self.in_flight.saturating_sub(1), now);
        }
        self.full = Some(Full { until, room: 0 });
    }

    /// Forgets a refusal whose time has passed, so that it wakes nobody again.
    pub(super) fn forget_refusal(&mut self, now: Duration) {
        self.full = self.full.filter(|full| now < full.until);
    }

    /// When a refusal is doubted.
    pub(super) fn full_until(&self) -> Option<Duration> {
        self.full.map(|full| full.until)
    }
}
