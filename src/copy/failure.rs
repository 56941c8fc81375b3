//! What a failure means: AWS's codes and status messages, sorted by what can be done about them.
//!
//! The texts are those of the AWS Backup Developer Guide, "AWS Backup console dashboards" (reasons
//! for problematic jobs), matched by substring and without regard to case, because AWS puts
//! prefixes before them. A text that is not known is a failure of its point and of nothing else.

/// The cause of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    /// The caller may not start copy jobs.
    AccessDenied,
    /// The key of the source point cannot be used across accounts.
    SourceKey,
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

const KNOWN_TEXTS: &[(&str, FailureCause)] = &[
    ("member of the same organization", FailureCause::Organization),
    (
        "cross-account copy feature is not enabled",
        FailureCause::CrossAccountOptIn,
    ),
    (
        "access denied trying to call aws backup service",
        FailureCause::VaultPolicy,
    ),
    (
        "encrypted with the default backup service managed key",
        FailureCause::VaultKey,
    ),
    (
        "retention specified in the job is not within the range",
        FailureCause::LockRange,
    ),
    ("given key id is not accessible", FailureCause::SourceKey),
    (
        "kms key is either disabled or pending deletion",
        FailureCause::SourceKey,
    ),
    ("aws managed key", FailureCause::SourceKey),
    ("too many copy jobs running", FailureCause::TooManyJobs),
    ("subscriber limit exceeded", FailureCause::TooManyJobs),
    ("maximum allowed in-progress", FailureCause::TooManyJobs),
    ("an internal error occurred", FailureCause::AwsInternal),
    ("token expired. try again", FailureCause::AwsInternal),
    ("internal failure", FailureCause::AwsInternal),
    ("encountered a fatal error", FailureCause::Fatal),
    ("cannot find recovery point", FailureCause::Gone),
    ("no longer available", FailureCause::Gone),
    ("does not exist", FailureCause::Gone),
    ("cannot be assumed", FailureCause::Role),
    ("unable to assume", FailureCause::Role),
    ("insufficient privileges", FailureCause::Role),
    ("aws marketplace cannot be copied", FailureCause::Unsupported),
    ("feature is not supported", FailureCause::Unsupported),
    ("require a user-created backup vault", FailureCause::VaultKey),
];

impl FailureCause {
    /// The cause of a copy job that ended in FAILED with this `StatusMessage`.
    pub fn of_status_message(message: &str) -> Self {
        let message = message.to_ascii_lowercase();
        KNOWN_TEXTS
            .iter()
            .find(|(text, _)| message.contains(text))
            .map_or(Self::Other, |(_, cause)| *cause)
    }

    /// The cause of a StartCopyJob that AWS refused with this code and message.
    pub fn of_refusal(code: &str, message: &str) -> Self {
        match code {
            "AccessDeniedException" | "AccessDenied" => Self::AccessDenied,
            "ResourceNotFoundException" => Self::Gone,
            _ => match Self::of_status_message(message) {
                Self::Other if code == "InvalidRequestException" => Self::Unsupported,
                cause => cause,
            },
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
            Self::AccessDenied => "access_denied",
            Self::SourceKey => "source_key",
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
                "this resource type needs a destination vault under a customer managed key: create one with \
                 --dest-vault NAME --dest-kms-key-arn ARN"
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
}
