//! `KIND[:OPERATION]=SHARE[@FROM-TO]`, read and explained.

use std::fmt;
use std::str::FromStr;

use crate::sim::{backup_api, iam_api, kms_api, sts_api};

/// Shown with every complaint.
const FORM: &str = "it must be KIND[:OPERATION]=SHARE[@FROM-TO], such as Throttling=0.1, lost:StartCopyJob=0.2 or 503=1@5-15";

/// The kinds that have names of ours, as `--help` lists them.
const NAMED: &[(&str, FaultKind)] = &[
    ("reset", FaultKind::Reset),
    ("lost", FaultKind::Lost),
    ("hang", FaultKind::Hang),
    ("hang-after", FaultKind::HangAfter),
    ("late", FaultKind::Late),
    ("slow", FaultKind::Slow),
    ("half", FaultKind::Half),
    ("wrong-type", FaultKind::WrongType),
    ("html", FaultKind::Html),
    ("repeat-token", FaultKind::RepeatToken),
    ("expired-token", FaultKind::ExpiredToken),
    ("empty-page", FaultKind::EmptyPage),
    ("duplicate", FaultKind::Duplicate),
];

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// AWS refuses it with this error code. Nothing is done.
    Code(String),
    /// A load balancer answers this status (500, 502, 503 or 504) with an HTML page. Nothing is done.
    Status(u16),
    /// The connection is closed. Nothing is done.
    Reset,
    /// It is carried out, and the connection closed instead of an answer.
    Lost,
    /// Never answered. Nothing is done.
    Hang,
    /// Carried out, and never answered.
    HangAfter,
    /// Carried out at once, and answered seconds later.
    Late,
    /// Carried out, and the answer's body comes at one byte a second.
    Slow,
    /// Carried out, and the connection closed after half of the answer's body.
    Half,
    /// Carried out, and answered with JSON whose members have other types than AWS's.
    WrongType,
    /// Carried out, and answered with 200 and an HTML page.
    Html,
    /// A page of a list names itself as the next one, so that the list never ends.
    RepeatToken,
    /// The `NextToken` is refused.
    ExpiredToken,
    /// A page without members that says where the list goes on.
    EmptyPage,
    /// Carried out twice, as by a proxy that repeats requests.
    Duplicate,
}

impl FaultKind {
    /// Whether only lists can have it.
    pub(in crate::sim) fn is_of_lists(&self) -> bool {
        matches!(self, Self::RepeatToken | Self::ExpiredToken | Self::EmptyPage)
    }

    /// Whether it has a meaning for STS, whose answers are XML.
    fn is_of_backup_only(&self) -> bool {
        self.is_of_lists() || matches!(self, Self::WrongType | Self::Duplicate)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => f.write_str(code),
            Self::Status(status) => write!(f, "{status}"),
            named => f.write_str(
                NAMED
                    .iter()
                    .find(|(_, kind)| kind == named)
                    .map_or("", |(name, _)| name),
            ),
        }
    }
}

impl FromStr for FaultKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, kind)) = NAMED.iter().find(|(name, _)| *name == text) {
            return Ok(kind.clone());
        }
        if let Ok(status) = text.parse::<u16>() {
            return match status {
                500 | 502 | 503 | 504 => Ok(Self::Status(status)),
                _ => Err("a status must be 500, 502, 503 or 504".to_owned()),
            };
        }
        let is_code = text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.len() <= 64
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
        if is_code {
            return Ok(Self::Code(text.to_owned()));
        }
        let names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
        Err(format!(
            "`{text}` is no kind of fault; kinds are AWS's error codes, 500, 502, 503, 504, {}",
            names.join(", ")
        ))
    }
}

/// One `--fault`: what goes wrong, with how many calls, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultSpec {
    /// What goes wrong.
    pub kind: FaultKind,
    /// The operation that has it; all of AWS Backup's if not given.
    pub operation: Option<&'static str>,
    /// Share of the calls that are hit, 0 to 1.
    pub share: f64,
    /// From when on, in real seconds since the simulator started.
    pub from: f64,
    /// And until when.
    pub to: f64,
}

impl FaultSpec {
    /// A fault of all AWS Backup operations, at any time.
    pub(in crate::sim) fn always(kind: FaultKind, share: f64) -> Self {
        Self {
            kind,
            operation: None,
            share,
            from: 0.0,
            to: f64::INFINITY,
        }
    }

    /// Whether it concerns a call of this operation at this moment.
    pub(in crate::sim) fn concerns(&self, operation: &str, at: f64) -> bool {
        let is_list = operation.starts_with("List");
        let is_meant = match self.operation {
            Some(meant) => meant == operation,
            None => backup_api::OPERATIONS.contains(&operation),
        };
        is_meant && (is_list || !self.kind.is_of_lists()) && self.from <= at && at < self.to
    }
}

impl FromStr for FaultSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let explained = |problem: String| format!("{problem}; {FORM}");
        let (what, amount) = text
            .split_once('=')
            .ok_or_else(|| explained("there is no `=SHARE`".to_owned()))?;
        let (kind, operation) = match what.split_once(':') {
            Some((kind, operation)) => (kind, Some(operation)),
            None => (what, None),
        };
        let kind: FaultKind = kind.parse().map_err(explained)?;
        let operation = operation
            .map(|name| operation_of(&kind, name))
            .transpose()
            .map_err(explained)?;
        let (share, window) = match amount.split_once('@') {
            Some((share, window)) => (share, Some(window)),
            None => (amount, None),
        };
        let share = share
            .parse()
            .ok()
            .filter(|share| (0.0..=1.0).contains(share))
            .ok_or_else(|| explained(format!("the share `{share}` is not a number from 0 to 1")))?;
        let (from, to) = match window {
            None => (0.0, f64::INFINITY),
            Some(window) => window_of(window)
                .ok_or_else(|| explained(format!("the window `{window}` is not FROM-TO in seconds")))?,
        };
        Ok(Self {
            kind,
            operation,
            share,
            from,
            to,
        })
    }
}

fn operation_of(kind: &FaultKind, name: &str) -> Result<&'static str, String> {
    let known = backup_api::OPERATIONS
        .iter()
        .chain(sts_api::OPERATIONS)
        .chain(kms_api::OPERATIONS)
        .chain(iam_api::OPERATIONS);
    let Some(operation) = known.clone().find(|known| **known == name) else {
        let all: Vec<&str> = known.copied().collect();
        return Err(format!("`{name}` is no operation; there are {}", all.join(", ")));
    };
    if kind.is_of_lists() && !operation.starts_with("List") {
        return Err(format!("{kind} is a fault of lists, and {operation} is none"));
    }
    if kind.is_of_backup_only() && !backup_api::OPERATIONS.contains(operation) {
        return Err(format!(
            "{kind} is a fault of AWS Backup, and {operation} is of another service"
        ));
    }
    Ok(operation)
}

/// `FROM-TO`, or `FROM-` without an end.
fn window_of(text: &str) -> Option<(f64, f64)> {
    let (from, to) = text.split_once('-')?;
    let from: f64 = from.parse().ok()?;
    let to: f64 = if to.is_empty() {
        f64::INFINITY
    } else {
        to.parse().ok()?
    };
    (from >= 0.0 && from.is_finite() && to > from).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        text.parse::<FaultSpec>().unwrap_err()
    }

    #[test]
    fn a_spec_is_read() {
        let spec: FaultSpec = "lost:StartCopyJob=0.25@5-7.5".parse().unwrap();
        assert_eq!(spec.kind, FaultKind::Lost);
        assert_eq!(spec.operation, Some("StartCopyJob"));
        assert_eq!((spec.share, spec.from, spec.to), (0.25, 5.0, 7.5));
        let spec: FaultSpec = "Throttling=1".parse().unwrap();
        assert_eq!(spec.kind, FaultKind::Code("Throttling".to_owned()));
        assert!(spec.concerns("ListCopyJobs", 1e9) && !spec.concerns("AssumeRole", 0.0));
        let spec: FaultSpec = "502=1@3-".parse().unwrap();
        assert!(!spec.concerns("StartCopyJob", 2.9) && spec.concerns("StartCopyJob", 1e9));
    }

    #[test]
    fn every_kind_has_a_name_that_is_read_again() {
        for (name, kind) in NAMED {
            assert_eq!(kind.to_string(), *name);
            assert_eq!(&name.parse::<FaultKind>().unwrap(), kind);
        }
    }

    #[test]
    fn faults_of_lists_hit_lists_only() {
        let spec: FaultSpec = "empty-page=1".parse().unwrap();
        assert!(spec.concerns("ListCopyJobs", 0.0) && !spec.concerns("StartCopyJob", 0.0));
        assert!(problem("empty-page:StartCopyJob=1").contains("is a fault of lists"));
    }

    #[test]
    fn what_is_wrong_is_said_with_an_example() {
        for (text, wanted) in [
            ("lost", "no `=SHARE`"),
            ("lost=2", "`2` is not a number from 0 to 1"),
            ("lost=x", "`x` is not a number from 0 to 1"),
            ("lost=NaN", "is not a number from 0 to 1"),
            ("lose=1", "`lose` is no kind of fault"),
            ("501=1", "500, 502, 503 or 504"),
            ("lost:StartCopy=1", "`StartCopy` is no operation"),
            ("lost=1@9", "`9` is not FROM-TO"),
            ("lost=1@9-8", "`9-8` is not FROM-TO"),
            ("wrong-type:AssumeRole=1", "is of another service"),
        ] {
            let text = problem(text);
            assert!(
                text.contains(wanted) && text.contains("such as Throttling=0.1"),
                "{text}"
            );
        }
    }
}
