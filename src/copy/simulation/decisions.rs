//! Single decisions of the engine, which a whole life would hide.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::aws::error;
use super::life::vault_arn;
use super::scenario::Scenario;
use crate::aws::{ErrorClass, StartCopyJob, StartedCopyJob};
use crate::copy::call::{Answer, AnswerKind, Call, CallKind};
use crate::copy::engine::{Effect, Engine, Moment};
use crate::copy::poller::Seen;
use crate::copy::run::{RunPolicy, VaultLedger};
use crate::copy::scheduler::{ItemId, Limits, Scheduler};
use crate::domain::{
    BackupVaultName, CopyJob, CopyJobId, CopyJobState, IdempotencyToken, RecoveryPointArn, ResourceArn,
};
use crate::state::{Item, ItemState, Items};

fn epoch() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

fn at(milliseconds: u64) -> Moment {
    let elapsed = Duration::from_millis(milliseconds);
    Moment {
        elapsed,
        date: epoch() + elapsed,
    }
}

fn policy() -> RunPolicy {
    RunPolicy {
        workers: 10,
        poll_interval: Duration::from_secs(30),
        limits: Limits {
            in_flight: 10,
            found_from: None,
            per_resource: 1,
            per_type: BTreeMap::new(),
        },
        list_grace: Duration::from_mins(2),
        recopy: false,
        ..Scenario::of(1).policy
    }
}

fn ledgers(points: u32) -> Vec<VaultLedger> {
    let item = |n: u32| Item {
        recovery_point_arn: RecoveryPointArn::from_aws(&format!("p{n}")),
        resource_arn: ResourceArn::from_aws(&format!("r{n}")),
        resource_type: "EFS".into(),
        creation_date: epoch() - TimeDelta::days(i64::from(n)),
        backup_size_bytes: None,
        lifecycle: None,
        attempt: 0,
        state: ItemState::Pending,
    };
    vec![VaultLedger {
        source_vault: BackupVaultName::from_aws("v"),
        destination_vault_arn: vault_arn(0),
        created_at: epoch(),
        items: Items::new((0..points).map(item)),
    }]
}

fn calls(engine: &mut Engine<'_>) -> Vec<Call> {
    let effects = engine.take_effects().into_iter();
    effects
        .filter_map(|effect| match effect {
            Effect::Call(call) => Some(call),
            _ => None,
        })
        .collect()
}

/// The one start that is sent now.
fn start(engine: &mut Engine<'_>, now: Moment) -> (ItemId, StartCopyJob) {
    engine.act(now, 10, true);
    match calls(engine).pop() {
        Some(Call {
            id,
            kind: CallKind::Start(request),
        }) => (id, request),
        other => panic!("{other:?} instead of a start"),
    }
}

fn token(engine: &mut Engine<'_>, now: Moment) -> IdempotencyToken {
    start(engine, now).1.idempotency_token
}

fn answer(engine: &mut Engine<'_>, id: ItemId, kind: AnswerKind, now: Moment) {
    engine.answered(Answer { id, kind }, now);
}

fn accept(engine: &mut Engine<'_>, id: ItemId, created: DateTime<Utc>, now: Moment) {
    let started = StartedCopyJob {
        copy_job_id: CopyJobId::from_aws("job"),
        creation_date: Some(created),
    };
    answer(engine, id, AnswerKind::Started(Ok(started)), now);
}

fn job(state: CopyJobState, created: DateTime<Utc>) -> CopyJob {
    CopyJob {
        destination_backup_vault_arn: Some(vault_arn(0)),
        creation_date: Some(created),
        ..CopyJob::for_test("job", "p0", state)
    }
}

fn unknown() -> Seen {
    Seen {
        unknown: vec![CopyJobId::from_aws("job")],
        ..Seen::default()
    }
}

#[test]
fn nothing_wakes_the_loop_before_the_pace_allows_a_start() {
    let mut ledgers = ledgers(1);
    let mut engine = Engine::new(policy(), &mut ledgers);
    engine.restore(at(0));
    let (id, _) = start(&mut engine, at(0));
    answer(
        &mut engine,
        id,
        AnswerKind::Started(Err(error(ErrorClass::Throttling, false))),
        at(50),
    );
    engine.act(at(50), 10, true);
    assert!(calls(&mut engine).is_empty());
    let wake = engine.next_call(at(50)).unwrap();
    assert!(wake > at(50).elapsed, "{wake:?}: it would turn without a pause");
}

/// Another machine that copies the same point, or a run after a lost state, sends the first
/// attempt's token: so must this one, as long as AWS has not made a job of it.
#[test]
fn a_start_that_aws_surely_did_not_take_is_sent_again_with_the_same_token() {
    for class in [ErrorClass::Throttling, ErrorClass::Quota, ErrorClass::Transient] {
        let mut ledgers = ledgers(1);
        let mut engine = Engine::new(policy(), &mut ledgers);
        engine.restore(at(0));
        let (id, request) = start(&mut engine, at(0));
        answer(
            &mut engine,
            id,
            AnswerKind::Started(Err(error(class, false))),
            at(50),
        );
        let again = token(&mut engine, at(100_000));
        assert_eq!(again, request.idempotency_token, "{class:?}");
    }
}

#[test]
fn a_job_that_failed_uses_its_token_up() {
    let mut ledgers = ledgers(1);
    let mut engine = Engine::new(policy(), &mut ledgers);
    engine.restore(at(0));
    let (id, request) = start(&mut engine, at(0));
    // A job of a day ago: an earlier life used the token.
    accept(&mut engine, id, epoch() - TimeDelta::days(1), at(50));
    let Some(Call {
        kind: CallKind::Examine(candidate),
        ..
    }) = calls(&mut engine).pop()
    else {
        panic!("not examined");
    };
    let failed = job(CopyJobState::Failed, epoch() - TimeDelta::days(1));
    answer(
        &mut engine,
        id,
        AnswerKind::Examined(candidate, Ok(failed)),
        at(100),
    );
    let again = token(&mut engine, at(100_000));
    assert_ne!(again, request.idempotency_token);
}

#[test]
fn an_earlier_job_that_is_over_is_not_waited_for_and_is_no_new_copy() {
    for recopy in [false, true] {
        let mut ledgers = ledgers(1);
        let mut engine = Engine::new(RunPolicy { recopy, ..policy() }, &mut ledgers);
        engine.restore(at(0));
        let (id, request) = start(&mut engine, at(0));
        let created = epoch() - TimeDelta::days(1);
        accept(&mut engine, id, created, at(50));
        let Some(Call {
            kind: CallKind::Examine(candidate),
            ..
        }) = calls(&mut engine).pop()
        else {
            panic!("not examined");
        };
        let completed = job(CopyJobState::Completed, created);
        answer(
            &mut engine,
            id,
            AnswerKind::Examined(candidate, Ok(completed)),
            at(100),
        );
        if recopy {
            assert_eq!(engine.stats().completed, 0, "nothing was copied again");
            let again = token(&mut engine, at(100_000));
            assert_ne!(again, request.idempotency_token);
        } else {
            assert_eq!(engine.stats().completed, 1);
        }
    }
}

/// By id, AWS may not know a job yet that it made a moment ago.
#[test]
fn a_new_job_that_aws_does_not_know_yet_is_waited_for() {
    let mut ledgers = ledgers(1);
    let mut engine = Engine::new(policy(), &mut ledgers);
    engine.restore(at(0));
    let (id, _) = start(&mut engine, at(0));
    accept(&mut engine, id, epoch(), at(50));
    for seconds in [1, 60, 119] {
        engine.poll_ended(unknown(), at(seconds * 1000));
        engine.act(at(seconds * 1000), 10, true);
        assert!(calls(&mut engine).is_empty(), "after {seconds} s");
    }
    assert_eq!(engine.stats().in_progress, 1);
    engine.poll_ended(unknown(), at(130_000));
    engine.act(at(130_000), 10, true);
    assert!(matches!(
        calls(&mut engine).pop().map(|call| call.kind),
        Some(CallKind::Look(_))
    ));
}

#[test]
fn a_job_that_is_listed_and_may_not_be_described_is_adopted() {
    let mut ledgers = ledgers(1);
    let mut engine = Engine::new(policy(), &mut ledgers);
    engine.restore(at(0));
    let (id, _) = start(&mut engine, at(0));
    let lost = error(ErrorClass::Transient, true);
    answer(&mut engine, id, AnswerKind::Started(Err(lost)), at(50));
    engine.act(at(121_000), 10, true);
    assert!(matches!(
        calls(&mut engine).pop().map(|call| call.kind),
        Some(CallKind::Look(_))
    ));
    let running = job(CopyJobState::Running, epoch());
    answer(&mut engine, id, AnswerKind::Found(Ok(vec![running])), at(122_000));
    let Some(Call {
        kind: CallKind::Examine(candidate),
        ..
    }) = calls(&mut engine).pop()
    else {
        panic!("not examined");
    };
    let denied = error(ErrorClass::AccessDenied, false);
    answer(
        &mut engine,
        id,
        AnswerKind::Examined(candidate, Err(denied)),
        at(123_000),
    );
    assert_eq!(engine.in_flight.len(), 1);
    assert!(engine.next_call(at(123_000)).is_none());
}

#[test]
fn each_job_that_ends_under_a_full_quota_makes_room_for_one_start() {
    let mut scheduler = Scheduler::new(Limits {
        in_flight: 100,
        found_from: None,
        per_resource: 1,
        per_type: BTreeMap::new(),
    });
    let id = |index| ItemId { vault: 0, index };
    for index in 0..60 {
        scheduler.add_pending(id(index), &format!("r{index}"), "EFS");
    }
    for _ in 0..10 {
        assert!(scheduler.take_start(Duration::ZERO).is_some());
    }
    scheduler.quota_reached(id(9), Duration::from_mins(1));
    let now = Duration::from_secs(10);
    assert_eq!(scheduler.take_start(now), None);
    scheduler.finished(id(0));
    scheduler.finished(id(1));
    let started = std::iter::from_fn(|| scheduler.take_start(now)).count();
    assert_eq!(started, 2, "as many as ended");
    assert!(scheduler.take_start(Duration::from_mins(1)).is_some());
}
