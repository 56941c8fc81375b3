//! Answers: JSON in AWS Backup's form, errors with code and message.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::request::Request;

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidParameterValueException", message)
    }

    pub(super) fn missing(member: &str) -> Self {
        Self::new(
            400,
            "MissingParameterValueException",
            format!("{member} is required"),
        )
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(400, "ResourceNotFoundException", message)
    }

    /// The body that AWS Backup sends. AWS writes the message's name in both cases.
    pub(super) fn body(&self) -> Value {
        let kind = if self.status < 500 { "Client" } else { "Service" };
        json!({"Code": self.code, "Message": self.message, "Type": kind, "Context": null})
    }
}

/// What an operation answers.
pub(super) type Answer = Result<Value, Refusal>;

/// An answer on its way to the wire.
#[derive(Debug)]
pub(super) enum Body {
    /// As its members.
    Members(Value),
    /// As AWS would write it. A page of a thousand points is written at once: to build its members
    /// first takes as long as all else that the simulator and a client do for the page.
    Text(String),
}

/// Dates are seconds since 1970, with fractions.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of our age have 41 bits")]
pub(super) fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}

/// A date as a member.
pub(super) fn date(at: DateTime<Utc>) -> Value {
    json!(seconds(at))
}

/// A page of a list: `MaxResults` and where it begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub(super) from: usize,
    pub(super) size: usize,
    query: u64,
}

impl Page {
    /// Reads `maxResults` (1 to 1000) and `nextToken`, which is good for its own query only.
    pub(super) fn of(request: &Request) -> Result<Self, Refusal> {
        let size = match request.query("maxResults") {
            None => 1000,
            Some(text) => text
                .parse()
                .ok()
                .filter(|n| (1..=1000).contains(n))
                .ok_or_else(|| Refusal::invalid("MaxResults must be between 1 and 1000"))?,
        };
        let mut names: Vec<_> = request
            .query
            .iter()
            .filter(|(n, _)| !["nextToken", "maxResults"].contains(&n.as_str()))
            .collect();
        names.sort();
        let mut hasher = DefaultHasher::new();
        (names, &request.path).hash(&mut hasher);
        let query = hasher.finish();
        let from = match request.query("nextToken") {
            None => 0,
            Some(token) => {
                place(token, query).ok_or_else(|| Refusal::invalid("The specified NextToken is invalid."))?
            }
        };
        Ok(Self { from, size, query })
    }

    /// The token of the page that begins at `from`.
    pub(super) fn token(&self, from: usize) -> String {
        format!(
            "{:016x}{:016x}",
            (from as u64) ^ self.query.rotate_left(17),
            self.query
        )
    }

    /// Another token of this very page.
    pub(super) fn token_again(&self, nonce: u32) -> String {
        format!("{}{nonce:08x}", self.token(self.from))
    }
}

fn place(token: &str, query: u64) -> Option<usize> {
    let from = u64::from_str_radix(token.get(..16)?, 16).ok()?;
    let of = u64::from_str_radix(token.get(16..32)?, 16).ok()?;
    (of == query).then(|| usize::try_from(from ^ query.rotate_left(17)).ok())?
}
