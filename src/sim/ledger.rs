//! What was called and what was copied: the record from which tests prove that nothing was doubled.

use std::collections::{BTreeMap, HashMap, VecDeque};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

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
}

/// All calls.
#[derive(Debug, Default)]
pub(super) struct CallLog {
    counts: BTreeMap<&'static str, u64>,
    errors: BTreeMap<String, u64>,
    latest: VecDeque<Call>,
}

impl CallLog {
    pub(super) fn add(
        &mut self,
        at: DateTime<Utc>,
        operation: &'static str,
        account: &str,
        status: u16,
        error: Option<&str>,
    ) {
        *self.counts.entry(operation).or_default() += 1;
        if let Some(error) = error {
            *self.errors.entry(error.to_owned()).or_default() += 1;
        }
        if self.latest.len() == KEPT {
            self.latest.pop_front();
        }
        let error = error.map(str::to_owned);
        self.latest.push_back(Call {
            at,
            operation,
            account: account.to_owned(),
            status,
            error,
        });
    }
}

fn date(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl World {
    /// The ledger as JSON; its members are described in `docs/simulator.md`.
    pub(super) fn ledger(&self) -> Value {
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
                })
            })
            .collect();
        json!({
            "calls": self.calls.counts,
            "errors": self.calls.errors,
            "copied_points": good.len(),
            "duplicates": good.values().filter(|n| **n > 1).count(),
            "copies": copies,
            "call_log": log,
        })
    }
}
