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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adaptive_window_grows_by_one_for_each_windows_worth_of_ends() {
        let mut window = Window::adaptive(10);
        for _ in 0..10 {
            assert_eq!(window.size(), 10);
            window.on_finished();
        }
        window.on_finished();
        assert_eq!(window.size(), 11);
        for _ in 0..2_000_000 {
            window.on_finished();
        }
        assert_eq!(window.size(), MAX_IN_FLIGHT);
    }

    #[test]
    fn a_refusal_takes_a_twentieth_of_what_was_under_way_and_leaves_one() {
        let mut window = Window::adaptive(500);
        for (in_flight, wanted) in [(100, 95), (0, 1), (1, 1), (10_000, 950)] {
            window.on_quota(in_flight);
            assert_eq!(window.size(), wanted, "{in_flight}");
        }
    }

    #[test]
    fn a_fixed_window_stays_within_its_bounds_and_never_changes() {
        for (wanted, found) in [(0, 1), (7, 7), (5_000, MAX_IN_FLIGHT)] {
            let mut window = Window::fixed(wanted);
            assert_eq!(window.size(), found);
            window.on_finished();
            window.on_quota(3);
            assert_eq!(window, Window::fixed(wanted));
        }
        assert_ne!(Window::adaptive(7), Window::fixed(7));
    }
}
