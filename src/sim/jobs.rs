//! Copy jobs: how they are started, wait, run, end, and what they make.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::clock::seconds;
use super::options::Lack;
use super::policies;
use super::types::{Job, JobState, Lifecycle, Point, Seen, VaultKey, is_fully_managed};
use super::world::World;

/// AWS's own texts for failed copy jobs (AWS Backup Developer Guide, "AWS Backup console
/// dashboards", reasons for problematic jobs).
const FAILURES: &[&str] = &[
    "An internal error occurred.",
    "There are too many copy jobs running for resource.",
    "Copy job encountered a fatal error. Please contact AWS Support.",
    "Given key ID is not accessible.",
    "Cannot find recovery point.",
];
const NO_ORGANIZATION: &str =
    "Copy job failed. Both source and destination account must be a member of the same organization.";
const NOT_ENABLED: &str =
    "Copy job failed. Cross-account copy feature is not enabled for the current organization.";
const NO_ACCESS: &str = "Access Denied trying to call AWS Backup service";
const DEFAULT_KEY: &str = "Copy job failed because the destination Backup vault is encrypted with the \
    default Backup service managed key. The contents of this vault cannot be copied.";
/// What EC2 says of a snapshot that is to be shared with another account for its copy.
const MANAGED_KEY: &str =
    "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot.";
const DISABLED_KEY: &str = "KMS key is either disabled or pending deletion or access to KMS key is denied.";
const OUT_OF_RANGE: &str = "Copy job failed. The retention specified in the job is not within the range \
    specified for the target Backup Vault.";

/// The end of a running job, as a place in the queue of time: the earliest comes first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) at: DateTime<Utc>,
    pub(super) job: usize,
}

impl Ord for End {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at).then_with(|| other.job.cmp(&self.job))
    }
}

impl PartialOrd for End {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Debug, Default)]
struct Slot {
    running: usize,
    waiting: VecDeque<usize>,
}

/// Jobs that run, and those that wait in CREATED behind others of their resource or type.
#[derive(Debug, Default)]
pub(super) struct Slots {
    by_resource: HashMap<Arc<str>, Slot>,
    by_type: HashMap<Arc<str>, Slot>,
}

impl World {
    /// Lets everything happen that is due.
    pub(super) fn advance(&mut self) {
        let now = self.clock.now();
        while self.ends.peek().is_some_and(|end| end.at <= now) {
            if let Some(end) = self.ends.pop() {
                self.end_job(end.job, end.at);
            }
        }
    }

    /// Puts a new job where it runs or waits.
    pub(super) fn enter(&mut self, index: usize, at: DateTime<Utc>) {
        let per_resource = self.options.per_resource.max(1);
        let Some(job) = self.jobs.get(index) else { return };
        let slot = self
            .slots
            .by_resource
            .entry(Arc::clone(&job.resource_arn))
            .or_default();
        if slot.running >= per_resource {
            slot.waiting.push_back(index);
            return;
        }
        slot.running += 1;
        self.enter_type(index, at);
    }

    fn enter_type(&mut self, index: usize, at: DateTime<Utc>) {
        let Some(job) = self.jobs.get(index) else { return };
        let cap = self
            .options
            .type_limits
            .get(&*job.resource_type)
            .copied()
            .unwrap_or(usize::MAX);
        let slot = self
            .slots
            .by_type
            .entry(Arc::clone(&job.resource_type))
            .or_default();
        if slot.running >= cap {
            slot.waiting.push_back(index);
            return;
        }
        slot.running += 1;
        let (min, max) = (self.options.job_seconds.min, self.options.job_seconds.max);
        let duration = self.within(min, max);
        let at = if self.chance(self.options.stuck_share) {
            at + seconds(self.options.stuck_seconds)
        } else {
            at
        };
        let is_unknown = self.chance(self.options.unknown_share);
        if let Some(job) = self.jobs.get_mut(index) {
            job.runs_from = Some(at + seconds(duration / 10.0));
            job.unknown_from = is_unknown.then(|| at + seconds(duration / 2.0));
        }
        self.ends.push(End {
            at: at + seconds(duration),
            job: index,
        });
    }

    fn end_job(&mut self, index: usize, at: DateTime<Utc>) {
        let Some(job) = self.jobs.get_mut(index) else {
            return;
        };
        job.ended = Some(at);
        let (resource, kind) = (Arc::clone(&job.resource_arn), Arc::clone(&job.resource_type));
        let makes_copy = job.end != JobState::Failed;
        self.ended.push(index);
        if let Some(unfinished) = self.unfinished.get_mut(&kind) {
            *unfinished = unfinished.saturating_sub(1);
        }
        if makes_copy {
            self.make_copy(index, at);
        }
        let next = self.slots.by_type.get_mut(&kind).and_then(|slot| {
            slot.running = slot.running.saturating_sub(1);
            slot.waiting.pop_front()
        });
        if let Some(next) = next {
            self.enter_type(next, at);
        }
        let next = self.slots.by_resource.get_mut(&resource).and_then(|slot| {
            slot.running = slot.running.saturating_sub(1);
            slot.waiting.pop_front()
        });
        if let Some(next) = next {
            self.enter(next, at);
        }
    }

    /// The copy keeps date, size and resource of its source, and gets an ARN of its own.
    fn make_copy(&mut self, index: usize, at: DateTime<Utc>) {
        let Some(job) = self.jobs.get(index).cloned() else {
            return;
        };
        let Some(source) = self
            .vaults
            .get(&job.source_vault)
            .and_then(|v| v.point(&job.source_point))
            .cloned()
        else {
            return;
        };
        let Some(key) = Self::vault_key(&job.destination_vault_arn) else {
            return;
        };
        let children: Vec<Point> = match self.vaults.get(&job.source_vault) {
            Some(vault) if source.is_parent => vault
                .points
                .iter()
                .filter(|p| p.parent_arn.as_deref() == Some(&*source.arn) && !p.deleted)
                .cloned()
                .collect(),
            _ => Vec::new(),
        };
        let parent = self.copy_point(&source, &job, &key, None, at);
        if job.end == JobState::Partial {
            self.set_status(&key, &parent, "PARTIAL");
        }
        for child in children {
            self.copy_point(&child, &job, &key, Some(&parent), at);
        }
        if let Some(job) = self.jobs.get_mut(index) {
            job.destination_point = Some(parent);
        }
    }

    fn set_status(&mut self, key: &VaultKey, arn: &str, status: &str) {
        if let Some(vault) = self.vaults.get_mut(key)
            && let Some(&place) = vault.index.get(arn)
            && let Some(point) = vault.points.get_mut(place)
        {
            point.status = status.into();
        }
    }

    fn copy_point(
        &mut self,
        source: &Point,
        job: &Job,
        key: &VaultKey,
        parent: Option<&Arc<str>>,
        at: DateTime<Utc>,
    ) -> Arc<str> {
        let arn: Arc<str> = self.copy_arn(&source.arn, key).into();
        let lag = seconds(self.options.list_lag_seconds);
        let Some(vault) = self.vaults.get_mut(key) else {
            return arn;
        };
        vault.add(Point {
            arn: Arc::clone(&arn),
            key_arn: Some(vault.key_arn.as_str().into()),
            encrypted: true,
            lifecycle: job.lifecycle.clone(),
            parent_arn: parent.cloned(),
            source_vault_arn: Some(Arc::clone(&job.source_vault_arn)),
            listed_from: at + lag,
            ..source.clone()
        });
        arn
    }

    /// The shapes are those of the Developer Guide, "Access control".
    fn copy_arn(&mut self, source: &str, key: &VaultKey) -> String {
        let (account, region, _) = key;
        let uuid = self.uuid();
        let mut parts = source.splitn(6, ':');
        let (_, partition) = (parts.next(), parts.next().unwrap_or("aws"));
        let service = parts.next().unwrap_or_default();
        let resource = parts.nth(2).unwrap_or_default();
        let short: String = uuid.chars().filter(char::is_ascii_hexdigit).take(17).collect();
        let short = short.to_lowercase();
        let id = match service {
            "ec2" if resource.starts_with("image/") => format!(":image/ami-{short}"),
            "ec2" => format!(":snapshot/snap-{short}"),
            "rds" => {
                let kind = resource.split(':').next().unwrap_or("snapshot");
                format!("{account}:{kind}:awsbackup:copyjob-{}", uuid.to_lowercase())
            }
            "fsx" => format!("{account}:backup/backup-{short}"),
            _ => format!("{account}:recovery-point:{}", copied_id(resource, &uuid)),
        };
        format!("arn:{partition}:{service}:{region}:{id}")
    }

    /// How a job that is started now will end: by the rules of the destination, else by chance.
    pub(super) fn decide_end(
        &mut self,
        point: &Point,
        account: &str,
        destination_arn: &str,
        lifecycle: Option<&Lifecycle>,
    ) -> (JobState, Option<String>) {
        if let Some(text) = self.refusal(point, account, destination_arn, lifecycle) {
            return (JobState::Failed, Some(text.to_owned()));
        }
        if self.chance(self.options.fail_share) {
            let turn = self.jobs.len();
            let own = &self.options.fail_messages;
            let text = match own.len() {
                0 => FAILURES.get(turn % FAILURES.len()).map(|t| (*t).to_owned()),
                n => own.get(turn % n).cloned(),
            };
            return (JobState::Failed, text);
        }
        if self.chance(self.options.partial_share) {
            return (
                JobState::Partial,
                Some("Some members of the composite could not be copied.".to_owned()),
            );
        }
        (JobState::Completed, None)
    }

    /// Who will see a job that is started now.
    pub(super) fn decide_seen(&mut self) -> Seen {
        if self.chance(self.options.forget_jobs_share) {
            Seen::Nowhere
        } else if self.chance(self.options.unlisted_share) {
            Seen::ById
        } else {
            Seen::Everywhere
        }
    }

    fn refusal(
        &self,
        point: &Point,
        account: &str,
        destination_arn: &str,
        lifecycle: Option<&Lifecycle>,
    ) -> Option<&'static str> {
        let key = Self::vault_key(destination_arn)?;
        if key.0 != account && self.lacks(Lack::Organization) {
            return Some(NO_ORGANIZATION);
        }
        if key.0 != account && self.lacks(Lack::CrossAccountBackup) {
            return Some(NOT_ENABLED);
        }
        let Some(vault) = self.vaults.get(&key) else {
            return Some(NO_ACCESS);
        };
        if key.0 != account && !policies::lets_in(vault, account) {
            return Some(NO_ACCESS);
        }
        if vault.default_key && !is_fully_managed(&point.arn) {
            return Some(DEFAULT_KEY);
        }
        let key_of_point = point.key_arn.as_deref().filter(|_| !is_fully_managed(&point.arn));
        if key.0 != account && key_of_point.is_some_and(|arn| self.is_managed_key(arn)) {
            return Some(MANAGED_KEY);
        }
        let is_disabled = |arn| self.keys.get(arn).is_some_and(|key| !key.enabled);
        if key_of_point.is_some_and(is_disabled) {
            return Some(DISABLED_KEY);
        }
        let days = lifecycle
            .or(point.lifecycle.as_ref())
            .and_then(|l| l.delete_after_days);
        let too_short = vault
            .min_retention_days
            .is_some_and(|min| days.is_some_and(|d| d < min));
        let too_long = vault
            .max_retention_days
            .is_some_and(|max| days.is_none_or(|d| d > max));
        (vault.locked && (too_short || too_long)).then_some(OUT_OF_RANGE)
    }
}

/// S3's ids name the bucket and, for periodic points, the time; the last piece is new on a copy.
fn copied_id(resource: &str, uuid: &str) -> String {
    let id = resource.trim_start_matches("recovery-point:");
    let is_uuid = id.len() == 36 && id.split('-').count() == 5;
    match id.rsplit_once('-') {
        Some((head, _)) if !is_uuid => format!("{head}-{}", uuid.get(..8).unwrap_or(uuid).to_lowercase()),
        _ => uuid.to_owned(),
    }
}
