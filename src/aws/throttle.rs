//! How fast copy jobs are started: a token bucket whose rate follows what AWS takes. Pure.
//!
//! AWS publishes no request rates for AWS Backup. The rate therefore doubles each second until the
//! first throttled start, falls by a third then, and grows by a little from there on (additive
//! increase, multiplicative decrease).

use std::time::Duration;

/// Starts a second at the beginning.
const FIRST_RATE: f64 = 20.0;
/// The slowest, so that a run always goes on.
const LEAST_RATE: f64 = 0.5;
/// The fastest: beyond what one process can send.
const MOST_RATE: f64 = 5_000.0;
/// Added to the rate each second after the first throttle.
const STEP: f64 = 2.0;
/// What is left of the rate after a throttle.
const FALL: f64 = 0.67;
/// Throttled answers within this time count as one.
const REACTION: Duration = Duration::from_secs(1);

/// Paces starts. Time is a duration since the run began.
#[derive(Debug)]
pub struct StartPacer {
    rate: f64,
    burst: f64,
    tokens: f64,
    filled_at: Duration,
    throttled_at: Option<Duration>,
}

impl StartPacer {
    /// A pacer for so many concurrent calls.
    pub fn new(workers: usize) -> Self {
        let burst = u32::try_from(workers).map_or(50.0, f64::from).max(1.0);
        Self {
            rate: FIRST_RATE,
            burst,
            tokens: burst,
            filled_at: Duration::ZERO,
            throttled_at: None,
        }
    }

    /// Starts a second at this moment.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Whether a start may be sent at `now`.
    pub fn may_start(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.burst);
        self.filled_at = now;
        self.tokens >= 1.0
    }

    /// One is sent.
    pub fn started(&mut self) {
        self.tokens -= 1.0;
    }

    /// AWS took one.
    pub fn on_success(&mut self) {
        let step = if self.throttled_at.is_none() {
            1.0
        } else {
            STEP / self.rate
        };
        self.rate = (self.rate + step).min(MOST_RATE);
    }

    /// Starts a minute at this moment, in whole ones.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 30 to 300,000"
    )]
    pub fn per_minute(&self) -> u32 {
        (self.rate * 60.0).round() as u32
    }

    /// AWS asked for fewer calls. Answers whether starts are slower now than before.
    pub fn on_throttled(&mut self, now: Duration) -> bool {
        if self.throttled_at.is_some_and(|at| now < at + REACTION) {
            return false;
        }
        self.throttled_at = Some(now);
        self.rate = (self.rate * FALL).max(LEAST_RATE);
        self.tokens = 0.0;
        self.filled_at = now;
        self.burst = self.burst.min(self.rate.max(1.0));
        true
    }

    /// When the next start may be sent; `None` if it may be at `now`.
    pub fn next_start(&self, now: Duration) -> Option<Duration> {
        let passed = now.saturating_sub(self.filled_at).as_secs_f64();
        let missing = 1.0 - (self.tokens + passed * self.rate);
        (missing > 0.0).then(|| now + Duration::from_secs_f64(missing / self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Starts as fast as allowed for `seconds` against a server that takes `limit` a second.
    fn run(limit: f64, seconds: u64) -> (u32, u32) {
        let mut pacer = StartPacer::new(50);
        let (mut taken, mut refused) = (0, 0);
        let (mut bucket, mut at) = (limit, Duration::ZERO);
        for ms in 0..seconds * 1000 {
            let now = Duration::from_millis(ms);
            bucket = (bucket + now.checked_sub(at).unwrap().as_secs_f64() * limit).min(limit);
            at = now;
            while pacer.may_start(now) {
                pacer.started();
                if bucket >= 1.0 {
                    bucket -= 1.0;
                    taken += 1;
                    pacer.on_success();
                } else {
                    refused += 1;
                    pacer.on_throttled(now);
                }
            }
        }
        (taken, refused)
    }

    #[test]
    fn it_finds_an_unknown_limit_and_wastes_few_calls() {
        let (taken, refused) = run(30.0, 60);
        assert!(taken > 30 * 60 * 7 / 10, "{taken}");
        assert!(refused * 20 < taken, "{refused} of {taken}");
    }

    #[test]
    fn without_a_limit_it_does_not_hold_starts_back_for_long() {
        let (taken, refused) = run(1e9, 10);
        assert!(taken > 5_000, "{taken}");
        assert_eq!(refused, 0);
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn near(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-9, "{found} instead of {wanted}");
    }

    #[test]
    fn a_burst_is_sent_at_once_and_then_one_each_twentieth_of_a_second() {
        let mut pacer = StartPacer::new(2);
        for _ in 0..2 {
            assert!(pacer.may_start(ms(1000)));
            assert_eq!(pacer.next_start(ms(1000)), None);
            pacer.started();
        }
        assert!(!pacer.may_start(ms(1000)));
        assert_eq!(pacer.next_start(ms(1000)), Some(ms(1050)));
        assert_eq!(pacer.next_start(ms(1020)), Some(ms(1050)));
        assert!(!pacer.may_start(ms(1049)));
        assert!(pacer.may_start(ms(1051)));
        // Idle time is not saved up beyond a burst.
        assert!(pacer.may_start(ms(60_000)));
        near(pacer.tokens, 2.0);
    }

    #[test]
    fn a_throttle_takes_a_third_once_a_second_and_successes_give_a_little_back() {
        let mut pacer = StartPacer::new(50);
        pacer.on_success();
        near(pacer.rate(), FIRST_RATE + 1.0);
        pacer.on_throttled(ms(100));
        near(pacer.rate(), 21.0 * FALL);
        near(pacer.burst, 21.0 * FALL);
        assert!(pacer.next_start(ms(100)).is_some());
        pacer.on_throttled(ms(1099));
        near(pacer.rate(), 21.0 * FALL);
        pacer.on_throttled(ms(1100));
        near(pacer.rate(), 21.0 * FALL * FALL);
        let before = pacer.rate();
        pacer.on_success();
        near(pacer.rate(), before + STEP / before);
        for second in 2..100 {
            pacer.on_throttled(ms(second * 1000 + 200));
        }
        near(pacer.rate(), LEAST_RATE);
        near(pacer.burst, 1.0);
    }

    proptest! {
        #[test]
        fn the_rate_stays_within_bounds(events in prop::collection::vec((0u64..3_000, any::<bool>()), 1..200)) {
            let mut pacer = StartPacer::new(10);
            let mut now = Duration::ZERO;
            for (ms, throttled) in events {
                now += Duration::from_millis(ms);
                if throttled { pacer.on_throttled(now); } else { pacer.on_success() }
                prop_assert!((LEAST_RATE..=MOST_RATE).contains(&pacer.rate()));
                let wait = pacer.next_start(now).map_or(Duration::ZERO, |at| at.checked_sub(now).unwrap());
                prop_assert!(wait <= Duration::from_secs(3));
            }
        }
    }
}
