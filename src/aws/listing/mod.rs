//! Long lists, read with several queries at a time.
//!
//! A `NextToken` leads to one next page, so that one query reads one page after the other, at a third of
//! a second or more each. A list that turns out to be long is therefore cut into windows of creation
//! dates ([`window`]), which together cover all time, and each window is a query of its own. Nothing is
//! known of the list beforehand: what the first pages show decides where it is cut ([`edges`]), and a
//! window that is long while others have ended is cut again ([`windows`]).
//!
//! Nothing may be lost and nothing may be double. Windows overlap where they meet, and members that may
//! be listed twice are remembered. Windows are of dates alone: AWS can be asked for one resource type, but
//! not for all others, and the types that there are cannot be known beforehand.
//!
//! [`parallel`] sends the calls.

mod edges;
mod pace;
mod pages;
mod parallel;
mod query;
mod window;
mod windows;

use chrono::{DateTime, Utc};

pub(super) use pages::Pages;
pub(super) use parallel::{Listing, Page};
pub(super) use window::Window;

use crate::domain::{CopyJob, RecoveryPoint};

/// A member of a list that can be cut into windows.
pub(super) trait Listed {
    /// What AWS knows it by.
    fn key(&self) -> &str;
    /// When it was made, if AWS says so.
    fn created(&self) -> Option<DateTime<Utc>>;
}

impl Listed for RecoveryPoint {
    fn key(&self) -> &str {
        self.recovery_point_arn.as_str()
    }

    fn created(&self) -> Option<DateTime<Utc>> {
        Some(self.creation_date)
    }
}

impl Listed for CopyJob {
    fn key(&self) -> &str {
        self.copy_job_id.as_str()
    }

    fn created(&self) -> Option<DateTime<Utc>> {
        self.creation_date
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
