//! A window of creation dates, and what of it a neighbour may list too. Pure.

use chrono::{DateTime, Utc};

/// Seconds by which a query reaches beyond its window. AWS does not say whether its bounds are
/// inclusive, nor whether fractions of a second count.
const OVERLAP: i64 = 1;
/// Seconds before and behind an edge within which the queries of both sides may list a member, with
/// a second for fractions.
const BEFORE_EDGE: i64 = OVERLAP + 1;
const BEHIND_EDGE: i64 = OVERLAP;

/// All members that were made from one second on and before another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::aws) struct Window {
    /// Its first second; `None` if it has no beginning.
    pub(super) from: Option<i64>,
    /// The second behind its last; `None` if it has no end.
    pub(super) to: Option<i64>,
}

impl Window {
    /// All that was made after a moment.
    pub(in crate::aws) fn since(moment: DateTime<Utc>) -> Self {
        Self {
            from: Some(moment.timestamp() + OVERLAP),
            to: None,
        }
    }

    /// What its query is asked for: after which moment.
    pub(in crate::aws) fn created_after(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.from? - OVERLAP, 0)
    }

    /// And before which.
    pub(in crate::aws) fn created_before(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.to? + OVERLAP, 0)
    }

    /// Whether a neighbour's query may list what was made in this second.
    pub(super) fn is_near_edge(self, second: i64) -> bool {
        let near = |edge: i64| (edge - BEFORE_EDGE..=edge + BEHIND_EDGE).contains(&second);
        self.from.is_some_and(near) || self.to.is_some_and(near)
    }

    /// Whether its own query should not list it.
    pub(super) fn is_stray(self, second: i64) -> bool {
        self.from.is_some_and(|from| second < from - BEFORE_EDGE)
            || self.to.is_some_and(|to| second > to + BEHIND_EDGE)
    }

    /// The windows between edges that lie in it, in order.
    pub(super) fn cut(self, edges: &[i64]) -> Vec<Self> {
        let mut from = self.from;
        let mut parts: Vec<Self> = Vec::new();
        for edge in edges.iter().copied().map(Some).chain([self.to]) {
            parts.push(Self { from, to: edge });
            from = edge;
        }
        parts
    }
}
