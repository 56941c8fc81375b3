//! One item of a state document, in the JSON of [`Item`].
//!
//! A million of them are read when a run is gone on with, which a general reader of JSON takes seconds
//! for. So the lines that this program itself writes of points that wait, are copied or are passed over
//! are read as what they are: members in a known order, and texts without escapes. Any other line goes
//! through serde.

use chrono::{DateTime, Utc};

use super::format::Item;
use super::items::{ItemRow, Items, NewItem, NewState};
use crate::domain::Lifecycle;

/// Writes an item.
///
/// # Errors
/// If it cannot be JSON.
pub(super) fn write(row: &ItemRow<'_>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    serde_json::to_writer(out, &row.item())
}

/// Reads the lines of one document.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The latest lifecycle, as text and as value: most items have the same.
    lifecycle: (Vec<u8>, Option<Lifecycle>),
}

impl Lines {
    /// Reads an item and adds it; `None` if it is none.
    pub(super) fn read(&mut self, json: &[u8], items: &mut Items) -> Option<()> {
        if let Some(item) = self.plain(json) {
            items.add_new(&item);
        } else {
            items.add(&serde_json::from_slice::<Item>(json).ok()?);
        }
        Some(())
    }

    fn plain<'a>(&mut self, json: &'a [u8]) -> Option<NewItem<'a>> {
        let mut line = Cursor(json);
        line.skip("{\"recovery_point_arn\":")?;
        let recovery_point_arn = line.text()?;
        line.skip(",\"resource_arn\":")?;
        let resource_arn = line.text()?;
        line.skip(",\"resource_type\":")?;
        let resource_type = line.text()?;
        line.skip(",\"creation_date\":")?;
        let creation_date = line.date()?;
        let backup_size_bytes = match line.skip(",\"backup_size_bytes\":") {
            Some(()) => Some(line.number()?),
            None => None,
        };
        let lifecycle = match line.skip(",\"lifecycle\":") {
            Some(()) => Some(self.lifecycle(&mut line)?),
            None => None,
        };
        line.skip(",\"attempt\":")?;
        let attempt = line.number()?.try_into().ok()?;
        line.skip(",\"status\":")?;
        let state = match line.text()? {
            "pending" => NewState::Pending,
            "skipped" => {
                line.skip(",\"reason\":")?;
                NewState::Skipped(line.text()?)
            }
            "completed" => {
                line.skip(",\"copy_job_id\":")?;
                let copy_job_id = line.text()?;
                line.skip(",\"destination_recovery_point_arn\":")?;
                let copy = line.text()?;
                line.skip(",\"at\":")?;
                NewState::Completed {
                    copy_job_id,
                    copy,
                    at: line.date()?,
                }
            }
            _ => return None,
        };
        (line.0 == b"}").then_some(NewItem {
            recovery_point_arn,
            resource_arn,
            resource_type,
            creation_date,
            backup_size_bytes,
            lifecycle,
            attempt,
            state,
        })
    }

    fn lifecycle(&mut self, line: &mut Cursor<'_>) -> Option<Lifecycle> {
        let end = memchr::memchr(b'}', line.0)? + 1;
        let (text, rest) = line.0.split_at_checked(end)?;
        line.0 = rest;
        if self.lifecycle.0 != text {
            self.lifecycle = (text.to_owned(), Some(serde_json::from_slice(text).ok()?));
        }
        self.lifecycle.1.clone()
    }
}

/// What of a line is still to be read.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn skip(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text.as_bytes())?;
        Some(())
    }

    /// A text without escapes.
    fn text(&mut self) -> Option<&'a str> {
        let inner = self.0.strip_prefix(b"\"")?;
        let end = memchr::memchr2(b'"', b'\\', inner)?;
        let (text, rest) = inner.split_at_checked(end)?;
        self.0 = rest.strip_prefix(b"\"")?;
        // Control characters stand in JSON only as escapes.
        let least = text.iter().copied().min().unwrap_or(b' ');
        std::str::from_utf8(text).ok().filter(|_| least >= b' ')
    }

    fn date(&mut self) -> Option<DateTime<Utc>> {
        Some(DateTime::parse_from_rfc3339(self.text()?).ok()?.to_utc())
    }

    fn number(&mut self) -> Option<i64> {
        let end = self.0.iter().position(|b| !b.is_ascii_digit())?;
        let (digits, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        // JSON has no zeros in front.
        let is_plain = digits.len() == 1 || digits.first() != Some(&b'0');
        std::str::from_utf8(digits)
            .ok()
            .filter(|_| is_plain)?
            .parse()
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CopyJobId, RecoveryPointArn, ResourceArn};
    use crate::state::ItemState;
    use proptest::prelude::*;

    fn states() -> impl Strategy<Value = ItemState> {
        let date = || (-1_000_000_000_000_i64..4_000_000_000_000).prop_map(date);
        prop_oneof![
            Just(ItemState::Pending),
            ".{0,9}".prop_map(|reason| ItemState::Skipped {
                reason: reason.into()
            }),
            (".{0,9}", prop::option::of(".{0,9}"), date()).prop_map(|(job, copy, at)| ItemState::Completed {
                copy_job_id: CopyJobId::from_aws(&job),
                destination_recovery_point_arn: copy.map(|copy| RecoveryPointArn::from_aws(&copy)),
                at,
            }),
            (".{0,9}", date()).prop_map(|(job, since)| ItemState::InFlight {
                copy_job_id: CopyJobId::from_aws(&job),
                since,
            }),
            (".{0,9}", ".{0,9}", date()).prop_map(|(error_code, message, at)| ItemState::Failed {
                error_code,
                message,
                at,
            }),
        ]
    }

    fn date(milliseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(milliseconds).unwrap()
    }

    fn lifecycles() -> impl Strategy<Value = Option<Lifecycle>> {
        let days = || prop::option::of(-2_i64..400);
        let lifecycle = (days(), days(), prop::option::of(any::<bool>()));
        prop::option::of(lifecycle.prop_map(|(cold, delete, archive)| Lifecycle {
            move_to_cold_storage_after_days: cold,
            delete_after_days: delete,
            opt_in_to_archive_for_supported_resources: archive,
        }))
    }

    fn one(lines: &mut Lines, json: &[u8]) -> Option<Item> {
        let mut items = Items::default();
        lines.read(json, &mut items)?;
        items.item(0)
    }

    #[test]
    fn most_lines_are_read_without_serde() {
        let item = |state| Item {
            backup_size_bytes: Some(0),
            state,
            ..Item::for_test("a")
        };
        let copied = |copy| ItemState::Completed {
            copy_job_id: CopyJobId::from_aws("j"),
            destination_recovery_point_arn: copy,
            at: date(0),
        };
        for (state, is_plain) in [
            (ItemState::Pending, true),
            (
                ItemState::Skipped {
                    reason: "cold".into(),
                },
                true,
            ),
            (copied(Some(RecoveryPointArn::from_aws("c"))), true),
            (copied(None), false),
        ] {
            let json = serde_json::to_vec(&item(state)).unwrap();
            assert_eq!(Lines::default().plain(&json).is_some(), is_plain);
        }
    }

    proptest! {
        /// Whatever can be in an item is read as serde reads it, and is written as serde writes it.
        #[test]
        fn an_item_is_read_as_it_was_written(
            items in prop::collection::vec(
                (".{0,12}", "[a-z:/]{0,12}", any::<i64>(), prop::option::of(any::<i64>()), lifecycles(), any::<u32>(), states()),
                1..5,
            ),
        ) {
            let mut lines = Lines::default();
            for (arn, resource, seconds, size, lifecycle, attempt, state) in items {
                let wanted = Item {
                    recovery_point_arn: RecoveryPointArn::from_aws(&arn),
                    resource_arn: ResourceArn::from_aws(&resource),
                    resource_type: "EBS".into(),
                    creation_date: date(seconds % 4_000_000_000_000),
                    backup_size_bytes: size,
                    lifecycle,
                    attempt,
                    state,
                };
                let mut json = Vec::new();
                write(&Items::new([wanted.clone()]).row(0).unwrap(), &mut json).unwrap();
                prop_assert_eq!(&json, &serde_json::to_vec(&wanted).unwrap());
                prop_assert_eq!(one(&mut lines, &json), Some(wanted));
            }
        }

        /// A line that is damaged anywhere is refused, or read as serde reads it.
        #[test]
        fn a_damaged_line_is_never_read_as_something_else(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut json = br#"{"recovery_point_arn":"a:b","resource_arn":"r","resource_type":"EBS","creation_date":"2026-01-02T03:04:05.678Z","backup_size_bytes":10,"lifecycle":{"delete_after_days":30},"attempt":2,"status":"completed","copy_job_id":"j","destination_recovery_point_arn":"c:d","at":"2026-01-02T03:04:05Z"}"#.to_vec();
            prop_assert!(Lines::default().plain(&json).is_some());
            let place = place.index(json.len());
            json[place] = byte;
            prop_assert_eq!(one(&mut Lines::default(), &json), serde_json::from_slice::<Item>(&json).ok());
        }
    }
}
