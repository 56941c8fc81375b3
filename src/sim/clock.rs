//! Simulated time: real time, made faster.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

/// A clock that runs `scale` times as fast as ours, from the same moment on or from one that is
/// `skew` seconds off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    began: Instant,
    epoch: DateTime<Utc>,
    scale: f64,
    skew: TimeDelta,
}

impl Clock {
    pub(super) fn new(scale: f64, skew: f64) -> Self {
        let skew = seconds(skew);
        Self {
            began: Instant::now(),
            epoch: Utc::now() + skew,
            scale,
            skew,
        }
    }

    /// What the service's own clock shows: not made faster, but as far off. Signatures are checked
    /// by it and the `Date` header tells it.
    pub(super) fn wall(&self) -> DateTime<Utc> {
        Utc::now() + self.skew
    }

    /// Now, in simulated time.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.epoch + seconds(self.began.elapsed().as_secs_f64() * self.scale)
    }

    /// Real seconds since the beginning.
    pub(super) fn real_seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// When it all began.
    pub(super) fn epoch(&self) -> DateTime<Utc> {
        self.epoch
    }
}

/// A number of seconds as a difference of times, to the microsecond.
#[expect(
    clippy::cast_possible_truncation,
    reason = "microseconds of any sensible time fit"
)]
pub(super) fn seconds(seconds: f64) -> TimeDelta {
    TimeDelta::microseconds((seconds * 1e6) as i64)
}
