//! What a run is to do with each recovery point of a vault.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::eligibility::{EligibilityRules, SkipReason, deciding_key, skip_reason};
use super::event::ItemFailure;
use super::failure::FailureCause;
use crate::domain::RecoveryPoint;
use crate::domain::selection::Decision;
use crate::state::{Item, ItemState, Items, JournalRecord, Standing};

/// Points and bytes of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of points.
    pub points: usize,
    /// Their sizes, where AWS gives one.
    pub bytes: u64,
    /// Those of which AWS gives none.
    pub without_size: usize,
}

impl Tally {
    /// One point more.
    pub fn add(&mut self, bytes: Option<i64>) {
        self.points += 1;
        match bytes.and_then(|b| u64::try_from(b).ok()) {
            Some(size) => self.bytes += size,
            None => self.without_size += 1,
        }
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
        let (mut types, mut reasons) = (HashMap::new(), HashMap::new());
        for row in items.rows() {
            let slot = match row.standing() {
                Standing::Pending => types.entry(row.resource_type()).or_default(),
                Standing::Starting | Standing::InFlight => &mut tally.under_way,
                Standing::Completed => &mut tally.completed,
                Standing::Failed => &mut tally.failed,
                Standing::Skipped => reasons.entry(row.skip_reason()).or_default(),
            };
            slot.add(row.backup_size_bytes());
        }
        let named = |counted: HashMap<Arc<str>, Tally>| {
            counted.into_iter().map(|(name, tally)| (name.to_string(), tally))
        };
        tally.to_copy = named(types).collect();
        tally.skipped = named(reasons).collect();
        tally
    }

    /// Adds another vault's numbers.
    pub fn merge(&mut self, other: &Self) {
        let add = |into: &mut Tally, from: &Tally| {
            into.points += from.points;
            into.bytes += from.bytes;
            into.without_size += from.without_size;
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
            without_size: sum.without_size + t.without_size,
        })
    }

    /// How many points are passed over, by reason.
    pub fn skipped_by_reason(&self) -> BTreeMap<String, usize> {
        let skipped = self.skipped.iter();
        skipped.map(|(reason, t)| (reason.clone(), t.points)).collect()
    }

    /// Points that are passed over, for any reason.
    pub fn skipped_total(&self) -> usize {
        self.skipped.values().map(|t| t.points).sum()
    }
}

/// What plans go by, beside the filters.
#[derive(Debug, Clone, Copy)]
pub struct PlanRules {
    /// What AWS takes, and what the operator makes of it.
    pub eligibility: EligibilityRules,
    /// When it is.
    pub now: DateTime<Utc>,
}

impl PlanRules {
    /// Why a point is passed over, if it is; by the point and what the filters say of it alone, whatever the
    /// destination holds.
    pub fn skip(&self, point: &RecoveryPoint, decision: Decision) -> Option<SkipReason> {
        match decision {
            Decision::Filtered => Some(SkipReason::Filtered),
            Decision::NoMetadata => Some(SkipReason::NoMetadata),
            Decision::Selected => skip_reason(point, self.eligibility, self.now),
        }
    }

    /// The key that decides whether a point which is not passed over can be copied (see
    /// [`deciding_key`]). `None` if no key decides, or if what AWS cannot do is tried all the same.
    pub fn deciding_key<'p>(&self, point: &'p RecoveryPoint) -> Option<&'p str> {
        deciding_key(point).filter(|_| !self.eligibility.try_all)
    }

    /// The item of a newly listed point, of which the filters say so.
    pub fn item(&self, point: &RecoveryPoint, decision: Decision) -> Item {
        Item {
            recovery_point_arn: point.recovery_point_arn.clone(),
            resource_arn: point.resource_arn.clone(),
            resource_type: point.resource_type.as_str().into(),
            creation_date: point.creation_date,
            backup_size_bytes: point.backup_size_bytes,
            lifecycle: point.lifecycle.clone(),
            attempt: 0,
            state: match self.skip(point, decision) {
                Some(reason) => ItemState::Skipped {
                    reason: reason.as_str().into(),
                },
                None => ItemState::Pending,
            },
        }
    }
}

/// The records by which a loaded ledger follows a new listing and new filters: what is done stays,
/// what waits or was passed over is judged anew, and new points join.
pub fn replan(items: &Items, listed: impl IntoIterator<Item = Item>) -> Vec<JournalRecord> {
    let by_filter = |reason: &str| reason != SkipReason::AlreadyCopied.as_str();
    let mut records = Vec::new();
    for item in listed {
        let arn = item.recovery_point_arn.clone();
        match (items.get(&arn).map(|old| old.state), &item.state) {
            (None, _) => records.push(JournalRecord::Planned { item }),
            (Some(ItemState::Pending), ItemState::Skipped { reason }) => {
                records.push(JournalRecord::Skipped {
                    recovery_point_arn: arn,
                    reason: Arc::clone(reason),
                });
            }
            (Some(ItemState::Skipped { reason: old }), ItemState::Pending) if by_filter(&old) => {
                records.push(JournalRecord::Reopened {
                    recovery_point_arn: arn,
                });
            }
            _ => {}
        }
    }
    records
}

/// The records that queue failed items again, if they failed of a cause that is wanted.
pub fn retry_failed(items: &Items, is_wanted: impl Fn(FailureCause) -> bool) -> Vec<JournalRecord> {
    items
        .rows()
        .filter(|row| ItemFailure::of(row).is_some_and(|failure| is_wanted(failure.cause)))
        .map(|row| JournalRecord::Reopened {
            recovery_point_arn: row.recovery_point_arn(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
