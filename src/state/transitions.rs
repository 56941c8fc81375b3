//! Which record may follow where an item stands, and where it stands then. Pure.

use super::format::{ItemState, JournalRecord};

/// The state and attempt that follow; `None` if the record is illegal here.
pub(super) fn transition(
    state: &ItemState,
    attempt: u32,
    record: &JournalRecord,
) -> Option<(ItemState, u32)> {
    use ItemState as S;
    use JournalRecord as R;
    let same = attempt;
    match (state, record) {
        (
            S::Pending,
            R::StartIntended {
                attempt,
                idempotency_token,
                at,
                ..
            },
        ) if *attempt > same => Some((
            S::Starting {
                idempotency_token: idempotency_token.clone(),
                since: *at,
                sent: *at,
            },
            *attempt,
        )),
        // The same attempt is sent again: it is as old as before, and its job may be new.
        (
            state @ (S::Starting { .. } | S::InFlight { .. }),
            R::StartIntended {
                attempt,
                idempotency_token,
                at,
                ..
            },
        ) if *attempt == same => Some((
            S::Starting {
                idempotency_token: idempotency_token.clone(),
                since: match state {
                    S::Starting { since, .. } => *since,
                    S::InFlight { since, .. } => Some(*since),
                    _ => None,
                },
                sent: *at,
            },
            same,
        )),
        // From Pending when a job of before this state was found; from InFlight when AWS lost one.
        (S::Pending | S::Starting { .. } | S::InFlight { .. }, R::Started { copy_job_id, at, .. }) => Some((
            S::InFlight {
                copy_job_id: copy_job_id.clone(),
                since: *at,
            },
            same.max(1),
        )),
        // The attempt, with its token, is still to be made. Whoever else copies this point with another
        // state sends the same token, as long as both count jobs only.
        (S::Starting { .. }, R::NotTaken { .. }) => Some((S::Pending, same.saturating_sub(1))),
        (S::Starting { .. } | S::InFlight { .. }, R::Requeued { .. })
        | (S::Failed { .. } | S::Skipped { .. }, R::Reopened { .. }) => Some((S::Pending, same)),
        (
            S::InFlight { .. },
            R::Completed {
                copy_job_id,
                destination_recovery_point_arn,
                at,
                ..
            },
        ) => {
            let state = S::Completed {
                copy_job_id: copy_job_id.clone(),
                destination_recovery_point_arn: destination_recovery_point_arn.clone(),
                at: *at,
            };
            Some((state, same))
        }
        (
            S::Pending | S::Starting { .. } | S::InFlight { .. },
            R::Failed {
                error_code,
                message,
                at,
                ..
            },
        ) => {
            let state = S::Failed {
                error_code: error_code.clone(),
                message: message.clone(),
                at: *at,
            };
            Some((state, same))
        }
        (S::Pending, R::Skipped { reason, .. }) => Some((
            S::Skipped {
                reason: reason.clone(),
            },
            same,
        )),
        _ => None,
    }
}
