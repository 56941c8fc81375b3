use super::*;
use crate::domain::{CopyJobId, RecoveryPointStatus};

fn item(arn: &str, state: ItemState) -> Item {
    Item {
        backup_size_bytes: Some(5),
        state,
        ..Item::for_test(arn)
    }
}

fn skipped(reason: &str) -> ItemState {
    ItemState::Skipped {
        reason: reason.into(),
    }
}

#[test]
fn a_new_plan_keeps_what_is_done_and_judges_the_rest_anew() {
    let done = ItemState::Failed {
        error_code: "x".into(),
        message: "y".into(),
        at: DateTime::UNIX_EPOCH,
    };
    let mut items = Items::new([
        item("done", done),
        item("waiting", ItemState::Pending),
        item("filtered", skipped("filtered")),
        item("there", skipped("already_copied")),
    ]);
    let listed = vec![
        item("done", skipped("filtered")),
        item("waiting", skipped("filtered")),
        item("filtered", ItemState::Pending),
        item("there", ItemState::Pending),
        item("new", ItemState::Pending),
    ];
    for record in replan(&items, listed) {
        items.apply(&record).unwrap();
    }
    let tally = PlanTally::of(&items);
    assert_eq!(
        tally.to_copy_total(),
        Tally {
            points: 2,
            bytes: 10,
            without_size: 0
        }
    );
    assert_eq!(tally.failed.points, 1);
    assert_eq!(tally.skipped["filtered"].points, 1);
    assert_eq!(tally.skipped["already_copied"].points, 1);
}

#[test]
fn failed_items_are_queued_again_on_demand() {
    let failed = ItemState::Failed {
        error_code: "x".into(),
        message: "y".into(),
        at: DateTime::UNIX_EPOCH,
    };
    let mut items = Items::new([item("a", failed), item("b", skipped("cold"))]);
    assert!(retry_failed(&items, |cause| cause != FailureCause::Other).is_empty());
    for record in retry_failed(&items, |cause| cause == FailureCause::Other) {
        items.apply(&record).unwrap();
    }
    assert_eq!(PlanTally::of(&items).to_copy_total().points, 1);
}

#[test]
fn the_numbers_of_two_vaults_are_added_up() {
    let in_flight = ItemState::InFlight {
        copy_job_id: CopyJobId::from_aws("4"),
        since: DateTime::UNIX_EPOCH,
    };
    let a = PlanTally::of(&Items::new([
        item("there", skipped("already_copied")),
        item("on its way", in_flight),
        item("failed", ItemState::Pending),
        item("new", ItemState::Pending),
        item("cold", skipped("cold")),
    ]));
    let mut sum = a.clone();
    sum.merge(&a);
    sum.merge(&a);
    let of = |points, bytes| Tally {
        points,
        bytes,
        without_size: 0,
    };
    assert_eq!(sum.to_copy_total(), of(6, 30));
    assert_eq!(sum.under_way, of(3, 15));
    assert_eq!(sum.skipped["already_copied"], of(3, 15));
    assert_eq!((sum.completed, sum.failed), (of(0, 0), of(0, 0)));
    assert_eq!((a.skipped_total(), sum.skipped_total()), (2, 6));
}

#[test]
fn a_point_is_judged_by_the_filters_and_by_what_it_is() {
    let point = RecoveryPoint {
        status: RecoveryPointStatus::Creating,
        ..RecoveryPoint::for_test("p", "r")
    };
    for (decision, wanted) in [
        (Decision::Filtered, SkipReason::Filtered),
        (Decision::NoMetadata, SkipReason::NoMetadata),
        (Decision::Selected, SkipReason::NotCompleted),
    ] {
        let rules = PlanRules {
            eligibility: EligibilityRules::default(),
            now: DateTime::UNIX_EPOCH,
        };
        assert_eq!(rules.skip(&point, decision), Some(wanted));
        let made = rules.item(&point, decision);
        assert_eq!(made.state, skipped(wanted.as_str()));
    }
}
