//! The retention that a copy is given.

use crate::domain::Lifecycle;

/// Longest retention that AWS Backup takes, in days: a hundred years.
pub const MOST_DAYS: i64 = 36_500;

/// `--retention`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// The source point's own lifecycle, sent explicitly, because AWS's texts disagree on what an
    /// omitted one means.
    Source,
    /// Deleted this many days after the source's creation.
    Days(i64),
    /// 36,500 days. Not -1, by which AWS keeps the source's expiry.
    Never,
    /// No lifecycle is sent.
    Omit,
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
