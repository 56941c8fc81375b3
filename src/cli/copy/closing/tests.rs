use std::collections::BTreeMap;

use super::*;
use crate::copy::event::ItemFailure;
use crate::copy::failure::FailureCause;
use crate::copy::plan::Tally;
use crate::copy::retention::OtherRetention;
use crate::domain::RecoveryPointArn;

#[test]
fn what_needed_no_copy_does_not_lower_the_success_rate() {
    let stats = RunStats {
        total: 10,
        skipped: 8,
        completed: 1,
        failed: 1,
        ..RunStats::default()
    };
    assert!((success_rate(&stats) - 50.0).abs() < f64::EPSILON);
    let none = RunStats {
        total: 3,
        skipped: 3,
        ..RunStats::default()
    };
    assert!((success_rate(&none) - 100.0).abs() < f64::EPSILON);
}
fn end(stats: RunStats) -> RunEnd {
    RunEnd {
        stop: None,
        systemic: None,
        state_error: None,
        stats,
        failures: Vec::new(),
        repeated_calls: 0,
        other_retention: OtherRetention::default(),
    }
}

#[test]
fn work_that_is_left_wins_over_failures_and_a_systemic_cause_over_both() {
    let stats = |pending, in_progress, failed| RunStats {
        failed,
        in_progress,
        pending,
        ..RunStats::default()
    };
    for (left, wanted) in [
        (stats(0, 0, 0), Outcome::Done),
        (stats(0, 0, 1), Outcome::WithErrors),
        (stats(1, 0, 0), Outcome::Incomplete),
        (stats(0, 1, 1), Outcome::Incomplete),
    ] {
        assert_eq!(outcome(&end(left)), wanted);
        let systemic = RunEnd {
            stop: Some(StopReason::Systemic),
            ..end(left)
        };
        assert_eq!(outcome(&systemic), Outcome::WithErrors);
    }
    let unsaved = RunEnd {
        state_error: Some(crate::state::StateError::JournalClosed { path: "j".into() }),
        ..end(stats(0, 0, 1))
    };
    assert_eq!(outcome(&unsaved), Outcome::Incomplete);
}

#[test]
fn throughput_is_what_this_run_completed_in_an_hour() {
    let stats = RunStats {
        completed: 1000,
        completed_this_run: 50,
        ..RunStats::default()
    };
    for (seconds, wanted) in [(0, 0.0), (1800, 100.0), (7200, 25.0), (5000, 36.0)] {
        let found = throughput(&stats, Duration::from_secs(seconds));
        assert!((found - wanted).abs() < 1e-9, "{seconds}: {found}");
    }
}

fn four_points() -> Tally {
    Tally {
        points: 4,
        bytes: 9,
        without_size: 0,
    }
}

#[test]
fn the_summary_says_what_was_done_what_is_left_and_why() {
    let failed = |arn: &str, code: &str, message: &str, cause| {
        let at = DateTime::UNIX_EPOCH;
        let failure = ItemFailure {
            cause,
            ..ItemFailure::new(code.to_owned(), message.to_owned(), at)
        };
        (RecoveryPointArn::from_aws(arn), failure)
    };
    let stats = RunStats {
        unanswered: 0,
        total: 20,
        completed: 8,
        failed: 3,
        skipped: 4,
        in_progress: 2,
        pending: 3,
        bytes_completed: 99,
        completed_this_run: 6,
    };
    let run = RunEnd {
        stop: Some(StopReason::RuntimeLimit),
        failures: vec![
            failed("p1", "CopyJobFailed", "m1", FailureCause::Role),
            failed("p2", "CopyJobFailed", "m2", FailureCause::Gone),
            failed("p3", "CopyJobFailed", "m3", FailureCause::Role),
        ],
        repeated_calls: 5,
        other_retention: OtherRetention::default(),
        ..end(stats)
    };
    let closing = || Closing {
        run_id: "run".to_owned(),
        began: DateTime::UNIX_EPOCH,
        elapsed: Duration::from_millis(7_200_123),
        calls: CallTotals {
            by_operation: BTreeMap::from([("StartCopyJob", 11)]),
            retries: 2,
            throttles: 7,
            credential_renewals: 1,
        },
        plan: PlanTally {
            skipped: BTreeMap::from([("cold".to_owned(), four_points())]),
            ..PlanTally::default()
        },
        vaults: Vec::new(),
    };
    let found = summary(closing(), &run, 2);
    assert_eq!(
        (found.schema_version, found.run_id.as_str(), found.exit_code),
        (1, "run", 2)
    );
    assert_eq!(
        [
            found.total_items,
            found.completed,
            found.failed,
            found.skipped,
            found.in_progress,
            found.pending
        ],
        [20, 8, 3, 4, 2, 3]
    );
    assert!((found.duration_seconds - 7200.123).abs() < 1e-9);
    assert!((found.success_rate - 50.0).abs() < 1e-9);
    assert!((found.throughput_per_hour - 3.0).abs() < 1e-9);
    assert_eq!(
        (found.retries, found.throttles, found.bytes_completed),
        (7, 7, 99)
    );
    assert_eq!(found.calls, BTreeMap::from([("StartCopyJob", 11)]));
    assert_eq!(found.skipped_by_reason, BTreeMap::from([("cold".to_owned(), 4)]));
    assert_eq!(found.stop_reason.as_deref(), Some("runtime limit reached"));
    assert_eq!(found.start_time, "1970-01-01T00:00:00+00:00");
    let listed: Vec<(&str, &str, &str)> = found
        .failures
        .iter()
        .map(|f| {
            (
                f.recovery_point_arn.as_str(),
                f.error_message.as_str(),
                f.cause.as_str(),
            )
        })
        .collect();
    assert_eq!(
        listed,
        [("p1", "m1", "role"), ("p2", "m2", "gone"), ("p3", "m3", "role")]
    );
    let groups: Vec<(&str, usize, &str)> = found
        .failure_groups
        .iter()
        .map(|g| (g.cause.as_str(), g.count, g.sample.as_str()))
        .collect();
    assert_eq!(groups, [("role", 2, "m1"), ("gone", 1, "m2")]);
    assert!(found.failure_groups.iter().all(|group| !group.fix.is_empty()));
}

#[test]
fn the_command_that_goes_on_is_named_where_there_is_something_to_go_on_with() {
    let command = |pending, in_progress, failed, stop, unsaved: bool| {
        let closing = Closing {
            run_id: String::new(),
            began: DateTime::UNIX_EPOCH,
            elapsed: Duration::ZERO,
            calls: CallTotals::default(),
            plan: PlanTally::default(),
            vaults: Vec::new(),
        };
        let run = RunEnd {
            stop,
            state_error: unsaved.then(|| crate::state::StateError::JournalClosed { path: "j".into() }),
            ..end(RunStats {
                failed,
                in_progress,
                pending,
                ..RunStats::default()
            })
        };
        summary(closing, &run, 0).resume_command
    };
    assert_eq!(command(0, 0, 0, None, false), None);
    let systemic = Some(StopReason::Systemic);
    // What failed is tried again only where nothing else is left, or where all failed of one cause.
    for (command, failed_too) in [
        (command(1, 0, 0, None, false), false),
        (command(0, 1, 0, None, false), false),
        (command(0, 0, 0, None, true), false),
        (command(1, 0, 1, Some(StopReason::RuntimeLimit), false), false),
        (command(0, 0, 1, None, false), true),
        (command(1, 0, 1, systemic, false), true),
    ] {
        let command = command.unwrap();
        assert_eq!(
            command.ends_with(" --resume --retry-failed"),
            failed_too,
            "{command}"
        );
        assert_eq!(command.ends_with(" --resume"), !failed_too, "{command}");
    }
}
