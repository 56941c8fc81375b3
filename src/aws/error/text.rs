//! What a failed call says, and what to do next.

use std::error::Error as StdError;
use std::fmt;

use aws_sdk_backup::error::ErrorMetadata;

use super::{ApiError, ErrorClass, Place};
use crate::aws::Side;

/// What the SDK puts before the cause, and says nothing to an operator.
const LAYERS: [&str; 8] = [
    "dispatch failure: ",
    "service error: ",
    "response error: ",
    "failed to construct request: ",
    "unhandled error: ",
    "io error: ",
    "timeout: ",
    "other: ",
];

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place.as_deref();
        let mut preposition = "of";
        match (self.class, self.operation) {
            (ErrorClass::AccessDenied, "CreateBackupVault") => {
                f.write_str("Failed to create vault: Access denied")?;
                preposition = "for";
            }
            (ErrorClass::AccessDenied, operation) => write!(f, "Access denied when {}", doing(operation))?,
            (_, operation) => f.write_str(operation)?,
        }
        if let Some(subject) = place.and_then(|place| place.subject.as_ref()) {
            write!(f, " {preposition} {subject}")?;
        }
        match place {
            // Whose account it is, STS is asked for.
            Some(Place { region, .. }) if service(self.operation) == "sts" => write!(f, " in {region}")?,
            Some(Place {
                side,
                account,
                region,
                ..
            }) => write!(f, " in the {side} account {account}, {region}")?,
            None => {}
        }
        write!(f, ": {}", self.reason())
    }
}

impl ApiError {
    /// What AWS said, with its code and by what AWS finds the call.
    pub fn reason(&self) -> String {
        let id = self.request_id.as_ref();
        let id = id.map_or_else(String::new, |id| format!(", request id {id}"));
        format!("{} ({}{id})", self.message, self.code)
    }

    /// What to do next if it is a role that could not be assumed, whatever its class is.
    pub(super) fn hint_of_role(&self) -> String {
        if self.code.starts_with("AccessDenied") {
            "let the trust policy of the role name the identity that assumes it, allow that identity sts:AssumeRole on \
             the role, and give --external-id if the trust policy asks for one"
                .to_owned()
        } else {
            self.way_to_aws()
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some(match self.class {
            _ if self.may_be_of_clock() => {
                "check this machine's clock, and that the secret access key is the right one".to_owned()
            }
            ErrorClass::AccessDenied => self.permission(),
            ErrorClass::Credentials => {
                "renew the credentials (for example: aws sso login), then run the command again".to_owned()
            }
            ErrorClass::Throttling => {
                let option = if self.operation.starts_with("List") {
                    "--list-workers"
                } else {
                    "--workers"
                };
                format!("run again later, or with fewer {option}: others may be calling in the same account")
            }
            ErrorClass::Quota => {
                "delete what is not needed there, or ask AWS for a higher quota (Service Quotas), then run the command \
                 again"
                    .to_owned()
            }
            ErrorClass::Transient => self.way_to_aws(),
            ErrorClass::NotFound => "check the name, the account and --region, then run the command again".to_owned(),
            ErrorClass::InvalidRequest => {
                "change the option that AWS complains of; the log of -v shows each call".to_owned()
            }
            ErrorClass::Other => {
                "run the command again; if that does not help, AWS Support finds the call by its request id".to_owned()
            }
            ErrorClass::Cancelled => return None,
        })
    }

    /// Whom to allow what. AWS's own text names the action if another one was missing than that of the call.
    fn permission(&self) -> String {
        const PERFORM: &str = "not authorized to perform: ";
        let own = || format!("{}:{}", service(self.operation), self.operation);
        let named = self
            .message
            .split_once(PERFORM)
            .and_then(|(_, rest)| rest.split_whitespace().next());
        let action = named
            .filter(|action| action.contains(':'))
            .map_or_else(own, str::to_owned);
        let whom = match self.place.as_deref() {
            Some(place) => format!("the {} identity", place.side),
            None => "the identity that made the call".to_owned(),
        };
        if self.message.contains("explicit deny") {
            return format!(
                "a policy denies {action} to {whom}, whatever others allow: have that statement changed"
            );
        }
        let otherwise = match self.operation {
            "CreateBackupVault" => ", or have the vault made by others and copy with --skip-dest-setup",
            "PutBackupVaultAccessPolicy" => {
                ", or have the policy set by others and copy with --skip-dest-setup"
            }
            "GetBackupVaultAccessPolicy" => {
                ", or copy with --skip-dest-setup if the policy lets the source account in"
            }
            _ => "",
        };
        format!(
            "add to the policies of {whom}: {{\"Effect\":\"Allow\",\"Action\":\"{action}\",\"Resource\":\"*\"}}{otherwise}"
        )
    }

    /// What may be wrong between here and AWS, or there.
    fn way_to_aws(&self) -> String {
        let region = match self.place.as_deref() {
            Some(place) if place.side == Side::Source => format!("the Region {} (--region), ", place.region),
            Some(place) => format!("the Region {} (--dest-region), ", place.region),
            None => "the Region, ".to_owned(),
        };
        let way = "the proxy (HTTPS_PROXY) and the endpoint (AWS_ENDPOINT_URL)";
        match (self.code.as_str(), self.http_status) {
            ("RequestTimeout", None) => format!(
                "check the network and {way}, or wait longer with --read-timeout and --connect-timeout; then run the \
                 command again"
            ),
            ("UnreadableResponse", _) => {
                format!("something else than AWS may have answered: check {way}; then run the command again")
            }
            (code, Some(_)) if code.starts_with("HTTP ") => format!(
                "something else than AWS may have answered: check {way}; or run the command again later"
            ),
            (_, Some(_)) => "this is a fault of AWS: run the command again later, and see \
                             https://health.aws.amazon.com/health/status"
                .to_owned(),
            _ => format!("check the network, {region}{way}; then run the command again"),
        }
    }
}

/// AWS repeats the request, session token and all, where its signature does not match.
pub(super) fn without_request(message: &str) -> String {
    let end = [
        "The Canonical String",
        "The canonical string",
        "x-amz-security-token",
    ]
    .iter()
    .filter_map(|begin| message.find(begin))
    .min();
    message
        .get(..end.unwrap_or(message.len()))
        .unwrap_or_default()
        .trim_end()
        .to_owned()
}

/// An operation in words.
pub(super) fn doing(operation: &str) -> &str {
    match operation {
        "ListRecoveryPointsByBackupVault" => "listing recovery points",
        "ListBackupVaults" => "listing backup vaults",
        "DescribeBackupVault" => "reading the backup vault",
        "GetBackupVaultAccessPolicy" => "reading the access policy",
        "PutBackupVaultAccessPolicy" => "setting the access policy",
        "ListCopyJobs" => "listing copy jobs",
        "DescribeCopyJob" => "reading a copy job",
        "StartCopyJob" => "starting a copy job",
        "DescribeGlobalSettings" => "reading the settings of the organization",
        "DescribeRegionSettings" => "reading the settings of the Region",
        "GetRole" => "reading the role",
        "SimulatePrincipalPolicy" => "asking IAM what the identity may do",
        "DescribeKey" => "reading the KMS key",
        "GetCallerIdentity" => "calling STS",
        other => other,
    }
}

/// The service of an operation, as actions in policies begin.
fn service(operation: &str) -> &'static str {
    match operation {
        "GetRole" | "SimulatePrincipalPolicy" => "iam",
        "DescribeKey" => "kms",
        "GetCallerIdentity" | "AssumeRole" => "sts",
        _ => "backup",
    }
}

/// An error and its causes in one line, each said once.
pub(in crate::aws) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let part = match e.downcast_ref::<ErrorMetadata>() {
            Some(metadata) => metadata.message().unwrap_or("AWS gave no reason").to_owned(),
            None => e.to_string(),
        };
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = e.source();
    }
    text
}

/// The same without the names of the SDK's own layers, and without the request that it shows where an endpoint is
/// none.
pub(super) fn plain(error: &(dyn StdError + 'static)) -> String {
    const ENDPOINT: &str = "failed to apply endpoint `";
    let chain = chain(error);
    let mut text = chain.as_str();
    while let Some(rest) = LAYERS.iter().find_map(|layer| text.strip_prefix(layer)) {
        text = rest;
    }
    let endpoint = text
        .strip_prefix(ENDPOINT)
        .and_then(|rest| rest.split_once("` to request"));
    match (endpoint, text.rsplit_once("`: ")) {
        (Some((url, _)), Some((_, cause))) => format!("the endpoint `{url}` is no URL of a service: {cause}"),
        _ => text.to_owned(),
    }
}
