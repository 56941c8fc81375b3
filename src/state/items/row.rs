//! Reading an item where it is, without making a whole one of it.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Items, Particulars, Row};
use crate::domain::{CopyJobId, Lifecycle, RecoveryPointArn, ResourceArn};
use crate::state::counts::Standing;
use crate::state::format::{Item, ItemState};
use crate::state::texts::Place;

/// An item in its ledger: what of it is needed is read from there.
#[derive(Clone, Copy)]
pub struct ItemRow<'a> {
    pub(super) items: &'a Items,
    pub(super) number: u32,
    pub(super) row: &'a Row,
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

    /// Number of the latest attempt; 0 before the first.
    pub fn attempt(&self) -> u32 {
        self.row.attempt
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
        self.row.size.get()
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
        Some(ItemState::Completed {
            copy_job_id,
            destination_recovery_point_arn: Some(RecoveryPointArn::from_aws(&entry.text()?)),
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
            attempt: self.attempt(),
            state: self.state(),
        }
    }
}
