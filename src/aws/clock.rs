//! AWS's clock, as far as it is off from ours. The SDK signs by AWS's time once an answer has told it;
//! what this module adds is that dates of ours can be compared with AWS's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_sdk_backup::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_backup::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_backup::error::BoxError;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use chrono::{DateTime, TimeDelta, Utc};

/// A clock that is less than this off counts as right: AWS accepts signatures of five minutes.
const TOLERANCE: TimeDelta = TimeDelta::minutes(4);
/// An answer that took longer tells nothing of AWS's time.
const SLOW: TimeDelta = TimeDelta::minutes(1);

/// What is known of AWS's clock; shared by all clients of a process.
#[derive(Debug, Default)]
pub struct AwsClock {
    /// Milliseconds that it is ahead of ours; 0 within the tolerance.
    ahead: AtomicI64,
}

impl AwsClock {
    /// How far it is ahead of ours; nothing within the tolerance.
    pub fn ahead(&self) -> TimeDelta {
        TimeDelta::milliseconds(self.ahead.load(Ordering::Relaxed))
    }

    /// The time by AWS's clock, to be compared with dates that AWS gives.
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + self.ahead()
    }

    /// Takes note of the `Date` of an answer to a request that was sent and answered at these times.
    fn saw(&self, date: DateTime<Utc>, sent: DateTime<Utc>, answered: DateTime<Utc>) {
        if answered - sent > SLOW {
            return;
        }
        let ahead = date - (sent + (answered - sent) / 2);
        let ahead = if ahead.abs() < TOLERANCE {
            0
        } else {
            ahead.num_milliseconds()
        };
        let before = self.ahead.swap(ahead, Ordering::Relaxed);
        if before == 0 && ahead != 0 {
            let (seconds, direction) = (ahead.abs() / 1000, if ahead > 0 { "behind" } else { "ahead of" });
            tracing::warn!(
                "this machine's clock is {seconds} s {direction} AWS's; requests are signed by AWS's time \
                 (set the clock, for example by NTP)"
            );
        }
    }
}

/// When a request was sent.
#[derive(Debug)]
struct SentAt(DateTime<Utc>);

impl Storable for SentAt {
    type Storer = StoreReplace<Self>;
}

/// Reads the `Date` of every answer.
#[derive(Debug)]
pub(super) struct ReadDate(pub(super) Arc<AwsClock>);

impl Intercept for ReadDate {
    fn name(&self) -> &'static str {
        "ReadDate"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        bag.interceptor_state().store_put(SentAt(Utc::now()));
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|text| DateTime::parse_from_rfc2822(text).ok());
        if let (Some(date), Some(sent)) = (date, bag.load::<SentAt>()) {
            self.0.saw(date.to_utc(), sent.0, Utc::now());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead_after(date: i64, took: i64) -> i64 {
        let clock = AwsClock::default();
        let sent = Utc::now();
        let seconds = TimeDelta::seconds;
        clock.saw(sent + seconds(date), sent, sent + seconds(took));
        clock.ahead.load(Ordering::Relaxed) / 1000
    }

    #[test]
    fn only_a_clock_that_is_far_off_is_made_up_for() {
        assert_eq!(ahead_after(0, 0), 0);
        assert_eq!(ahead_after(239, 0), 0);
        assert_eq!(ahead_after(600, 0), 600);
        assert_eq!(ahead_after(-600, 0), -600);
        assert_eq!(ahead_after(620, 40), 600);
        assert_eq!(ahead_after(600, 61), 0, "slow");
    }
}
