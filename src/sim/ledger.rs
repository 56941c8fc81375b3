//! What was called and what was copied: the record from which tests prove that nothing was doubled.

use std::collections::{BTreeMap, HashMap, VecDeque};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::faults::FaultKind;
use super::types::JobState;
use super::world::World;

/// Calls that are kept one by one; all are counted.
const KEPT: usize = 10_000;

#[derive(Debug)]
struct Call {
    at: DateTime<Utc>,
    operation: &'static str,
    account: String,
    status: u16,
    error: Option<String>,
    fault: Option<String>,
}

/// One call, as the record gets it.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallRecord<'a> {
    pub(super) at: DateTime<Utc>,
    pub(super) operation: &'static str,
    pub(super) account: &'a str,
    /// HTTP status; 0 if nothing was done and nothing answered.
    pub(super) status: u16,
    /// AWS's error code.
    pub(super) error: Option<&'a str>,
    /// The fault that it met.
    pub(super) fault: Option<&'a FaultKind>,
}

/// All calls.
#[derive(Debug, Default)]
pub(super) struct CallLog {
    counts: BTreeMap<&'static str, u64>,
    errors: BTreeMap<String, u64>,
    latest: VecDeque<Call>,
}

impl CallLog {
    pub(super) fn add(&mut self, call: &CallRecord<'_>) {
        *self.counts.entry(call.operation).or_default() += 1;
        if let Some(error) = call.error {
            *self.errors.entry(error.to_owned()).or_default() += 1;
        }
        if self.latest.len() == KEPT {
            self.latest.pop_front();
        }
        self.latest.push_back(Call {
            at: call.at,
            operation: call.operation,
            account: call.account.to_owned(),
            status: call.status,
            error: call.error.map(str::to_owned),
            fault: call.fault.map(ToString::to_string),
        });
    }
}

fn date(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl World {
    /// What was called and copied, in numbers.
    pub(super) fn counts(&self) -> Value {
        let now = self.clock.now();
        let mut good: HashMap<(&str, &str), u32> = HashMap::new();
        for job in &self.jobs {
            let copied = matches!(job.state_at(now), JobState::Completed);
            if copied {
                *good
                    .entry((&job.source_point, &job.destination_vault_arn))
                    .or_default() += 1;
            }
        }
        json!({
            "calls": self.calls.counts,
            "errors": self.calls.errors,
            "faults": self.faults.counts(),
            "copied_points": good.len(),
            "duplicates": good.values().filter(|n| **n > 1).count(),
        })
    }

    /// The ledger as JSON; its members are described in `docs/simulator.md`.
    pub(super) fn ledger(&self) -> Value {
        let now = self.clock.now();
        let copies: Vec<Value> = self
            .jobs
            .iter()
            .map(|job| {
                json!({
                    "copy_job_id": &*job.id,
                    "source_recovery_point_arn": &*job.source_point,
                    "resource_arn": &*job.resource_arn,
                    "destination_backup_vault_arn": &*job.destination_vault_arn,
                    "destination_recovery_point_arn": job.destination_point.as_deref(),
                    "idempotency_token": job.token.as_deref(),
                    "state": job.state_at(now).name(),
                    "created": date(job.created),
                    "completed": job.ended.map(date),
                })
            })
            .collect();
        let log: Vec<Value> = self
            .calls
            .latest
            .iter()
            .map(|call| {
                json!({
                    "at": date(call.at),
                    "operation": call.operation,
                    "account": call.account,
                    "status": call.status,
                    "error_code": call.error,
                    "fault": call.fault,
                })
            })
            .collect();
        let mut ledger = self.counts();
        if let Some(members) = ledger.as_object_mut() {
            members.insert("copies".to_owned(), copies.into());
            members.insert("call_log".to_owned(), log.into());
        }
        ledger
    }
}
