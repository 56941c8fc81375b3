//! Who manages the keys that the source's points are encrypted with. A point of a type that AWS Backup does not
//! hold itself cannot be copied to another account if AWS manages its key (AWS Backup Developer Guide,
//! "Encryption"); KMS is asked once for each key, and what it does not say is not guessed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::eligibility::SkipReason;
use crate::aws::{ApiError, BackupClient, KmsKey};
use crate::state::{IllegalTransition, Items, JournalRecord};

/// Questions at a time. A vault has few keys.
const AT_ONCE: usize = 8;

/// Points, by the key that decides about them: four bytes for each.
#[derive(Debug, Default)]
pub struct PointsByKey(HashMap<Box<str>, Vec<u32>>);

impl PointsByKey {
    /// A point, by its number.
    pub fn add(&mut self, key: &str, number: u32) {
        match self.0.get_mut(key) {
            Some(points) => points.push(number),
            None => {
                self.0.insert(key.into(), vec![number]);
            }
        }
    }
}

/// The keys of the source account, as far as KMS has been asked for them.
#[derive(Debug)]
pub struct SourceKeys {
    client: BackupClient,
    answers: Mutex<Answers>,
}

#[derive(Debug, Default)]
struct Answers {
    keys: BTreeMap<Box<str>, Result<KmsKey, ApiError>>,
    /// Set once KMS could not be reached: it is not tried again.
    unreachable: Option<ApiError>,
    warned: bool,
}

impl SourceKeys {
    /// Keys of the account that `client` is of; none is known yet.
    pub fn new(client: BackupClient) -> Self {
        Self {
            client,
            answers: Mutex::default(),
        }
    }

    /// The points under keys that AWS manages, by number, in order. Asks for the keys that are not known yet; that
    /// KMS does not say who manages a key is warned of once.
    pub async fn managed(&self, points: &PointsByKey) -> Vec<u32> {
        let mut answers = self.answers.lock().await;
        let keys: BTreeSet<Box<str>> = points.0.keys().cloned().collect();
        answers.ask(&self.client, &keys).await;
        answers.warn(&self.client, points);
        let mut by_aws = Vec::new();
        for (key, numbers) in &points.0 {
            if let Some(Ok(found)) = answers.keys.get(key)
                && found.by_aws
            {
                by_aws.extend(numbers);
            }
        }
        by_aws.sort_unstable();
        by_aws
    }

    /// Marks the points of a new ledger that are under keys which AWS manages; `points` has their numbers in it.
    ///
    /// # Errors
    /// If one of them does not wait: a fault of the caller.
    pub async fn skip_managed(
        &self,
        items: &mut Items,
        points: &PointsByKey,
    ) -> Result<(), IllegalTransition> {
        for number in self.managed(points).await {
            if let Some(row) = items.row(number) {
                let record = JournalRecord::Skipped {
                    recovery_point_arn: row.recovery_point_arn(),
                    reason: SkipReason::AwsManagedKey.as_str().into(),
                };
                items.apply(&record)?;
            }
        }
        Ok(())
    }

    /// The keys of the customer's that cannot be used now: copies of their points fail.
    pub async fn unusable(&self) -> Vec<String> {
        let answers = self.answers.lock().await;
        let keys = answers.keys.values().filter_map(|answer| answer.as_ref().ok());
        keys.filter(|key| !key.by_aws && !key.enabled)
            .map(|key| key.arn.clone())
            .collect()
    }

    /// The keys that KMS did not say the manager of, and why, for the first of them.
    pub async fn unknown(&self) -> Option<(usize, ApiError)> {
        let answers = self.answers.lock().await;
        let mut unknown = answers.keys.values().filter_map(|answer| answer.as_ref().err());
        let first = unknown.next()?.clone();
        Some((1 + unknown.count(), first))
    }
}

impl Answers {
    async fn ask(&mut self, client: &BackupClient, keys: &BTreeSet<Box<str>>) {
        let mut calls = JoinSet::new();
        let mut open: Vec<Box<str>> = keys
            .iter()
            .filter(|key| !self.keys.contains_key(*key))
            .cloned()
            .collect();
        loop {
            while calls.len() < AT_ONCE
                && let Some(key) = open.pop()
            {
                if let Some(error) = &self.unreachable {
                    self.keys.insert(key, Err(error.clone()));
                    continue;
                }
                let client = client.clone();
                calls.spawn(async move {
                    let answer = client.describe_key(&key).await;
                    (key, answer)
                });
            }
            let Some(done) = calls.join_next().await else {
                break;
            };
            // A task that was ended has no answer: its key stays unknown.
            let Ok((key, answer)) = done else { continue };
            if let Err(error) = &answer
                && error.http_status.is_none()
            {
                self.unreachable = Some(error.clone());
            }
            self.keys.insert(key, answer);
        }
    }

    fn warn(&mut self, client: &BackupClient, points: &PointsByKey) {
        let unknown = points
            .0
            .iter()
            .filter_map(|(key, points)| match self.keys.get(key) {
                Some(Err(error)) => Some((key, points.len(), error)),
                _ => None,
            });
        let Some((key, _, error)) = unknown.clone().min_by_key(|(key, ..)| *key) else {
            return;
        };
        if std::mem::replace(&mut self.warned, true) {
            return;
        }
        tracing::warn!(
            "who manages the keys of {} recovery points is not known: {error} (key {key}; {} keys in all). They are \
             tried, though those under an AWS managed key cannot be copied to another account; allow kms:DescribeKey \
             to {} to have these passed over",
            unknown.clone().map(|(_, points, _)| points).sum::<usize>(),
            unknown.count(),
            client.identity()
        );
    }
}
