//! The one retry layer: the guide's numbers, and nothing of the SDK's.

use std::time::Duration;

use backon::ExponentialBuilder;

use super::error::{ApiError, ErrorClass};

/// Retries after the first attempt.
pub(super) const MOST_RETRIES: usize = 3;

/// Which failed calls are sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RetryRule {
    /// Reads, and writes that may be repeated: every passing fault.
    Repeatable,
    /// Starts: only what surely never reached AWS. A lost answer is settled by the caller, and
    /// throttling slows all starts down instead of repeating one.
    OnlyUnsent,
    /// Questions whose answer is nice to have, put to other services than AWS Backup: what was answered with
    /// a passing fault. A service that cannot be reached (many networks let only some through) must not hold
    /// up a run, nor one that rejects an identity which AWS Backup accepts.
    Question,
}

impl RetryRule {
    pub(super) fn covers(self, error: &ApiError) -> bool {
        match self {
            Self::Repeatable => matches!(error.class, ErrorClass::Transient | ErrorClass::Throttling),
            Self::OnlyUnsent => error.class == ErrorClass::Transient && !error.in_doubt(),
            Self::Question => error.http_status.is_some() && Self::Repeatable.covers(error),
        }
    }

    /// Whether credentials that were rejected with this error are worth a renewal.
    pub(super) fn renews_for(self, error: &ApiError) -> bool {
        error.class == ErrorClass::Credentials
            && (self != Self::Question || error.code.starts_with("Expired"))
    }
}

/// 1 s, 2 s, 4 s, each with up to a second of jitter so that workers do not march in step.
pub(super) fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(1))
        .with_factor(2.0)
        .with_max_delay(Duration::from_mins(1))
        .with_max_times(MOST_RETRIES)
        .with_jitter()
}

#[cfg(test)]
mod tests {
    use backon::BackoffBuilder as _;

    use super::*;

    #[test]
    fn delays_are_the_guides() {
        let delays: Vec<Duration> = backoff().build().collect();
        assert_eq!(delays.len(), MOST_RETRIES);
        for (delay, least) in delays.iter().zip([1, 2, 4]) {
            let least = Duration::from_secs(least);
            assert!(
                *delay >= least && *delay <= least * 2 + Duration::from_secs(1),
                "{delays:?}"
            );
        }
    }
    #[test]
    fn reads_are_repeated_after_passing_faults_and_starts_only_if_they_were_not_sent() {
        let error = |class| ApiError::local("StartCopyJob", "X", "x", class);
        let lost = ApiError::cut_short("StartCopyJob", "half an answer");
        let mut answered = error(ErrorClass::Transient);
        answered.http_status = Some(500);
        assert!(
            RetryRule::Question.covers(&answered)
                && !RetryRule::Question.covers(&error(ErrorClass::Transient))
        );
        for (error, repeatable, only_unsent) in [
            (error(ErrorClass::Transient), true, true),
            (lost, true, false),
            (error(ErrorClass::Throttling), true, false),
            (error(ErrorClass::Quota), false, false),
            (error(ErrorClass::Credentials), false, false),
            (error(ErrorClass::AccessDenied), false, false),
            (ApiError::cancelled("StartCopyJob", true), false, false),
        ] {
            assert_eq!(RetryRule::Repeatable.covers(&error), repeatable, "{error:?}");
            assert_eq!(RetryRule::OnlyUnsent.covers(&error), only_unsent, "{error:?}");
        }
    }

    #[test]
    fn another_service_that_rejects_an_identity_costs_no_renewal_unless_it_has_expired() {
        let rejected = |code| ApiError::local("DescribeKey", code, "x", ErrorClass::Credentials);
        for (code, by_question) in [
            ("ExpiredTokenException", true),
            ("UnrecognizedClientException", false),
        ] {
            assert!(RetryRule::Repeatable.renews_for(&rejected(code)));
            assert_eq!(
                RetryRule::Question.renews_for(&rejected(code)),
                by_question,
                "{code}"
            );
        }
        let denied = ApiError::local("DescribeKey", "AccessDenied", "x", ErrorClass::AccessDenied);
        assert!(!RetryRule::Repeatable.renews_for(&denied));
    }

    #[test]
    fn no_two_workers_wait_for_the_same_time() {
        let first = || backoff().build().next();
        let one = first();
        assert!(
            (0..20).any(|_| first() != one),
            "without jitter all come back at once"
        );
    }
}
