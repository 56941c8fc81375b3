//! Everything that the simulated AWS knows, and how it changes with time.

use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::clock::{Clock, seconds};
use super::faults::{CallRate, FaultKind, FaultPlan};
use super::jobs::{End, Slots};
use super::ledger::CallLog;
use super::options::{Lack, Options};
use super::types::{Job, Key, Vault, VaultKey};
use crate::domain::AccountId;

/// The static access key of an account.
pub fn access_key(account: &AccountId) -> String {
    format!("AKIA{account}SIMS")
}

/// Credentials that were given out.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) account: String,
    pub(super) role: String,
    pub(super) name: String,
    pub(super) token: String,
    pub(super) expires_at: Option<f64>,
}

/// Who calls.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) account: String,
    pub(super) arn: String,
    pub(super) user_id: String,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) options: Options,
    pub(super) clock: Clock,
    pub(super) rng: StdRng,
    pub(super) vaults: BTreeMap<VaultKey, Vault>,
    /// Keys of KMS, by ARN.
    pub(super) keys: BTreeMap<Box<str>, Key>,
    pub(super) sessions: HashMap<String, Session>,
    /// Access tokens of the SSO portal, and the real second in which they expire.
    pub(super) sso_tokens: HashMap<String, f64>,
    pub(super) jobs: Vec<Job>,
    pub(super) job_index: HashMap<Arc<str>, usize>,
    pub(super) jobs_of_point: HashMap<Arc<str>, Vec<usize>>,
    pub(super) tokens: HashMap<(String, Arc<str>), usize>,
    /// Jobs in the order in which they ended.
    pub(super) ended: Vec<usize>,
    pub(super) ends: BinaryHeap<End>,
    pub(super) slots: Slots,
    pub(super) unfinished: HashMap<Arc<str>, usize>,
    pub(super) rate: CallRate,
    pub(super) faults: FaultPlan,
    pub(super) calls: CallLog,
}

impl World {
    pub(super) fn new(options: Options) -> Self {
        let clock = Clock::new(options.time_scale, options.clock_skew_seconds);
        Self {
            rng: StdRng::seed_from_u64(options.random_seed),
            clock,
            vaults: BTreeMap::new(),
            keys: BTreeMap::new(),
            sessions: HashMap::new(),
            sso_tokens: HashMap::new(),
            jobs: Vec::new(),
            job_index: HashMap::new(),
            jobs_of_point: HashMap::new(),
            tokens: HashMap::new(),
            ended: Vec::new(),
            ends: BinaryHeap::new(),
            slots: Slots::default(),
            unfinished: HashMap::new(),
            rate: CallRate::new(options.calls_per_second, options.burst),
            faults: FaultPlan::new(&options),
            calls: CallLog::default(),
            options,
        }
    }

    /// The moment whose truth lists show.
    pub(super) fn listed_until(&self) -> DateTime<Utc> {
        self.clock.now() - seconds(self.options.list_lag_seconds)
    }

    /// Whether the accounts lack something.
    pub(super) fn lacks(&self, what: Lack) -> bool {
        self.options.without.contains(&what)
    }

    pub(super) fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && self.rng.random::<f64>() < share
    }

    /// The fault of a call that comes now, if it has one.
    pub(super) fn pick_fault(&mut self, operation: &str, has_token: bool) -> Option<FaultKind> {
        let at = self.clock.real_seconds();
        self.faults.pick(&mut self.rng, operation, has_token, at)
    }

    pub(super) fn within(&mut self, min: f64, max: f64) -> f64 {
        if max > min {
            self.rng.random_range(min..max)
        } else {
            min
        }
    }

    /// A UUID in the form that AWS Backup writes.
    pub(super) fn uuid(&mut self) -> String {
        let n: u128 = self.rng.random();
        let hex = format!("{n:032X}");
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!(
            "{}-{}-{}-{}-{}",
            part(0, 8),
            part(8, 12),
            part(12, 16),
            part(16, 20),
            part(20, 32)
        )
    }

    /// Who an access key belongs to, or the error code that AWS answers.
    pub(super) fn caller(&self, key: &str, token: Option<&str>) -> Result<Caller, &'static str> {
        let lifetime = self.options.credential_lifetime_seconds;
        if let Some(session) = self.sessions.get(key) {
            if token != Some(session.token.as_str()) {
                return Err("UnrecognizedClientException");
            }
            if session
                .expires_at
                .is_some_and(|at| self.clock.real_seconds() >= at)
            {
                return Err("ExpiredTokenException");
            }
            let Session {
                account, role, name, ..
            } = session;
            return Ok(Caller {
                account: account.clone(),
                arn: format!("arn:aws:sts::{account}:assumed-role/{role}/{name}"),
                user_id: format!("AROASIMULATED:{name}"),
            });
        }
        for account in [&self.options.source_account, &self.options.dest_account] {
            if key == access_key(account) {
                if lifetime > 0.0 && token.is_some() && self.clock.real_seconds() >= lifetime {
                    return Err("ExpiredTokenException");
                }
                return Ok(Caller {
                    account: account.to_string(),
                    arn: format!("arn:aws:iam::{account}:user/operator"),
                    user_id: "AIDASIMULATED".to_owned(),
                });
            }
        }
        Err("UnrecognizedClientException")
    }

    pub(super) fn vault_arn(region: &str, account: &str, name: &str) -> String {
        format!(
            "arn:{}:backup:{region}:{account}:backup-vault:{name}",
            partition(region)
        )
    }

    /// A vault by its ARN.
    pub(super) fn vault_key(arn: &str) -> Option<VaultKey> {
        let mut parts = arn.split(':');
        let (region, account) = (parts.nth(3)?.to_owned(), parts.next()?.to_owned());
        if parts.next()? != "backup-vault" {
            return None;
        }
        Some((account, region, parts.collect::<Vec<_>>().join(":")))
    }

    /// Makes a vault; under AWS Backup's own key if none is given.
    pub(super) fn make_vault(
        &mut self,
        account: &str,
        region: &str,
        name: &str,
        key: Option<&str>,
    ) -> &mut Vault {
        let now = self.clock.now();
        let key_arn = match key {
            Some(arn) => arn.to_owned(),
            None => self.make_service_key(region, account, "aws-backup-default", "alias/aws/backup"),
        };
        self.know_key(&key_arn);
        let vault = Vault {
            name: name.to_owned(),
            arn: Self::vault_arn(region, account, name),
            created: now,
            default_key: self.is_managed_key(&key_arn),
            key_arn,
            policy: None,
            locked: false,
            min_retention_days: None,
            max_retention_days: None,
            points: Vec::new(),
            dates: Vec::new(),
            index: HashMap::new(),
        };
        self.vaults
            .entry((account.to_owned(), region.to_owned(), name.to_owned()))
            .or_insert(vault)
    }
}

pub(super) fn partition(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
