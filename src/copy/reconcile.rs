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
mod tests;
