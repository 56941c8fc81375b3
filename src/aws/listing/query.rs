//! One query of a list that is read in windows.

use super::edges::Sight;
use super::{Pages, Window};
use crate::domain::Fingerprint;

/// One query: all members of a window, page by page.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) window: Window,
    pub(super) tokens: Pages,
    pub(super) token: Option<String>,
    pub(super) pages: usize,
    /// `None` once it is read to its end.
    pub(super) young: Option<Young>,
}

/// What has to be known of a query to give it up.
#[derive(Debug, Default)]
pub(super) struct Young {
    /// What it gave, page by page.
    pub(super) keys: Vec<Box<[Fingerprint]>>,
    pub(super) sight: Sight,
}

impl Query {
    /// The beginning of a window. It can be given up only if what that needs is kept.
    pub(super) fn new(operation: &'static str, window: Window, can_be_given_up: bool) -> Self {
        Self {
            window,
            tokens: Pages::of(operation),
            token: None,
            pages: 0,
            young: can_be_given_up.then(Young::default),
        }
    }
}
