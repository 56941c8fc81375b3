//! Identifiers that are not ARNs: account, Region, vault name, copy job, idempotency token.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::arn::{BackupVaultArn, RecoveryPointArn};

/// Why a value given for an identifier is not one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidId {
    /// Not an account id.
    #[error("`{0}` is not an AWS account id: it must be exactly 12 digits")]
    AccountId(String),
    /// Not a Region.
    #[error("`{0}` is not an AWS Region name such as us-east-1")]
    Region(String),
    /// Not a backup vault name.
    #[error(
        "`{0}` is not a backup vault name: 2 to 50 letters, digits, `-` or `_` \
         (AWS Backup CreateBackupVault)"
    )]
    BackupVaultName(String),
    /// Not an ARN of the wanted kind.
    #[error("`{value}` is not {wanted}")]
    Arn {
        /// What was given.
        value: String,
        /// What it should have been, with an article and an example.
        wanted: &'static str,
    },
}

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text as AWS writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

string_id! {
    /// A 12-digit AWS account id.
    AccountId
}
string_id! {
    /// An AWS Region name, such as `us-east-1`.
    Region
}
string_id! {
    /// The name of a backup vault. Names read from AWS are taken as they are, because AWS itself
    /// owns vaults whose names nobody may create (`aws/efs/automatic-backup-vault`).
    BackupVaultName
}
string_id! {
    /// The id that StartCopyJob answers.
    CopyJobId
}
string_id! {
    /// The `IdempotencyToken` of one StartCopyJob attempt.
    IdempotencyToken
}

impl FromStr for AccountId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId::AccountId(text.to_owned()))
        }
    }
}

impl FromStr for Region {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('-').collect();
        let shaped = parts.len() >= 3
            && parts
                .iter()
                .all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
            && parts
                .last()
                .is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()));
        if shaped {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId::Region(text.to_owned()))
        }
    }
}

impl Region {
    /// The Region that is used where none is named.
    pub fn us_east_1() -> Self {
        Self("us-east-1".into())
    }

    /// The partition that the Region belongs to, by AWS's published prefixes.
    pub fn partition(&self) -> &'static str {
        if self.0.starts_with("us-gov-") {
            "aws-us-gov"
        } else if self.0.starts_with("cn-") {
            "aws-cn"
        } else if self.0.starts_with("eusc-") {
            "aws-eusc"
        } else {
            "aws"
        }
    }
}

impl FromStr for BackupVaultName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ok = (2..=50).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if ok {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId::BackupVaultName(text.to_owned()))
        }
    }
}

impl BackupVaultName {
    /// A name that AWS answered, taken as it is.
    pub fn from_aws(text: &str) -> Self {
        Self(text.into())
    }

    /// The name of a vault that is there already: one that anybody may give, or one of AWS Backup's own, such as
    /// `aws/efs/automatic-backup-vault`.
    ///
    /// # Errors
    /// If no vault can have it.
    pub fn of_existing(text: &str) -> Result<Self, InvalidId> {
        let is_part = |part: &str| {
            let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            !part.is_empty() && part.bytes().all(is_allowed)
        };
        let own = text.strip_prefix("aws/");
        if text.len() <= 100 && own.is_some_and(|rest| rest.split('/').all(is_part)) {
            return Ok(Self(text.into()));
        }
        text.parse()
    }
}

impl CopyJobId {
    /// An id that AWS answered, taken as it is.
    pub fn from_aws(text: &str) -> Self {
        Self(text.into())
    }
}

impl IdempotencyToken {
    /// The token of attempt number `attempt` at copying `source` into `destination`.
    ///
    /// It is a function of its arguments alone, so that a process that lost the answer, or its
    /// memory, sends the same token again and AWS takes no second action. The attempt number is
    /// part of it because a retry after a job that FAILED must start a new job, not be told of the
    /// old one.
    pub fn for_attempt(source: &RecoveryPointArn, destination: &BackupVaultArn, attempt: u32) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"shuffle-aws-vaults/1\0");
        hash.update(source.as_str());
        hash.update(b"\0");
        hash.update(destination.as_str());
        hash.update(b"\0");
        hash.update(attempt.to_be_bytes());
        let digest = hash.finalize();
        let mut text = String::with_capacity(36);
        text.push_str("sav-");
        for byte in digest.iter().take(16) {
            use fmt::Write as _;
            let _ = write!(text, "{byte:02x}");
        }
        Self(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_ids_are_twelve_digits() {
        assert!("123456789012".parse::<AccountId>().is_ok());
        for bad in [
            "",
            "12345678901",
            "1234567890123",
            "12345678901a",
            "１23456789012",
        ] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn regions_give_their_partition() {
        for (region, partition) in [
            ("us-east-1", "aws"),
            ("us-gov-west-1", "aws-us-gov"),
            ("cn-north-1", "aws-cn"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            assert_eq!(region.parse::<Region>().map(|r| r.partition()), Ok(partition));
        }
        for bad in ["", "useast1", "us-east", "us-east-1a", "US-EAST-1", "us--1"] {
            assert!(bad.parse::<Region>().is_err(), "{bad}");
        }
    }

    #[test]
    fn vault_names_follow_the_api_pattern() {
        let long = "a".repeat(50);
        for good in ["ab", "my-vault_1", long.as_str()] {
            assert!(good.parse::<BackupVaultName>().is_ok(), "{good}");
        }
        let too_long = "a".repeat(51);
        for bad in ["a", "../x", "a b", too_long.as_str(), "v\u{1b}[31m"] {
            assert!(bad.parse::<BackupVaultName>().is_err(), "{bad}");
            assert!(BackupVaultName::of_existing(bad).is_err(), "{bad}");
        }
        let own = "aws/efs/automatic-backup-vault";
        assert!(own.parse::<BackupVaultName>().is_err());
        assert!(BackupVaultName::of_existing(own).is_ok());
        for bad in ["aws/", "aws//x", "aws/../x", "efs/x", "/aws/efs", "aws/e fs"] {
            assert!(BackupVaultName::of_existing(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tokens_differ_by_point_vault_and_attempt_and_by_nothing_else() {
        let point = RecoveryPointArn::from_aws("arn:aws:ec2:us-east-1::snapshot/snap-1");
        let vault = BackupVaultArn::from_aws("arn:aws:backup:us-east-1:987654321098:backup-vault:v");
        let token = IdempotencyToken::for_attempt(&point, &vault, 1);
        assert_eq!(token, IdempotencyToken::for_attempt(&point, &vault, 1));
        assert_ne!(token, IdempotencyToken::for_attempt(&point, &vault, 2));
        let other = RecoveryPointArn::from_aws("arn:aws:ec2:us-east-1::snapshot/snap-2");
        assert_ne!(token, IdempotencyToken::for_attempt(&other, &vault, 1));
    }
}
