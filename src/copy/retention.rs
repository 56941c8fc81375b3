//! The retention that a copy is given.

use std::fmt;
use std::str::FromStr;

use crate::domain::Lifecycle;

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
}
