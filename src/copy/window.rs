//! How many copy jobs AWS takes at a time, found by asking. Pure.
//!
//! AWS publishes its limits by resource type, and they differ from account to account. A window
//! doubles twice a minute up to the limit that is expected, or until AWS refuses a job; the limit is then
//! known to be what is in flight. From there it asks for more each half minute, by one, two, four and up
//! to a tenth, as long as AWS takes them: a limit that was raised is found in minutes, and one that
//! stands costs one refused call in half a minute. A refusal is no failure of its point.

use std::time::Duration;

/// Most jobs that may ever be in flight.
pub const MAX_IN_FLIGHT: usize = 1000;
/// Time between two enlargements.
const PERIOD: Duration = Duration::from_secs(30);

/// The number of copy jobs that may be in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    size: usize,
    /// By how many jobs it grows next, once it is near AWS's limit.
    step: Option<usize>,
    /// The limit that AWS is expected to have.
    expected: usize,
    /// When it last changed.
    changed: Duration,
}

impl Window {
    /// Starts at `size`, or at what is expected if that is less.
    pub(super) fn new(size: usize, expected: usize) -> Self {
        let expected = expected.clamp(1, MAX_IN_FLIGHT);
        Self {
            size: size.clamp(1, expected),
            step: None,
            expected,
            changed: Duration::ZERO,
        }
    }

    /// The number at this moment.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// It is full at `now`, and there is more to start: time to grow, perhaps.
    pub(super) fn on_full(&mut self, now: Duration) {
        if now < self.changed + PERIOD {
            return;
        }
        self.changed = now;
        if let Some(step) = self.step {
            self.size = self.size.saturating_add(step).min(MAX_IN_FLIGHT);
            self.step = Some((step * 2).min(self.size.div_ceil(10)));
        } else {
            self.size = self.size.saturating_mul(2).min(self.expected);
            self.step = (self.size == self.expected).then_some(1);
        }
    }

    /// AWS refused a job at `now`, because `in_flight` others were under way.
    pub(super) fn on_quota(&mut self, in_flight: usize, now: Duration) {
        // Those of an earlier process may be more than fit.
        self.size = in_flight.clamp(1, self.size);
        self.step = Some(1);
        self.changed = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(periods: u32) -> Duration {
        PERIOD * periods
    }

    fn sizes(window: &mut Window, periods: std::ops::RangeInclusive<u32>) -> Vec<usize> {
        periods
            .map(|n| {
                window.on_full(at(n));
                window.on_full(at(n) + Duration::from_secs(1));
                window.size()
            })
            .collect()
    }

    #[test]
    fn before_the_first_refusal_it_doubles_each_half_minute_up_to_the_maximum() {
        let mut window = Window::new(10, usize::MAX);
        window.on_full(Duration::from_secs(29));
        assert_eq!(window.size(), 10);
        assert_eq!(sizes(&mut window, 1..=8), [20, 40, 80, 160, 320, 640, 1000, 1000]);
    }

    #[test]
    fn after_a_refusal_it_is_what_was_under_way_and_asks_for_a_little_more() {
        let mut window = Window::new(500, usize::MAX);
        window.on_quota(100, at(1));
        assert_eq!(window.size(), 100);
        assert_eq!(sizes(&mut window, 1..=7), [100, 101, 103, 107, 115, 127, 140]);
        window.on_quota(140, at(8));
        assert_eq!(sizes(&mut window, 9..=10), [141, 143]);
        for (in_flight, wanted) in [(10_000, 143), (3, 3), (0, 1)] {
            window.on_quota(in_flight, at(20));
            assert_eq!(window.size(), wanted, "{in_flight}");
        }
        let mut window = Window::new(3, usize::MAX);
        window.on_quota(3, at(21));
        assert_eq!(
            sizes(&mut window, 22..=25),
            [4, 5, 6, 7],
            "a tenth is one at least"
        );
    }

    #[test]
    fn what_is_expected_is_reached_fast_and_passed_with_care() {
        let mut window = Window::new(10, 50);
        assert_eq!(sizes(&mut window, 1..=6), [20, 40, 50, 51, 53, 57]);
        // AWS's word counts, not what was expected.
        window.on_quota(30, at(7));
        assert_eq!(sizes(&mut window, 8..=9), [31, 33]);
    }

    #[test]
    fn it_starts_within_its_bounds() {
        for (size, expected, found) in [
            (0, 5, 1),
            (7, 9, 7),
            (7, 5, 5),
            (7, 0, 1),
            (5_000, 9_000, MAX_IN_FLIGHT),
        ] {
            assert_eq!(Window::new(size, expected).size(), found, "{size} {expected}");
        }
    }
}
