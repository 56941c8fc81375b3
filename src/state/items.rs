//! The ledger of a vault: its items in plan order, and the only way in which they change.
//!
//! The same function serves live events and recovery, so that what is replayed is what was lived.
//! A million items have to fit in little memory, so they are kept in rows of fixed size and texts
//! that share what they have in common (`texts.rs`); an [`Item`] is made of them when one is asked for.

mod row;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use thiserror::Error;

use super::counts::{Counts, Standing};
use super::format::{Item, ItemState, JournalRecord};
use super::shared::Shared;
use super::texts::{Found, Names, Place, Texts};
use super::transitions::transition;
use crate::domain::{CopyJobId, Lifecycle, RecoveryPointArn, ResourceArn};

pub use row::ItemRow;

/// A record that does not fit where its item stands.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{record}` cannot follow `{state}` for recovery point {recovery_point_arn}")]
pub struct IllegalTransition {
    /// The point.
    pub recovery_point_arn: RecoveryPointArn,
    /// Where it stands.
    pub state: &'static str,
    /// The record.
    pub record: &'static str,
}

/// Where the particulars of an item's state are.
#[derive(Debug, Clone, Copy)]
enum Particulars {
    /// There are none.
    None,
    /// In the map of whole states: few items are there at a time.
    Whole,
    /// A copy whose ARN is known, in the texts.
    Copy(Place),
    /// Number of the reason.
    Reason(u32),
}

/// What is kept of each item beside its texts.
#[derive(Debug, Clone, Copy)]
struct Row {
    resource: u32,
    resource_type: u32,
    /// 0 for none, else the number of the lifecycle and one.
    lifecycle: u32,
    attempt: u32,
    creation_date: DateTime<Utc>,
    size: Size,
    standing: Standing,
    particulars: Particulars,
}

/// Bytes of a point, if AWS gives them, in half the memory of an `Option`. No size is as small as what stands for none.
#[derive(Debug, Clone, Copy)]
struct Size(i64);

impl Size {
    fn new(bytes: Option<i64>) -> Self {
        Self(bytes.unwrap_or(i64::MIN))
    }

    fn get(self) -> Option<i64> {
        Some(self.0).filter(|bytes| *bytes != i64::MIN)
    }
}

/// An item that is to be added, without a text of its own.
#[derive(Debug)]
pub(super) struct NewItem<'a> {
    pub(super) recovery_point_arn: &'a str,
    pub(super) resource_arn: &'a str,
    pub(super) resource_type: &'a str,
    pub(super) creation_date: DateTime<Utc>,
    pub(super) backup_size_bytes: Option<i64>,
    pub(super) lifecycle: Option<Lifecycle>,
    pub(super) attempt: u32,
    pub(super) state: NewState<'a>,
}

/// Where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum NewState<'a> {
    Pending,
    Skipped(&'a str),
    /// Copied, to a copy whose ARN is known.
    Completed {
        copy_job_id: &'a str,
        copy: &'a str,
        at: DateTime<Utc>,
    },
    /// Anything else.
    Whole(&'a ItemState),
}

impl<'a> From<&'a ItemState> for NewState<'a> {
    fn from(state: &'a ItemState) -> Self {
        match state {
            ItemState::Pending => Self::Pending,
            ItemState::Skipped { reason } => Self::Skipped(reason),
            ItemState::Completed {
                copy_job_id,
                destination_recovery_point_arn: Some(copy),
                at,
            } => Self::Completed {
                copy_job_id: copy_job_id.as_str(),
                copy: copy.as_str(),
                at: *at,
            },
            other => Self::Whole(other),
        }
    }
}

impl NewState<'_> {
    fn standing(self) -> Standing {
        match self {
            Self::Pending => Standing::Pending,
            Self::Skipped(_) => Standing::Skipped,
            Self::Completed { .. } => Standing::Completed,
            Self::Whole(state) => Standing::of(state),
        }
    }
}

/// The items of one vault.
#[derive(Debug, Clone, Default)]
pub struct Items {
    rows: Vec<Row>,
    texts: Texts,
    arns: Names,
    resources: Names,
    types: Shared<Arc<str>>,
    reasons: Shared<Arc<str>>,
    lifecycles: Shared<Lifecycle>,
    whole: HashMap<u32, ItemState>,
    counts: Counts,
}

impl Items {
    /// A ledger of these items. Of two with the same ARN the first stays.
    pub fn new(items: impl IntoIterator<Item = Item>) -> Self {
        let mut ledger = Self::default();
        for item in items {
            ledger.add(&item);
        }
        ledger
    }

    /// Where everything stands.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// In plan order, without making whole items of them.
    pub fn rows(&self) -> impl Iterator<Item = ItemRow<'_>> {
        (0..).zip(&self.rows).map(|(number, row)| ItemRow {
            items: self,
            number,
            row,
        })
    }

    /// In plan order.
    pub fn iter(&self) -> impl Iterator<Item = Item> {
        self.rows().map(|row| row.item())
    }

    /// By place in plan order, without making a whole item of it.
    pub fn row(&self, number: u32) -> Option<ItemRow<'_>> {
        let row = self.rows.get(usize::try_from(number).ok()?)?;
        Some(ItemRow {
            items: self,
            number,
            row,
        })
    }

    /// By place in plan order.
    pub fn item(&self, number: u32) -> Option<Item> {
        self.row(number).map(|row| row.item())
    }

    /// The place of an ARN in plan order.
    pub fn find(&self, arn: &RecoveryPointArn) -> Option<u32> {
        self.arns.find(&self.texts, arn.as_str())
    }

    /// By ARN.
    pub fn get(&self, arn: &RecoveryPointArn) -> Option<Item> {
        self.item(self.find(arn)?)
    }

    /// The number that rows have for a resource.
    pub fn resource_number(&self, resource: &ResourceArn) -> Option<u32> {
        self.resources.find(&self.texts, resource.as_str())
    }

    /// Changes an item as the record says.
    ///
    /// # Errors
    /// If the record cannot follow the item's state; nothing is changed then.
    pub fn apply(&mut self, record: &JournalRecord) -> Result<(), IllegalTransition> {
        if let JournalRecord::Planned { item } = record {
            self.add(item);
            return Ok(());
        }
        let arn = record.recovery_point_arn();
        let illegal = |state| IllegalTransition {
            recovery_point_arn: arn.clone(),
            state,
            record: record.name(),
        };
        let number = self.find(arn).ok_or_else(|| illegal("unknown"))?;
        let row = self.row(number).ok_or_else(|| illegal("unknown"))?;
        let (next, attempt) =
            transition(&row.state(), row.attempt(), record).ok_or_else(|| illegal(row.standing().name()))?;
        self.set(number, attempt, NewState::from(&next));
        Ok(())
    }

    /// Changes items as the records say, up to the first that cannot be followed.
    ///
    /// # Errors
    /// As [`Self::apply`]; the records before that one have been followed then.
    pub fn apply_all(&mut self, records: &[JournalRecord]) -> Result<(), IllegalTransition> {
        records.iter().try_for_each(|record| self.apply(record))
    }

    /// Says of a point that waits how many copy jobs of it AWS has made already: attempts are numbered
    /// past them, because AWS answers a token that it has seen with the old job.
    pub fn count_jobs(&mut self, number: u32, jobs: u32) {
        if let Some(row) = usize::try_from(number).ok().and_then(|at| self.rows.get_mut(at))
            && row.standing == Standing::Pending
        {
            row.attempt = jobs;
        }
    }

    /// Adds an item, unless its ARN is there already. Answers its place in plan order if it was added.
    pub fn add(&mut self, item: &Item) -> Option<u32> {
        self.add_new(&NewItem {
            recovery_point_arn: item.recovery_point_arn.as_str(),
            resource_arn: item.resource_arn.as_str(),
            resource_type: &item.resource_type,
            creation_date: item.creation_date,
            backup_size_bytes: item.backup_size_bytes,
            lifecycle: item.lifecycle.clone(),
            attempt: item.attempt,
            state: NewState::from(&item.state),
        })
    }

    /// The same, of what a line of a document says.
    pub(super) fn add_new(&mut self, item: &NewItem<'_>) -> Option<u32> {
        let Some((number, Found::New)) = self.arns.number(&mut self.texts, item.recovery_point_arn) else {
            return None;
        };
        let resource = self.resources.number(&mut self.texts, item.resource_arn);
        let lifecycle = item.lifecycle.as_ref();
        self.rows.push(Row {
            resource: resource.map_or(0, |(number, _)| number),
            resource_type: self
                .types
                .number(item.resource_type, || item.resource_type.into()),
            lifecycle: lifecycle.map_or(0, |l| self.lifecycles.number(l, || l.clone()).saturating_add(1)),
            attempt: item.attempt,
            creation_date: item.creation_date,
            size: Size::new(item.backup_size_bytes),
            standing: Standing::Pending,
            particulars: Particulars::None,
        });
        self.counts.add(Standing::Pending, bytes(item.backup_size_bytes));
        self.set(number, item.attempt, item.state);
        Some(number)
    }

    fn keep_copy(&mut self, copy_job_id: &str, copy: &str, at: DateTime<Utc>) -> Option<Place> {
        let (seconds, nanoseconds) = (at.timestamp(), at.timestamp_subsec_nanos());
        self.texts.add(
            &[
                seconds.to_le_bytes().as_slice(),
                nanoseconds.to_le_bytes().as_slice(),
            ],
            &[copy_job_id, copy],
        )
    }

    fn set(&mut self, number: u32, attempt: u32, state: NewState<'_>) {
        let standing = state.standing();
        let particulars = self.keep(state);
        let whole = &mut self.whole;
        let row = usize::try_from(number).ok().and_then(|at| self.rows.get_mut(at));
        let Some(row) = row else { return };
        if let Particulars::Whole = row.particulars {
            whole.remove(&number);
        }
        let particulars = match particulars {
            Ok(particulars) => particulars,
            Err(state) => {
                whole.insert(number, state);
                Particulars::Whole
            }
        };
        self.counts.remove(row.standing);
        self.counts.add(standing, bytes(row.size.get()));
        *row = Row {
            attempt,
            standing,
            particulars,
            ..*row
        };
    }

    /// Keeps the particulars of a state; gives back one that has to be kept whole.
    fn keep(&mut self, state: NewState<'_>) -> Result<Particulars, ItemState> {
        match state {
            NewState::Pending => Ok(Particulars::None),
            NewState::Skipped(reason) => {
                Ok(Particulars::Reason(self.reasons.number(reason, || reason.into())))
            }
            NewState::Completed {
                copy_job_id,
                copy,
                at,
            } => {
                let kept = self.keep_copy(copy_job_id, copy, at).map(Particulars::Copy);
                kept.ok_or_else(|| ItemState::Completed {
                    copy_job_id: CopyJobId::from_aws(copy_job_id),
                    destination_recovery_point_arn: Some(RecoveryPointArn::from_aws(copy)),
                    at,
                })
            }
            NewState::Whole(state) => Err(state.clone()),
        }
    }

    /// The items as they are now, for another thread to write down while they go on changing. What
    /// never changes is shared.
    #[must_use]
    pub fn snapshot(&mut self) -> Self {
        self.texts.close_block();
        Self {
            rows: self.rows.clone(),
            texts: self.texts.clone(),
            arns: self.arns.without_index(),
            resources: self.resources.without_index(),
            types: self.types.clone(),
            reasons: self.reasons.clone(),
            lifecycles: self.lifecycles.clone(),
            whole: self.whole.clone(),
            counts: self.counts,
        }
    }
}

fn bytes(size: Option<i64>) -> u64 {
    size.and_then(|b| u64::try_from(b).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
