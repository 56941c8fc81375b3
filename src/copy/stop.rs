//! Why and when a run stops: signals and the runtime limit, as one value that is only ever raised.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::event::StopReason;

/// Carries the reason to stop to all who work.
#[derive(Debug)]
pub struct StopSource {
    sender: watch::Sender<Option<StopReason>>,
    /// Set once a run is on: how long it may wait for its jobs after a signal.
    drain: OnceLock<Duration>,
    /// Cancelled when AWS calls must end too: some time after the first signal, or at the second.
    cancel: CancellationToken,
}

impl StopSource {
    /// A source that no signal has reached yet. `cancel` is what AWS calls select on.
    pub fn new(cancel: CancellationToken) -> Self {
        Self {
            sender: watch::Sender::new(None),
            drain: OnceLock::new(),
            cancel,
        }
    }

    /// Follows the reason.
    pub fn subscribe(&self) -> watch::Receiver<Option<StopReason>> {
        self.sender.subscribe()
    }

    /// Raises the reason; a lower one than before is passed over.
    pub fn raise(&self, reason: StopReason) {
        self.sender.send_if_modified(|current| {
            let raised = current.is_none_or(|c| reason > c);
            if raised {
                *current = Some(reason);
            }
            raised
        });
        if reason == StopReason::InterruptedAgain {
            self.cancel.cancel();
        }
    }

    /// A signal has come: raises [`StopReason::Interrupted`] at the first one, and
    /// [`StopReason::InterruptedAgain`] at the second. Answers what was raised.
    pub fn signalled(&self) -> StopReason {
        let again = self.sender.borrow().is_some_and(|r| r >= StopReason::Interrupted);
        let reason = if again {
            StopReason::InterruptedAgain
        } else {
            StopReason::Interrupted
        };
        self.raise(reason);
        reason
    }

    /// From now on a state is kept, and `drain` is how long jobs in flight are awaited after a signal.
    pub fn run_begins(&self, drain: Duration) {
        // There is one run in a process; a second one would wait as long as the first.
        self.drain.get_or_init(|| drain);
    }

    /// How long the run waits for its jobs after a signal; `None` before it has begun.
    pub fn drain(&self) -> Option<Duration> {
        self.drain.get().copied()
    }
}

/// The runtime limit of a run.
#[derive(Debug, Clone, Copy)]
pub struct RuntimeLimit {
    limit: Duration,
}

impl RuntimeLimit {
    /// A limit, measured from the run's start on the monotonic clock.
    pub fn new(limit: Duration) -> Self {
        Self { limit }
    }

    /// What is left at `elapsed`.
    pub fn left(&self, elapsed: Duration) -> Duration {
        self.limit.saturating_sub(elapsed)
    }

    /// Whether a job that is started now would probably not end in time: the rest is shorter than
    /// the 90th percentile of the run's jobs, of which at most a fifth of the limit is believed.
    pub fn too_late_to_start(&self, elapsed: Duration, p90: Option<Duration>) -> bool {
        let reserve = p90.unwrap_or_default().min(self.limit / 5);
        self.left(elapsed) <= reserve
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_only_raised() {
        let cancel = CancellationToken::new();
        let stop = StopSource::new(cancel.clone());
        let seen = stop.subscribe();
        stop.raise(StopReason::Interrupted);
        stop.raise(StopReason::RuntimeLimit);
        assert_eq!(*seen.borrow(), Some(StopReason::Interrupted));
        assert!(!cancel.is_cancelled());
        assert_eq!(stop.signalled(), StopReason::InterruptedAgain);
        assert!(cancel.is_cancelled());
    }

    #[test]
    fn starts_end_before_the_limit_by_the_usual_job_time_but_by_a_fifth_at_most() {
        let limit = RuntimeLimit::new(Duration::from_secs(100));
        let secs = Duration::from_secs;
        assert!(!limit.too_late_to_start(secs(99), None));
        assert!(limit.too_late_to_start(secs(100), None));
        assert!(limit.too_late_to_start(secs(91), Some(secs(10))));
        assert!(!limit.too_late_to_start(secs(79), Some(secs(60))));
        assert!(limit.too_late_to_start(secs(80), Some(secs(60))));
    }

    #[test]
    fn only_a_higher_reason_wakes_those_who_follow() {
        let stop = StopSource::new(CancellationToken::new());
        let mut seen = stop.subscribe();
        stop.raise(StopReason::Systemic);
        assert!(seen.has_changed().unwrap());
        assert_eq!(*seen.borrow_and_update(), Some(StopReason::Systemic));
        for same_or_lower in [StopReason::Systemic, StopReason::RuntimeLimit] {
            stop.raise(same_or_lower);
            assert!(!seen.has_changed().unwrap());
        }
    }

    #[test]
    fn the_first_signal_asks_and_the_second_ends() {
        let cancel = CancellationToken::new();
        let stop = StopSource::new(cancel.clone());
        stop.raise(StopReason::CredentialsGone);
        assert_eq!(stop.signalled(), StopReason::Interrupted);
        assert!(!cancel.is_cancelled());
        assert_eq!(stop.signalled(), StopReason::InterruptedAgain);
        assert!(cancel.is_cancelled());
    }

    #[test]
    fn the_drain_is_known_once_a_run_is_on() {
        let stop = StopSource::new(CancellationToken::new());
        assert_eq!(stop.drain(), None);
        stop.run_begins(Duration::from_secs(7));
        stop.run_begins(Duration::from_secs(8));
        assert_eq!(stop.drain(), Some(Duration::from_secs(7)));
    }

    #[test]
    fn time_left_ends_at_zero() {
        let limit = RuntimeLimit::new(Duration::from_secs(10));
        assert_eq!(limit.left(Duration::from_secs(4)), Duration::from_secs(6));
        assert_eq!(limit.left(Duration::from_secs(11)), Duration::ZERO);
    }
}
