use super::*;
use crate::domain::{CopyJob, CopyJobState, RecoveryPointStatus, ResourceArn};

fn item(arn: &str, state: ItemState) -> Item {
    Item {
        recovery_point_arn: RecoveryPointArn::from_aws(arn),
        resource_arn: ResourceArn::from_aws("r"),
        resource_type: "EFS".into(),
        creation_date: DateTime::UNIX_EPOCH,
        backup_size_bytes: Some(5),
        lifecycle: None,
        attempt: 0,
        state,
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
    assert_eq!(tally.to_copy_total(), Tally { points: 2, bytes: 10 });
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
    for record in retry_failed(&items) {
        items.apply(&record).unwrap();
    }
    assert_eq!(PlanTally::of(&items).to_copy_total().points, 1);
}

const VAULT: &str = "arn:aws:backup:us-east-1:123456789012:backup-vault:v1";

fn job(source: &str, id: &str, state: CopyJobState) -> CopyJob {
    CopyJob::for_test(id, source, state)
}

fn destination() -> Destination {
    Destination {
        points: None,
        jobs: vec![
            job("there", "1", CopyJobState::Completed),
            job("on its way", "2", CopyJobState::Failed),
            job("on its way", "3", CopyJobState::Failed),
            job("on its way", "4", CopyJobState::Running),
            job("failed", "5", CopyJobState::Failed),
            // Of a point that is passed over for a reason of its own.
            job("cold", "6", CopyJobState::Completed),
        ],
    }
}

fn all() -> Vec<Item> {
    let mut items: Vec<Item> = ["there", "on its way", "failed", "new"]
        .map(|arn| item(arn, ItemState::Pending))
        .into();
    items.push(item("cold", skipped("cold")));
    items
}

#[test]
fn a_new_run_skips_what_is_there_and_goes_on_with_what_is_under_way() {
    for (force, there) in [(false, skipped("already_copied")), (true, ItemState::Pending)] {
        let settled = settle_new(all(), &destination(), VAULT, force);
        assert_eq!(settled.len(), 5);
        assert_eq!((&settled[0].state, settled[0].attempt), (&there, 1));
        assert!(
            matches!(&settled[1].state, ItemState::InFlight { copy_job_id, .. } if copy_job_id.as_str() == "4")
        );
        let attempts: Vec<u32> = settled.iter().map(|item| item.attempt).collect();
        assert_eq!(attempts, [1, 3, 1, 0, 0]);
        assert_eq!(settled[2].state, ItemState::Pending);
        assert_eq!(settled[3].state, ItemState::Pending);
        assert_eq!(settled[4].state, skipped("cold"));
    }
}

#[test]
fn a_loaded_run_is_settled_in_the_same_way() {
    let mut items = Items::new(all());
    let records = settle_loaded(&items, &destination(), VAULT);
    assert_eq!(records.len(), 2);
    for record in records {
        items.apply(&record).unwrap();
    }
    let state = |arn: &str| &items.get(&RecoveryPointArn::from_aws(arn)).unwrap().state;
    assert_eq!(*state("there"), skipped("already_copied"));
    assert!(matches!(state("on its way"), ItemState::InFlight { .. }));
    assert_eq!(*state("failed"), ItemState::Pending);
    assert_eq!(*state("cold"), skipped("cold"));
}

#[test]
fn the_numbers_of_two_vaults_are_added_up() {
    let a = PlanTally::of(&Items::new(settle_new(all(), &destination(), VAULT, false)));
    let mut sum = a.clone();
    sum.merge(&a);
    sum.merge(&a);
    let of = |points, bytes| Tally { points, bytes };
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
            select: &|_| decision,
            now: DateTime::UNIX_EPOCH,
        };
        assert_eq!(rules.skip(&point), Some(wanted));
        let made = rules.item(&point, &mut TypeNames::default());
        assert_eq!(made.state, skipped(wanted.as_str()));
    }
}
