//! The ledger of a vault: its items in plan order, and the only way in which they change.
//!
//! The same function serves live events and recovery, so that what is replayed is what was lived.
//! A million items have to fit in little memory, so they are kept in rows of fixed size and texts
//! that share what they have in common (`texts.rs`); an [`Item`] is made of them when one is asked for.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use thiserror::Error;

use super::format::{Item, ItemState, JournalRecord};
use super::shared::Shared;
use super::texts::{Names, Place, Texts};
use super::transitions::transition;
use crate::domain::{CopyJobId, Lifecycle, RecoveryPointArn, ResourceArn};

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

/// How many items stand where. The six states add up to `total`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub total: usize,
    /// Waiting.
    pub pending: usize,
    /// Being started.
    pub starting: usize,
    /// With a job.
    pub in_flight: usize,
    /// Copied.
    pub completed: usize,
    /// Not copied.
    pub failed: usize,
    /// Needing no copy.
    pub skipped: usize,
    /// Bytes of the copied points, where AWS gave sizes.
    pub bytes_completed: u64,
}

/// Where an item stands, without its particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Waits.
    Pending,
    /// Being started.
    Starting,
    /// With a job.
    InFlight,
    /// Copied.
    Completed,
    /// Not copied.
    Failed,
    /// Needs no copy, or can have none.
    Skipped,
}

impl Standing {
    /// Of a state.
    pub fn of(state: &ItemState) -> Self {
        match state {
            ItemState::Pending => Self::Pending,
            ItemState::Starting { .. } => Self::Starting,
            ItemState::InFlight { .. } => Self::InFlight,
            ItemState::Completed { .. } => Self::Completed,
            ItemState::Failed { .. } => Self::Failed,
            ItemState::Skipped { .. } => Self::Skipped,
        }
    }

    /// Its name in a state file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Starting => "starting",
            Self::InFlight => "in_flight",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// Where the particulars of an item's state are.
#[derive(Debug, Clone, Copy)]
enum Particulars {
    /// There are none.
    None,
    /// In the map of whole states: few items are there at a time.
    Whole,
    /// A copy, in the texts.
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
    backup_size_bytes: Option<i64>,
    standing: Standing,
    particulars: Particulars,
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
        let (next, attempt) = transition(&row.state(), row.row.attempt, record)
            .ok_or_else(|| illegal(row.standing().name()))?;
        self.set(number, attempt, next);
        Ok(())
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

    /// Adds an item, unless its ARN is there already.
    pub fn add(&mut self, item: &Item) {
        if self.find(&item.recovery_point_arn).is_some() {
            return;
        }
        let arn = item.recovery_point_arn.as_str();
        let Some(number) = self.arns.add(&mut self.texts, arn) else {
            return;
        };
        let resource = item.resource_arn.as_str();
        let known = self.resources.find(&self.texts, resource);
        let resource = known.or_else(|| self.resources.add(&mut self.texts, resource));
        let lifecycle = item.lifecycle.as_ref();
        self.rows.push(Row {
            resource: resource.unwrap_or_default(),
            resource_type: self.types.number(&item.resource_type),
            lifecycle: lifecycle.map_or(0, |l| self.lifecycles.number(l).saturating_add(1)),
            attempt: item.attempt,
            creation_date: item.creation_date,
            backup_size_bytes: item.backup_size_bytes,
            standing: Standing::Pending,
            particulars: Particulars::None,
        });
        self.counts.add(Standing::Pending, bytes(item.backup_size_bytes));
        self.set(number, item.attempt, item.state.clone());
    }

    fn set(&mut self, number: u32, attempt: u32, state: ItemState) {
        let standing = Standing::of(&state);
        self.whole.remove(&number);
        let particulars = match &state {
            ItemState::Pending => Particulars::None,
            ItemState::Skipped { reason } => Particulars::Reason(self.reasons.number(reason)),
            ItemState::Completed {
                copy_job_id,
                destination_recovery_point_arn,
                at,
            } => {
                let (seconds, nanoseconds) = (
                    at.timestamp().to_le_bytes(),
                    at.timestamp_subsec_nanos().to_le_bytes(),
                );
                let head = [seconds.as_slice(), nanoseconds.as_slice()].concat();
                let copy = destination_recovery_point_arn
                    .as_ref()
                    .map_or("", |arn| arn.as_str());
                let place = self.texts.add(&head, &[copy_job_id.as_str(), copy]);
                // An empty ARN is not none; nobody has seen one.
                let is_kept = destination_recovery_point_arn.is_none() || !copy.is_empty();
                place
                    .filter(|_| is_kept)
                    .map_or(Particulars::Whole, Particulars::Copy)
            }
            _ => Particulars::Whole,
        };
        if let Particulars::Whole = particulars {
            self.whole.insert(number, state);
        }
        if let Some(row) = usize::try_from(number).ok().and_then(|at| self.rows.get_mut(at)) {
            let bytes = bytes(row.backup_size_bytes);
            self.counts.remove(row.standing, bytes);
            self.counts.add(standing, bytes);
            *row = Row {
                attempt,
                standing,
                particulars,
                ..*row
            };
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

/// An item in its ledger: what of it is needed is read from there.
#[derive(Clone, Copy)]
pub struct ItemRow<'a> {
    items: &'a Items,
    number: u32,
    row: &'a Row,
}

impl std::fmt::Debug for ItemRow<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.item().fmt(f)
    }
}

impl ItemRow<'_> {
    /// Its place in plan order.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Where it stands.
    pub fn standing(&self) -> Standing {
        self.row.standing
    }

    /// When the point was made.
    pub fn creation_date(&self) -> DateTime<Utc> {
        self.row.creation_date
    }

    /// Its size, where AWS gives one.
    pub fn backup_size_bytes(&self) -> Option<i64> {
        self.row.backup_size_bytes
    }

    /// AWS's name of the resource's type.
    pub fn resource_type(&self) -> Arc<str> {
        self.items.types.value(self.row.resource_type).unwrap_or_default()
    }

    /// A number that the points of one resource have in common.
    pub fn resource_number(&self) -> u32 {
        self.row.resource
    }

    /// Its retention.
    pub fn lifecycle(&self) -> Option<Lifecycle> {
        let number = self.row.lifecycle.checked_sub(1)?;
        self.items.lifecycles.value(number)
    }

    /// Its ARN.
    pub fn recovery_point_arn(&self) -> RecoveryPointArn {
        let text = self.items.arns.text(&self.items.texts, self.number);
        RecoveryPointArn::from_aws(&text.unwrap_or_default())
    }

    /// Its resource.
    pub fn resource_arn(&self) -> ResourceArn {
        let text = self.items.resources.text(&self.items.texts, self.row.resource);
        ResourceArn::from_aws(&text.unwrap_or_default())
    }

    /// Why it needs no copy, or can have none; empty if it is not so.
    pub fn skip_reason(&self) -> Arc<str> {
        match self.row.particulars {
            Particulars::Reason(number) => self.items.reasons.value(number).unwrap_or_default(),
            _ => Arc::default(),
        }
    }

    /// Where it stands, with all particulars.
    pub fn state(&self) -> ItemState {
        let state = match self.row.particulars {
            Particulars::None => None,
            Particulars::Whole => self.items.whole.get(&self.number).cloned(),
            Particulars::Copy(place) => self.copy(place),
            Particulars::Reason(number) => self
                .items
                .reasons
                .value(number)
                .map(|reason| ItemState::Skipped { reason }),
        };
        state.unwrap_or(ItemState::Pending)
    }

    fn copy(&self, place: Place) -> Option<ItemState> {
        let mut entry = self.items.texts.entry(place);
        let seconds = i64::from_le_bytes(entry.bytes()?);
        let nanoseconds = u32::from_le_bytes(entry.bytes()?);
        let copy_job_id = CopyJobId::from_aws(&entry.text()?);
        let copy = entry.text().filter(|copy| !copy.is_empty());
        Some(ItemState::Completed {
            copy_job_id,
            destination_recovery_point_arn: copy.map(|copy| RecoveryPointArn::from_aws(&copy)),
            at: DateTime::from_timestamp(seconds, nanoseconds)?,
        })
    }

    /// All of it.
    pub fn item(&self) -> Item {
        Item {
            recovery_point_arn: self.recovery_point_arn(),
            resource_arn: self.resource_arn(),
            resource_type: self.resource_type(),
            creation_date: self.creation_date(),
            backup_size_bytes: self.backup_size_bytes(),
            lifecycle: self.lifecycle(),
            attempt: self.row.attempt,
            state: self.state(),
        }
    }
}

impl Counts {
    fn slot(&mut self, standing: Standing) -> &mut usize {
        match standing {
            Standing::Pending => &mut self.pending,
            Standing::Starting => &mut self.starting,
            Standing::InFlight => &mut self.in_flight,
            Standing::Completed => &mut self.completed,
            Standing::Failed => &mut self.failed,
            Standing::Skipped => &mut self.skipped,
        }
    }

    fn add(&mut self, standing: Standing, bytes: u64) {
        self.total += 1;
        *self.slot(standing) += 1;
        if standing == Standing::Completed {
            self.bytes_completed += bytes;
        }
    }

    fn remove(&mut self, standing: Standing, bytes: u64) {
        self.total -= 1;
        *self.slot(standing) -= 1;
        if standing == Standing::Completed {
            self.bytes_completed -= bytes;
        }
    }
}

fn bytes(size: Option<i64>) -> u64 {
    size.and_then(|b| u64::try_from(b).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
