//! How long copy jobs of this run took, as far as a stop before a deadline needs to know.

use std::collections::VecDeque;
use std::time::Duration;

/// Jobs that are remembered: the latest.
const KEPT: usize = 500;

/// The durations of the latest jobs.
#[derive(Debug, Default)]
pub(super) struct JobDurations {
    latest: VecDeque<Duration>,
}

impl JobDurations {
    /// A job took this long, from its start to the poll that saw its end.
    pub(super) fn add(&mut self, duration: Duration) {
        if self.latest.len() == KEPT {
            self.latest.pop_front();
        }
        self.latest.push_back(duration);
    }

    /// The 90th percentile; `None` before the first job has ended.
    pub(super) fn p90(&self) -> Option<Duration> {
        let mut sorted: Vec<Duration> = self.latest.iter().copied().collect();
        sorted.sort_unstable();
        sorted
            .get((sorted.len() * 9).div_ceil(10).checked_sub(1)?)
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p90_is_of_the_latest_jobs() {
        let mut durations = JobDurations::default();
        assert_eq!(durations.p90(), None);
        for secs in 1..=10 {
            durations.add(Duration::from_secs(secs));
        }
        assert_eq!(durations.p90(), Some(Duration::from_secs(9)));
        for _ in 0..KEPT {
            durations.add(Duration::from_secs(100));
        }
        assert_eq!(durations.p90(), Some(Duration::from_secs(100)));
    }
}
