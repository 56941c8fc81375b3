//! AWS's texts for failed copies, and what each means.
//!
//! Most are those of the AWS Backup Developer Guide, "AWS Backup console dashboards" (reasons for
//! problematic jobs). They are looked for anywhere in a message and without regard to case, because
//! AWS puts prefixes before them.

use super::failure::FailureCause::{
    self, AwsInternal, CrossAccountOptIn, DestinationQuota, Fatal, Gone, LockRange, OptionGroup,
    Organization, Role, SourceImage, SourceKey, TooManyJobs, Unsupported, VaultKey, VaultMissing,
    VaultPolicy,
};

/// The first that fits counts, so that a text stands before those that it also contains or that are
/// less specific: a key that does not exist is no recovery point that does not exist. `*` is any text.
const KNOWN_TEXTS: &[(&str, FailureCause)] = &[
    ("member of the same organization", Organization),
    ("cross-account copy feature is not enabled", CrossAccountOptIn),
    (
        "retention specified in the job is not within the range",
        LockRange,
    ),
    ("encrypted with the default backup service managed key", VaultKey),
    ("destination vault cannot be the default vault", VaultKey),
    ("require a user-created backup vault", VaultKey),
    ("destination*aws managed key", VaultKey),
    ("given key id is not accessible", SourceKey),
    ("kms key is either disabled or pending deletion", SourceKey),
    ("kms key*does not exist", SourceKey),
    ("aws managed key", SourceKey),
    ("aws managed cmk", SourceKey),
    ("quota of*concurrent", TooManyJobs),
    ("too many copy jobs running", TooManyJobs),
    ("subscriber limit exceeded", TooManyJobs),
    ("maximum allowed in-progress", TooManyJobs),
    ("reached your quota of", DestinationQuota),
    ("internal error occurred", AwsInternal),
    ("internal failure", AwsInternal),
    ("token expired. try again", AwsInternal),
    ("encountered a fatal error", Fatal),
    ("option group", OptionGroup),
    ("source ami*not found in region", SourceImage),
    ("aws marketplace cannot be copied", Unsupported),
    ("feature is not supported", Unsupported),
    ("access denied trying to call aws backup service", VaultPolicy),
    (
        "not authorized to perform: backup:copyintobackupvault",
        VaultPolicy,
    ),
    ("not authorized to perform", Role),
    ("insufficient privileges", Role),
    ("failed to unshare snapshot", Role),
    ("unable to copy resource tags", Role),
    ("cannot be assumed", Role),
    ("unable to assume", Role),
    ("iamrolearn", Role),
    ("destination*vault*does not exist", VaultMissing),
    ("recovery point*does not exist", Gone),
    ("backup vault*does not exist", VaultMissing),
    (":role/*does not exist", Role),
    ("iam role*does not exist", Role),
    ("cannot find recovery point", Gone),
    ("no longer available", Gone),
    ("does not exist", Gone),
];

/// The cause that a message names, if it is a known one.
pub(super) fn cause_of(message: &str) -> Option<FailureCause> {
    let message = message.to_ascii_lowercase();
    let known = KNOWN_TEXTS.iter().find(|(text, _)| contains(&message, text));
    known.map(|(_, cause)| *cause)
}

/// Whether the pieces of `text` between its `*` stand in the message, in their order.
fn contains(message: &str, text: &str) -> bool {
    let mut rest = Some(message);
    for piece in text.split('*') {
        rest = rest
            .and_then(|rest| rest.split_once(piece))
            .map(|(_, after)| after);
    }
    rest.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_reached_and_in_lower_case() {
        for (text, cause) in KNOWN_TEXTS {
            let example = text.replace('*', " something ");
            assert_eq!(
                cause_of(&example),
                Some(*cause),
                "{text} is hidden by one before it"
            );
            assert_eq!(text.to_ascii_lowercase(), *text);
        }
    }

    #[test]
    fn a_message_that_fits_two_causes_has_the_more_specific_one() {
        for (message, cause) in [
            (
                "The source snapshot KMS key [arn:aws:kms:us-east-1:123456789012:key/k] does not exist, is not enabled \
                 or you do not have permissions to access it",
                SourceKey,
            ),
            ("The specified option group og-1 does not exist", OptionGroup),
            (
                "Role arn:aws:iam::123456789012:role/service-role/r does not exist",
                Role,
            ),
            ("Recovery point r of backup vault v does not exist", Gone),
            ("Backup vault with name v does not exist", VaultMissing),
            (
                "Recovery point r cannot be copied: the destination backup vault v does not exist",
                VaultMissing,
            ),
            (
                "Access denied: Copy job failed. Both source and destination account must be a member of the same \
                 organization.",
                Organization,
            ),
            (
                "User: u is not authorized to perform: backup:CopyIntoBackupVault on resource v",
                VaultPolicy,
            ),
            (
                "User: u is not authorized to perform: backup:CopyFromBackupVault on resource v",
                Role,
            ),
            (
                "Copy job failed because the destination Backup vault is encrypted with an AWS managed key",
                VaultKey,
            ),
            (
                "You have reached your quota of 20 concurrent snapshot copies",
                TooManyJobs,
            ),
            (
                "We are unable to copy resource tags to your backup because of the Internal Failure.",
                AwsInternal,
            ),
            (
                "We are unable to copy resource tags to your backup because of the Insufficient Permissions.",
                Role,
            ),
            ("Source AMI ami-0123 not found in Region us-west-2", SourceImage),
        ] {
            assert_eq!(cause_of(message), Some(cause), "{message}");
        }
        assert_eq!(cause_of("something new"), None);
        assert_eq!(cause_of(""), None);
    }

    #[test]
    fn pieces_count_in_their_order_only() {
        assert!(contains("a b c", "a*c"));
        assert!(!contains("c b a", "a*c"));
        assert!(!contains("aba", "ab*ba"));
    }
}
