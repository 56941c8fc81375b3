use std::collections::BTreeMap;

use super::super::call::{Answer, AnswerKind, Call};
use super::super::engine::Effect;
use super::super::retention::Retention;
use super::super::run::RunPolicy;
use super::super::scheduler::Limits;
use super::*;
use crate::domain::{
    BackupVaultArn, BackupVaultName, CopyJobId, IdempotencyToken, RecoveryPointArn, ResourceArn,
};
use crate::state::{Item, ItemState, Items};

const POINT: &str = "arn:aws:backup:us-east-1:1:recovery-point:p";
const VAULT: &str = "arn:aws:backup:us-east-1:987654321098:backup-vault:v";
const ID: ItemId = ItemId { vault: 0, index: 0 };

pub(in crate::copy) fn policy() -> RunPolicy {
    RunPolicy {
        workers: 2,
        poll_interval: Duration::from_secs(10),
        limits: Limits {
            in_flight: 2,
            found_from: None,
            per_resource: 1,
            per_type: BTreeMap::new(),
        },
        iam_role_arn: "arn:aws:iam::123456789012:role/r".parse().unwrap(),
        retention: Retention::Source,
        circuit_breaker: true,
        list_grace: Duration::from_mins(1),
        recopy: false,
    }
}

pub(in crate::copy) fn at(seconds: u64) -> Moment {
    let elapsed = Duration::from_secs(seconds);
    let date = DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + elapsed;
    Moment { elapsed, date }
}

/// A point whose start an earlier process sent, as attempt number two, a minute and more ago.
pub(in crate::copy) fn ledger() -> VaultLedger {
    let arn = RecoveryPointArn::from_aws(POINT);
    let vault = BackupVaultArn::from_aws(VAULT);
    let state = ItemState::Starting {
        idempotency_token: IdempotencyToken::for_attempt(&arn, &vault, 2),
        since: Some(at(0).date),
        sent: Some(at(0).date),
    };
    let item = Item {
        recovery_point_arn: arn,
        resource_arn: ResourceArn::from_aws("r"),
        resource_type: "EFS".into(),
        creation_date: DateTime::UNIX_EPOCH,
        backup_size_bytes: None,
        lifecycle: None,
        attempt: 2,
        state,
    };
    VaultLedger {
        source_vault: BackupVaultName::from_aws("v"),
        destination_vault_arn: vault,
        created_at: at(0).date,
        items: Items::new([item]),
    }
}

pub(in crate::copy) fn job(id: &str, state: CopyJobState, created: DateTime<Utc>) -> CopyJob {
    CopyJob {
        destination_backup_vault_arn: Some(BackupVaultArn::from_aws(VAULT)),
        creation_date: Some(created),
        ..CopyJob::for_test(id, POINT, state)
    }
}

pub(in crate::copy) fn calls(engine: &mut Engine<'_>) -> Vec<Call> {
    let effects = engine.take_effects().into_iter();
    effects
        .filter_map(|effect| match effect {
            Effect::Call(call) => Some(call),
            _ => None,
        })
        .collect()
}

/// Lists lag: the first attempt's job looks under way though it has failed.
#[test]
fn a_job_of_an_earlier_attempt_that_looked_under_way_is_not_this_attempts() {
    let mut ledgers = [ledger()];
    let mut engine = Engine::new(policy(), &mut ledgers);
    engine.restore(at(100));
    engine.act(at(100), 2, true);
    let looks = calls(&mut engine);
    assert!(
        matches!(
            &looks[..],
            [Call {
                kind: CallKind::Look(_),
                ..
            }]
        ),
        "{looks:?}"
    );

    let earlier = at(0).date - TimeDelta::seconds(90);
    let listed = vec![job("1", CopyJobState::Running, earlier)];
    let kind = AnswerKind::Found(Ok(listed));
    engine.answered(Answer { id: ID, kind }, at(101));
    let [
        Call {
            kind: CallKind::Examine(candidate),
            ..
        },
    ] = &calls(&mut engine)[..]
    else {
        panic!("the job is not looked at");
    };

    let failed = job("1", CopyJobState::Failed, earlier);
    let kind = AnswerKind::Examined(candidate.clone(), Ok(failed));
    engine.answered(Answer { id: ID, kind }, at(102));
    let [
        Call {
            kind: CallKind::Start(request),
            ..
        },
    ] = &calls(&mut engine)[..]
    else {
        panic!("the attempt is not sent again");
    };
    let arn = RecoveryPointArn::from_aws(POINT);
    let token = IdempotencyToken::for_attempt(&arn, &BackupVaultArn::from_aws(VAULT), 2);
    assert_eq!(request.idempotency_token, token);
}

/// Nobody may list: the token alone keeps the point from being copied twice.
#[test]
fn where_lists_are_denied_the_same_token_is_sent() {
    let mut ledgers = [ledger()];
    let mut engine = Engine::new(policy(), &mut ledgers);
    engine.restore(at(100));
    engine.act(at(100), 2, true);
    assert_eq!(calls(&mut engine).len(), 1);
    let denied = ApiError::for_test("ListCopyJobs", ErrorClass::AccessDenied, false);
    let kind = AnswerKind::Found(Err(denied));
    engine.answered(Answer { id: ID, kind }, at(101));
    assert!(matches!(
        &calls(&mut engine)[..],
        [Call {
            kind: CallKind::Start(_),
            ..
        }]
    ));
}

/// What AWS answered may be an old job: while it cannot be read, it alone is read again.
#[test]
fn an_answer_that_cannot_be_examined_is_examined_again() {
    let mut ledgers = [ledger()];
    let mut engine = Engine::new(policy(), &mut ledgers);
    engine.restore(at(100));
    engine.act(at(100), 2, true);
    engine.take_effects();
    let kind = AnswerKind::Found(Ok(Vec::new()));
    engine.answered(Answer { id: ID, kind }, at(101));
    engine.take_effects();
    let started = StartedCopyJob {
        copy_job_id: CopyJobId::from_aws("1"),
        creation_date: Some(at(0).date - TimeDelta::days(3)),
    };
    let kind = AnswerKind::Started(Ok(started));
    engine.answered(Answer { id: ID, kind }, at(102));
    for second in [103, 109] {
        let [
            Call {
                kind: CallKind::Examine(candidate),
                ..
            },
        ] = &calls(&mut engine)[..]
        else {
            panic!("the job is not looked at");
        };
        let fault = ApiError::for_test("DescribeCopyJob", ErrorClass::Transient, false);
        let kind = AnswerKind::Examined(candidate.clone(), Err(fault));
        engine.answered(Answer { id: ID, kind }, at(second));
        engine.act(at(second + 4), 2, true);
        assert_eq!(calls(&mut engine), [], "not before the wait is over");
        engine.act(at(second + 5), 2, true);
    }
    assert_eq!(engine.in_flight.len(), 0);
    assert_eq!(
        engine.repeated_calls, 2,
        "the look, and the start that was sent again"
    );
}

/// Calls that answers have made necessary are part of the workers' number.
#[test]
fn calls_that_wait_to_be_sent_are_not_forgotten_in_the_count() {
    let mut ledgers = [ledger(), ledger()];
    let mut engine = Engine::new(policy(), &mut ledgers);
    engine.restore(at(0));
    engine.act(at(60), 1, true);
    assert_eq!(calls(&mut engine).len(), 1);
    let kind = AnswerKind::Found(Ok(vec![job("1", CopyJobState::Running, at(0).date)]));
    engine.answered(Answer { id: ID, kind }, at(61));
    engine.act(at(61), 1, true);
    assert_eq!(
        calls(&mut engine).len(),
        1,
        "the look at the job takes the one call"
    );
}

/// Clocks differ a little: a job that seems to be some minutes old is the start's own.
#[test]
fn a_job_that_aws_has_just_made_is_taken_as_it_is() {
    for (seconds, is_old) in [(0, false), (300, false), (301, true)] {
        let mut ledgers = [ledger()];
        let mut engine = Engine::new(policy(), &mut ledgers);
        engine.restore(at(100));
        let started = StartedCopyJob {
            copy_job_id: CopyJobId::from_aws("1"),
            creation_date: Some(at(0).date - TimeDelta::seconds(seconds)),
        };
        let kind = AnswerKind::Started(Ok(started));
        engine.answered(Answer { id: ID, kind }, at(101));
        assert_eq!(calls(&mut engine).len(), usize::from(is_old), "{seconds}");
        assert_eq!(engine.in_flight.len(), usize::from(!is_old), "{seconds}");
    }
}
