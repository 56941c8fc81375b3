//! Which recovery points AWS Backup can copy to another account at all.
//!
//! Rests on the AWS Backup Developer Guide ("Feature availability", "Backup and tag copy",
//! "Encryption"). What cannot be known without asking AWS is left to AWS.

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::{RecoveryPoint, RecoveryPointStatus};

/// Why a point is not copied. The codes are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SkipReason {
    /// Not, or no longer, a finished backup.
    NotCompleted,
    /// In cold storage.
    Cold,
    /// A continuous (point-in-time recovery) backup.
    Continuous,
    /// A member of a composite, which is copied with its parent.
    ChildOfComposite,
    /// A type that AWS does not copy across accounts.
    UnsupportedType,
    /// Encrypted with an AWS managed key, which no other account can use.
    AwsManagedKey,
    /// Deleted soon anyway.
    Expiring,
    /// Its APMID is not wanted.
    Filtered,
    /// Its APMID is not known.
    NoMetadata,
    /// In the destination already.
    AlreadyCopied,
    /// Not among those of the plan that is carried out.
    NotInPlan,
}

impl SkipReason {
    /// The code, as in state, summary and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotCompleted => "not_completed",
            Self::Cold => "cold",
            Self::Continuous => "continuous",
            Self::ChildOfComposite => "child_of_composite",
            Self::UnsupportedType => "unsupported_type",
            Self::AwsManagedKey => "aws_managed_key",
            Self::Expiring => "expiring",
            Self::Filtered => "filtered",
            Self::NoMetadata => "no_metadata",
            Self::AlreadyCopied => "already_copied",
            Self::NotInPlan => "not_in_plan",
        }
    }
}

/// What the operator wants of points that AWS may or may not take.
#[derive(Debug, Clone, Copy, Default)]
pub struct EligibilityRules {
    /// Send EXPIRED points too.
    pub include_expired: bool,
    /// Send everything; AWS decides.
    pub try_all: bool,
    /// Days of life that a point must have left.
    pub min_remaining_days: Option<u32>,
}

/// Types whose points AWS never copies across accounts.
const NEVER_COPIED: &[&str] = &["Redshift", "Redshift Serverless"];
/// Types that AWS Backup manages fully: their copies may lie under any key of the destination vault.
pub(super) const FULLY_MANAGED: &[&str] = &[
    "EFS",
    "S3",
    "DynamoDB",
    "VirtualMachine",
    "Timestream",
    "CloudFormation",
    "SAP HANA on Amazon EC2",
    "Aurora DSQL",
    "EKS",
];

/// Why `point` is not to be copied, if it is not.
pub fn skip_reason(point: &RecoveryPoint, rules: EligibilityRules, now: DateTime<Utc>) -> Option<SkipReason> {
    use RecoveryPointStatus as S;
    let expiring = rules.min_remaining_days.is_some_and(|days| {
        point
            .delete_at
            .is_some_and(|at| at < now + TimeDelta::days(i64::from(days)))
    });
    if expiring {
        return Some(SkipReason::Expiring);
    }
    if rules.try_all {
        return None;
    }
    let finished = match point.status {
        S::Expired => rules.include_expired,
        // A status that this version does not know is for AWS to judge.
        S::Completed | S::Available | S::Partial | S::Unknown(_) => true,
        S::Creating | S::Deleting | S::Stopped => false,
    };
    if !finished {
        return Some(SkipReason::NotCompleted);
    }
    if point.parent_recovery_point_arn.is_some() {
        return Some(SkipReason::ChildOfComposite);
    }
    if point.is_continuous() {
        return Some(SkipReason::Continuous);
    }
    if point.is_cold(now) {
        return Some(SkipReason::Cold);
    }
    if is_unsupported(point) {
        return Some(SkipReason::UnsupportedType);
    }
    let by_alias =
        !is_fully_managed(point) && point.encryption_key_arn.as_deref().is_some_and(is_alias_of_aws);
    by_alias.then_some(SkipReason::AwsManagedKey)
}

/// Whether a key's ARN is that of an alias which AWS keeps for the keys that it manages.
fn is_alias_of_aws(key_arn: &str) -> bool {
    key_arn.contains(":alias/aws/")
}

/// The key that decides whether a point can be copied to another account: a key that AWS manages cannot be
/// shared, and who manages a key does not show in its ARN. `None` if no key decides: AWS Backup encrypts
/// what it holds itself (by the type, or by the ARN of the point) anew for each vault.
pub fn deciding_key(point: &RecoveryPoint) -> Option<&str> {
    let is_held_by_backup = |point: &RecoveryPoint| {
        let parts = point.recovery_point_arn.parts();
        parts.is_some_and(|parts| parts.service == "backup")
    };
    let key = point.encryption_key_arn.as_deref()?;
    (key.contains(":kms:") && !is_fully_managed(point) && !is_held_by_backup(point)).then_some(key)
}

fn is_unsupported(point: &RecoveryPoint) -> bool {
    let point_service = point.recovery_point_arn.parts().map(|p| p.service);
    let kind = point.resource_arn.parts().map(|p| p.resource);
    NEVER_COPIED.contains(&point.resource_type.as_str())
        // Without advanced features a DynamoDB backup belongs to DynamoDB, not to AWS Backup.
        || (point.resource_type == "DynamoDB" && point_service == Some("dynamodb"))
        // A Multi-AZ DB cluster; Aurora's clusters have a type of their own.
        || (point.resource_type == "RDS" && kind.is_some_and(|k| k.starts_with("cluster:")))
}

/// Whether AWS Backup itself holds the point, as its ARN tells.
pub fn is_fully_managed(point: &RecoveryPoint) -> bool {
    is_fully_managed_type(&point.resource_type)
}

/// Whether AWS Backup itself holds points of this type (`DynamoDB`: with advanced features).
pub fn is_fully_managed_type(resource_type: &str) -> bool {
    FULLY_MANAGED.contains(&resource_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RecoveryPointArn;

    fn point(arn: &str, resource: &str, kind: &str) -> RecoveryPoint {
        RecoveryPoint {
            resource_type: kind.to_owned(),
            creation_date: Utc::now() - TimeDelta::days(10),
            ..RecoveryPoint::for_test(arn, resource)
        }
    }

    fn efs() -> RecoveryPoint {
        point(
            "arn:aws:backup:us-east-1:123456789012:recovery-point:1-2",
            "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-1",
            "EFS",
        )
    }

    fn reason(point: &RecoveryPoint) -> Option<SkipReason> {
        skip_reason(point, EligibilityRules::default(), Utc::now())
    }

    #[test]
    fn ordinary_points_are_copied() {
        assert_eq!(reason(&efs()), None);
        for status in [
            RecoveryPointStatus::Available,
            RecoveryPointStatus::Unknown("NEW".into()),
        ] {
            assert_eq!(reason(&RecoveryPoint { status, ..efs() }), None);
        }
    }

    #[test]
    fn each_obstacle_has_its_reason() {
        let ec2 = "arn:aws:ec2:us-east-1::snapshot/snap-1";
        let volume = "arn:aws:ec2:us-east-1:123456789012:volume/vol-1";
        let managed = RecoveryPoint {
            encryption_key_arn: Some("arn:aws:kms:us-east-1:123456789012:alias/aws/ebs".into()),
            ..point(ec2, volume, "EBS")
        };
        let table = "arn:aws:dynamodb:us-east-1:123456789012:table/T";
        let basic = point(&format!("{table}/backup/1"), table, "DynamoDB");
        let backup = "arn:aws:backup:us-east-1:123456789012:recovery-point:1-2";
        let cluster = "arn:aws:rds:us-east-1:123456789012:cluster:c";
        let continuous = "arn:aws:backup:us-east-1:123456789012:recovery-point:continuous:db-1";
        let bucket = "arn:aws:s3:::b";
        let s3 = |id: &str| {
            point(
                &format!("arn:aws:backup:us-east-1:123456789012:recovery-point:{id}"),
                bucket,
                "S3",
            )
        };
        let past = Some(Utc::now() - TimeDelta::days(1));
        for (point, wanted) in [
            (
                RecoveryPoint {
                    status: RecoveryPointStatus::Creating,
                    ..efs()
                },
                Some(SkipReason::NotCompleted),
            ),
            (
                RecoveryPoint {
                    status: RecoveryPointStatus::Expired,
                    ..efs()
                },
                Some(SkipReason::NotCompleted),
            ),
            (
                RecoveryPoint {
                    move_to_cold_storage_at: past,
                    ..efs()
                },
                Some(SkipReason::Cold),
            ),
            (
                RecoveryPoint {
                    parent_recovery_point_arn: Some(RecoveryPointArn::from_aws("x")),
                    ..efs()
                },
                Some(SkipReason::ChildOfComposite),
            ),
            (managed, Some(SkipReason::AwsManagedKey)),
            (basic, Some(SkipReason::UnsupportedType)),
            (point(backup, table, "DynamoDB"), None),
            (
                point("arn:aws:rds:us-east-1:1:cluster-snapshot:x", cluster, "RDS"),
                Some(SkipReason::UnsupportedType),
            ),
            (
                point("arn:aws:rds:us-east-1:1:cluster-snapshot:x", cluster, "Aurora"),
                None,
            ),
            (point(continuous, cluster, "Aurora"), Some(SkipReason::Continuous)),
            (s3("b-5ec207d0"), Some(SkipReason::Continuous)),
            (s3("b-20211231900000-5ec207d0"), None),
        ] {
            assert_eq!(reason(&point), wanted, "{point:?}");
        }
    }

    #[test]
    fn the_operator_can_overrule() {
        let expired = RecoveryPoint {
            status: RecoveryPointStatus::Expired,
            ..efs()
        };
        let include = EligibilityRules {
            include_expired: true,
            ..EligibilityRules::default()
        };
        assert_eq!(skip_reason(&expired, include, Utc::now()), None);
        let soon = RecoveryPoint {
            delete_at: Some(Utc::now() + TimeDelta::days(5)),
            ..efs()
        };
        let rules = EligibilityRules {
            min_remaining_days: Some(7),
            try_all: true,
            ..include
        };
        assert_eq!(skip_reason(&soon, rules, Utc::now()), Some(SkipReason::Expiring));
        let creating = RecoveryPoint {
            status: RecoveryPointStatus::Creating,
            ..efs()
        };
        assert_eq!(skip_reason(&creating, rules, Utc::now()), None);
    }

    #[test]
    fn a_point_that_lives_exactly_long_enough_is_copied() {
        let now = Utc::now();
        let rules = EligibilityRules {
            min_remaining_days: Some(7),
            ..EligibilityRules::default()
        };
        for (seconds, wanted) in [(0, None), (-1, Some(SkipReason::Expiring))] {
            let point = RecoveryPoint {
                delete_at: Some(now + TimeDelta::days(7) + TimeDelta::seconds(seconds)),
                ..efs()
            };
            assert_eq!(skip_reason(&point, rules, now), wanted);
        }
    }

    #[test]
    fn the_key_of_a_fully_managed_point_does_not_matter() {
        let key = Some("arn:aws:kms:us-east-1:123456789012:alias/aws/elasticfilesystem".to_owned());
        let point = RecoveryPoint {
            encryption_key_arn: key,
            ..efs()
        };
        assert!(is_fully_managed(&point) && !is_fully_managed_type("EBS"));
        assert_eq!(reason(&point), None);
    }

    #[test]
    fn a_key_decides_about_what_other_services_hold() {
        let key = "arn:aws:kms:us-east-1:123456789012:key/k";
        let under = |point: RecoveryPoint| RecoveryPoint {
            encryption_key_arn: Some(key.to_owned()),
            ..point
        };
        let snapshot = || {
            point(
                "arn:aws:ec2:us-east-1::snapshot/s",
                "arn:aws:ec2:us-east-1:1:volume/v",
                "EBS",
            )
        };
        assert_eq!(deciding_key(&under(snapshot())), Some(key));
        assert_eq!(deciding_key(&snapshot()), None);
        assert_eq!(deciding_key(&under(efs())), None);
        // A type that is not known here, which AWS Backup holds.
        let resource_type = "Aurora DSQL 2".to_owned();
        assert_eq!(
            deciding_key(&under(RecoveryPoint {
                resource_type,
                ..efs()
            })),
            None
        );
    }

    #[test]
    fn a_database_that_is_no_cluster_is_copied() {
        let db = "arn:aws:rds:us-east-1:123456789012:db:d";
        assert_eq!(
            reason(&point("arn:aws:rds:us-east-1:1:snapshot:x", db, "RDS")),
            None
        );
    }
}
