//! The services of AWS that the simulator stands for.

use super::request::Request;
use super::{backup_api, iam_api, kms_api, sts_api};

/// A service of AWS, by which requests and answers have their form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Backup,
    Iam,
    Kms,
    Sts,
}

impl Service {
    /// The service and the operation of a request.
    pub(super) fn of(request: &Request) -> (Self, &'static str) {
        if let Some(operation) = kms_api::operation(request) {
            (Self::Kms, operation)
        } else if let Some(operation) = iam_api::operation(request) {
            (Self::Iam, operation)
        } else if request.method == "POST" && request.path.is_empty() {
            (Self::Sts, sts_api::operation(request))
        } else {
            (Self::Backup, backup_api::operation(request))
        }
    }

    /// What stands before its operations in policies.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Iam => "iam",
            Self::Kms => "kms",
            Self::Sts => "sts",
        }
    }

    /// Content type of its answers.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Backup => "application/json",
            Self::Kms => "application/x-amz-json-1.1",
            Self::Iam | Self::Sts => "text/xml",
        }
    }
}
