//! How long copy jobs into a vault took, as AWS's list of the last 30 days tells. Pure.
//!
//! From creation to completion, so that the time counts that a job waited in CREATED: AWS tells no other.
//! There may be a million jobs; they are taken in one by one, and kept is how many took how long.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::{CopyJob, CopyJobState};

/// Leading bits by which two durations are told apart, so that few are kept: within 2 %.
const BITS: u32 = 6;

/// The time of completed jobs, by resource type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobTimes {
    by_type: BTreeMap<String, Sample>,
}

/// What is known of the jobs of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// One in ten was as fast.
    pub fast: Duration,
    /// The mean: slots are filled by one job after the other, so that the sum is what counts.
    pub mean: Duration,
    /// Number of jobs.
    pub jobs: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Sample {
    jobs: u64,
    milliseconds: u64,
    /// Jobs by their time in milliseconds, rounded.
    counts: BTreeMap<u64, u64>,
}

impl JobTimes {
    /// A job of the list; it counts if it is completed and its dates are known.
    pub fn add(&mut self, job: &CopyJob) {
        let (Some(kind), Some(from), Some(to)) = (&job.resource_type, job.creation_date, job.completion_date)
        else {
            return;
        };
        let Ok(time) = u64::try_from((to - from).num_milliseconds()) else {
            return;
        };
        if job.state != CopyJobState::Completed {
            return;
        }
        if let Some(sample) = self.by_type.get_mut(&**kind) {
            sample.add(time);
        } else {
            self.by_type.entry(kind.to_string()).or_default().add(time);
        }
    }

    /// Adds those of another destination.
    pub fn merge(&mut self, other: &Self) {
        for (kind, theirs) in &other.by_type {
            let sample = self.by_type.entry(kind.clone()).or_default();
            sample.jobs += theirs.jobs;
            sample.milliseconds = sample.milliseconds.saturating_add(theirs.milliseconds);
            for (time, jobs) in &theirs.counts {
                *sample.counts.entry(*time).or_default() += jobs;
            }
        }
    }

    /// What is known of a type; `None` if no job of it is.
    pub fn of(&self, resource_type: &str) -> Option<Measured> {
        let sample = self.by_type.get(resource_type)?;
        let mean = sample.milliseconds.checked_div(sample.jobs)?;
        let mut left = sample.jobs.div_ceil(10);
        let fast = sample.counts.iter().find_map(|(time, jobs)| {
            left = left.saturating_sub(*jobs);
            (left == 0).then_some(*time)
        })?;
        Some(Measured {
            fast: Duration::from_millis(fast.min(mean)),
            mean: Duration::from_millis(mean),
            jobs: sample.jobs,
        })
    }
}

impl Sample {
    fn add(&mut self, milliseconds: u64) {
        self.jobs += 1;
        self.milliseconds = self.milliseconds.saturating_add(milliseconds);
        *self.counts.entry(rounded(milliseconds)).or_default() += 1;
    }
}

/// The middle of those that begin with the same bits.
fn rounded(milliseconds: u64) -> u64 {
    let dropped = (u64::BITS - milliseconds.leading_zeros()).saturating_sub(BITS);
    ((milliseconds >> dropped) << dropped) + ((1 << dropped) >> 1)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    fn job(kind: &str, state: CopyJobState, seconds: i64) -> CopyJob {
        CopyJob {
            resource_type: Some(kind.into()),
            creation_date: Some(DateTime::UNIX_EPOCH),
            completion_date: Some(DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)),
            ..CopyJob::for_test("j", "p", state)
        }
    }

    fn close(found: Duration, wanted: f64) {
        assert!(
            (found.as_secs_f64() / wanted - 1.0).abs() < 0.02,
            "{found:?} {wanted}"
        );
    }

    #[test]
    fn of_many_jobs_few_numbers_are_kept() {
        let mut times = JobTimes::default();
        for seconds in 1..=100_000 {
            times.add(&job("EFS", CopyJobState::Completed, seconds));
        }
        let found = times.of("EFS").unwrap();
        assert_eq!(found.jobs, 100_000);
        close(found.mean, 50_000.5);
        close(found.fast, 10_000.0);
        assert!(times.by_type["EFS"].counts.len() < 600);
    }

    #[test]
    fn what_has_no_time_or_no_copy_does_not_count() {
        let mut times = JobTimes::default();
        times.add(&job("EFS", CopyJobState::Failed, 5));
        times.add(&job("EFS", CopyJobState::Running, 5));
        times.add(&job("EFS", CopyJobState::Completed, -5));
        times.add(&CopyJob::for_test("j", "p", CopyJobState::Completed));
        assert_eq!(times, JobTimes::default());
        assert_eq!(times.of("EFS"), None);
    }

    #[test]
    fn types_are_kept_apart_and_destinations_put_together() {
        let mut times = JobTimes::default();
        times.add(&job("EFS", CopyJobState::Completed, 100));
        let mut others = JobTimes::default();
        others.add(&job("EFS", CopyJobState::Completed, 300));
        others.add(&job("EBS", CopyJobState::Completed, 7));
        times.merge(&others);
        let efs = times.of("EFS").unwrap();
        assert_eq!((efs.mean, efs.jobs), (Duration::from_secs(200), 2));
        close(efs.fast, 100.0);
        close(times.of("EBS").unwrap().mean, 7.0);
        assert_eq!(times.of("S3"), None);
    }

    #[test]
    fn the_fast_ones_are_never_slower_than_the_mean() {
        let mut times = JobTimes::default();
        times.add(&job("EFS", CopyJobState::Completed, 0));
        assert_eq!(times.of("EFS").unwrap().fast, Duration::ZERO);
        times = JobTimes::default();
        times.add(&job("EFS", CopyJobState::Completed, 65));
        let found = times.of("EFS").unwrap();
        assert!(found.fast <= found.mean);
    }
}
