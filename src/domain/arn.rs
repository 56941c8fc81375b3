//! ARNs, one type for each kind that the program handles.
//!
//! Shapes by the AWS Backup Developer Guide, "Access control". Note that EBS snapshot and AMI
//! ARNs carry no account id: ownership is never read from a recovery point ARN.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::{AccountId, BackupVaultName, InvalidId, Region};

/// The parts of `arn:partition:service:region:account:resource`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArnParts<'a> {
    /// `aws`, `aws-us-gov`, ...
    pub partition: &'a str,
    /// The service that owns the resource.
    pub service: &'a str,
    /// May be empty.
    pub region: &'a str,
    /// May be empty.
    pub account: &'a str,
    /// Everything after the fifth colon.
    pub resource: &'a str,
}

/// Splits an ARN; `None` if the text is not one.
pub fn split(text: &str) -> Option<ArnParts<'_>> {
    let mut parts = text.splitn(6, ':');
    if parts.next()? != "arn" {
        return None;
    }
    let arn = ArnParts {
        partition: parts.next()?,
        service: parts.next()?,
        region: parts.next()?,
        account: parts.next()?,
        resource: parts.next()?,
    };
    let clean = !text.chars().any(|c| c.is_control() || c.is_whitespace());
    (clean && !arn.partition.is_empty() && !arn.service.is_empty() && !arn.resource.is_empty()).then_some(arn)
}

macro_rules! arn_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// An ARN that AWS answered, taken as it is.
            pub fn from_aws(text: &str) -> Self {
                Self(text.into())
            }

            /// The text as AWS writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Its parts, if AWS wrote it in the documented shape.
            pub fn parts(&self) -> Option<ArnParts<'_>> {
                split(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

arn_type! {
    /// The ARN of a recovery point; its shape depends on the resource type.
    RecoveryPointArn
}
arn_type! {
    /// The ARN of the resource that was backed up.
    ResourceArn
}
arn_type! {
    /// The ARN of a backup vault.
    BackupVaultArn
}
arn_type! {
    /// The ARN of the IAM role that StartCopyJob is given.
    IamRoleArn
}

impl BackupVaultArn {
    /// `arn:{partition}:backup:{region}:{account}:backup-vault:{name}`.
    pub fn new(region: &Region, account: &AccountId, name: &BackupVaultName) -> Self {
        Self(
            format!(
                "arn:{}:backup:{region}:{account}:backup-vault:{name}",
                region.partition()
            )
            .into(),
        )
    }
}

impl IamRoleArn {
    /// The role that AWS Backup's console makes, in the source account.
    pub fn default_for(region: &Region, source: &AccountId) -> Self {
        Self(
            format!(
                "arn:{}:iam::{source}:role/service-role/AWSBackupDefaultServiceRole",
                region.partition()
            )
            .into(),
        )
    }
}

impl FromStr for IamRoleArn {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match split(text) {
            Some(p)
                if p.service == "iam"
                    && p.resource.starts_with("role/")
                    && p.account.parse::<AccountId>().is_ok() =>
            {
                Ok(Self(text.into()))
            }
            _ => Err(InvalidId::Arn {
                value: text.to_owned(),
                wanted: "an IAM role ARN such as arn:aws:iam::123456789012:role/BackupRole",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_arns_with_and_without_account() {
        let parts = split("arn:aws:ec2:us-east-1::snapshot/snap-1").unwrap();
        assert_eq!(
            (parts.service, parts.account, parts.resource),
            ("ec2", "", "snapshot/snap-1")
        );
        let parts = split("arn:aws:rds:us-east-1:123456789012:snapshot:awsbackup:job-1").unwrap();
        assert_eq!(parts.resource, "snapshot:awsbackup:job-1");
        for bad in [
            "",
            "arn",
            "arn:aws:ec2",
            "arn:aws:ec2:r:a:",
            "x:aws:ec2:r:a:b",
            "arn:aws:ec2:r:a:b\nc",
        ] {
            assert_eq!(split(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn built_arns_use_the_partition_of_the_region() {
        let region: Region = "us-gov-west-1".parse().unwrap();
        let account: AccountId = "123456789012".parse().unwrap();
        assert_eq!(
            IamRoleArn::default_for(&region, &account).as_str(),
            "arn:aws-us-gov:iam::123456789012:role/service-role/AWSBackupDefaultServiceRole"
        );
        assert_eq!(
            BackupVaultArn::new(&region, &account, &"v1".parse().unwrap()).as_str(),
            "arn:aws-us-gov:backup:us-gov-west-1:123456789012:backup-vault:v1"
        );
    }

    #[test]
    fn role_arns_are_checked() {
        assert!("arn:aws:iam::123456789012:role/x/y".parse::<IamRoleArn>().is_ok());
        for bad in ["x", "arn:aws:iam::1:role/x", "arn:aws:iam::123456789012:user/x"] {
            assert!(bad.parse::<IamRoleArn>().is_err(), "{bad}");
        }
    }
}
