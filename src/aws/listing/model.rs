//! AWS's side of a list, as far as it is known: what may be otherwise is a rule of the model.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use super::windows::{Ask, Windows};
use super::{Listed, Window};
use crate::aws::error::{ApiError, ErrorClass};

/// The time by AWS's clock.
pub(super) const NOW: i64 = 1_790_000_000;

/// A member, and the steps between which lists have it.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) key: String,
    pub(super) created: Option<DateTime<Utc>>,
    pub(super) listed: std::ops::Range<usize>,
}

impl Member {
    /// One that is there all the time, made so many milliseconds ago.
    pub(super) fn new(number: usize, age: i64) -> Self {
        Self {
            key: format!("arn:{number}"),
            created: DateTime::from_timestamp_millis(NOW * 1000 - age),
            listed: 0..usize::MAX,
        }
    }
}

impl Listed for Member {
    fn key(&self) -> &str {
        &self.key
    }

    fn created(&self) -> Option<DateTime<Utc>> {
        self.created
    }
}

/// What AWS does with bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bounds {
    Honoured,
    /// A page is filled before they are looked at.
    FilteredLate,
    Ignored,
    Refused,
}

/// What is not documented, or goes wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) page: usize,
    /// Whether a bound takes what lies on it.
    pub(super) is_inclusive: bool,
    /// Whether dates are compared by their seconds.
    pub(super) in_seconds: bool,
    /// Seconds by which the date that bounds are compared with is off the one that is told.
    pub(super) hidden: i64,
    pub(super) bounds: Bounds,
    /// Share of calls that are throttled.
    pub(super) throttles: f64,
}

/// As documented.
pub(super) const AWS: Rules = Rules {
    page: 10,
    is_inclusive: false,
    in_seconds: false,
    hidden: 0,
    bounds: Bounds::Honoured,
    throttles: 0.0,
};

/// What a listing came to.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// How often each member was handed on.
    pub(super) given: BTreeMap<String, usize>,
    pub(super) calls: usize,
    /// Rounds of calls, if each takes the same time.
    pub(super) rounds: usize,
    /// Members near an edge that were listed.
    pub(super) near: usize,
}

/// A list in the order in which AWS gives it. A token is a place in it: members that come and go do not
/// move the others.
#[derive(Debug)]
pub(super) struct Aws {
    pub(super) members: Vec<Member>,
    pub(super) rules: Rules,
}

impl Aws {
    fn takes(&self, window: Window, member: &Member) -> bool {
        let rules = self.rules;
        let cut = |at: DateTime<Utc>| {
            if rules.in_seconds {
                at.timestamp() * 1000
            } else {
                at.timestamp_millis()
            }
        };
        let Some(date) = member.created.map(|date| cut(date) - rules.hidden * 1000) else {
            return true;
        };
        let after = window.created_after().map(cut);
        let before = window.created_before().map(cut);
        rules.bounds == Bounds::Ignored
            || after.is_none_or(|at| date > at || rules.is_inclusive && date == at)
                && before.is_none_or(|at| date < at || rules.is_inclusive && date == at)
    }

    /// One page at a step, and the token of the next.
    fn page(&self, ask: &Ask, step: usize) -> (Vec<Member>, Option<String>) {
        let from = ask.token.as_ref().map_or(0, |token| token.parse().unwrap());
        let there = self.members.iter().enumerate().skip(from);
        let there = there.filter(|(_, member)| member.listed.contains(&step));
        let takes = |member: &Member| self.takes(ask.window, member);
        let mut found: Vec<(usize, &Member)> = if self.rules.bounds == Bounds::FilteredLate {
            there.take(self.rules.page + 1).collect()
        } else {
            let takes = there.filter(|(_, member)| takes(member));
            takes.take(self.rules.page + 1).collect()
        };
        let next = if found.len() > self.rules.page {
            found.pop().map(|(place, _)| place.to_string())
        } else {
            None
        };
        let members = found.into_iter().map(|(_, member)| member.clone());
        (members.filter(takes).collect(), next)
    }

    /// Lists all with so many workers; answers come in random order, or, without `seed`, in rounds.
    pub(super) fn list(&self, workers: usize, seed: Option<u64>) -> Listing {
        let mut random = SmallRng::seed_from_u64(seed.unwrap_or_default());
        let mut windows = Windows::new("List", Window::default(), workers, NOW);
        let mut listing = Listing::default();
        let mut under_way: Vec<(usize, Ask)> = Vec::new();
        let mut failures = BTreeMap::new();
        loop {
            while let Some(ask) = windows.next() {
                under_way.push((listing.rounds + 1, ask));
                assert!(under_way.len() <= workers);
            }
            if under_way.is_empty() {
                return listing;
            }
            let is_slow = seed.is_none() || random.random();
            windows
                .pace
                .waited(Duration::from_millis(if is_slow { 300 } else { 0 }));
            let place = seed.map_or(0, |_| random.random_range(0..under_way.len()));
            let (round, ask) = under_way.remove(place);
            listing.rounds = listing.rounds.max(round);
            listing.calls += 1;
            assert!(listing.calls < 1_000_000, "without end");
            // Four answers of this kind in a row make an error.
            let failed = failures.entry(format!("{ask:?}")).or_insert(0);
            if random.random_bool(self.rules.throttles) && *failed < 1 {
                *failed += 1;
                windows.pace.throttled();
                let error = ApiError::local("List", "Throttling", "slower", ErrorClass::Throttling);
                if !ask.is_alone() {
                    windows.failed(&ask, error).unwrap();
                    continue;
                }
            }
            if self.rules.bounds == Bounds::Refused && ask.window != Window::default() {
                let error = ApiError::local("List", "Invalid", "no dates", ErrorClass::InvalidRequest);
                windows.failed(&ask, error).unwrap();
                continue;
            }
            let (members, next) = self.page(&ask, listing.calls);
            let dates = members.iter().filter_map(|member| member.created);
            let near = dates.filter(|date| ask.window.is_near_edge(date.timestamp()));
            listing.near += near.count();
            for member in windows.page(&ask, members, next.as_deref()).unwrap() {
                *listing.given.entry(member.key).or_default() += 1;
            }
        }
    }
}
