//! How many copy jobs may be in flight: a fixed number, or one that finds AWS's limit by itself. Pure.
//!
//! AWS publishes its limits by resource type, and they differ from account to account. A window that
//! adapts doubles twice a minute until AWS refuses a job; the limit is then known to be what is in
//! flight. From there it asks for more each half minute, by one, two, four and up to a tenth, as long
//! as AWS takes them: a limit that was raised is found in minutes, and one that stands costs one
//! refused call in half a minute. A refusal is no failure of its point.

use std::time::Duration;

/// Most jobs that may ever be in flight.
pub const MAX_IN_FLIGHT: usize = 1000;
/// Time between two enlargements.
const PERIOD: Duration = Duration::from_secs(30);

/// The number of copy jobs that may be in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    size: usize,
    growth: Option<Growth>,
}

/// How a window grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Growth {
    /// By how many jobs next; by as many as there are before the first refusal.
    step: Option<usize>,
    /// When it last changed.
    changed: Duration,
}

impl Window {
    /// Never more and, as far as there is work, never fewer than `size`.
    pub fn fixed(size: usize) -> Self {
        Self {
            size: size.clamp(1, MAX_IN_FLIGHT),
            growth: None,
        }
    }

    /// Starts at `size` and finds AWS's limit.
    pub fn adaptive(size: usize) -> Self {
        Self {
            growth: Some(Growth {
                step: None,
                changed: Duration::ZERO,
            }),
            ..Self::fixed(size)
        }
    }

    /// The number at this moment.
    pub fn size(&self) -> usize {
        self.size
    }

    /// It is full at `now`, and there is more to start: time to grow, perhaps.
    pub fn on_full(&mut self, now: Duration) {
        if let Some(growth) = &mut self.growth
            && now >= growth.changed + PERIOD
        {
            let step = growth.step.unwrap_or(self.size);
            self.size = self.size.saturating_add(step).min(MAX_IN_FLIGHT);
            growth.step = growth.step.map(|step| (step * 2).min(self.size.div_ceil(10)));
            growth.changed = now;
        }
    }

    /// AWS refused a job at `now`, because `in_flight` others were under way.
    pub fn on_quota(&mut self, in_flight: usize, now: Duration) {
        if let Some(growth) = &mut self.growth {
            // Those of an earlier process may be more than fit.
            self.size = in_flight.clamp(1, self.size);
            *growth = Growth {
                step: Some(1),
                changed: now,
            };
        }
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
        let mut window = Window::adaptive(10);
        window.on_full(Duration::from_secs(29));
        assert_eq!(window.size(), 10);
        assert_eq!(sizes(&mut window, 1..=8), [20, 40, 80, 160, 320, 640, 1000, 1000]);
    }

    #[test]
    fn after_a_refusal_it_is_what_was_under_way_and_asks_for_a_little_more() {
        let mut window = Window::adaptive(500);
        window.on_quota(100, at(1));
        assert_eq!(window.size(), 100);
        assert_eq!(sizes(&mut window, 1..=7), [100, 101, 103, 107, 115, 127, 140]);
        window.on_quota(140, at(8));
        assert_eq!(sizes(&mut window, 9..=10), [141, 143]);
        for (in_flight, wanted) in [(10_000, 143), (3, 3), (0, 1)] {
            window.on_quota(in_flight, at(20));
            assert_eq!(window.size(), wanted, "{in_flight}");
        }
        let mut window = Window::adaptive(3);
        window.on_quota(3, at(21));
        assert_eq!(
            sizes(&mut window, 22..=25),
            [4, 5, 6, 7],
            "a tenth is one at least"
        );
    }

    #[test]
    fn a_fixed_window_stays_within_its_bounds_and_never_changes() {
        for (wanted, found) in [(0, 1), (7, 7), (5_000, MAX_IN_FLIGHT)] {
            let mut window = Window::fixed(wanted);
            assert_eq!(window.size(), found);
            window.on_full(at(9));
            window.on_quota(3, at(9));
            assert_eq!(window, Window::fixed(wanted));
        }
        assert_ne!(Window::adaptive(7), Window::fixed(7));
    }
}
