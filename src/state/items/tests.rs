use super::*;
use crate::domain::{BackupVaultArn, CopyJobId, IdempotencyToken, ResourceArn};
use chrono::DateTime;
use proptest::prelude::*;

fn arn(n: u8) -> RecoveryPointArn {
    RecoveryPointArn::from_aws(&format!("arn:aws:ec2:us-east-1::snapshot/snap-{n}"))
}

fn ledger(count: u8) -> Items {
    Items::new((0..count).map(|n| Item {
        backup_size_bytes: Some(10),
        ..Item::for_test(arn(n).as_str())
    }))
}

fn record(kind: u8, n: u8, attempt: u32) -> JournalRecord {
    let recovery_point_arn = arn(n);
    let at = DateTime::UNIX_EPOCH;
    match kind {
        0 => {
            let vault = BackupVaultArn::from_aws("v");
            let idempotency_token = IdempotencyToken::for_attempt(&recovery_point_arn, &vault, attempt);
            JournalRecord::StartIntended {
                recovery_point_arn,
                attempt,
                idempotency_token,
                at: None,
            }
        }
        1 => JournalRecord::Started {
            recovery_point_arn,
            copy_job_id: CopyJobId::from_aws("j"),
            at,
        },
        2 => JournalRecord::Requeued {
            recovery_point_arn,
            reason: String::new(),
        },
        3 => JournalRecord::Completed {
            recovery_point_arn,
            copy_job_id: CopyJobId::from_aws("j"),
            destination_recovery_point_arn: None,
            at,
        },
        4 => JournalRecord::Failed {
            recovery_point_arn,
            error_code: String::new(),
            message: String::new(),
            at,
        },
        5 => JournalRecord::Skipped {
            recovery_point_arn,
            reason: "cold".into(),
        },
        _ => JournalRecord::Reopened { recovery_point_arn },
    }
}

#[test]
fn a_copied_item_stays_copied() {
    let mut items = ledger(1);
    for kind in [0, 1, 3] {
        items.apply(&record(kind, 0, 1)).unwrap();
    }
    for kind in 0..7 {
        assert!(items.apply(&record(kind, 0, 2)).is_err(), "{kind}");
    }
    assert_eq!(
        (items.counts().completed, items.counts().bytes_completed),
        (1, 10)
    );
}

#[test]
fn an_attempt_that_is_over_is_never_used_again() {
    let mut items = ledger(1);
    items.apply(&record(0, 0, 1)).unwrap();
    items.apply(&record(0, 0, 1)).unwrap();
    assert!(
        items.apply(&record(0, 0, 2)).is_err(),
        "another while the first is in doubt"
    );
    items.apply(&record(2, 0, 0)).unwrap();
    assert!(items.apply(&record(0, 0, 1)).is_err());
    items.apply(&record(0, 0, 2)).unwrap();
}

#[test]
fn an_attempt_that_is_sent_again_is_as_old_as_before() {
    let second = |n| DateTime::from_timestamp(n, 0);
    let intended = |n| {
        let mut intended = record(0, 0, 1);
        if let JournalRecord::StartIntended { at, .. } = &mut intended {
            *at = second(n);
        }
        intended
    };
    // Sent again while it is in doubt, and after its job, begun at second 0, was lost.
    for (between, first) in [(None, second(5)), (Some(record(1, 0, 1)), second(0))] {
        let mut items = ledger(1);
        for record in [Some(intended(5)), between, Some(intended(9))].iter().flatten() {
            items.apply(record).unwrap();
        }
        match items.get(&arn(0)).unwrap().state {
            ItemState::Starting { since, sent, .. } => assert_eq!((since, sent), (first, second(9))),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_attempt_that_aws_did_not_take_is_made_again() {
    let not_taken = JournalRecord::NotTaken {
        recovery_point_arn: arn(0),
        reason: String::new(),
    };
    let mut items = ledger(1);
    assert_eq!(items.apply(&not_taken).unwrap_err().state, "pending");
    for _ in 0..3 {
        items.apply(&record(0, 0, 1)).unwrap();
        items.apply(&not_taken).unwrap();
        assert_eq!(items.get(&arn(0)).unwrap().attempt, 0);
    }
    for kind in [0, 1] {
        items.apply(&record(kind, 0, 1)).unwrap();
    }
    assert_eq!(items.apply(&not_taken).unwrap_err().state, "in_flight");
}

#[test]
fn each_state_takes_its_records_and_no_others() {
    // How each state is come to, and which of the records 0 to 6 may follow.
    let states: [(&str, &[u8], &[u8]); 6] = [
        ("pending", &[], &[0, 1, 4, 5]),
        ("starting", &[0], &[1, 2, 4]),
        ("in_flight", &[0, 1], &[1, 2, 3, 4]),
        ("completed", &[0, 1, 3], &[]),
        ("failed", &[0, 1, 4], &[6]),
        ("skipped", &[5], &[6]),
    ];
    let leads_to = [
        "starting",
        "in_flight",
        "pending",
        "completed",
        "failed",
        "skipped",
        "pending",
    ];
    for (name, way, takes) in states {
        for kind in 0..7 {
            let mut items = ledger(2);
            for step in way {
                items.apply(&record(*step, 1, 1)).unwrap();
            }
            assert_eq!(items.row(1).unwrap().standing().name(), name);
            let applied = items.apply(&record(kind, 1, 2));
            let wanted = if takes.contains(&kind) {
                applied.unwrap();
                leads_to[usize::from(kind)]
            } else {
                assert_eq!(applied.unwrap_err().state, name);
                name
            };
            assert_eq!(items.row(1).unwrap().standing().name(), wanted, "{name} {kind}");
            assert_eq!(items.item(0), ledger(1).item(0), "the other one stays");
        }
    }
    assert_eq!(ledger(2).item(2), None);
    assert_eq!(ledger(2).apply(&record(0, 9, 1)).unwrap_err().state, "unknown");
}

#[test]
fn few_states_are_kept_whole() {
    for (way, whole) in [
        (&[][..], 0),
        (&[0], 1),
        (&[0, 1], 1),
        (&[0, 2], 0),
        (&[5], 0),
        (&[4, 6], 0),
    ] {
        let mut items = ledger(1);
        for kind in way {
            items.apply(&record(*kind, 0, 1)).unwrap();
        }
        assert_eq!(items.whole.len(), whole, "{way:?}");
    }
    for (copy, whole) in [(Some(arn(9)), 0), (None, 1)] {
        let mut items = ledger(1);
        let mut completed = record(3, 0, 1);
        if let JournalRecord::Completed {
            destination_recovery_point_arn,
            ..
        } = &mut completed
        {
            destination_recovery_point_arn.clone_from(&copy);
        }
        for record in [record(0, 0, 1), record(1, 0, 1), completed] {
            items.apply(&record).unwrap();
        }
        assert_eq!(items.whole.len(), whole);
        assert!(matches!(
            items.item(0).unwrap().state,
            ItemState::Completed { destination_recovery_point_arn, .. } if destination_recovery_point_arn == copy
        ));
    }
}

#[test]
fn a_row_says_what_its_item_says() {
    let item = |n: u8, resource: &str| Item {
        recovery_point_arn: arn(n),
        resource_arn: ResourceArn::from_aws(resource),
        resource_type: format!("type {n}").into(),
        creation_date: DateTime::from_timestamp(i64::from(n), 0).unwrap(),
        backup_size_bytes: Some(40 + i64::from(n)),
        lifecycle: Some(Lifecycle {
            move_to_cold_storage_after_days: None,
            delete_after_days: Some(n.into()),
            opt_in_to_archive_for_supported_resources: None,
        }),
        attempt: 5 + u32::from(n),
        state: ItemState::Skipped {
            reason: format!("reason {n}").into(),
        },
    };
    let all = [item(0, "a"), item(1, "b"), item(2, "c"), item(3, "b")];
    let mut items = Items::new(all.clone());
    for snapshot in [items.snapshot(), items] {
        assert!(snapshot.iter().eq(all.iter().cloned()));
        for ((number, row), item) in (0..).zip(snapshot.rows()).zip(&all) {
            assert_eq!(row.number(), number);
            assert_eq!(row.standing(), Standing::Skipped);
            assert_eq!(row.creation_date(), item.creation_date);
            assert_eq!(row.backup_size_bytes(), item.backup_size_bytes);
            assert_eq!(row.resource_type(), item.resource_type);
            assert_eq!(row.lifecycle(), item.lifecycle);
            assert_eq!(row.skip_reason(), format!("reason {number}").into());
        }
        let resources: Vec<u32> = snapshot.rows().map(|row| row.resource_number()).collect();
        assert_eq!(resources, [0, 1, 2, 1]);
    }
    assert_eq!(&*ledger(1).row(0).unwrap().skip_reason(), "");
    let items = Items::new(all);
    for (resource, number) in [("a", Some(0)), ("b", Some(1)), ("c", Some(2)), ("d", None)] {
        assert_eq!(items.resource_number(&ResourceArn::from_aws(resource)), number);
    }
}

#[test]
fn jobs_are_counted_of_points_that_wait() {
    let mut items = ledger(2);
    items.apply(&record(0, 1, 1)).unwrap();
    for (number, attempt) in [(0, 7), (1, 1)] {
        items.count_jobs(number, 7);
        assert_eq!(items.item(number).unwrap().attempt, attempt);
    }
}

proptest! {
    #[test]
    fn counts_agree_with_the_items_whatever_happens(
        moves in proptest::collection::vec((0u8..7, 0u8..6, 1u32..5), 0..200),
    ) {
        let mut items = ledger(5);
        for (kind, n, attempt) in moves {
            let before = items.clone();
            if items.apply(&record(kind, n, attempt)).is_err() {
                prop_assert_eq!(before.counts(), items.counts());
            }
            let again = Items::new(items.iter());
            prop_assert_eq!(again.counts(), items.counts());
            let c = items.counts();
            prop_assert_eq!(c.total, c.pending + c.starting + c.in_flight + c.completed + c.failed + c.skipped);
        }
    }
}

#[test]
fn a_row_is_small_and_keeps_every_size() {
    assert_eq!(size_of::<Row>(), 56);
    for bytes in [None, Some(0), Some(-1), Some(i64::MAX)] {
        assert_eq!(Size::new(bytes).get(), bytes);
    }
}
