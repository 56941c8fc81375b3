use super::super::doubt::tests::{at, calls, job, ledger, policy};
use super::super::run::{RunPolicy, VaultLedger};
use super::*;
use crate::domain::RecoveryPointArn;
use crate::state::{Item, Items};

/// Seven points that wait.
fn waiting() -> VaultLedger {
    let mut ledger = ledger();
    let pattern = ledger.items.item(0).unwrap().clone();
    ledger.items = Items::new((0..7).map(|n| Item {
        recovery_point_arn: RecoveryPointArn::from_aws(&format!("p{n}")),
        attempt: 0,
        state: ItemState::Pending,
        ..pattern.clone()
    }));
    ledger
}

/// How many starts are refused for want of a permission until the run stops.
fn refusals_until_stop(circuit_breaker: bool) -> Option<usize> {
    let mut ledgers = [waiting()];
    let policy = RunPolicy {
        circuit_breaker,
        ..policy()
    };
    let mut engine = Engine::new(policy, &mut ledgers);
    engine.restore(at(0));
    for refused in 1..=7 {
        let now = at(10 * refused);
        engine.act(now, 1, true);
        let sent = calls(&mut engine);
        let mut error = ApiError::for_test("StartCopyJob", ErrorClass::AccessDenied, false);
        error.code = "AccessDeniedException".to_owned();
        let kind = AnswerKind::Started(Err(error));
        engine.answered(Answer { id: sent[0].id, kind }, now);
        if let Some(reason) = engine.stop() {
            assert_eq!(reason, StopReason::Systemic);
            let systemic = Some((FailureCause::AccessDenied, "made by a test".to_owned()));
            assert_eq!(engine.systemic, systemic);
            return usize::try_from(refused).ok();
        }
        assert_eq!(engine.systemic, None);
    }
    None
}

#[test]
fn a_cause_outside_of_the_points_stops_the_run_unless_that_is_not_wanted() {
    assert_eq!(refusals_until_stop(true), Some(5));
    assert_eq!(refusals_until_stop(false), None);
}

#[test]
fn a_point_that_fails_inside_aws_is_tried_four_times() {
    let mut ledgers = [waiting()];
    let mut engine = Engine::new(policy(), &mut ledgers);
    engine.restore(at(0));
    let mut first = None;
    for time in 1..=4 {
        let now = at(100 * time);
        engine.act(now, 1, true);
        let id = calls(&mut engine)[0].id;
        assert_eq!(*first.get_or_insert(id), id, "it goes before those that wait");
        let copy_job_id = CopyJobId::from_aws(&format!("job-{time}"));
        let started = StartedCopyJob {
            copy_job_id: copy_job_id.clone(),
            creation_date: Some(now.date),
        };
        let kind = AnswerKind::Started(Ok(started));
        engine.answered(Answer { id, kind }, now);
        let mut failed = job("", CopyJobState::Failed, now.date);
        failed.copy_job_id = copy_job_id;
        failed.status_message = Some("An internal error occurred.".to_owned());
        engine.job_ended(failed, now);
        let has_failed = engine.stats().failed == 1;
        assert_eq!(has_failed, time == 4, "{time}");
    }
}
