//! A small model of AWS Backup: copy jobs, tokens, lists that lag. And the judge: it sees at once
//! when a point gets a second copy.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::Rng as _;

use super::scenario::Scenario;
use crate::aws::{ApiError, ErrorClass, StartCopyJob, StartedCopyJob};
use crate::copy::engine::Engine;
use crate::domain::{BackupVaultArn, CopyJob, CopyJobId, CopyJobState, IdempotencyToken, RecoveryPointArn};

/// A copy job.
#[derive(Debug)]
struct Job {
    id: CopyJobId,
    point: RecoveryPointArn,
    vault: BackupVaultArn,
    begins: Duration,
    ends: Duration,
    end: CopyJobState,
    message: Option<&'static str>,
    listed: bool,
    known: bool,
    /// How long before the run it was made and ended, if it was.
    age: Option<TimeDelta>,
}

/// The model.
#[derive(Debug)]
pub(super) struct Aws {
    epoch: DateTime<Utc>,
    jobs: Vec<Job>,
    tokens: HashMap<IdempotencyToken, usize>,
    pub(super) violations: Vec<String>,
    pub(super) starts: usize,
}

pub(super) fn error(class: ErrorClass, in_doubt: bool) -> ApiError {
    ApiError::for_test("StartCopyJob", class, in_doubt)
}

impl Aws {
    pub(super) fn new(epoch: DateTime<Utc>) -> Self {
        Self {
            epoch,
            jobs: Vec::new(),
            tokens: HashMap::new(),
            violations: Vec::new(),
            starts: 0,
        }
    }

    fn date(&self, at: Duration) -> DateTime<Utc> {
        self.epoch + at
    }

    fn born(&self, job: &Job) -> DateTime<Utc> {
        self.date(job.begins) - job.age.unwrap_or_default()
    }

    fn over(&self, job: &Job) -> DateTime<Utc> {
        self.date(job.ends) - job.age.unwrap_or_default()
    }

    /// A job of an earlier run, which ended then: a copy that has been deleted since, or a failure.
    /// It has used up the token of the first attempt.
    pub(super) fn add_former(
        &mut self,
        point: &RecoveryPointArn,
        vault: &BackupVaultArn,
        end: CopyJobState,
        age: TimeDelta,
    ) {
        let job = Job {
            id: CopyJobId::from_aws(&format!("job-{}", self.jobs.len())),
            point: point.clone(),
            vault: vault.clone(),
            begins: Duration::ZERO,
            ends: Duration::ZERO,
            message: (end != CopyJobState::Completed).then_some("a failure of an earlier run"),
            end,
            listed: true,
            known: true,
            age: Some(age),
        };
        let token = IdempotencyToken::for_attempt(point, vault, 1);
        self.tokens.insert(token, self.jobs.len());
        self.jobs.push(job);
    }

    /// The job that a start with the token, sent at `sent`, has made.
    pub(super) fn job_of(&self, token: &IdempotencyToken, sent: Duration) -> Option<&CopyJobId> {
        let job = self.jobs.get(*self.tokens.get(token)?)?;
        Some(&job.id).filter(|_| job.age.is_none() && job.begins >= sent)
    }

    /// The jobs that the engine awaits and that lists show as ended by now, less those that had ended
    /// before it awaited them.
    pub(super) fn visible(
        &self,
        engine: &Engine<'_>,
        began: Duration,
        at: Duration,
        scenario: &Scenario,
    ) -> Vec<CopyJobId> {
        let awaited = |job: &Job| {
            let watched = engine.in_flight.get(&job.id);
            watched.is_some_and(|(_, since)| job.ends >= began + *since)
        };
        let jobs = self.list(at, scenario, awaited);
        jobs.into_iter()
            .filter(|job| job.completion_date.is_some())
            .map(|job| job.copy_job_id)
            .collect()
    }

    /// Carries a start out.
    pub(super) fn start(
        &mut self,
        request: &StartCopyJob,
        at: Duration,
        scenario: &mut Scenario,
    ) -> Result<StartedCopyJob, ApiError> {
        self.starts += 1;
        if let Some(job) = self
            .tokens
            .get(&request.idempotency_token)
            .filter(|_| scenario.replay)
        {
            return self
                .jobs
                .get(*job)
                .map(|job| self.answer(job))
                .ok_or_else(|| error(ErrorClass::Other, false));
        }
        if is_refused(request, scenario) {
            return Err(error(ErrorClass::InvalidRequest, false));
        }
        if self.jobs.iter().filter(|job| job.ends > at).count() >= scenario.quota {
            return Err(error(ErrorClass::Quota, false));
        }
        let of_point = |job: &&Job| {
            job.point == request.recovery_point_arn
                && job.vault == request.destination_vault_arn
                && job.age.is_none()
        };
        for other in self.jobs.iter().filter(of_point) {
            if other.ends > at || other.end == CopyJobState::Completed {
                self.violations.push(format!(
                    "{} is copied twice: by {} and again at {at:?}",
                    request.recovery_point_arn, other.id
                ));
            }
        }
        let (end, message) = if scenario.chance(scenario.job_partial) {
            (CopyJobState::Partial, Some("some members failed"))
        } else if scenario.chance(scenario.job_fails) {
            (CopyJobState::Failed, Some("Cannot find recovery point."))
        } else if at < scenario.faults_until && scenario.chance(scenario.job_fails_for_now) {
            let passing = [
                "There are too many copy jobs running for resource.",
                "An internal error occurred.",
            ];
            let turn = scenario.rng.random_range(0..passing.len());
            (CopyJobState::Failed, passing.get(turn).copied())
        } else {
            (CopyJobState::Completed, None)
        };
        // What AWS denies to know may stand in its lists all the same.
        let known = !scenario.chance(scenario.forgotten);
        let unlisted = if known { scenario.unlisted } else { 0.6 };
        let job = Job {
            id: CopyJobId::from_aws(&format!("job-{}", self.jobs.len())),
            point: request.recovery_point_arn.clone(),
            vault: request.destination_vault_arn.clone(),
            begins: at,
            ends: at + scenario.within(scenario.job_seconds),
            end,
            message,
            listed: !scenario.chance(unlisted),
            known,
            age: None,
        };
        let answer = self.answer(&job);
        self.tokens
            .insert(request.idempotency_token.clone(), self.jobs.len());
        self.jobs.push(job);
        Ok(answer)
    }

    fn answer(&self, job: &Job) -> StartedCopyJob {
        StartedCopyJob {
            copy_job_id: job.id.clone(),
            creation_date: Some(self.born(job)),
        }
    }

    /// A job as it looked at `seen`.
    fn show(&self, job: &Job, seen: Duration) -> CopyJob {
        let over = job.ends <= seen;
        let state = if over {
            job.end.clone()
        } else {
            CopyJobState::Unknown("COMPLETING".to_owned())
        };
        CopyJob {
            destination_backup_vault_arn: Some(job.vault.clone()),
            status_message: job.message.filter(|_| over).map(str::to_owned),
            creation_date: Some(self.born(job)),
            completion_date: over.then(|| self.over(job)),
            ..CopyJob::for_test(job.id.as_str(), job.point.as_str(), state)
        }
    }

    /// ListCopyJobs at `at`, as things were when lists were last made.
    fn list(&self, at: Duration, scenario: &Scenario, wanted: impl Fn(&Job) -> bool) -> Vec<CopyJob> {
        let Some(seen) = at.checked_sub(scenario.list_lag) else {
            return Vec::new();
        };
        let jobs = self
            .jobs
            .iter()
            .filter(|job| job.listed && job.begins <= seen && wanted(job));
        jobs.map(|job| self.show(job, seen)).collect()
    }

    /// Jobs of a point.
    pub(super) fn of_point(
        &self,
        point: &RecoveryPointArn,
        at: Duration,
        scenario: &Scenario,
    ) -> Vec<CopyJob> {
        self.list(at, scenario, |job| job.point == *point)
    }

    /// Jobs into a vault that have ended since.
    pub(super) fn ended(
        &self,
        vault: &BackupVaultArn,
        since: DateTime<Utc>,
        at: Duration,
        scenario: &Scenario,
    ) -> Vec<CopyJob> {
        let mut jobs = self.list(at, scenario, |job| job.vault == *vault && self.over(job) > since);
        jobs.retain(|job| job.completion_date.is_some());
        jobs
    }

    /// Jobs into a vault that are under way.
    pub(super) fn under_way(
        &self,
        vault: &BackupVaultArn,
        at: Duration,
        scenario: &Scenario,
    ) -> impl Iterator<Item = CopyJobId> + use<> {
        let jobs = self.list(at, scenario, |job| job.vault == *vault);
        let under_way = jobs.into_iter().filter(|job| job.completion_date.is_none());
        under_way.map(|job| job.copy_job_id)
    }

    /// DescribeCopyJob.
    pub(super) fn describe(&self, id: &CopyJobId, at: Duration) -> Result<CopyJob, ApiError> {
        let job = self.jobs.iter().find(|job| job.id == *id && job.known);
        job.map(|job| self.show(job, at))
            .ok_or_else(|| error(ErrorClass::NotFound, false))
    }

    /// How the jobs of a point have ended, in the order in which they began; all have by now.
    pub(super) fn ends(&self, point: &RecoveryPointArn, vault: &BackupVaultArn) -> Vec<CopyJobState> {
        let jobs = self
            .jobs
            .iter()
            .filter(|job| job.point == *point && job.vault == *vault && job.age.is_none());
        jobs.map(|job| job.end.clone()).collect()
    }
}

/// Some points are refused, always: by the last digit of their names.
pub(super) fn is_refused(request: &StartCopyJob, scenario: &Scenario) -> bool {
    let name = request.recovery_point_arn.as_str();
    let digit = name.chars().next_back().and_then(|c| c.to_digit(10)).unwrap_or(0);
    scenario.refused > 0.0 && f64::from(digit) < scenario.refused * 10.0
}
