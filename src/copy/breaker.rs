//! When failures say that going on is pointless: the circuit breaker.

use super::failure::FailureCause;

/// The run stops when its first jobs, this many, all failed of one systemic cause ...
const FIRST: u32 = 5;
/// ... or this many in a row later on.
const IN_A_ROW: u32 = 20;

/// Counts systemic failures in a row.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    any_completed: bool,
    cause: Option<FailureCause>,
    in_a_row: u32,
}

impl Breaker {
    /// A job succeeded.
    pub(super) fn completed(&mut self) {
        self.any_completed = true;
        self.cause = None;
        self.in_a_row = 0;
    }

    /// A job failed; answers whether the run should stop.
    pub(super) fn failed(&mut self, cause: FailureCause) -> bool {
        if !cause.is_systemic() {
            // A job got as far as to fail for a reason of its own: the way is open.
            self.completed();
            return false;
        }
        if self.cause != Some(cause) {
            self.any_completed |= self.cause.is_some();
            self.cause = Some(cause);
            self.in_a_row = 0;
        }
        self.in_a_row += 1;
        self.in_a_row >= if self.any_completed { IN_A_ROW } else { FIRST }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_five_or_twenty_in_a_row_of_one_cause_trip_it() {
        let mut breaker = Breaker::default();
        let trips: Vec<bool> = (0..5)
            .map(|_| breaker.failed(FailureCause::VaultPolicy))
            .collect();
        assert_eq!(trips, [false, false, false, false, true]);

        let mut breaker = Breaker::default();
        breaker.completed();
        let first = (0..30).position(|_| breaker.failed(FailureCause::Role));
        assert_eq!(first, Some(19));
    }

    #[test]
    fn other_causes_and_successes_begin_the_count_anew() {
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            assert!(!breaker.failed(FailureCause::Gone));
            for _ in 0..4 {
                assert!(!breaker.failed(FailureCause::Role));
            }
        }
    }

    #[test]
    fn a_second_systemic_cause_is_counted_from_one() {
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            assert!(!breaker.failed(FailureCause::Role));
        }
        // Two causes: what is common to all jobs is not known, so that more evidence is wanted.
        let first = (0..30).position(|_| breaker.failed(FailureCause::VaultPolicy));
        assert_eq!(first, Some(19));
    }
}
