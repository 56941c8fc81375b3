//! What a seed stands for: the points, how AWS behaves, and what goes wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::copy::retention::Retention;
use crate::copy::run::RunPolicy;
use crate::copy::scheduler::Limits;
use crate::copy::window::MAX_IN_FLIGHT;

/// When a call that got no answer is given up.
pub(super) const TIMEOUT: Duration = Duration::from_secs(65);

/// One migration.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) rng: StdRng,
    pub(super) policy: RunPolicy,
    pub(super) points: u32,
    pub(super) resources: u32,
    pub(super) vaults: u16,
    /// Seconds that jobs take.
    pub(super) job_seconds: (u64, u64),
    /// Whether AWS knows tokens again.
    pub(super) replay: bool,
    /// How long a new job, or the end of one, is missing from lists.
    pub(super) list_lag: Duration,
    pub(super) listing_denied: bool,
    /// Share of jobs that lists never show.
    pub(super) unlisted: f64,
    /// Share of jobs that AWS does not know of when it is asked.
    pub(super) forgotten: f64,
    /// Most that a request may be on its way after its sender has given up.
    pub(super) late: Duration,
    /// Jobs that AWS takes at once.
    pub(super) quota: usize,
    /// Our clock less AWS's.
    pub(super) skew: TimeDelta,
    /// Faults end then.
    pub(super) faults_until: Duration,
    pub(super) throttled: f64,
    pub(super) unsent: f64,
    pub(super) failed_before: f64,
    pub(super) failed_after: f64,
    pub(super) hung: f64,
    pub(super) poll_fails: f64,
    /// Chance at each sync and each answer that the process dies.
    pub(super) crash: f64,
    /// Chance at each answer of a signal.
    pub(super) signal: f64,
    /// Chance at each answer that the credentials are gone.
    pub(super) credentials: f64,
    /// Shares of jobs that end badly.
    pub(super) job_fails: f64,
    pub(super) job_fails_for_now: f64,
    pub(super) job_partial: f64,
    /// Share of points that AWS refuses.
    pub(super) refused: f64,
    /// Share of points that had a copy job before the run, and how old those are at the least.
    pub(super) former: f64,
    pub(super) former_age: TimeDelta,
    /// How long jobs are awaited after a signal.
    pub(super) drain: Duration,
}

fn limits(rng: &mut StdRng) -> Limits {
    let size = rng.random_range(1..=8);
    let (in_flight, found_from) = if rng.random_bool(0.3) {
        (MAX_IN_FLIGHT, Some(size))
    } else {
        (size, None)
    };
    let per_type = if rng.random_bool(0.3) {
        BTreeMap::from([("EBS".to_owned(), rng.random_range(1..=2))])
    } else {
        BTreeMap::new()
    };
    Limits {
        in_flight,
        found_from,
        per_resource: rng.random_range(1..=2),
        per_type,
    }
}

impl Scenario {
    /// The migration of a seed. Half of the faults are absent from any one, so that each also meets
    /// the others alone.
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut share = |most: f64| {
            if rng.random_bool(0.5) {
                rng.random_range(0.0..most)
            } else {
                0.0
            }
        };
        let (throttled, unsent, failed_before, failed_after) =
            (share(0.4), share(0.2), share(0.2), share(0.3));
        let (hung, poll_fails, crash, signal) = (share(0.2), share(0.5), share(0.12), share(0.03));
        let (credentials, job_fails, job_fails_for_now) = (share(0.02), share(0.2), share(0.6));
        let (job_partial, refused, unlisted, forgotten) = (share(0.1), share(0.1), share(0.3), share(0.1));
        let former = share(0.5);
        let secs = Duration::from_secs;
        let replay = rng.random_bool(0.5);
        let listing_denied = replay && rng.random_bool(0.1);
        // What no client can guard against is not asked for: a request that AWS carries out, or a job
        // that it lists, only after the grace, while it does not honour tokens either. The grace
        // counts from when the start was written down, so the time of a call is part of it.
        let grace: u64 = rng.random_range(if replay { 20..=180 } else { 100..=300 });
        let most = if replay {
            grace
        } else {
            (grace - TIMEOUT.as_secs()) / 2 - 5
        };
        let late = secs(rng.random_range(0..=most));
        let list_lag = secs(rng.random_range(0..=if replay { 600 } else { most }));
        let grace = secs(grace);
        let workers = rng.random_range(1..=6);
        let limits = limits(&mut rng);
        let shortest = rng.random_range(1..=300);
        // Where points are copied again on purpose, AWS's clock is followed, and earlier copies may be
        // as young as the tolerance allows; else nobody takes those of the last day for foreign ones.
        let recopy = rng.random_bool(0.2);
        let (most_skew, former_age) = if recopy {
            (100, TimeDelta::minutes(15))
        } else {
            (900, TimeDelta::days(1) + TimeDelta::minutes(20))
        };
        Self {
            policy: RunPolicy {
                workers,
                poll_interval: secs(rng.random_range(1..=60)),
                limits,
                iam_role_arn: "arn:aws:iam::123456789012:role/r".parse().expect("an ARN"),
                retention: Retention::Source,
                circuit_breaker: false,
                list_grace: grace,
                recopy,
            },
            points: rng.random_range(1..=12),
            resources: rng.random_range(1..=6),
            vaults: rng.random_range(1..=2),
            job_seconds: (shortest, shortest + rng.random_range(0..=600)),
            replay,
            list_lag,
            listing_denied,
            unlisted: if replay { unlisted } else { 0.0 },
            forgotten: if replay { forgotten } else { 0.0 },
            late,
            quota: if rng.random_bool(0.3) {
                rng.random_range(1..=4)
            } else {
                usize::MAX
            },
            skew: TimeDelta::seconds(if rng.random_bool(0.3) {
                rng.random_range(-most_skew..=most_skew)
            } else {
                0
            }),
            faults_until: secs(rng.random_range(0..=7_200)),
            throttled,
            unsent,
            failed_before,
            failed_after,
            hung,
            poll_fails,
            crash,
            signal,
            credentials,
            job_fails,
            job_fails_for_now,
            job_partial,
            refused,
            former,
            former_age,
            drain: secs(if rng.random_bool(0.5) {
                rng.random_range(0..=1_200)
            } else {
                0
            }),
            rng,
        }
    }

    pub(super) fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && self.rng.random_bool(share)
    }

    pub(super) fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.rng.random_range(1..=most))
    }

    pub(super) fn within(&mut self, (least, most): (u64, u64)) -> Duration {
        Duration::from_secs(self.rng.random_range(least..=most))
    }
}
