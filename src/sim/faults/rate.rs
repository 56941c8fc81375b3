//! Throttling by rate: a token bucket in real time, as a service counts calls.

/// Calls that are taken, and when.
#[derive(Debug)]
pub(in crate::sim) struct CallRate {
    per_second: f64,
    burst: f64,
    tokens: f64,
    filled_at: f64,
}

impl CallRate {
    /// So many calls a second, and so many at once; 0 a second is no limit.
    pub(in crate::sim) fn new(per_second: f64, burst: f64) -> Self {
        let burst = burst.max(1.0);
        Self {
            per_second,
            burst,
            tokens: burst,
            filled_at: 0.0,
        }
    }

    /// Whether a call at this moment, in real seconds, is taken.
    pub(in crate::sim) fn takes(&mut self, at: f64) -> bool {
        if self.per_second <= 0.0 {
            return true;
        }
        self.tokens = (self.tokens + (at - self.filled_at).max(0.0) * self.per_second).min(self.burst);
        self.filled_at = at;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_rate_holds() {
        let mut rate = CallRate::new(10.0, 5.0);
        let at_once = (0..20).filter(|_| rate.takes(0.0)).count();
        assert_eq!(at_once, 5);
        let in_a_second = (1..=100).filter(|n| rate.takes(f64::from(*n) / 100.0)).count();
        assert!((9..=11).contains(&in_a_second), "{in_a_second}");
    }
}
