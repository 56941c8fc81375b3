//! The ledger of a vault: its items in plan order, and the only way in which they change.
//!
//! The same function serves live events and recovery, so that what is replayed is what was lived.

use std::collections::HashMap;

use thiserror::Error;

use super::format::{Item, ItemState, JournalRecord};
use crate::domain::RecoveryPointArn;

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

/// The items of one vault.
#[derive(Debug, Clone, Default)]
pub struct Items {
    in_order: Vec<Item>,
    index: HashMap<RecoveryPointArn, u32>,
    counts: Counts,
}

impl Items {
    /// A ledger of these items. Of two with the same ARN the first stays.
    pub fn new(items: impl IntoIterator<Item = Item>) -> Self {
        let mut ledger = Self::default();
        for item in items {
            ledger.add(item);
        }
        ledger
    }

    /// Where everything stands.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// In plan order.
    pub fn iter(&self) -> std::slice::Iter<'_, Item> {
        self.in_order.iter()
    }

    /// By place in plan order.
    pub fn item(&self, index: u32) -> Option<&Item> {
        self.in_order.get(usize::try_from(index).ok()?)
    }

    /// By ARN.
    pub fn get(&self, arn: &RecoveryPointArn) -> Option<&Item> {
        self.item(*self.index.get(arn)?)
    }

    /// Changes an item as the record says.
    ///
    /// # Errors
    /// If the record cannot follow the item's state; nothing is changed then.
    pub fn apply(&mut self, record: &JournalRecord) -> Result<(), IllegalTransition> {
        if let JournalRecord::Planned { item } = record {
            self.add(item.clone());
            return Ok(());
        }
        let arn = record.recovery_point_arn();
        let illegal = |state| IllegalTransition {
            recovery_point_arn: arn.clone(),
            state,
            record: record.name(),
        };
        let place = self.index.get(arn).copied().ok_or_else(|| illegal("unknown"))?;
        let item = usize::try_from(place)
            .ok()
            .and_then(|place| self.in_order.get_mut(place))
            .ok_or_else(|| illegal("unknown"))?;
        let (next, attempt) = transition(item, record).ok_or_else(|| illegal(state_name(&item.state)))?;
        self.counts.remove(item);
        item.state = next;
        item.attempt = attempt;
        self.counts.add(item);
        Ok(())
    }

    fn add(&mut self, item: Item) {
        let Ok(place) = u32::try_from(self.in_order.len()) else {
            return;
        };
        if self.index.contains_key(&item.recovery_point_arn) {
            return;
        }
        self.index.insert(item.recovery_point_arn.clone(), place);
        self.counts.add(&item);
        self.in_order.push(item);
    }
}

/// The state and attempt that follow; `None` if the record is illegal here.
fn transition(item: &Item, record: &JournalRecord) -> Option<(ItemState, u32)> {
    use ItemState as S;
    use JournalRecord as R;
    let same = item.attempt;
    match (&item.state, record) {
        (
            S::Pending,
            R::StartIntended {
                attempt,
                idempotency_token,
                at,
                ..
            },
        ) if *attempt > same => Some((
            S::Starting {
                idempotency_token: idempotency_token.clone(),
                since: *at,
                sent: *at,
            },
            *attempt,
        )),
        // The same attempt is sent again: it is as old as before, and its job may be new.
        (
            state @ (S::Starting { .. } | S::InFlight { .. }),
            R::StartIntended {
                attempt,
                idempotency_token,
                at,
                ..
            },
        ) if *attempt == same => Some((
            S::Starting {
                idempotency_token: idempotency_token.clone(),
                since: match state {
                    S::Starting { since, .. } => *since,
                    S::InFlight { since, .. } => Some(*since),
                    _ => None,
                },
                sent: *at,
            },
            same,
        )),
        // From Pending when a job of before this state was found; from InFlight when AWS lost one.
        (S::Pending | S::Starting { .. } | S::InFlight { .. }, R::Started { copy_job_id, at, .. }) => Some((
            S::InFlight {
                copy_job_id: copy_job_id.clone(),
                since: *at,
            },
            same.max(1),
        )),
        // The attempt, with its token, is still to be made. Whoever else copies this point with another
        // state sends the same token, as long as both count jobs only.
        (S::Starting { .. }, R::NotTaken { .. }) => Some((S::Pending, same.saturating_sub(1))),
        (S::Starting { .. } | S::InFlight { .. }, R::Requeued { .. })
        | (S::Failed { .. } | S::Skipped { .. }, R::Reopened { .. }) => Some((S::Pending, same)),
        (
            S::InFlight { .. },
            R::Completed {
                copy_job_id,
                destination_recovery_point_arn,
                at,
                ..
            },
        ) => {
            let state = S::Completed {
                copy_job_id: copy_job_id.clone(),
                destination_recovery_point_arn: destination_recovery_point_arn.clone(),
                at: *at,
            };
            Some((state, same))
        }
        (
            S::Pending | S::Starting { .. } | S::InFlight { .. },
            R::Failed {
                error_code,
                message,
                at,
                ..
            },
        ) => {
            let state = S::Failed {
                error_code: error_code.clone(),
                message: message.clone(),
                at: *at,
            };
            Some((state, same))
        }
        (S::Pending, R::Skipped { reason, .. }) => Some((
            S::Skipped {
                reason: reason.clone(),
            },
            same,
        )),
        _ => None,
    }
}

fn state_name(state: &ItemState) -> &'static str {
    match state {
        ItemState::Pending => "pending",
        ItemState::Starting { .. } => "starting",
        ItemState::InFlight { .. } => "in_flight",
        ItemState::Completed { .. } => "completed",
        ItemState::Failed { .. } => "failed",
        ItemState::Skipped { .. } => "skipped",
    }
}

impl Counts {
    fn slot(&mut self, state: &ItemState) -> &mut usize {
        match state {
            ItemState::Pending => &mut self.pending,
            ItemState::Starting { .. } => &mut self.starting,
            ItemState::InFlight { .. } => &mut self.in_flight,
            ItemState::Completed { .. } => &mut self.completed,
            ItemState::Failed { .. } => &mut self.failed,
            ItemState::Skipped { .. } => &mut self.skipped,
        }
    }

    fn add(&mut self, item: &Item) {
        self.total += 1;
        *self.slot(&item.state) += 1;
        if matches!(item.state, ItemState::Completed { .. }) {
            self.bytes_completed += bytes(item);
        }
    }

    fn remove(&mut self, item: &Item) {
        self.total -= 1;
        *self.slot(&item.state) -= 1;
        if matches!(item.state, ItemState::Completed { .. }) {
            self.bytes_completed -= bytes(item);
        }
    }
}

fn bytes(item: &Item) -> u64 {
    item.backup_size_bytes
        .and_then(|b| u64::try_from(b).ok())
        .unwrap_or(0)
}

impl<'a> IntoIterator for &'a Items {
    type Item = &'a Item;
    type IntoIter = std::slice::Iter<'a, Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{BackupVaultArn, CopyJobId, IdempotencyToken, ResourceArn};
    use chrono::DateTime;
    use proptest::prelude::*;

    fn arn(n: u8) -> RecoveryPointArn {
        RecoveryPointArn::from_aws(&format!("arn:aws:ec2:us-east-1::snapshot/snap-{n}"))
    }

    fn ledger(count: u8) -> Items {
        Items::new((0..count).map(|n| Item {
            recovery_point_arn: arn(n),
            resource_arn: ResourceArn::from_aws("r"),
            resource_type: "EBS".into(),
            creation_date: DateTime::UNIX_EPOCH,
            backup_size_bytes: Some(10),
            lifecycle: None,
            attempt: 0,
            state: ItemState::Pending,
        }))
    }

    fn record(kind: u8, n: u8, attempt: u32) -> JournalRecord {
        let recovery_point_arn = arn(n);
        let at = DateTime::UNIX_EPOCH;
        match kind {
            0 => {
                let vault = BackupVaultArn::from_aws("v");
                let idempotency_token = IdempotencyToken::for_attempt(&recovery_point_arn, &vault, attempt);
                JournalRecord::StartIntended {
                    recovery_point_arn,
                    attempt,
                    idempotency_token,
                    at: None,
                }
            }
            1 => JournalRecord::Started {
                recovery_point_arn,
                copy_job_id: CopyJobId::from_aws("j"),
                at,
            },
            2 => JournalRecord::Requeued {
                recovery_point_arn,
                reason: String::new(),
            },
            3 => JournalRecord::Completed {
                recovery_point_arn,
                copy_job_id: CopyJobId::from_aws("j"),
                destination_recovery_point_arn: None,
                at,
            },
            4 => JournalRecord::Failed {
                recovery_point_arn,
                error_code: String::new(),
                message: String::new(),
                at,
            },
            5 => JournalRecord::Skipped {
                recovery_point_arn,
                reason: "cold".into(),
            },
            _ => JournalRecord::Reopened { recovery_point_arn },
        }
    }

    #[test]
    fn a_copied_item_stays_copied() {
        let mut items = ledger(1);
        for kind in [0, 1, 3] {
            items.apply(&record(kind, 0, 1)).unwrap();
        }
        for kind in 0..7 {
            assert!(items.apply(&record(kind, 0, 2)).is_err(), "{kind}");
        }
        assert_eq!(
            (items.counts().completed, items.counts().bytes_completed),
            (1, 10)
        );
    }

    #[test]
    fn an_attempt_that_is_over_is_never_used_again() {
        let mut items = ledger(1);
        items.apply(&record(0, 0, 1)).unwrap();
        items.apply(&record(0, 0, 1)).unwrap();
        assert!(
            items.apply(&record(0, 0, 2)).is_err(),
            "another while the first is in doubt"
        );
        items.apply(&record(2, 0, 0)).unwrap();
        assert!(items.apply(&record(0, 0, 1)).is_err());
        items.apply(&record(0, 0, 2)).unwrap();
    }

    #[test]
    fn an_attempt_that_aws_did_not_take_is_made_again() {
        let not_taken = JournalRecord::NotTaken {
            recovery_point_arn: arn(0),
            reason: String::new(),
        };
        let mut items = ledger(1);
        assert_eq!(items.apply(&not_taken).unwrap_err().state, "pending");
        for _ in 0..3 {
            items.apply(&record(0, 0, 1)).unwrap();
            items.apply(&not_taken).unwrap();
            assert_eq!(items.get(&arn(0)).unwrap().attempt, 0);
        }
        for kind in [0, 1] {
            items.apply(&record(kind, 0, 1)).unwrap();
        }
        assert_eq!(items.apply(&not_taken).unwrap_err().state, "in_flight");
    }

    #[test]
    fn each_state_takes_its_records_and_no_others() {
        // How each state is come to, and which of the records 0 to 6 may follow.
        let states: [(&str, &[u8], &[u8]); 6] = [
            ("pending", &[], &[0, 1, 4, 5]),
            ("starting", &[0], &[1, 2, 4]),
            ("in_flight", &[0, 1], &[1, 2, 3, 4]),
            ("completed", &[0, 1, 3], &[]),
            ("failed", &[0, 1, 4], &[6]),
            ("skipped", &[5], &[6]),
        ];
        let leads_to = [
            "starting",
            "in_flight",
            "pending",
            "completed",
            "failed",
            "skipped",
            "pending",
        ];
        for (name, way, takes) in states {
            for kind in 0..7 {
                let mut items = ledger(2);
                for step in way {
                    items.apply(&record(*step, 1, 1)).unwrap();
                }
                assert_eq!(state_name(&items.get(&arn(1)).unwrap().state), name);
                let applied = items.apply(&record(kind, 1, 2));
                let wanted = if takes.contains(&kind) {
                    applied.unwrap();
                    leads_to[usize::from(kind)]
                } else {
                    assert_eq!(applied.unwrap_err().state, name);
                    name
                };
                assert_eq!(state_name(&items.item(1).unwrap().state), wanted, "{name} {kind}");
                assert_eq!(items.item(0), ledger(1).item(0), "the other one stays");
            }
        }
        assert_eq!(ledger(2).item(2), None);
        assert_eq!(ledger(2).apply(&record(0, 9, 1)).unwrap_err().state, "unknown");
    }

    proptest! {
        #[test]
        fn counts_agree_with_the_items_whatever_happens(
            moves in proptest::collection::vec((0u8..7, 0u8..6, 1u32..5), 0..200),
        ) {
            let mut items = ledger(5);
            for (kind, n, attempt) in moves {
                let before = items.clone();
                if items.apply(&record(kind, n, attempt)).is_err() {
                    prop_assert_eq!(before.counts(), items.counts());
                }
                let again = Items::new(items.iter().cloned());
                prop_assert_eq!(again.counts(), items.counts());
                let c = items.counts();
                prop_assert_eq!(c.total, c.pending + c.starting + c.in_flight + c.completed + c.failed + c.skipped);
            }
        }
    }
}
