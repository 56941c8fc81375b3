//! How many calls of one list may be under way. Pure.

use std::time::Duration;

/// The fewest calls at a time that are of use.
const LEAST_OF_USE: usize = 4;
/// An answer that takes so long is waited for.
const LONG: Duration = Duration::from_millis(50);
/// Rounds of answers without a throttled one, after which one call more is sent.
const ROUNDS: usize = 4;

/// Calls under way, and how many there may be.
#[derive(Debug)]
pub(super) struct Pace {
    /// As many as the operator wants at most.
    most: usize,
    /// As many as AWS takes.
    allowed: usize,
    /// As many as bring answers sooner: pages that come faster than they are read only fill memory.
    of_use: usize,
    under_way: usize,
    /// Answers since `allowed` changed.
    steady: usize,
    /// Answers in a row that did not have to be waited for.
    at_once: usize,
}

impl Pace {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            allowed: most,
            of_use: LEAST_OF_USE,
            under_way: 0,
            steady: most,
            at_once: 0,
        }
    }

    /// Whether another call may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.under_way < self.allowed.min(self.of_use)
    }

    /// How many more calls AWS would take.
    pub(super) fn free(&self) -> usize {
        self.allowed.saturating_sub(self.under_way)
    }

    /// As many calls at a time as AWS takes.
    pub(super) fn allowed(&self) -> usize {
        self.allowed
    }

    /// One is sent.
    pub(super) fn sent(&mut self) {
        self.under_way += 1;
    }

    /// One is over.
    pub(super) fn answered(&mut self) {
        self.under_way -= 1;
        self.steady += 1;
        if self.allowed < self.most && self.steady >= ROUNDS * self.allowed {
            self.allowed += 1;
            self.steady = 0;
        }
    }

    /// AWS asks for fewer calls. What it says within a round of answers counts once.
    pub(super) fn throttled(&mut self) {
        if self.steady >= self.allowed {
            self.allowed = (self.allowed / 2).max(1);
            self.steady = 0;
        }
    }

    /// AWS asks for fewer calls, again and again.
    pub(super) fn one_by_one(&mut self) {
        self.allowed = 1;
        self.steady = 0;
    }

    /// How long there was nothing to do before an answer came: if long, there is time for more calls.
    pub(super) fn waited(&mut self, time: Duration) {
        if time >= LONG {
            self.of_use = (self.of_use * 2).min(self.most);
            self.at_once = 0;
            return;
        }
        self.at_once += 1;
        // Answers of calls that were sent together come together, and say nothing.
        if self.at_once > self.most {
            self.of_use = (self.of_use / 2).max(LEAST_OF_USE);
            self.at_once = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn most_under_way(pace: &mut Pace) -> usize {
        while pace.has_room() {
            pace.sent();
        }
        pace.under_way
    }

    #[test]
    fn answers_that_are_waited_for_bring_more_calls_and_others_fewer() {
        let mut pace = Pace::new(12);
        assert_eq!(most_under_way(&mut pace), 4);
        for (wait, most) in [(300, 8), (300, 12), (300, 12)] {
            pace.waited(Duration::from_millis(wait));
            assert_eq!(most_under_way(&mut pace), most);
        }
        let mut pace = Pace::new(12);
        for _ in 0..3 {
            // The others of a round come at once.
            pace.waited(Duration::from_millis(300));
            (0..11).for_each(|_| pace.waited(Duration::ZERO));
        }
        assert_eq!(pace.of_use, 12);
        (0..30).for_each(|_| pace.waited(Duration::ZERO));
        assert_eq!(pace.of_use, 4);
        assert_eq!(most_under_way(&mut Pace::new(2)), 2);
    }

    #[test]
    fn throttling_halves_the_calls_once_a_round_and_success_brings_them_back() {
        let mut pace = Pace::new(12);
        pace.throttled();
        pace.throttled();
        assert_eq!(pace.allowed(), 6);
        pace.under_way = 1000;
        for _ in 0..6 {
            pace.answered();
        }
        pace.throttled();
        assert_eq!(pace.allowed(), 3);
        for _ in 0..ROUNDS * (3 + 4 + 5 + 6 + 7 + 8 + 9 + 10 + 11) {
            pace.answered();
        }
        assert_eq!(pace.allowed(), 12);
        pace.one_by_one();
        assert_eq!(pace.allowed(), 1);
    }
}
