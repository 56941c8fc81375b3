//! What a plan makes of copies and jobs that are in the destination, where one copy could be taken
//! for that of several points.

use chrono::{DateTime, TimeDelta, Utc};

use super::plan::{settle_loaded, settle_new};
use super::reconcile::Destination;
use crate::domain::{
    CopyJob, CopyJobId, CopyJobState, IdempotencyToken, RecoveryPoint, RecoveryPointArn, RecoveryPointStatus,
    ResourceArn,
};
use crate::state::{Item, ItemState, Items};

const VAULT: &str = "arn:aws:backup:us-east-1:123456789012:backup-vault:v1";

fn made() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

/// A point of the one resource that was made at the one moment: two backup plans do that.
fn twin(arn: &str, state: ItemState) -> Item {
    Item {
        recovery_point_arn: RecoveryPointArn::from_aws(arn),
        resource_arn: ResourceArn::from_aws("r"),
        resource_type: "EFS".into(),
        creation_date: made(),
        backup_size_bytes: None,
        lifecycle: None,
        attempt: 1,
        state,
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

fn already_copied() -> ItemState {
    ItemState::Skipped {
        reason: "already_copied".into(),
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
    for record in settle_loaded(&items, destination, VAULT) {
        items.apply(&record).unwrap();
    }
    items
}

#[test]
fn on_resume_the_copy_of_one_point_is_not_taken_for_that_of_its_twin() {
    for done in [completed(Some("copy")), completed(None), already_copied()] {
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
    let items = settle_new(
        vec![twin("waits", ItemState::Pending)],
        &destination,
        VAULT,
        false,
    );
    assert_eq!(items[0].state, ItemState::Pending);
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
    let items = settle_new(vec![twin("x", ItemState::Pending)], &destination, VAULT, false);
    assert_eq!(items[0].state, state);
    let items = settled(vec![twin("x", ItemState::Pending)], &destination);
    assert_eq!(items.item(0).unwrap().state, state);
}
