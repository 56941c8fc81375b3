//! How many copy jobs may be in flight: a fixed number, or one that finds AWS's limit by itself.

/// Most jobs that may ever be in flight.
pub const MAX_IN_FLIGHT: usize = 1000;

/// The number of copy jobs that may be in flight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    size: f64,
    adaptive: bool,
}

impl Window {
    /// Never more and, as far as there is work, never fewer than `size`.
    #[expect(clippy::cast_precision_loss, reason = "the size is at most 1000")]
    pub fn fixed(size: usize) -> Self {
        Self {
            size: size.clamp(1, MAX_IN_FLIGHT) as f64,
            adaptive: false,
        }
    }

    /// Starts at `size` and grows by one for each window's worth of finished jobs, until AWS
    /// pushes back.
    pub fn adaptive(size: usize) -> Self {
        Self {
            adaptive: true,
            ..Self::fixed(size)
        }
    }

    /// The number at this moment.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "1 to 1000"
    )]
    pub fn size(&self) -> usize {
        self.size as usize
    }

    /// A job has ended.
    #[expect(clippy::cast_precision_loss, reason = "the maximum is 1000")]
    pub fn on_finished(&mut self) {
        if self.adaptive {
            self.size = (self.size + 1.0 / self.size).min(MAX_IN_FLIGHT as f64);
        }
    }

    /// AWS refused a job because `in_flight` others were under way.
    #[expect(clippy::cast_precision_loss, reason = "the maximum is 1000")]
    pub fn on_quota(&mut self, in_flight: usize) {
        if self.adaptive {
            self.size = (in_flight.min(MAX_IN_FLIGHT) as f64 * 0.95).max(1.0);
        }
    }
}
