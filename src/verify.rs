//! Whether every recovery point of a source vault is in the destination. Pure: two lists in, one
//! answer out.
//!
//! AWS keeps creation date, resource ARN and retention on a copy (AWS Backup Developer Guide, "Backup
//! and tag copy") and gives it an ARN of its own, so that these three are what tells. Sizes are hints.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::TimeDelta;
use serde::Serialize;

use crate::copy::eligibility::SkipReason;
use crate::domain::{RecoveryPoint, RecoveryPointArn, RecoveryPointStatus};

/// A recovery point in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportedPoint {
    /// Its ARN.
    pub recovery_point_arn: String,
    /// Its resource.
    pub resource_arn: String,
    /// Its type.
    pub resource_type: String,
    /// RFC 3339, UTC.
    pub creation_date: String,
    /// What else there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The result for one vault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VaultVerification {
    /// Source vault.
    pub backup_vault_name: String,
    /// Destination vault.
    pub destination_backup_vault_arn: String,
    /// Points in the source vault.
    pub source: usize,
    /// Points that have their copy.
    pub matched: usize,
    /// Points that have none, though they should.
    pub missing: Vec<ReportedPoint>,
    /// As missing, but of several points that are alike in all that tells, some have a copy.
    pub ambiguous: Vec<ReportedPoint>,
    /// Points that cannot be copied or are not wanted, by reason.
    pub not_copyable: BTreeMap<String, usize>,
    /// Points of the destination vault that answer to no point of the source.
    pub extra: usize,
    /// Copies whose size, status or retention is not that of the source.
    pub mismatched: Vec<ReportedPoint>,
}

impl VaultVerification {
    /// Whether every wanted point has its copy.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.ambiguous.is_empty()
    }
}

/// What a verification rests on.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// Points of the source vault.
    pub source: &'a [RecoveryPoint],
    /// Points of the destination vault.
    pub destination: &'a [RecoveryPoint],
    /// Copies that a state file tells of, by source point.
    pub recorded: &'a HashMap<RecoveryPointArn, RecoveryPointArn>,
    /// ARN of the source vault.
    pub source_vault_arn: &'a str,
}

/// Compares. `skip` says which source points have no copy by design.
pub fn compare(
    what: &Comparison<'_>,
    skip: impl Fn(&RecoveryPoint) -> Option<SkipReason>,
) -> VaultVerification {
    let mut result = VaultVerification {
        source: what.source.len(),
        ..VaultVerification::default()
    };
    let by_arn: HashMap<&RecoveryPointArn, &RecoveryPoint> = what
        .destination
        .iter()
        .map(|p| (&p.recovery_point_arn, p))
        .collect();
    let mut taken: HashSet<&RecoveryPointArn> = HashSet::new();
    let mut open: Vec<&RecoveryPoint> = Vec::new();
    for point in what.source {
        match skip(point) {
            // Its copy, if it has one, came with the copy of its composite.
            Some(reason) => *result.not_copyable.entry(reason.as_str().to_owned()).or_default() += 1,
            None => match what
                .recorded
                .get(&point.recovery_point_arn)
                .and_then(|arn| by_arn.get(arn))
                .filter(|copy| is_copy_of(copy, point))
            {
                Some(copy) if taken.insert(&copy.recovery_point_arn) => matched(&mut result, point, copy),
                _ => open.push(point),
            },
        }
    }
    by_likeness(&mut result, what, &open, &mut taken);
    let children = what
        .destination
        .iter()
        .filter(|p| p.parent_recovery_point_arn.is_some());
    let unmatched_children = children
        .filter(|p| !taken.contains(&p.recovery_point_arn))
        .count();
    result.extra = what.destination.len() - taken.len() - unmatched_children;
    result
}

/// Whether a point that is like another is there as much as that one: not still being made or on its
/// way out, and not a part of what is whole at the source.
fn is_copy_of(copy: &RecoveryPoint, point: &RecoveryPoint) -> bool {
    match copy.status {
        RecoveryPointStatus::Creating | RecoveryPointStatus::Deleting => false,
        RecoveryPointStatus::Partial => point.status == RecoveryPointStatus::Partial,
        _ => true,
    }
}

/// What a copy has in common with its source: resource, date to the second, place in a composite.
type Likeness<'a> = (&'a str, Option<&'a str>);

fn likeness(point: &RecoveryPoint) -> Likeness<'_> {
    (
        point.resource_arn.as_str(),
        point.composite_member_identifier.as_deref(),
    )
}

fn by_likeness<'a>(
    result: &mut VaultVerification,
    what: &Comparison<'a>,
    open: &[&'a RecoveryPoint],
    taken: &mut HashSet<&'a RecoveryPointArn>,
) {
    let mut candidates: HashMap<Likeness<'_>, Vec<&RecoveryPoint>> = HashMap::new();
    for copy in what.destination {
        let elsewhere = copy
            .source_backup_vault_arn
            .as_deref()
            .is_some_and(|arn| arn != what.source_vault_arn);
        if !elsewhere && !taken.contains(&copy.recovery_point_arn) {
            candidates.entry(likeness(copy)).or_default().push(copy);
        }
    }
    // The same moment first, so that a neighbour within the second takes no other's copy.
    let mut left: Vec<&RecoveryPoint> = open.to_vec();
    left.retain(|point| !take(result, point, &mut candidates, taken, 0));
    left.retain(|point| !take(result, point, &mut candidates, taken, 1000));
    // Points of one resource and one moment cannot be told apart: where there are copies for some of
    // them only, it is not known which are missing.
    let identity = |p: &&'a RecoveryPoint| (likeness(p), p.creation_date);
    let count = |points: &[&'a RecoveryPoint]| {
        let mut counts: HashMap<_, usize> = HashMap::new();
        for point in points {
            *counts.entry(identity(point)).or_default() += 1;
        }
        counts
    };
    let (all, lost) = (count(open), count(&left));
    for point in &left {
        let of = |counts: &HashMap<_, usize>| counts.get(&identity(point)).copied().unwrap_or(0);
        let (twins, lost) = (of(&all), of(&lost));
        if lost < twins {
            let note = format!("{twins} such points, {} copies", twins - lost);
            result.ambiguous.push(reported(point, Some(note)));
        } else {
            let copies = candidates.get(&likeness(point)).into_iter().flatten();
            let mut unusable = copies.filter(|copy| is_near(copy, point, 1000) && !is_copy_of(copy, point));
            let note = unusable
                .next()
                .map(|copy| format!("its copy is {}", copy.status.as_str()));
            result.missing.push(reported(point, note));
        }
    }
}

fn take<'a>(
    result: &mut VaultVerification,
    point: &'a RecoveryPoint,
    candidates: &mut HashMap<Likeness<'a>, Vec<&'a RecoveryPoint>>,
    taken: &mut HashSet<&'a RecoveryPointArn>,
    milliseconds: i64,
) -> bool {
    let Some(copies) = candidates.get_mut(&likeness(point)) else {
        return false;
    };
    let is_match = |copy: &&RecoveryPoint| is_near(copy, point, milliseconds) && is_copy_of(copy, point);
    let Some(place) = copies.iter().position(is_match) else {
        return false;
    };
    let copy = copies.swap_remove(place);
    taken.insert(&copy.recovery_point_arn);
    matched(result, point, copy);
    true
}

fn is_near(copy: &RecoveryPoint, point: &RecoveryPoint, milliseconds: i64) -> bool {
    (copy.creation_date - point.creation_date).abs() <= TimeDelta::milliseconds(milliseconds)
}

fn matched(result: &mut VaultVerification, point: &RecoveryPoint, copy: &RecoveryPoint) {
    result.matched += 1;
    let mut notes = Vec::new();
    let status = copy.status.as_str();
    if status != point.status.as_str() && !["COMPLETED", "AVAILABLE"].contains(&status) {
        notes.push(format!("the copy's status is {status}"));
    }
    if let (Some(ours), Some(theirs)) = (point.backup_size_bytes, copy.backup_size_bytes)
        && ours != theirs
    {
        notes.push(format!("{ours} bytes, the copy {theirs}"));
    }
    let days = |p: &RecoveryPoint| p.lifecycle.as_ref().and_then(|l| l.delete_after_days);
    if days(point) != days(copy) {
        let text = |d: Option<i64>| d.map_or_else(|| "for ever".to_owned(), |d| format!("{d} days"));
        notes.push(format!(
            "kept {}, the copy {}",
            text(days(point)),
            text(days(copy))
        ));
    }
    if !notes.is_empty() {
        result.mismatched.push(reported(point, Some(notes.join("; "))));
    }
}

fn reported(point: &RecoveryPoint, note: Option<String>) -> ReportedPoint {
    ReportedPoint {
        recovery_point_arn: point.recovery_point_arn.to_string(),
        resource_arn: point.resource_arn.to_string(),
        resource_type: point.resource_type.clone(),
        creation_date: point
            .creation_date
            .to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn point(arn: &str, resource: &str, milliseconds: i64) -> RecoveryPoint {
        RecoveryPoint {
            creation_date: DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds),
            backup_size_bytes: Some(1),
            ..RecoveryPoint::for_test(arn, resource)
        }
    }

    fn run(source: &[RecoveryPoint], destination: &[RecoveryPoint]) -> VaultVerification {
        let what = Comparison {
            source,
            destination,
            recorded: &HashMap::new(),
            source_vault_arn: "vault",
        };
        compare(&what, |_| None)
    }

    #[test]
    fn copies_are_matched_one_to_one() {
        let source = [
            point("a", "r", 0),
            point("b", "r", 0),
            point("c", "r", 5000),
            point("d", "s", 0),
        ];
        let result = run(
            &source,
            &[point("1", "r", 0), point("2", "r", 5400), point("3", "x", 0)],
        );
        assert_eq!((result.matched, result.missing.len(), result.extra), (2, 1, 1));
        assert_eq!(result.ambiguous.len(), 1, "a or b, and nobody can tell which");
        assert!(!result.is_complete());
    }

    #[test]
    fn what_is_half_there_is_missing() {
        for (status, of, found) in [
            (
                RecoveryPointStatus::Partial,
                RecoveryPointStatus::Completed,
                false,
            ),
            (RecoveryPointStatus::Partial, RecoveryPointStatus::Partial, true),
            (
                RecoveryPointStatus::Creating,
                RecoveryPointStatus::Completed,
                false,
            ),
            (
                RecoveryPointStatus::Deleting,
                RecoveryPointStatus::Completed,
                false,
            ),
            (RecoveryPointStatus::Expired, RecoveryPointStatus::Completed, true),
        ] {
            let source = RecoveryPoint {
                status: of,
                ..point("a", "r", 0)
            };
            let text = status.as_str().to_owned();
            let copy = RecoveryPoint {
                status,
                ..point("1", "r", 0)
            };
            let result = run(std::slice::from_ref(&source), std::slice::from_ref(&copy));
            assert_eq!(result.is_complete(), found, "{copy:?}");
            if let Some(missing) = result.missing.first() {
                assert_eq!(missing.note, Some(format!("its copy is {text}")));
            }
            let recorded =
                HashMap::from([(source.recovery_point_arn.clone(), copy.recovery_point_arn.clone())]);
            let what = Comparison {
                source: &[source],
                destination: &[copy],
                recorded: &recorded,
                source_vault_arn: "vault",
            };
            assert_eq!(compare(&what, |_| None).is_complete(), found, "{text}");
        }
    }

    #[test]
    fn the_same_moment_beats_a_near_one() {
        let source = [point("a", "r", 900), point("b", "r", 0)];
        let result = run(&source, &[point("1", "r", 0), point("2", "r", 900)]);
        assert_eq!(result.matched, 2);
        let result = run(&source, &[point("1", "r", 900)]);
        assert_eq!(result.missing[0].recovery_point_arn, "b");
    }

    #[test]
    fn a_copy_from_another_vault_is_no_copy_of_ours() {
        let other = RecoveryPoint {
            source_backup_vault_arn: Some("other".into()),
            ..point("1", "r", 0)
        };
        assert_eq!(run(&[point("a", "r", 0)], &[other]).missing.len(), 1);
    }

    #[test]
    fn what_the_state_tells_comes_first_and_only_if_it_is_there() {
        let source = [point("a", "r", 0), point("b", "r", 0)];
        let destination = [point("1", "other", 9)];
        let recorded = HashMap::from([
            (RecoveryPointArn::from_aws("a"), RecoveryPointArn::from_aws("1")),
            (
                RecoveryPointArn::from_aws("b"),
                RecoveryPointArn::from_aws("gone"),
            ),
        ]);
        let what = Comparison {
            source: &source,
            destination: &destination,
            recorded: &recorded,
            source_vault_arn: "v",
        };
        let result = compare(&what, |_| None);
        assert_eq!((result.matched, result.missing.len(), result.extra), (1, 1, 0));
    }

    #[test]
    fn skipped_points_are_counted_and_not_missed() {
        let what = Comparison {
            source: &[point("a", "r", 0)],
            destination: &[],
            recorded: &HashMap::new(),
            source_vault_arn: "v",
        };
        let result = compare(&what, |_| Some(SkipReason::Cold));
        assert!(result.is_complete());
        assert_eq!(result.not_copyable["cold"], 1);
    }
}
