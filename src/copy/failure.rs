//! What a failure means: AWS's codes and status messages, sorted by what can be done about them.
//!
//! The messages that are known are in `failure_texts.rs`. One that is not is a failure of its point
//! and of nothing else.

use serde::Serialize;

use super::failure_texts;

/// The cause of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCause {
    /// The accounts are not in one organization.
    Organization,
    /// Cross-account backup is not switched on.
    CrossAccountOptIn,
    /// The destination vault's policy does not let the source account copy into it.
    VaultPolicy,
    /// The IAM role is missing, cannot be assumed or lacks permissions.
    Role,
    /// The destination vault's key does not take this resource type.
    VaultKey,
    /// The retention is outside of what the vault lock allows.
    LockRange,
    /// The source or the destination vault is not there.
    VaultMissing,
    /// The destination account has as many snapshots, images or points as it may have.
    DestinationQuota,
    /// The caller may not start copy jobs.
    AccessDenied,
    /// The key of the source point cannot be used across accounts.
    SourceKey,
    /// The destination account does not see the source's image.
    SourceImage,
    /// The database's option group is not at the destination.
    OptionGroup,
    /// Too many jobs at once.
    TooManyJobs,
    /// A fault inside AWS.
    AwsInternal,
    /// AWS gave up on the job with no cause.
    Fatal,
    /// The recovery point is no longer there.
    Gone,
    /// AWS does not copy this kind of point.
    Unsupported,
    /// Some members of a composite failed.
    Partial,
    /// Anything else.
    Other,
}

/// What to do with an item whose job failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Queue it again, however often.
    Requeue,
    /// Queue it again while it has had fewer attempts than this.
    RetryUpTo(u32),
    /// It has failed.
    Fail,
}

/// Code of an item whose job ended in FAILED.
pub const JOB_FAILED: &str = "CopyJobFailed";
/// Code of an item whose job ended in PARTIAL.
pub const JOB_PARTIAL: &str = "CopyJobPartial";

impl FailureCause {
    /// Every cause.
    pub const ALL: [Self; 19] = [
        Self::Organization,
        Self::CrossAccountOptIn,
        Self::VaultPolicy,
        Self::Role,
        Self::VaultKey,
        Self::LockRange,
        Self::VaultMissing,
        Self::DestinationQuota,
        Self::AccessDenied,
        Self::SourceKey,
        Self::SourceImage,
        Self::OptionGroup,
        Self::TooManyJobs,
        Self::AwsInternal,
        Self::Fatal,
        Self::Gone,
        Self::Unsupported,
        Self::Partial,
        Self::Other,
    ];

    /// The cause that has this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == name)
    }

    /// The cause of an item's failure, by the code and message that its ledger keeps.
    pub fn of(code: &str, message: &str) -> Self {
        match code {
            JOB_FAILED => Self::of_status_message(message),
            JOB_PARTIAL => Self::Partial,
            code => Self::of_refusal(code, message),
        }
    }

    /// The cause of a copy job that ended in FAILED with this `StatusMessage`.
    pub fn of_status_message(message: &str) -> Self {
        failure_texts::cause_of(message).unwrap_or(Self::Other)
    }

    /// The cause of a StartCopyJob that AWS refused with this code and message.
    pub fn of_refusal(code: &str, message: &str) -> Self {
        match (code, Self::of_status_message(message)) {
            // AWS puts "Access denied" before causes that no right of the caller mends.
            (
                "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation",
                cause @ (Self::Organization | Self::CrossAccountOptIn),
            ) => cause,
            ("AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation", _) => Self::AccessDenied,
            ("ResourceNotFoundException", Self::VaultMissing) => Self::VaultMissing,
            ("ResourceNotFoundException", _) => Self::Gone,
            ("InvalidRequestException", Self::Other) => Self::Unsupported,
            (_, cause) => cause,
        }
    }

    /// A stable name for files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::CrossAccountOptIn => "cross_account_opt_in",
            Self::VaultPolicy => "vault_policy",
            Self::Role => "role",
            Self::VaultKey => "vault_key",
            Self::LockRange => "lock_range",
            Self::VaultMissing => "vault_missing",
            Self::DestinationQuota => "destination_quota",
            Self::AccessDenied => "access_denied",
            Self::SourceKey => "source_key",
            Self::SourceImage => "source_image",
            Self::OptionGroup => "option_group",
            Self::TooManyJobs => "too_many_jobs",
            Self::AwsInternal => "aws_internal",
            Self::Fatal => "fatal",
            Self::Gone => "gone",
            Self::Unsupported => "unsupported",
            Self::Partial => "partial",
            Self::Other => "other",
        }
    }

    /// Whether the cause lies outside the points, so that the next job fails of it too.
    pub fn is_systemic(self) -> bool {
        matches!(
            self,
            Self::Organization
                | Self::CrossAccountOptIn
                | Self::VaultPolicy
                | Self::Role
                | Self::VaultKey
                | Self::LockRange
                | Self::VaultMissing
                | Self::DestinationQuota
                | Self::AccessDenied
        )
    }

    /// What to do with the item.
    pub fn remedy(self) -> Remedy {
        match self {
            Self::TooManyJobs => Remedy::Requeue,
            Self::AwsInternal => Remedy::RetryUpTo(4),
            Self::Fatal => Remedy::RetryUpTo(2),
            _ => Remedy::Fail,
        }
    }

    /// What the operator can do.
    pub fn fix(self) -> &'static str {
        match self {
            Self::Organization => {
                "both accounts must be members of the same AWS organization; copy before an account leaves it"
            }
            Self::CrossAccountOptIn => {
                "in the management account run: aws backup update-global-settings --global-settings isCrossAccountBackupEnabled=true"
            }
            Self::VaultPolicy => {
                "allow backup:CopyIntoBackupVault for the source account in the destination vault's access policy, \
                 or run copy without --skip-dest-setup"
            }
            Self::Role => {
                "check that the role given with --iam-role-arn exists in the source account, trusts \
                 backup.amazonaws.com and has AWS Backup's policies"
            }
            Self::VaultKey => {
                "this resource type needs a destination vault under a customer managed key, not the default vault or \
                 key: create one with --dest-vault NAME --dest-kms-key-arn ARN"
            }
            Self::LockRange => "choose a --retention within the destination vault lock's minimum and maximum",
            Self::AccessDenied => {
                "allow backup:StartCopyJob, and iam:PassRole on the role given with --iam-role-arn, to the source identity"
            }
            Self::SourceKey => {
                "the point's KMS key must be customer managed and let the destination account's \
                 AWSServiceRoleForBackup use it; under an AWS managed key, first copy within the source account \
                 into a vault with a customer managed key"
            }
            Self::VaultMissing => {
                "check that both vaults are still there; without --skip-dest-setup the destination vault is made"
            }
            Self::DestinationQuota => {
                "delete what is not needed in the destination account, or ask AWS for a higher quota there"
            }
            Self::SourceImage => {
                "the image was deregistered, or the destination account's EC2 setting \"Allowed AMIs\" does not let the \
                 source account in"
            }
            Self::OptionGroup => "make the same option group in the destination account and Region",
            Self::TooManyJobs => "lower --max-in-flight, or ask AWS for a higher quota",
            Self::AwsInternal | Self::Fatal => "run again with --resume --retry-failed",
            Self::Gone => "the recovery point expired or was deleted; nothing can be copied",
            Self::Unsupported => "AWS Backup does not copy this kind of recovery point across accounts",
            Self::Partial => "look at the members of the composite in the destination vault",
            Self::Other => {
                "look up the message in the AWS Backup Developer Guide, then run with --resume --retry-failed"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_known_with_prefixes_and_in_any_case() {
        for (message, cause) in [
            (
                "Access denied: Copy job failed. Both source and destination account must be a member of the same organization.",
                FailureCause::Organization,
            ),
            (
                "There are too many copy jobs running for resource.",
                FailureCause::TooManyJobs,
            ),
            ("AN INTERNAL ERROR OCCURRED.", FailureCause::AwsInternal),
            ("something new", FailureCause::Other),
            ("", FailureCause::Other),
        ] {
            assert_eq!(FailureCause::of_status_message(message), cause, "{message}");
        }
    }

    #[test]
    fn only_passing_causes_are_tried_again() {
        assert_eq!(FailureCause::TooManyJobs.remedy(), Remedy::Requeue);
        assert_eq!(FailureCause::Fatal.remedy(), Remedy::RetryUpTo(2));
        assert_eq!(FailureCause::Organization.remedy(), Remedy::Fail);
        assert!(FailureCause::AccessDenied.is_systemic());
        assert!(!FailureCause::Gone.is_systemic());
    }

    #[test]
    fn refusals_are_sorted_by_code_first() {
        assert_eq!(
            FailureCause::of_refusal("AccessDeniedException", "no PassRole"),
            FailureCause::AccessDenied
        );
        assert_eq!(
            FailureCause::of_refusal("InvalidRequestException", "nope"),
            FailureCause::Unsupported
        );
    }

    #[test]
    fn a_refusal_of_what_is_not_there_says_so_whatever_its_text() {
        assert_eq!(
            FailureCause::of_refusal("ResourceNotFoundException", "nope"),
            FailureCause::Gone
        );
        assert_eq!(
            FailureCause::of_refusal("InvalidParameterValueException", "nope"),
            FailureCause::Other
        );
    }

    #[test]
    fn each_cause_has_a_name_of_its_own_and_a_way_on() {
        use FailureCause as C;
        let causes = C::ALL;
        let names: std::collections::BTreeSet<&str> = causes.iter().map(|c| c.as_str()).collect();
        assert_eq!(names.len(), causes.len());
        for cause in causes {
            assert_eq!(C::named(cause.as_str()), Some(cause));
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
        }
        assert_eq!(C::named("nonsense"), None);
        assert!(names.contains("vault_policy") && names.contains("aws_internal"));
        assert!(C::Role.fix().contains("--iam-role-arn") && C::Gone.fix().contains("expired"));
    }
}
