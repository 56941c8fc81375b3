//! Before a run starts: what the destination has already, and what is on its way there.
//!
//! This is what makes a second run, a lost state file, or a run beside someone else's, harmless:
//! points that are there are skipped, jobs that are under way are adopted. Evidence, best first: a
//! copy job that names the point and whose copy is still listed; else a destination point with the
//! same source vault, resource and creation date, which AWS keeps on copies. Dates match within a
//! second, one to one: two source points never share one copy, and a copy that a job names, or that
//! another point of the plan has, is nobody else's.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use chrono::{DateTime, TimeDelta, Utc};

use crate::aws::{ApiError, BackupClient, CopyJobFilter, ErrorClass};
use crate::domain::{
    BackupVaultArn, BackupVaultName, CopyJob, CopyJobId, CopyJobState, RecoveryPoint, RecoveryPointArn,
    RecoveryPointStatus, ResourceArn,
};

/// How long AWS lists copy jobs, as far as is documented.
const JOBS_LISTED: TimeDelta = TimeDelta::days(30);

/// What is at the destination.
#[derive(Debug, Default)]
pub struct Destination {
    /// Points of the destination vault; `None` where they cannot be read.
    pub points: Option<Vec<RecoveryPoint>>,
    /// Copy jobs of the last 30 days into the vault.
    pub jobs: Vec<CopyJob>,
}

/// What is known of one source point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It is there.
    Copied(Option<RecoveryPointArn>),
    /// A job copies it at this moment.
    UnderWay(CopyJobId),
}

/// A source point, as far as looking for its copy needs it.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The point.
    pub recovery_point_arn: &'a RecoveryPointArn,
    /// Its resource.
    pub resource_arn: &'a ResourceArn,
    /// When it was made.
    pub creation_date: DateTime<Utc>,
}

impl<'a> From<&'a RecoveryPoint> for Wanted<'a> {
    fn from(point: &'a RecoveryPoint) -> Self {
        Self {
            recovery_point_arn: &point.recovery_point_arn,
            resource_arn: &point.resource_arn,
            creation_date: point.creation_date,
        }
    }
}

/// What is known of all wanted points.
#[derive(Debug, Default)]
pub struct Knowledge {
    /// Points that need no new job.
    pub known: HashMap<RecoveryPointArn, Known>,
    /// Copy jobs of each point that have ended, whatever their end. The next attempt's number is
    /// greater, because AWS answers a token that it has seen with the old job.
    pub ended_jobs: HashMap<RecoveryPointArn, u32>,
}

/// Source points that are not in question. Their copies must not be taken for those of others: two
/// backup plans make points of one resource at one moment.
#[derive(Debug, Default)]
pub struct Others<'a> {
    /// Copies that are known to be theirs.
    pub copies: HashSet<&'a RecoveryPointArn>,
    /// Those that have a copy which nothing names.
    pub points: Vec<Wanted<'a>>,
}

/// Reads the destination vault and the copy jobs into it.
///
/// # Errors
/// If AWS cannot be read. Denied permissions are no error: the evidence is then thinner, and the log
/// says so.
pub async fn read(
    source: &BackupClient,
    dest: Option<&BackupClient>,
    dest_vault: &BackupVaultName,
    dest_vault_arn: &BackupVaultArn,
) -> Result<Destination, ApiError> {
    let filter = CopyJobFilter {
        destination_vault_arn: Some(dest_vault_arn.clone()),
        created_after: Some(source.aws_now() - JOBS_LISTED),
        ..CopyJobFilter::default()
    };
    let jobs = match source.list_copy_jobs(&filter).await {
        Ok(jobs) => jobs,
        Err(error) if error.class == ErrorClass::AccessDenied => {
            tracing::warn!(%error, "cannot look for copy jobs that are under way already");
            Vec::new()
        }
        Err(error) => return Err(error),
    };
    let points = match dest {
        None => None,
        Some(client) => read_points(client, dest_vault).await?,
    };
    Ok(Destination { points, jobs })
}

async fn read_points(
    client: &BackupClient,
    vault: &BackupVaultName,
) -> Result<Option<Vec<RecoveryPoint>>, ApiError> {
    let mut points = Vec::new();
    let read = client
        .all_recovery_points(vault, |page| {
            points.extend(page);
            ControlFlow::Continue(())
        })
        .await;
    match read {
        Ok(()) => Ok(Some(points)),
        Err(error) if error.class == ErrorClass::NotFound => Ok(Some(Vec::new())),
        Err(error) if error.class == ErrorClass::AccessDenied => {
            tracing::warn!(%error, "cannot read the destination vault");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What is known of each of `wanted`, points of the vault `source_vault_arn`.
pub fn known(wanted: &[Wanted<'_>], destination: &Destination, source_vault_arn: &str) -> Knowledge {
    known_beside(wanted, &Others::default(), destination, source_vault_arn)
}

/// As [`known`], beside other points of the vault.
pub fn known_beside(
    wanted: &[Wanted<'_>],
    others: &Others<'_>,
    destination: &Destination,
    source_vault_arn: &str,
) -> Knowledge {
    let mut known = HashMap::new();
    let mut ended_jobs: HashMap<RecoveryPointArn, u32> = HashMap::new();
    let present: Option<HashSet<&RecoveryPointArn>> = destination.points.as_ref().map(|points| {
        points
            .iter()
            .filter(|p| is_usable(p))
            .map(|p| &p.recovery_point_arn)
            .collect()
    });
    let wanted_arns: HashSet<&RecoveryPointArn> = wanted.iter().map(|p| p.recovery_point_arn).collect();
    let mut claims = Claims {
        used: others.copies.clone(),
        ..Claims::default()
    };
    for job in &destination.jobs {
        let Some(source) = &job.source_recovery_point_arn else {
            continue;
        };
        if let Some(copy) = &job.destination_recovery_point_arn {
            claims.used.insert(copy);
            claims.named.insert(source);
        }
        if job.state == CopyJobState::Partial {
            claims.partial.insert(source);
        }
        if !wanted_arns.contains(source) {
            continue;
        }
        if job.state.is_terminal() {
            *ended_jobs.entry(source.clone()).or_default() += 1;
        }
        match job.state {
            CopyJobState::Completed => {
                let copy = job.destination_recovery_point_arn.as_ref();
                let there = match (&present, copy) {
                    (Some(present), Some(copy)) => present.contains(copy),
                    (None, _) => true,
                    (Some(_), None) => false,
                };
                if there {
                    known.insert(source.clone(), Known::Copied(copy.cloned()));
                }
            }
            CopyJobState::Failed | CopyJobState::Partial => {}
            _ => {
                known
                    .entry(source.clone())
                    .or_insert_with(|| Known::UnderWay(job.copy_job_id.clone()));
            }
        }
    }
    let others = others.points.iter().copied();
    let unnamed: Vec<Wanted<'_>> = others
        .filter(|other| !claims.named.contains(other.recovery_point_arn))
        .collect();
    match_points(
        [&unnamed, wanted],
        destination,
        source_vault_arn,
        &claims,
        &mut known,
    );
    for other in unnamed {
        known.remove(other.recovery_point_arn);
    }
    Knowledge { known, ended_jobs }
}

/// What jobs tell of copies.
#[derive(Debug, Default)]
struct Claims<'a> {
    /// Copies whose point is known.
    used: HashSet<&'a RecoveryPointArn>,
    /// Points a copy of which is known by its ARN.
    named: HashSet<&'a RecoveryPointArn>,
    /// Points a job of which made a part of a copy.
    partial: HashSet<&'a RecoveryPointArn>,
}

fn is_usable(point: &RecoveryPoint) -> bool {
    use crate::domain::RecoveryPointStatus as S;
    matches!(point.status, S::Completed | S::Available | S::Partial)
}

/// The second kind of evidence, for points of which no job is known; the first group chooses first.
fn match_points(
    groups: [&[Wanted<'_>]; 2],
    destination: &Destination,
    source_vault_arn: &str,
    claims: &Claims<'_>,
    known: &mut HashMap<RecoveryPointArn, Known>,
) {
    let Some(points) = &destination.points else { return };
    let mut by_resource: HashMap<&str, Vec<(DateTime<Utc>, &RecoveryPoint)>> = HashMap::new();
    for point in points
        .iter()
        .filter(|p| is_usable(p) && !claims.used.contains(&p.recovery_point_arn))
    {
        let from_here = point
            .source_backup_vault_arn
            .as_deref()
            .is_none_or(|arn| arn == source_vault_arn);
        if from_here {
            by_resource
                .entry(point.resource_arn.as_str())
                .or_default()
                .push((point.creation_date, point));
        }
    }
    let mut taken: HashSet<&RecoveryPointArn> = HashSet::new();
    for wanted in groups {
        match_group(wanted, &by_resource, claims, &mut taken, known);
    }
}

fn match_group<'a>(
    wanted: &[Wanted<'_>],
    by_resource: &HashMap<&str, Vec<(DateTime<Utc>, &'a RecoveryPoint)>>,
    claims: &Claims<'_>,
    taken: &mut HashSet<&'a RecoveryPointArn>,
    known: &mut HashMap<RecoveryPointArn, Known>,
) {
    // Nearest pairs first, so that no point takes the copy of a neighbour a second away.
    let mut pairs: Vec<(TimeDelta, usize, &RecoveryPoint)> = Vec::new();
    for (place, source) in wanted.iter().enumerate() {
        if known.contains_key(source.recovery_point_arn) {
            continue;
        }
        for (date, copy) in by_resource
            .get(source.resource_arn.as_str())
            .into_iter()
            .flatten()
        {
            let distance = (*date - source.creation_date).abs();
            // Where AWS said that a job made a part only, that part is no copy.
            if copy.status == RecoveryPointStatus::Partial
                && claims.partial.contains(source.recovery_point_arn)
            {
                continue;
            }
            if distance <= TimeDelta::seconds(1) {
                pairs.push((distance, place, copy));
            }
        }
    }
    pairs.sort_by_key(|(distance, place, _)| (*distance, *place));
    for (_, place, copy) in pairs {
        let Some(source) = wanted.get(place) else { continue };
        if known.contains_key(source.recovery_point_arn) || !taken.insert(&copy.recovery_point_arn) {
            continue;
        }
        known.insert(
            source.recovery_point_arn.clone(),
            Known::Copied(Some(copy.recovery_point_arn.clone())),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const VAULT: &str = "arn:aws:backup:us-east-1:123456789012:backup-vault:v1";

    fn point(arn: &str, resource: &str, second: i64, from: Option<&str>) -> RecoveryPoint {
        RecoveryPoint {
            recovery_point_arn: RecoveryPointArn::from_aws(arn),
            backup_vault_name: BackupVaultName::from_aws("v1"),
            resource_arn: ResourceArn::from_aws(resource),
            resource_type: "EFS".to_owned(),
            status: RecoveryPointStatus::Completed,
            creation_date: DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap(),
            backup_size_bytes: None,
            is_encrypted: true,
            encryption_key_arn: None,
            lifecycle: None,
            move_to_cold_storage_at: None,
            delete_at: None,
            is_parent: false,
            parent_recovery_point_arn: None,
            composite_member_identifier: None,
            source_backup_vault_arn: from.map(str::to_owned),
        }
    }

    fn job(source: &str, state: CopyJobState, copy: Option<&str>) -> CopyJob {
        CopyJob {
            copy_job_id: CopyJobId::from_aws("job"),
            source_recovery_point_arn: Some(RecoveryPointArn::from_aws(source)),
            destination_backup_vault_arn: None,
            destination_recovery_point_arn: copy.map(RecoveryPointArn::from_aws),
            resource_arn: None,
            state,
            status_message: None,
            message_category: None,
            creation_date: None,
            completion_date: None,
            backup_size_bytes: None,
            destination_lifecycle: None,
        }
    }

    fn known(
        points: &[&RecoveryPoint],
        destination: &Destination,
        vault: &str,
    ) -> HashMap<RecoveryPointArn, Known> {
        let wanted: Vec<Wanted<'_>> = points.iter().map(|p| Wanted::from(*p)).collect();
        super::known(&wanted, destination, vault).known
    }

    #[test]
    fn one_copy_answers_for_one_source_point_only() {
        let (a, b) = (point("a", "r", 0, None), point("b", "r", 0, None));
        let destination = Destination {
            points: Some(vec![point("copy", "r", 0, Some(VAULT))]),
            jobs: Vec::new(),
        };
        assert_eq!(known(&[&a, &b], &destination, VAULT).len(), 1);
    }

    #[test]
    fn a_point_does_not_take_the_copy_of_a_neighbour() {
        let (a, b) = (point("a", "r", 0, None), point("b", "r", 1, None));
        let destination = Destination {
            points: Some(vec![point("copy", "r", 1, Some(VAULT))]),
            jobs: Vec::new(),
        };
        let found = known(&[&a, &b], &destination, VAULT);
        assert!(found.contains_key(&b.recovery_point_arn) && !found.contains_key(&a.recovery_point_arn));
    }

    #[test]
    fn dates_and_source_vaults_must_agree() {
        let a = point("a", "r", 0, None);
        for (copy, found) in [
            (point("c", "r", 1, Some(VAULT)), true),
            (point("c", "r", 2, Some(VAULT)), false),
            (
                point(
                    "c",
                    "r",
                    0,
                    Some("arn:aws:backup:us-east-1:123456789012:backup-vault:v2"),
                ),
                false,
            ),
            (point("c", "r", 0, None), true),
            (point("c", "other", 0, Some(VAULT)), false),
        ] {
            let destination = Destination {
                points: Some(vec![copy]),
                jobs: Vec::new(),
            };
            assert_eq!(
                known(&[&a], &destination, VAULT).contains_key(&a.recovery_point_arn),
                found
            );
        }
    }

    #[test]
    fn a_completed_job_counts_only_while_its_copy_is_there() {
        let a = point("a", "r", 0, None);
        let jobs = vec![job("a", CopyJobState::Completed, Some("copy"))];
        let gone = Destination {
            points: Some(Vec::new()),
            jobs: jobs.clone(),
        };
        assert!(known(&[&a], &gone, VAULT).is_empty());
        let unreadable = Destination {
            points: None,
            jobs: jobs.clone(),
        };
        assert_eq!(known(&[&a], &unreadable, VAULT).len(), 1);
        let there = Destination {
            points: Some(vec![point("copy", "r", 0, Some(VAULT))]),
            jobs,
        };
        assert_eq!(known(&[&a], &there, VAULT).len(), 1);
    }

    #[test]
    fn jobs_under_way_are_found_and_failed_ones_are_not() {
        let (a, b) = (point("a", "r", 0, None), point("b", "r", 9, None));
        let destination = Destination {
            points: Some(Vec::new()),
            jobs: vec![
                job("a", CopyJobState::Created, None),
                job("b", CopyJobState::Failed, None),
            ],
        };
        let found = known(&[&a, &b], &destination, VAULT);
        assert_eq!(
            found.get(&a.recovery_point_arn),
            Some(&Known::UnderWay(CopyJobId::from_aws("job")))
        );
        assert!(!found.contains_key(&b.recovery_point_arn));
    }
}
