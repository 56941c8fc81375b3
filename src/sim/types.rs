//! Recovery points, vaults and copy jobs as the simulated AWS keeps them.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// `Lifecycle` of the AWS Backup API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Lifecycle {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delete_after_days: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) move_to_cold_storage_after_days: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) opt_in_to_archive_for_supported_resources: Option<bool>,
}

#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) arn: Arc<str>,
    pub(super) resource_arn: Arc<str>,
    pub(super) resource_type: Arc<str>,
    pub(super) status: Arc<str>,
    pub(super) created: DateTime<Utc>,
    pub(super) bytes: Option<i64>,
    pub(super) encrypted: bool,
    pub(super) key_arn: Option<Arc<str>>,
    pub(super) lifecycle: Option<Lifecycle>,
    pub(super) is_parent: bool,
    pub(super) parent_arn: Option<Arc<str>>,
    pub(super) member: Option<Arc<str>>,
    pub(super) source_vault_arn: Option<Arc<str>>,
    /// Before this moment lists do not have it.
    pub(super) listed_from: DateTime<Utc>,
    /// A deleted point keeps its place, so that page tokens stay good.
    pub(super) deleted: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Vault {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) created: DateTime<Utc>,
    pub(super) key_arn: String,
    /// Whether the key is AWS Backup's own, which other types than fully managed ones refuse.
    pub(super) default_key: bool,
    pub(super) policy: Option<String>,
    pub(super) locked: bool,
    pub(super) min_retention_days: Option<i64>,
    pub(super) max_retention_days: Option<i64>,
    pub(super) points: Vec<Point>,
    /// Their creation dates, side by side: lists by date look at each.
    pub(super) dates: Vec<DateTime<Utc>>,
    pub(super) index: HashMap<Arc<str>, usize>,
}

impl Vault {
    pub(super) fn add(&mut self, point: Point) {
        self.index.insert(Arc::clone(&point.arn), self.points.len());
        self.dates.push(point.created);
        self.points.push(point);
    }

    pub(super) fn point(&self, arn: &str) -> Option<&Point> {
        self.points.get(*self.index.get(arn)?).filter(|p| !p.deleted)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobState {
    Created,
    Running,
    /// A state that AWS may add one day.
    Completing,
    Completed,
    Failed,
    Partial,
}

impl JobState {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Running => "RUNNING",
            Self::Completing => "COMPLETING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Partial => "PARTIAL",
        }
    }
}

/// Where a job shows up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Everywhere,
    /// DescribeCopyJob has it, lists do not.
    ById,
    /// Nothing has it, and it copies all the same.
    Nowhere,
}

/// A vault's place: account, Region, name.
pub(super) type VaultKey = (String, String, String);

#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) id: Arc<str>,
    pub(super) account: Arc<str>,
    pub(super) source_vault: VaultKey,
    pub(super) source_vault_arn: Arc<str>,
    pub(super) source_point: Arc<str>,
    pub(super) destination_vault_arn: Arc<str>,
    pub(super) destination_point: Option<Arc<str>>,
    pub(super) resource_arn: Arc<str>,
    pub(super) resource_type: Arc<str>,
    pub(super) bytes: Option<i64>,
    pub(super) iam_role_arn: Arc<str>,
    /// What the copy really gets.
    pub(super) lifecycle: Option<Lifecycle>,
    pub(super) token: Option<Arc<str>>,
    pub(super) is_parent: bool,
    pub(super) created: DateTime<Utc>,
    pub(super) runs_from: Option<DateTime<Utc>>,
    /// When it gets into a state that clients do not know.
    pub(super) unknown_from: Option<DateTime<Utc>>,
    /// Who gets to see it.
    pub(super) seen: Seen,
    pub(super) ended: Option<DateTime<Utc>>,
    /// How it ends, once it does.
    pub(super) end: JobState,
    pub(super) message: Option<String>,
}

impl Job {
    /// Its state at a moment, which for lists lies in the past.
    pub(super) fn state_at(&self, at: DateTime<Utc>) -> JobState {
        if self.ended.is_some_and(|ended| ended <= at) {
            self.end
        } else if self.unknown_from.is_some_and(|from| from <= at) {
            JobState::Completing
        } else if self.runs_from.is_some_and(|from| from <= at) {
            JobState::Running
        } else {
            JobState::Created
        }
    }
}

/// A key of KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// Whether AWS manages it, for one of its services.
    pub(super) by_aws: bool,
    pub(super) enabled: bool,
    pub(super) alias: Option<Box<str>>,
}

impl Default for Key {
    fn default() -> Self {
        Self {
            by_aws: false,
            enabled: true,
            alias: None,
        }
    }
}

/// Types that AWS Backup itself holds: their points have ARNs of the service `backup`.
pub(super) fn is_fully_managed(point_arn: &str) -> bool {
    point_arn.split(':').nth(2) == Some("backup")
}
