//! The pages of one query.

use std::collections::HashSet;

use crate::aws::error::{ApiError, ErrorClass};

/// Pages of one list that may be empty one after the other.
const MOST_EMPTY_PAGES: usize = 10_000;

/// Where reading a list has got to. A token that was given before, or tokens without members for
/// ever, would have it read for ever.
#[derive(Debug)]
pub(in crate::aws) struct Pages {
    operation: &'static str,
    seen: HashSet<String>,
    empty: usize,
}

impl Pages {
    /// The beginning of a list.
    pub(in crate::aws) fn of(operation: &'static str) -> Self {
        Self {
            operation,
            seen: HashSet::new(),
            empty: 0,
        }
    }

    /// The token of the page after one with so many members.
    pub(in crate::aws) fn next(
        &mut self,
        token: Option<&str>,
        members: usize,
    ) -> Result<Option<String>, ApiError> {
        let Some(token) = token.filter(|t| !t.is_empty()) else {
            return Ok(None);
        };
        self.empty = if members == 0 { self.empty + 1 } else { 0 };
        let problem = if !self.seen.insert(token.to_owned()) {
            ("RepeatedNextToken", "AWS gave the same NextToken twice")
        } else if self.empty > MOST_EMPTY_PAGES {
            ("EmptyPages", "AWS gives one empty page after the other")
        } else {
            return Ok(Some(token.to_owned()));
        };
        let (code, what) = problem;
        let text = format!("{what}; the list cannot be read to its end");
        Err(ApiError::local(self.operation, code, text, ErrorClass::Other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_has_no_end_is_an_error() {
        let mut pages = Pages::of("ListCopyJobs");
        assert_eq!(pages.next(None, 5).unwrap(), None);
        assert_eq!(pages.next(Some(""), 5).unwrap(), None);
        assert_eq!(pages.next(Some("a"), 5).unwrap().as_deref(), Some("a"));
        assert_eq!(pages.next(Some("a"), 5).unwrap_err().code, "RepeatedNextToken");
        let mut pages = Pages::of("ListCopyJobs");
        let mut ends = None;
        for n in 0..=MOST_EMPTY_PAGES * 2 {
            let members = usize::from(n == MOST_EMPTY_PAGES / 2);
            if let Err(error) = pages.next(Some(&n.to_string()), members) {
                ends = Some((n, error.code));
                break;
            }
        }
        let most = MOST_EMPTY_PAGES / 2 + MOST_EMPTY_PAGES + 1;
        assert_eq!(ends, Some((most, "EmptyPages".to_owned())));
    }
}
