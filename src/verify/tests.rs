use super::*;
use crate::copy::retention::Retention;
use chrono::DateTime;

use crate::domain::CopyJobId;
use crate::state::Item;

fn point(arn: &str, resource: &str, milliseconds: i64) -> RecoveryPoint {
    RecoveryPoint {
        creation_date: DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds),
        backup_size_bytes: Some(1),
        ..RecoveryPoint::for_test(arn, resource)
    }
}

/// A state that tells of these copies.
fn recorded(copies: &[(&str, &str)]) -> Items {
    Items::new(copies.iter().map(|(source, copy)| Item {
        state: ItemState::Completed {
            copy_job_id: CopyJobId::from_aws("j"),
            destination_recovery_point_arn: Some(RecoveryPointArn::from_aws(copy)),
            at: DateTime::UNIX_EPOCH,
        },
        ..Item::for_test(source)
    }))
}

fn run(source: &[RecoveryPoint], destination: &[RecoveryPoint]) -> VaultVerification {
    let what = Comparison {
        source,
        destination,
        recorded: &Items::default(),
        source_vault_arn: "vault",
        retention: Retention::Source,
    };
    compare(&what, |_| None, |_| {})
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
        let recorded = recorded(&[(
            source.recovery_point_arn.as_str(),
            copy.recovery_point_arn.as_str(),
        )]);
        let what = Comparison {
            source: &[source],
            destination: &[copy],
            recorded: &recorded,
            source_vault_arn: "vault",
            retention: Retention::Source,
        };
        assert_eq!(compare(&what, |_| None, |_| {}).is_complete(), found, "{text}");
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
    let recorded = recorded(&[("a", "1"), ("b", "gone")]);
    let what = Comparison {
        source: &source,
        destination: &destination,
        recorded: &recorded,
        source_vault_arn: "v",
        retention: Retention::Source,
    };
    let result = compare(&what, |_| None, |_| {});
    assert_eq!((result.matched, result.missing.len(), result.extra), (1, 1, 0));
}

#[test]
fn skipped_points_are_counted_and_not_missed() {
    let what = Comparison {
        source: &[point("a", "r", 0)],
        destination: &[],
        recorded: &Items::default(),
        source_vault_arn: "v",
        retention: Retention::Source,
    };
    let result = compare(&what, |_| Some(SkipReason::Cold), |_| {});
    assert!(result.is_complete());
    assert_eq!(result.not_copyable["cold"], 1);
}

#[test]
fn every_point_is_found_once_and_the_numbers_are_those_of_the_result() {
    let source = [
        point("a", "r", 0),
        point("b", "r", 5000),
        point("c", "s", 0),
        point("d", "t", 0),
        point("e", "t", 0),
        point("cold", "u", 0),
    ];
    let larger = RecoveryPoint {
        backup_size_bytes: Some(2),
        ..point("2", "r", 5000)
    };
    let destination = [point("1", "r", 0), larger, point("3", "t", 0), point("4", "x", 0)];
    let recorded = recorded(&[("a", "1")]);
    let what = Comparison {
        source: &source,
        destination: &destination,
        recorded: &recorded,
        source_vault_arn: "v",
        retention: Retention::Source,
    };
    let mut found = Vec::new();
    let skip = |p: &RecoveryPoint| (p.recovery_point_arn.as_str() == "cold").then_some(SkipReason::Cold);
    let result = compare(&what, skip, |finding| {
        let arn = |p: Option<&RecoveryPoint>| p.map(|p| p.recovery_point_arn.to_string()).unwrap_or_default();
        found.push((arn(finding.point), arn(finding.copy), finding.result));
    });
    found.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    let told: Vec<String> = found
        .iter()
        .map(|(point, copy, result)| format!("{point} {copy} {result:?}"))
        .collect();
    // One of two that are alike has the copy, and nobody can tell which.
    assert_eq!(
        told[0..4],
        [" 4 Extra", "a 1 Matched", "b 2 Mismatched", "c  Missing"]
    );
    assert_eq!(told[4], "cold  NotCopyable");
    assert_eq!(found.len(), source.len() + 1);
    let count = |result| found.iter().filter(|(_, _, r)| *r == result).count();
    assert_eq!(
        count(PointResult::Matched) + count(PointResult::Mismatched),
        result.matched
    );
    assert_eq!(count(PointResult::Mismatched), result.mismatched.len());
    assert_eq!(count(PointResult::Missing), result.missing.len());
    assert_eq!(count(PointResult::Ambiguous), result.ambiguous.len());
    assert_eq!(count(PointResult::Extra), result.extra);
}
