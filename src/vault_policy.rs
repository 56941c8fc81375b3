//! Access policies of destination vaults: whether one lets an account copy into its vault, and how one
//! statement is added to it. Pure. What stands in a policy is never changed, not even its spelling.
//!
//! AWS Backup evaluates `backup:CopyIntoBackupVault` of the source account against the policy of the vault
//! that is copied into (Developer Guide, "Vault access policies"). Conditions are not evaluated here.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::domain::{AccountId, BackupVaultArn, IamRoleArn};

const ACTION: &str = "backup:CopyIntoBackupVault";

/// Largest policy, in bytes, that AWS is taken to accept. It publishes no limit for vaults; this is what
/// other services take for policies of resources.
pub const ASSUMED_LIMIT: usize = 20_480;
/// Lines of the policy that a difference shows around what is added.
const CONTEXT: usize = 2;

/// Who copies into which vault.
#[derive(Debug, Clone, Copy)]
pub struct Copier<'a> {
    /// The source account.
    pub account: &'a AccountId,
    /// Partition of the vault, such as `aws`.
    pub partition: &'a str,
    /// The role that AWS Backup copies with.
    pub role: &'a IamRoleArn,
    /// The vault.
    pub vault: &'a BackupVaultArn,
}

/// Whether some statement lets the copier in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allowance {
    /// None does.
    No,
    /// One does under a condition.
    UnderCondition,
    /// One does.
    Yes,
}

/// A statement that keeps the copier out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The statement: its Sid, else its number.
    pub statement: String,
    /// Whether it has a condition, which may not be met.
    pub under_condition: bool,
}

/// What a policy means for a copier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Whether it is let in.
    pub allowance: Allowance,
    /// What keeps it out nevertheless.
    pub denials: Vec<Denial>,
}

impl Access {
    /// What no policy at all means.
    const NONE: Self = Self {
        allowance: Allowance::No,
        denials: Vec::new(),
    };
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, rename = "Statement")]
    statement: &'a RawValue,
}

/// The statements of a policy, and where in its text they are.
struct Statements<'a> {
    raw: &'a str,
    all: Vec<Value>,
}

fn statements(policy: &str) -> Result<Statements<'_>, String> {
    // Told apart, because what is missing in the second is no matter of JSON.
    serde_json::from_str::<Value>(policy).map_err(|error| format!("it is not JSON: {error}"))?;
    let document: Document<'_> = serde_json::from_str(policy).map_err(|error| error.to_string())?;
    let raw = document.statement.get();
    let all = match serde_json::from_str(raw) {
        Ok(Value::Array(all)) => all,
        Ok(one @ Value::Object(_)) => vec![one],
        _ => return Err("`Statement` is neither an object nor a list".to_owned()),
    };
    if all.iter().all(Value::is_object) {
        Ok(Statements { raw, all })
    } else {
        Err("a member of `Statement` is no object".to_owned())
    }
}

/// What `policy` means for the copier.
///
/// # Errors
/// If it is not a policy document, in words.
pub fn access(policy: Option<&str>, copier: Copier<'_>) -> Result<Access, String> {
    let Some(policy) = policy else {
        return Ok(Access::NONE);
    };
    let mut access = Access::NONE;
    for (number, statement) in statements(policy)?.all.iter().enumerate() {
        if !concerns(statement, copier) {
            continue;
        }
        let under_condition = statement.get("Condition").is_some();
        match statement.get("Effect").and_then(Value::as_str) {
            Some("Allow") => {
                let allowance = if under_condition {
                    Allowance::UnderCondition
                } else {
                    Allowance::Yes
                };
                access.allowance = access.allowance.max(allowance);
            }
            Some("Deny") => access.denials.push(Denial {
                statement: match statement.get("Sid").and_then(Value::as_str) {
                    Some(sid) if !sid.is_empty() => format!("\"{sid}\""),
                    _ => format!("number {}", number + 1),
                },
                under_condition,
            }),
            _ => {}
        }
    }
    Ok(access)
}

/// The statement that lets the copier's account in.
fn statement(copier: Copier<'_>, sid: &str) -> Value {
    json!({
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": copier.root()},
        "Action": ACTION,
        "Resource": "*"
    })
}

/// The policy with one more statement, which lets the copier's account in; `None` if it is let in already,
/// without a condition.
///
/// # Errors
/// If `existing` is not a policy document, in words.
pub fn merged(existing: Option<&str>, copier: Copier<'_>) -> Result<Option<String>, String> {
    if access(existing, copier)?.allowance == Allowance::Yes {
        return Ok(None);
    }
    let first = format!("AllowCopyFrom{}", copier.account);
    let Some(policy) = existing else {
        let new = json!({"Version": "2012-10-17", "Statement": [statement(copier, &first)]});
        return Ok(Some(new.to_string()));
    };
    let Statements { raw, all } = statements(policy)?;
    // Sids are unique in a policy.
    let taken = |sid: &str| {
        all.iter()
            .any(|s| s.get("Sid").and_then(Value::as_str) == Some(sid))
    };
    let others = (2..).map(|n| format!("{first}x{n}"));
    let sid = std::iter::once(first.clone())
        .chain(others)
        .find(|sid| !taken(sid));
    let added = statement(copier, &sid.unwrap_or(first));
    let joined = match raw.strip_suffix(']') {
        Some(list) if all.is_empty() => format!("{list}{added}]"),
        Some(list) => format!("{},{added}]", list.trim_end()),
        None => format!("[{raw},{added}]"),
    };
    // `raw` is a part of `policy`, and this is where it begins.
    let begin = raw.as_ptr() as usize - policy.as_ptr() as usize;
    let before = policy.get(..begin).unwrap_or_default();
    let after = policy.get(begin + raw.len()..).unwrap_or_default();
    Ok(Some(format!("{before}{joined}{after}")))
}

/// What is added to a policy, as a unified difference of both in readable form.
pub fn difference(old: Option<&str>, new: &str) -> String {
    let (old, new) = (old.map(readable).unwrap_or_default(), readable(new));
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let most = old.len().min(new.len()) - same;
    let ends = old.iter().rev().zip(new.iter().rev());
    let same_end = ends.take(most).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(CONTEXT);
    let to = |lines: &[String]| lines.len() - same_end + same_end.min(CONTEXT);
    let span = |lines: &[String]| match to(lines) - from {
        0 => "0,0".to_owned(),
        count => format!("{},{count}", from + 1),
    };
    let mut text = format!("@@ -{} +{} @@", span(&old), span(&new));
    let mut show = |sign: char, lines: &[String], from: usize, to: usize| {
        for line in lines.get(from..to).unwrap_or_default() {
            let _ = write!(text, "\n{sign}{line}");
        }
    };
    show(' ', &old, from, same);
    show('-', &old, same, old.len() - same_end);
    show('+', &new, same, new.len() - same_end);
    show(' ', &old, old.len() - same_end, to(&old));
    text
}

/// A policy's lines, its statements always as a list.
fn readable(policy: &str) -> Vec<String> {
    let Ok(mut value) = serde_json::from_str::<Value>(policy) else {
        return policy.lines().map(str::to_owned).collect();
    };
    if let Some(one) = value.get_mut("Statement").filter(|s| s.is_object()) {
        *one = json!([one.take()]);
    }
    format!("{value:#}").lines().map(str::to_owned).collect()
}

/// Whether a statement speaks of the copier's doing at its vault.
fn concerns(statement: &Value, copier: Copier<'_>) -> bool {
    let either = |name: &str, not: &str, hit: &dyn Fn(&str) -> bool, absent: bool| match (
        statement.get(name),
        statement.get(not),
    ) {
        (Some(value), _) => any(value, hit),
        (None, Some(value)) => !any(value, hit),
        (None, None) => absent,
    };
    either("Principal", "NotPrincipal", &|p| copier.is(p), false)
        && either("Action", "NotAction", &|a| matches(a, ACTION, true), false)
        && either(
            "Resource",
            "NotResource",
            &|r| matches(r, copier.vault.as_str(), false),
            true,
        )
}

/// Whether one of the texts of a member is hit. Principals stand below their kind; only `AWS` is an account's.
fn any(value: &Value, hit: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => hit(text),
        Value::Array(all) => all.iter().any(|one| one.as_str().is_some_and(hit)),
        Value::Object(kinds) => kinds.get("AWS").is_some_and(|value| any(value, hit)),
        _ => false,
    }
}

impl Copier<'_> {
    fn root(&self) -> String {
        format!("arn:{}:iam::{}:root", self.partition, self.account)
    }

    /// Whether a principal is the copier: its account, which stands for all in it, its role, or anybody.
    fn is(&self, principal: &str) -> bool {
        principal == "*"
            || principal == self.account.as_str()
            || principal == self.root()
            || principal == self.role.as_str()
    }
}

/// Whether a text is of a pattern, in which `*` is any text and `?` any character. Actions are written in
/// any case.
fn matches(pattern: &str, text: &str, any_case: bool) -> bool {
    let same = |a: char, b: char| a == b || a == '?' || (any_case && a.eq_ignore_ascii_case(&b));
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to go on if what follows the last star does not fit.
    let mut back = None;
    while t < text.len() {
        match (pattern.get(p), text.get(t)) {
            (Some('*'), _) => {
                p += 1;
                back = Some((p, t));
            }
            (Some(a), Some(b)) if same(*a, *b) => (p, t) = (p + 1, t + 1),
            _ => match back {
                Some((after, from)) => {
                    (p, t) = (after, from + 1);
                    back = Some((after, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

#[cfg(test)]
mod tests;
