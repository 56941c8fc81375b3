//! The retention that a copy is given.

use std::fmt;
use std::str::FromStr;

use crate::domain::{Lifecycle, RecoveryPointArn};

/// Longest retention that AWS Backup takes, in days: a hundred years.
pub const MOST_DAYS: i64 = 36_500;

/// `--retention`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Retention {
    /// The source point's own lifecycle, sent explicitly, because AWS's texts disagree on what an
    /// omitted one means.
    #[default]
    Source,
    /// Deleted this many days after the source's creation.
    Days(i64),
    /// 36,500 days. Not -1, by which AWS keeps the source's expiry.
    Never,
    /// No lifecycle is sent.
    Omit,
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source => f.write_str("source"),
            Self::Days(days) => write!(f, "days={days}"),
            Self::Never => f.write_str("never"),
            Self::Omit => f.write_str("omit"),
        }
    }
}

impl FromStr for Retention {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "source" => Ok(Self::Source),
            "never" => Ok(Self::Never),
            "omit" => Ok(Self::Omit),
            _ => text
                .strip_prefix("days=")
                .and_then(|days| days.parse().ok())
                .filter(|days| (1..=MOST_DAYS).contains(days))
                .map(Self::Days)
                .ok_or_else(|| "it must be source, never, omit, or days=N with N from 1 to 36500".to_owned()),
        }
    }
}

impl Retention {
    /// The lifecycle to send for a point that has `source`.
    pub fn lifecycle(self, source: Option<&Lifecycle>) -> Option<Lifecycle> {
        let days = |days| Lifecycle {
            delete_after_days: Some(days),
            ..Lifecycle::default()
        };
        match self {
            // A point with no lifecycle never expires, and an empty Lifecycle says that.
            Self::Source => Some(source.cloned().unwrap_or_default()),
            Self::Days(n) => Some(days(n)),
            Self::Never => Some(days(MOST_DAYS)),
            Self::Omit => None,
        }
    }
}

/// Days for which a point is kept; `None` for ever. AWS writes -1 for that too.
pub fn days_kept(lifecycle: &Lifecycle) -> Option<i64> {
    lifecycle.delete_after_days.filter(|days| *days > 0)
}

/// How long a copy is kept, if that is not what was asked for, in words. Days in cold storage are not compared: AWS
/// passes over them for types that have none.
pub fn difference(asked: &Lifecycle, given: &Lifecycle) -> Option<String> {
    let (asked, given) = (days_kept(asked), days_kept(given));
    let text = |days: Option<i64>| days.map_or_else(|| "for ever".to_owned(), |days| format!("{days} days"));
    (asked != given).then(|| format!("to be kept {}, kept {}", text(asked), text(given)))
}

/// Copies that were given another retention than was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OtherRetention {
    /// How many.
    pub points: usize,
    /// The first of them, and the difference.
    pub sample: Option<(RecoveryPointArn, String)>,
}

impl OtherRetention {
    /// One more.
    pub fn add(&mut self, point: RecoveryPointArn, difference: String) {
        self.points += 1;
        self.sample.get_or_insert((point, difference));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_as_they_are_read() {
        for text in ["source", "never", "omit", "days=1", "days=36500"] {
            assert_eq!(text.parse::<Retention>().unwrap().to_string(), text);
        }
        for bad in ["", "days=0", "days=36501", "35", "days=", "Never"] {
            assert!(bad.parse::<Retention>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_source_lifecycle_is_sent_explicitly() {
        let own = Lifecycle {
            delete_after_days: Some(35),
            ..Lifecycle::default()
        };
        assert_eq!(Retention::Source.lifecycle(Some(&own)), Some(own.clone()));
        assert_eq!(Retention::Source.lifecycle(None), Some(Lifecycle::default()));
        assert_eq!(Retention::Omit.lifecycle(Some(&own)), None);
        let never = Retention::Never
            .lifecycle(Some(&own))
            .and_then(|l| l.delete_after_days);
        assert_eq!(never, Some(36_500));
    }

    #[test]
    fn for_ever_is_the_same_however_aws_writes_it() {
        let days = |delete_after_days| Lifecycle {
            delete_after_days,
            ..Lifecycle::default()
        };
        for (asked, given, wanted) in [
            (None, None, None),
            (None, Some(-1), None),
            (Some(35), Some(35), None),
            (Some(35), None, Some("to be kept 35 days, kept for ever")),
            (Some(-1), Some(7), Some("to be kept for ever, kept 7 days")),
        ] {
            let found = difference(&days(asked), &days(given));
            assert_eq!(found.as_deref(), wanted, "{asked:?} {given:?}");
        }
        let cold = Lifecycle {
            move_to_cold_storage_after_days: Some(1),
            ..days(Some(35))
        };
        assert_eq!(difference(&cold, &days(Some(35))), None);
    }
}
