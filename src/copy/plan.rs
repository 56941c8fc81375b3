//! What a run is to do with each recovery point of a vault.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::eligibility::{EligibilityRules, SkipReason, skip_reason};
use super::reconcile::{self, Destination, Known, Others, Wanted};
use crate::domain::selection::Decision;
use crate::domain::{CopyJobId, RecoveryPoint, RecoveryPointArn};
use crate::state::{Item, ItemState, Items, JournalRecord};

/// Points and bytes of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of points.
    pub points: usize,
    /// Their sizes, where AWS gives one.
    pub bytes: u64,
}

impl Tally {
    /// One point more.
    pub fn add(&mut self, bytes: Option<i64>) {
        self.points += 1;
        self.bytes += bytes.and_then(|b| u64::try_from(b).ok()).unwrap_or(0);
    }
}

/// A plan in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanTally {
    /// Points to copy, by resource type.
    pub to_copy: BTreeMap<String, Tally>,
    /// Points whose job is under way.
    pub under_way: Tally,
    /// Points copied by this run before.
    pub completed: Tally,
    /// Points that failed before and are not tried again.
    pub failed: Tally,
    /// Points that are passed over, by reason.
    pub skipped: BTreeMap<String, Tally>,
}

impl PlanTally {
    /// Counts a ledger as it stands.
    pub fn of(items: &Items) -> Self {
        let mut tally = Self::default();
        for item in items {
            let slot = match &item.state {
                ItemState::Pending => tally.to_copy.entry(item.resource_type.to_string()).or_default(),
                ItemState::Starting { .. } | ItemState::InFlight { .. } => &mut tally.under_way,
                ItemState::Completed { .. } => &mut tally.completed,
                ItemState::Failed { .. } => &mut tally.failed,
                ItemState::Skipped { reason } => tally.skipped.entry(reason.to_string()).or_default(),
            };
            slot.add(item.backup_size_bytes);
        }
        tally
    }

    /// Adds another vault's numbers.
    pub fn merge(&mut self, other: &Self) {
        let add = |into: &mut Tally, from: &Tally| {
            into.points += from.points;
            into.bytes += from.bytes;
        };
        for (kind, tally) in &other.to_copy {
            add(self.to_copy.entry(kind.clone()).or_default(), tally);
        }
        for (reason, tally) in &other.skipped {
            add(self.skipped.entry(reason.clone()).or_default(), tally);
        }
        add(&mut self.under_way, &other.under_way);
        add(&mut self.completed, &other.completed);
        add(&mut self.failed, &other.failed);
    }

    /// Points to copy, of all types.
    pub fn to_copy_total(&self) -> Tally {
        self.to_copy.values().fold(Tally::default(), |sum, t| Tally {
            points: sum.points + t.points,
            bytes: sum.bytes + t.bytes,
        })
    }

    /// Points that are passed over, for any reason.
    pub fn skipped_total(&self) -> usize {
        self.skipped.values().map(|t| t.points).sum()
    }
}

/// What plans go by.
pub struct PlanRules<'a> {
    /// What AWS takes, and what the operator makes of it.
    pub eligibility: EligibilityRules,
    /// The filters.
    pub select: &'a dyn Fn(&RecoveryPoint) -> Decision,
    /// When it is.
    pub now: DateTime<Utc>,
}

impl std::fmt::Debug for PlanRules<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlanRules")
            .field("eligibility", &self.eligibility)
            .finish_non_exhaustive()
    }
}

impl PlanRules<'_> {
    /// Why a point is passed over, if it is; by the point alone, whatever the destination holds.
    pub fn skip(&self, point: &RecoveryPoint) -> Option<SkipReason> {
        match (self.select)(point) {
            Decision::Filtered => Some(SkipReason::Filtered),
            Decision::NoMetadata => Some(SkipReason::NoMetadata),
            Decision::Selected => skip_reason(point, self.eligibility, self.now),
        }
    }

    /// The item of a newly listed point.
    pub fn item(&self, point: &RecoveryPoint, types: &mut TypeNames) -> Item {
        Item {
            recovery_point_arn: point.recovery_point_arn.clone(),
            resource_arn: point.resource_arn.clone(),
            resource_type: types.get(&point.resource_type),
            creation_date: point.creation_date,
            backup_size_bytes: point.backup_size_bytes,
            lifecycle: point.lifecycle.clone(),
            attempt: 0,
            state: match self.skip(point) {
                Some(reason) => ItemState::Skipped {
                    reason: types.get(reason.as_str()),
                },
                None => ItemState::Pending,
            },
        }
    }
}

/// The few texts that a million items share.
#[derive(Debug, Default)]
pub struct TypeNames(std::collections::HashSet<Arc<str>>);

impl TypeNames {
    /// The shared form of a text.
    pub fn get(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.0.insert(Arc::clone(&name));
        name
    }
}

/// Settles new items against what the destination has: copied ones are skipped, jobs under way are
/// adopted, and attempts are numbered past those that AWS has seen.
pub fn settle_new(
    items: Vec<Item>,
    destination: &Destination,
    source_vault_arn: &str,
    force: bool,
) -> Vec<Item> {
    let wanted: Vec<Wanted<'_>> = items.iter().filter(|i| is_pending(i)).map(wanted).collect();
    let mut knowledge = reconcile::known(&wanted, destination, source_vault_arn);
    drop(wanted);
    let dates = dates(destination);
    let reason: Arc<str> = SkipReason::AlreadyCopied.as_str().into();
    items
        .into_iter()
        .map(|mut item| {
            if !is_pending(&item) {
                return item;
            }
            item.attempt = knowledge
                .ended_jobs
                .get(&item.recovery_point_arn)
                .copied()
                .unwrap_or(0);
            match knowledge.known.remove(&item.recovery_point_arn) {
                Some(Known::Copied(_)) if !force => {
                    item.state = ItemState::Skipped {
                        reason: Arc::clone(&reason),
                    };
                }
                Some(Known::UnderWay(copy_job_id)) => {
                    item.attempt += 1;
                    let since = began(&dates, &copy_job_id);
                    item.state = ItemState::InFlight { copy_job_id, since };
                }
                _ => {}
            }
            item
        })
        .collect()
}

/// When jobs began, by AWS's clock: polls look for ends after that, and ours may be wrong.
fn dates(destination: &Destination) -> HashMap<&CopyJobId, DateTime<Utc>> {
    let jobs = destination.jobs.iter();
    jobs.filter_map(|job| Some((&job.copy_job_id, job.creation_date?)))
        .collect()
}

fn began(dates: &HashMap<&CopyJobId, DateTime<Utc>>, job: &CopyJobId) -> DateTime<Utc> {
    dates.get(job).copied().unwrap_or_else(Utc::now)
}

/// After this long AWS lists every job that it still lists at all.
const LONG_AGO: TimeDelta = TimeDelta::days(1);

/// The records that settle a loaded ledger's items against what the destination has: those that
/// wait, and those under way for so long that AWS may know their jobs no more. A job that it still
/// lists is left to the loop.
pub fn settle_loaded(items: &Items, destination: &Destination, source_vault_arn: &str) -> Vec<JournalRecord> {
    let now = Utc::now();
    let listed: HashSet<&RecoveryPointArn> = destination
        .jobs
        .iter()
        .filter_map(|job| job.source_recovery_point_arn.as_ref())
        .collect();
    let is_forgotten = |item: &&Item| {
        let since = match &item.state {
            ItemState::InFlight { since, .. } => Some(*since),
            ItemState::Starting { since, sent, .. } => sent.or(*since),
            _ => None,
        };
        since.is_some_and(|since| since < now - LONG_AGO) && !listed.contains(&item.recovery_point_arn)
    };
    let forgotten: HashSet<&RecoveryPointArn> = items
        .iter()
        .filter(is_forgotten)
        .map(|item| &item.recovery_point_arn)
        .collect();
    // A copy is more likely that of a start than of a point that waits.
    let started = items.iter().filter(is_forgotten);
    let waiting = items.iter().filter(|item| is_pending(item));
    let wanted: Vec<Wanted<'_>> = started.chain(waiting).map(wanted).collect();
    let knowledge = reconcile::known_beside(&wanted, &others(items), destination, source_vault_arn);
    let (forgotten, waiting): (Vec<_>, Vec<_>) = knowledge
        .known
        .into_iter()
        .partition(|(arn, _)| forgotten.contains(arn));
    let requeued = |(arn, _): &(RecoveryPointArn, Known)| JournalRecord::Requeued {
        recovery_point_arn: arn.clone(),
        reason: "AWS lists no job of it, and its copy is there".to_owned(),
    };
    let requeued: Vec<JournalRecord> = forgotten.iter().map(requeued).collect();
    let dates = dates(destination);
    let reason: Arc<str> = SkipReason::AlreadyCopied.as_str().into();
    let record = |(arn, known): (RecoveryPointArn, Known)| match known {
        Known::Copied(_) => JournalRecord::Skipped {
            recovery_point_arn: arn,
            reason: Arc::clone(&reason),
        },
        Known::UnderWay(copy_job_id) => JournalRecord::Started {
            recovery_point_arn: arn,
            at: began(&dates, &copy_job_id),
            copy_job_id,
        },
    };
    let settled = forgotten.into_iter().chain(waiting).map(record);
    requeued.into_iter().chain(settled).collect()
}

/// Items that are known to have a copy.
fn others(items: &Items) -> Others<'_> {
    let mut others = Others::default();
    for item in items {
        match &item.state {
            ItemState::Completed {
                destination_recovery_point_arn: Some(copy),
                ..
            } => {
                others.copies.insert(copy);
            }
            ItemState::Completed { .. } => others.points.push(wanted(item)),
            ItemState::Skipped { reason } if **reason == *SkipReason::AlreadyCopied.as_str() => {
                others.points.push(wanted(item));
            }
            _ => {}
        }
    }
    others
}

fn is_pending(item: &Item) -> bool {
    matches!(item.state, ItemState::Pending)
}

fn wanted(item: &Item) -> Wanted<'_> {
    Wanted {
        recovery_point_arn: &item.recovery_point_arn,
        resource_arn: &item.resource_arn,
        creation_date: item.creation_date,
    }
}

/// The records by which a loaded ledger follows a new listing and new filters: what is done stays,
/// what waits or was passed over is judged anew, and new points join.
pub fn replan(items: &Items, listed: Vec<Item>) -> Vec<JournalRecord> {
    let by_filter = |reason: &str| reason != SkipReason::AlreadyCopied.as_str();
    let mut records = Vec::new();
    for item in listed {
        let arn = item.recovery_point_arn.clone();
        match (items.get(&arn).map(|old| &old.state), &item.state) {
            (None, _) => records.push(JournalRecord::Planned { item }),
            (Some(ItemState::Pending), ItemState::Skipped { reason }) => {
                records.push(JournalRecord::Skipped {
                    recovery_point_arn: arn,
                    reason: Arc::clone(reason),
                });
            }
            (Some(ItemState::Skipped { reason: old }), ItemState::Pending) if by_filter(old) => {
                records.push(JournalRecord::Reopened {
                    recovery_point_arn: arn,
                });
            }
            _ => {}
        }
    }
    records
}

/// The records that queue failed items again.
pub fn retry_failed(items: &Items) -> Vec<JournalRecord> {
    items
        .iter()
        .filter(|item| matches!(item.state, ItemState::Failed { .. }))
        .map(|item| JournalRecord::Reopened {
            recovery_point_arn: item.recovery_point_arn.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
