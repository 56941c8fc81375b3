//! How many AWS calls were made, repeated and throttled.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Running counts, shared by all clients.
#[derive(Debug, Default)]
pub struct CallCounters {
    by_operation: Mutex<BTreeMap<&'static str, u64>>,
    retries: AtomicU64,
    throttles: AtomicU64,
    renewals: AtomicU64,
}

/// Counts at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallTotals {
    /// Requests sent, by operation, repeated ones included.
    pub by_operation: BTreeMap<&'static str, u64>,
    /// Requests that repeated one that met a passing fault.
    pub retries: u64,
    /// Answers by which AWS asked for fewer calls.
    pub throttles: u64,
    /// Renewals of credentials.
    pub credential_renewals: u64,
}

impl CallCounters {
    pub(super) fn call(&self, operation: &'static str) {
        let mut map = self.by_operation.lock().unwrap_or_else(PoisonError::into_inner);
        *map.entry(operation).or_default() += 1;
    }

    pub(super) fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn throttle(&self) {
        self.throttles.fetch_add(1, Ordering::Relaxed);
    }

    /// Answers so far by which AWS asked for fewer calls.
    pub(super) fn throttles(&self) -> u64 {
        self.throttles.load(Ordering::Relaxed)
    }

    pub(super) fn renewal(&self) {
        self.renewals.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts so far.
    pub fn totals(&self) -> CallTotals {
        CallTotals {
            by_operation: self
                .by_operation
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            retries: self.retries.load(Ordering::Relaxed),
            throttles: self.throttles(),
            credential_renewals: self.renewals.load(Ordering::Relaxed),
        }
    }
}
