//! What a plan makes of copies and jobs that are in the destination, where one copy could be taken
//! for that of several points.

use chrono::{DateTime, TimeDelta};

use super::*;
use crate::copy::evidence::tests::Destination;
use crate::domain::{
    CopyJob, CopyJobId, CopyJobState, IdempotencyToken, RecoveryPoint, RecoveryPointArn, RecoveryPointStatus,
};
use crate::state::{Item, ItemState};

const VAULT: &str = "arn:aws:backup:us-east-1:123456789012:backup-vault:v1";

fn made() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

/// A point of the one resource that was made at the one moment: two backup plans do that.
fn twin(arn: &str, state: ItemState) -> Item {
    Item {
        creation_date: made(),
        attempt: 1,
        state,
        ..Item::for_test(arn)
    }
}

fn copy(arn: &str, status: RecoveryPointStatus) -> RecoveryPoint {
    RecoveryPoint {
        status,
        creation_date: made(),
        source_backup_vault_arn: Some(VAULT.to_owned()),
        ..RecoveryPoint::for_test(arn, "r")
    }
}

fn job(point: &str, state: CopyJobState, copy: Option<&str>) -> CopyJob {
    CopyJob {
        destination_recovery_point_arn: copy.map(RecoveryPointArn::from_aws),
        ..CopyJob::for_test("job", point, state)
    }
}

fn one_copy(jobs: Vec<CopyJob>) -> Destination {
    Destination {
        points: Some(vec![copy("copy", RecoveryPointStatus::Completed)]),
        jobs,
    }
}

fn completed(copy: Option<&str>) -> ItemState {
    ItemState::Completed {
        copy_job_id: CopyJobId::from_aws("old"),
        destination_recovery_point_arn: copy.map(RecoveryPointArn::from_aws),
        at: made(),
    }
}

fn skipped(reason: &str) -> ItemState {
    ItemState::Skipped {
        reason: reason.into(),
    }
}

fn in_flight(since: DateTime<Utc>) -> ItemState {
    ItemState::InFlight {
        copy_job_id: CopyJobId::from_aws("old"),
        since,
    }
}

fn starting(since: DateTime<Utc>) -> ItemState {
    ItemState::Starting {
        idempotency_token: IdempotencyToken::for_attempt(
            &RecoveryPointArn::from_aws("x"),
            &crate::domain::BackupVaultArn::from_aws("v"),
            1,
        ),
        since: Some(since),
        sent: Some(since),
    }
}

fn settled(items: Vec<Item>, destination: &Destination) -> Items {
    let mut items = Items::new(items);
    for record in settle_loaded(&items, &destination.findings(&items, VAULT)) {
        items.apply(&record).unwrap();
    }
    items
}

fn begun(items: Vec<Item>, destination: &Destination) -> Items {
    let mut items = Items::new(items);
    let findings = destination.findings(&items, VAULT);
    settle_new(&mut items, &findings, false).unwrap();
    items
}

#[test]
fn on_resume_the_copy_of_one_point_is_not_taken_for_that_of_its_twin() {
    for done in [
        completed(Some("copy")),
        completed(None),
        skipped("already_copied"),
    ] {
        let items = vec![twin("done", done.clone()), twin("waits", ItemState::Pending)];
        let counts = settled(items, &one_copy(Vec::new())).counts();
        assert_eq!(counts.pending, 1, "{done:?}");
    }
}

#[test]
fn a_copy_that_a_job_names_is_of_the_jobs_point_and_of_no_other() {
    let destination = one_copy(vec![job("other", CopyJobState::Completed, Some("copy"))]);
    let counts = settled(vec![twin("waits", ItemState::Pending)], &destination).counts();
    assert_eq!(counts.pending, 1);
    let items = begun(vec![twin("waits", ItemState::Pending)], &destination);
    assert_eq!(items.item(0).unwrap().state, ItemState::Pending);
}

#[test]
fn a_copy_of_which_aws_said_that_it_is_partial_is_none() {
    let destination = Destination {
        points: Some(vec![copy("copy", RecoveryPointStatus::Partial)]),
        jobs: vec![job("x", CopyJobState::Partial, None)],
    };
    let counts = settled(vec![twin("x", ItemState::Pending)], &destination).counts();
    assert_eq!(counts.pending, 1);
}

#[test]
fn what_was_under_way_so_long_ago_that_aws_lists_no_job_of_it_is_found_by_its_copy() {
    let long_ago = Utc::now() - TimeDelta::days(40);
    for state in [in_flight(long_ago), starting(long_ago)] {
        let counts = settled(vec![twin("x", state.clone())], &one_copy(Vec::new())).counts();
        assert_eq!(counts.skipped, 1, "{state:?}");
        // Its copy is its own, and its twin's is still to be made.
        let items = vec![twin("a", ItemState::Pending), twin("x", state.clone())];
        let items = settled(items, &one_copy(Vec::new()));
        assert_eq!(items.item(0).unwrap().state, ItemState::Pending, "{state:?}");
        // Where AWS still knows the job, or may yet list it, the loop asks for it.
        let destination = one_copy(vec![job("x", CopyJobState::Completed, Some("copy"))]);
        let counts = settled(vec![twin("x", state)], &destination).counts();
        assert_eq!(counts.skipped, 0);
    }
    let counts = settled(vec![twin("x", in_flight(Utc::now()))], &one_copy(Vec::new())).counts();
    assert_eq!(counts.in_flight, 1);
}

#[test]
fn a_job_that_is_adopted_is_watched_from_when_aws_says_that_it_began() {
    let began = made() + TimeDelta::days(3);
    let destination = Destination {
        points: None,
        jobs: vec![CopyJob {
            creation_date: Some(began),
            ..job("x", CopyJobState::Running, None)
        }],
    };
    let state = ItemState::InFlight {
        copy_job_id: CopyJobId::from_aws("job"),
        since: began,
    };
    let items = begun(vec![twin("x", ItemState::Pending)], &destination);
    assert_eq!(items.item(0).unwrap().state, state);
    let items = settled(vec![twin("x", ItemState::Pending)], &destination);
    assert_eq!(items.item(0).unwrap().state, state);
}

fn several() -> Destination {
    Destination {
        points: None,
        jobs: vec![
            CopyJob::for_test("1", "there", CopyJobState::Completed),
            CopyJob::for_test("2", "on its way", CopyJobState::Failed),
            CopyJob::for_test("3", "on its way", CopyJobState::Failed),
            CopyJob::for_test("4", "on its way", CopyJobState::Running),
            CopyJob::for_test("5", "failed", CopyJobState::Failed),
            // Of a point that is passed over for a reason of its own.
            CopyJob::for_test("6", "cold", CopyJobState::Completed),
        ],
    }
}

fn all() -> Vec<Item> {
    let states = ["there", "on its way", "failed", "new"].map(|arn| (arn, ItemState::Pending));
    let cold = ("cold", skipped("cold"));
    let items = states.into_iter().chain([cold]).map(|(arn, state)| Item {
        attempt: 0,
        ..twin(arn, state)
    });
    items.collect()
}

#[test]
fn a_new_run_skips_what_is_there_and_goes_on_with_what_is_under_way() {
    for (force, there) in [(false, skipped("already_copied")), (true, ItemState::Pending)] {
        let mut settled = Items::new(all());
        let findings = several().findings(&settled, VAULT);
        settle_new(&mut settled, &findings, force).unwrap();
        let settled: Vec<Item> = settled.iter().collect();
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
    let records = settle_loaded(&items, &several().findings(&items, VAULT));
    assert_eq!(records.len(), 2);
    for record in records {
        items.apply(&record).unwrap();
    }
    let state = |arn: &str| items.get(&RecoveryPointArn::from_aws(arn)).unwrap().state;
    assert_eq!(state("there"), skipped("already_copied"));
    assert!(matches!(state("on its way"), ItemState::InFlight { .. }));
    assert_eq!(state("failed"), ItemState::Pending);
    assert_eq!(state("cold"), skipped("cold"));
}
