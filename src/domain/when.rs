//! A moment as an operator writes it: a date, a time, or an age.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use thiserror::Error;

/// A moment, which an age fixes only once it is known from when on it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Moment(DateTime<Utc>),
    Age(TimeDelta),
}

/// Why a text is no moment.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no date (2026-01-31), no time (2026-01-31T08:00:00Z) and no age (90d, 12h)")]
pub struct NoMoment(String);

impl When {
    /// The moment, if ages count back from `now`.
    pub fn at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self.kind {
            Kind::Moment(at) => at,
            Kind::Age(age) => now.checked_sub_signed(age).unwrap_or(DateTime::<Utc>::MIN_UTC),
        }
    }
}

impl FromStr for When {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        let trimmed = text.trim();
        let date = NaiveDate::parse_from_str(trimmed, "%Y-%m-%d").ok();
        let time = DateTime::parse_from_rfc3339(trimmed).ok();
        let kind = if let Some(date) = date {
            Kind::Moment(date.and_time(NaiveTime::MIN).and_utc())
        } else if let Some(time) = time {
            Kind::Moment(time.to_utc())
        } else {
            let age = humantime::parse_duration(trimmed).ok();
            let age = age.and_then(|age| TimeDelta::from_std(age).ok());
            Kind::Age(age.ok_or_else(|| NoMoment(text.to_owned()))?)
        };
        Ok(Self {
            text: trimmed.to_owned(),
            kind,
        })
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> String {
        let now = "2026-06-01T12:00:00Z".parse().unwrap();
        text.parse::<When>().unwrap().at(now).to_rfc3339()
    }

    #[test]
    fn dates_times_and_ages_are_moments() {
        assert_eq!(at("2026-01-31"), "2026-01-31T00:00:00+00:00");
        assert_eq!(at("2026-01-31T08:00:00+02:00"), "2026-01-31T06:00:00+00:00");
        assert_eq!(at(" 90d "), "2026-03-03T12:00:00+00:00");
        assert_eq!(at("36h"), "2026-05-31T00:00:00+00:00");
        for text in ["", "90", "yesterday", "2026-13-01", "31.01.2026", "-5d"] {
            assert!(text.parse::<When>().is_err(), "{text}");
        }
        // Older than everything: nothing is left out, and nothing overflows.
        assert!(at("9999999years").starts_with('-'));
    }
}
