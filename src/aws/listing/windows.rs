//! Which query is asked for its next page, when a window is cut, and what of a page is new. Pure: it
//! knows neither clock nor network.
//!
//! 1. One query reads the list from its beginning. A list of up to [`FIRST_PAGES`] costs what it costs
//!    without windows.
//! 2. If it is longer, it is cut, and the first query waits. The windows are on trial until one round of
//!    answers has come: AWS must honour the bounds, and must not give pages that are mostly empty because
//!    it reads the whole list for each window. All that is handed on is remembered meanwhile. If the
//!    trial fails, the first query goes on alone, and what the windows gave is not given again.
//! 3. Where calls are free, the window that seems to have most left is cut again: its query is given up
//!    and its pages are read once more. What that costs is bounded by [`Windows::budget`].
//!
//! Windows cover all time, and each is read to its end or cut into windows that cover it: nothing is lost,
//! whatever the order of a list. Members are remembered by their keys if they are near an edge, or if their
//! query may yet be given up.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem;

use super::pace::Pace;
use super::query::Query;
use super::{Listed, Window};
use crate::aws::error::{ApiError, ErrorClass};
use crate::domain::{Fingerprint, Fingerprints};

/// Pages after which a list is cut.
const FIRST_PAGES: usize = 3;
/// Pages of a window after which it may be cut again, and after which it is read to its end, because
/// the keys of all that it gave are kept until then.
const LEAST_PAGES: usize = 2;
const MOST_PAGES: usize = 16;
/// Parts that one page read is worth: a list that has shown little is not cut into much.
const PARTS_OF_A_PAGE: usize = 4;
/// Pages that a part of a window should have.
const PAGES_OF_A_PART: usize = 8;
/// Pages for which a window is cut though no call is free.
const LONG: usize = 100;
/// One extra call for so many pages.
const PAGES_OF_AN_EXTRA: usize = 20;

/// How far a list has come.
#[derive(Debug)]
enum Stage {
    /// One query reads it.
    First,
    /// It was cut, and the first query waits.
    Trial(Box<Trial>),
    /// Its windows are relied on.
    Cut,
    /// One query reads it to its end.
    Whole,
}

#[derive(Debug)]
struct Trial {
    first: Query,
    /// Pages that another follows, and the members on them.
    full: usize,
    members: usize,
}

/// A page that is to be asked for.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    id: usize,
    /// Whether no other call is allowed beside it.
    is_alone: bool,
    pub(super) window: Window,
    pub(super) token: Option<String>,
}

#[cfg(test)]
impl Ask {
    pub(super) fn is_alone(&self) -> bool {
        self.is_alone
    }
}

/// One list, and all queries that read it.
#[derive(Debug)]
pub(super) struct Windows {
    operation: &'static str,
    now: i64,
    /// Calls at a time, at most.
    most: usize,
    pub(super) pace: Pace,
    queries: HashMap<usize, Query>,
    ids: usize,
    ready: VecDeque<usize>,
    stage: Stage,
    fingerprints: Fingerprints,
    /// Members that were handed on and may come again.
    known: HashSet<Fingerprint>,
    /// Members handed on, and those of a full page.
    given: usize,
    page: usize,
    /// Pages that have to be read again, and windows.
    spent: usize,
    /// Windows that were read to their end, and their pages.
    ended: usize,
    ended_pages: usize,
}

fn second(member: &impl Listed) -> Option<i64> {
    member.created().map(|date| date.timestamp())
}

impl Windows {
    /// The beginning of a list, read with so many calls at a time; `now` is a second by AWS's clock.
    pub(super) fn new(operation: &'static str, whole: Window, most: usize, now: i64) -> Self {
        let most = most.max(1);
        let mut windows = Self {
            operation,
            now,
            most,
            pace: Pace::new(most),
            queries: HashMap::new(),
            ids: 0,
            ready: VecDeque::new(),
            stage: if most > 1 { Stage::First } else { Stage::Whole },
            fingerprints: Fingerprints::default(),
            known: HashSet::new(),
            given: 0,
            page: 1,
            spent: 0,
            ended: 0,
            ended_pages: 0,
        };
        windows.open(whole);
        windows
    }

    fn open(&mut self, window: Window) {
        self.ids += 1;
        self.ready.push_back(self.ids);
        let query = Query::new(self.operation, window, self.most > 1);
        self.queries.insert(self.ids, query);
    }

    /// The next page to ask for; `None` if there are calls enough, or answers have to come first.
    pub(super) fn next(&mut self) -> Option<Ask> {
        if !self.pace.has_room() {
            return None;
        }
        let id = self.ready.pop_front()?;
        let query = self.queries.get(&id)?;
        self.pace.sent();
        Some(Ask {
            id,
            is_alone: self.pace.allowed() == 1,
            window: query.window,
            token: query.token.clone(),
        })
    }

    /// A page has come. Answers those of its members that were not handed on before.
    ///
    /// # Errors
    /// If its list has no end.
    pub(super) fn page<T: Listed>(
        &mut self,
        ask: &Ask,
        mut members: Vec<T>,
        token: Option<&str>,
    ) -> Result<Vec<T>, ApiError> {
        self.pace.answered();
        let Some(query) = self.queries.get_mut(&ask.id) else {
            // It was given up: another query has its members.
            return Ok(Vec::new());
        };
        query.token = query.tokens.next(token, members.len())?;
        query.pages += 1;
        let goes_on = query.token.is_some();
        if let Stage::Trial(trial) = &mut self.stage {
            let is_stray = |member: &T| second(member).is_some_and(|second| ask.window.is_stray(second));
            if members.iter().any(is_stray) {
                self.give_up_windows("AWS gives members of other dates than it is asked for");
                return Ok(Vec::new());
            }
            if goes_on {
                trial.full += 1;
                trial.members += members.len();
            }
        } else if matches!(self.stage, Stage::First) {
            self.page = self.page.max(members.len());
        }
        self.keep_new(ask, &mut members);
        if goes_on {
            self.go_on(ask.id);
        } else if let Some(query) = self.queries.remove(&ask.id) {
            self.ended += 1;
            self.ended_pages += query.pages;
        }
        self.end_trial();
        Ok(members)
    }

    /// A call has failed. What can be done without it is done.
    ///
    /// # Errors
    /// The error, if the list cannot be read for it.
    pub(super) fn failed(&mut self, ask: &Ask, error: ApiError) -> Result<(), ApiError> {
        self.pace.answered();
        if !self.queries.contains_key(&ask.id) {
            return Ok(());
        }
        match error.class {
            ErrorClass::Throttling if !ask.is_alone => {
                self.pace.one_by_one();
                self.ready.push_front(ask.id);
                Ok(())
            }
            ErrorClass::InvalidRequest | ErrorClass::Other if matches!(self.stage, Stage::Trial(_)) => {
                self.give_up_windows(&error.message);
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Leaves those members that were not handed on before, and remembers what may come again.
    fn keep_new<T: Listed>(&mut self, ask: &Ask, members: &mut Vec<T>) {
        let Some(query) = self.queries.get_mut(&ask.id) else {
            return;
        };
        let (fingerprints, known, window) = (&self.fingerprints, &mut self.known, query.window);
        let on_trial = matches!(self.stage, Stage::Trial(_));
        if self.most > 1 {
            let seconds: Vec<i64> = members.iter().filter_map(second).collect();
            let mut keys = Vec::with_capacity(members.len());
            members.retain(|member| {
                let key = fingerprints.of(member.key());
                let is_new = !known.contains(&key);
                if is_new {
                    let may_come_again = |second| window.is_near_edge(second) || window.is_stray(second);
                    if on_trial || second(member).is_none_or(may_come_again) {
                        known.insert(key);
                    }
                    keys.push(key);
                }
                is_new
            });
            if let Some(young) = &mut query.young {
                young.sight.add(&seconds);
                young.keys.push(keys.into_boxed_slice());
            }
        }
        self.given += members.len();
    }

    /// A query has another page: it is cut, or asked on.
    fn go_on(&mut self, id: usize) {
        let parts = self.parts(id);
        if parts > 1 && self.cut(id, parts) {
            return;
        }
        self.ready.push_back(id);
        let is_first = matches!(self.stage, Stage::First);
        if let Some(query) = self.queries.get_mut(&id)
            && query.pages >= MOST_PAGES
            && query.young.take().is_some()
            && is_first
        {
            self.stage = Stage::Whole;
        }
    }

    /// Into how many parts a query is to be cut now.
    fn parts(&self, id: usize) -> usize {
        let Some(query) = self.queries.get(&id) else {
            return 0;
        };
        let free = self.pace.free().saturating_sub(self.ready.len());
        match self.stage {
            Stage::First if query.pages >= FIRST_PAGES => free.min(PARTS_OF_A_PAGE * query.pages),
            Stage::Cut => {
                let Some(left) = self.pages_left(query) else {
                    return 0;
                };
                let others = self.queries.values().filter_map(|other| self.pages_left(other));
                let is_longest = others.max().unwrap_or(0) <= left;
                if is_longest && (free > 1 || left >= LONG) {
                    self.parts_of(left)
                } else {
                    0
                }
            }
            _ => 0,
        }
    }

    fn parts_of(&self, left: usize) -> usize {
        (left / PAGES_OF_A_PART).clamp(2, self.pace.allowed().max(2))
    }

    /// How many pages a query seems to have left, if it may be cut for them.
    fn pages_left(&self, query: &Query) -> Option<usize> {
        let young = query.young.as_ref().filter(|_| query.pages >= LEAST_PAGES)?;
        let seems = young.sight.pages_left(query.window, self.now).unwrap_or(0);
        // The others were meant to be as long.
        let outlives = 2 * query.pages * self.ended >= 3 * self.ended_pages;
        let left = if outlives { seems.max(query.pages) } else { seems };
        let is_worth_it = outlives || left >= 2 * query.pages;
        let costs = self.spent + query.pages + self.parts_of(left);
        (is_worth_it && costs <= self.budget()).then_some(left)
    }

    /// The most that cutting may cost: calls beyond those that one query would make. What lies near edges
    /// comes on top.
    fn budget(&self) -> usize {
        4 * self.most + 8 + self.given / self.page / PAGES_OF_AN_EXTRA
    }

    /// Cuts a query's window; false if there is no place for it.
    fn cut(&mut self, id: usize, parts: usize) -> bool {
        let Some(query) = self.queries.get_mut(&id) else {
            return false;
        };
        let sight = query.young.as_ref().map(|young| &young.sight);
        let edges = sight.map_or_else(Vec::new, |sight| sight.edges(query.window, parts, self.now));
        if edges.is_empty() {
            if matches!(self.stage, Stage::Cut) {
                query.young = None;
            }
            return false;
        }
        let Some(mut query) = self.queries.remove(&id) else {
            return false;
        };
        let windows = query.window.cut(&edges);
        self.spent += query.pages + windows.len();
        let pages = query.young.take().map(|young| young.keys).unwrap_or_default();
        self.known.extend(pages.iter().flatten());
        tracing::debug!(
            operation = self.operation,
            pages = query.pages,
            windows = windows.len(),
            "a long list is cut"
        );
        if matches!(self.stage, Stage::First) {
            self.stage = Stage::Trial(Box::new(Trial {
                first: query,
                full: 0,
                members: 0,
            }));
        }
        for window in windows {
            self.open(window);
        }
        true
    }

    /// Relies on windows after one round of answers, if pages were not mostly empty.
    fn end_trial(&mut self) {
        let Stage::Trial(trial) = &self.stage else {
            return;
        };
        if self.queries.values().any(|query| query.pages == 0) {
            return;
        }
        if !self.queries.is_empty() && trial.full > 0 && trial.members * 2 <= trial.full * self.page {
            self.give_up_windows("AWS gives pages that are mostly empty");
        } else {
            self.stage = Stage::Cut;
        }
    }

    /// The first query goes on alone.
    fn give_up_windows(&mut self, reason: &str) {
        if let Stage::Trial(trial) = mem::replace(&mut self.stage, Stage::Whole) {
            tracing::debug!(
                operation = self.operation,
                reason,
                "a long list is read without windows"
            );
            self.queries.clear();
            self.ready.clear();
            self.ids += 1;
            self.ready.push_back(self.ids);
            self.queries.insert(self.ids, trial.first);
        }
    }
}
