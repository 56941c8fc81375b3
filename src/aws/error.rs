//! What can go wrong with an AWS call, sorted by what can be done about it.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_backup::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};
use aws_sdk_backup::operation::RequestId;
use thiserror::Error;

use crate::domain::AccountId;

use super::Side;

/// What can be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Fewer calls.
    Throttling,
    /// Wait until a running job has ended.
    Quota,
    /// Try again.
    Transient,
    /// Renew the credentials.
    Credentials,
    /// Ask for a permission.
    AccessDenied,
    /// Look whether it is there.
    NotFound,
    /// Change the request.
    InvalidRequest,
    /// Nothing: the program is stopping.
    Cancelled,
    /// Read the message.
    Other,
}

/// A failed AWS call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The operation, such as `StartCopyJob`.
    pub operation: &'static str,
    /// AWS's error code, or a name for what kept an answer from coming.
    pub code: String,
    /// AWS's text.
    pub message: String,
    /// By which AWS finds the call.
    pub request_id: Option<String>,
    /// HTTP status, where an answer came.
    pub http_status: Option<u16>,
    /// What can be done.
    pub class: ErrorClass,
    may_have_taken_effect: bool,
}

impl ApiError {
    /// Whether AWS may have done what was asked although no proper answer came.
    pub fn in_doubt(&self) -> bool {
        self.may_have_taken_effect
    }

    /// The program is stopping; the call may be `under_way`, or have waited for something.
    pub(super) fn cancelled(operation: &'static str, under_way: bool) -> Self {
        Self {
            may_have_taken_effect: under_way,
            ..Self::local(
                operation,
                "Cancelled",
                "the program is stopping",
                ErrorClass::Cancelled,
            )
        }
    }

    /// An error that is ours to name: AWS's answer makes no sense.
    pub(super) fn local(
        operation: &'static str,
        code: &str,
        message: impl Into<String>,
        class: ErrorClass,
    ) -> Self {
        Self {
            operation,
            code: code.to_owned(),
            message: message.into(),
            request_id: None,
            http_status: None,
            class,
            may_have_taken_effect: false,
        }
    }

    /// An error for tests of what is made of errors.
    #[cfg(test)]
    pub(crate) fn for_test(operation: &'static str, class: ErrorClass, in_doubt: bool) -> Self {
        Self {
            may_have_taken_effect: in_doubt,
            ..Self::local(operation, &format!("{class:?}"), "made by a test", class)
        }
    }

    /// An answer that came and does not say what it must: the work is probably done.
    pub(super) fn cut_short(operation: &'static str, message: &str) -> Self {
        Self {
            may_have_taken_effect: true,
            ..Self::local(operation, "UnreadableResponse", message, ErrorClass::Transient)
        }
    }

    /// Sorts an error of the SDK.
    pub(super) fn from_sdk<E>(operation: &'static str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        if let Some(problem) = credentials_problem(error) {
            return Self::local(operation, "NoCredentials", problem, ErrorClass::Credentials);
        }
        match error {
            // A success that cannot be read is none, and no refusal either.
            SdkError::ServiceError(service) if !service.raw().status().is_success() => {
                let status = service.raw().status().as_u16();
                let code = service
                    .err()
                    .code()
                    .map_or_else(|| format!("HTTP {status}"), str::to_owned);
                let class = match service.err().code() {
                    None => class_without_code(status),
                    Some(code) => class_of(code, status),
                };
                Self {
                    operation,
                    message: without_request(service.err().message().unwrap_or("AWS gave no reason")),
                    request_id: error.request_id().map(str::to_owned),
                    http_status: Some(status),
                    class,
                    may_have_taken_effect: class == ErrorClass::Transient,
                    code,
                }
            }
            SdkError::ConstructionFailure(_) => Self::local(
                operation,
                "InvalidRequest",
                chain(error),
                ErrorClass::InvalidRequest,
            ),
            SdkError::DispatchFailure(failure) => {
                let message = chain(error);
                let unsent = message.contains("(Connect)") || message.contains("HTTP connect");
                let code = if failure.is_timeout() {
                    "RequestTimeout"
                } else {
                    "ConnectionError"
                };
                Self {
                    may_have_taken_effect: !unsent,
                    ..Self::local(operation, code, message, ErrorClass::Transient)
                }
            }
            SdkError::TimeoutError(_) => Self {
                may_have_taken_effect: true,
                ..Self::local(
                    operation,
                    "RequestTimeout",
                    "AWS did not answer in time",
                    ErrorClass::Transient,
                )
            },
            _ => Self {
                may_have_taken_effect: true,
                ..Self::local(
                    operation,
                    "UnreadableResponse",
                    chain(error),
                    ErrorClass::Transient,
                )
            },
        }
    }

    /// Whether the signature was refused, which may be for the time that it names. Nothing was done.
    pub(super) fn may_be_of_clock(&self) -> bool {
        matches!(
            self.code.as_str(),
            "InvalidSignatureException" | "SignatureDoesNotMatch" | "RequestExpired" | "RequestTimeTooSkewed"
        )
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self.class {
            _ if self.may_be_of_clock() => {
                Some("check this machine's clock, and that the secret access key is the right one".to_owned())
            }
            ErrorClass::AccessDenied => Some(format!(
                "allow backup:{} to the identity that made the call (see \"Permissions\" in USER_GUIDE.md)",
                self.operation
            )),
            ErrorClass::Credentials => {
                Some("renew the credentials (for example: aws sso login), then run the command again".to_owned())
            }
            ErrorClass::Throttling => {
                Some("run again later, or with fewer --workers and a longer --poll-interval".to_owned())
            }
            ErrorClass::Transient => Some(
                "check the network, proxy (HTTPS_PROXY) and endpoint (AWS_ENDPOINT_URL), then run the command again"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

impl StdError for ApiError {}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.class, self.operation) {
            (ErrorClass::AccessDenied, "CreateBackupVault") => {
                write!(f, "Failed to create vault: Access denied: ")?;
            }
            (ErrorClass::AccessDenied, operation) => write!(f, "Access denied when {}: ", doing(operation))?,
            (_, operation) => write!(f, "{operation}: ")?,
        }
        write!(f, "{} ({}", self.message, self.code)?;
        if let Some(id) = &self.request_id {
            write!(f, ", request id {id}")?;
        }
        f.write_str(")")
    }
}

/// AWS repeats the request, session token and all, where its signature does not match.
fn without_request(message: &str) -> String {
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
fn doing(operation: &str) -> &str {
    match operation {
        "ListRecoveryPointsByBackupVault" => "listing recovery points",
        "ListBackupVaults" => "listing backup vaults",
        "DescribeBackupVault" => "reading a backup vault",
        "GetBackupVaultAccessPolicy" => "reading the vault's access policy",
        "PutBackupVaultAccessPolicy" => "setting the vault's access policy",
        "ListCopyJobs" => "listing copy jobs",
        "DescribeCopyJob" => "reading a copy job",
        "StartCopyJob" => "starting a copy job",
        other => other,
    }
}

/// The class of an error code; the status decides where the code is not known.
fn class_of(code: &str, status: u16) -> ErrorClass {
    match code {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown" => ErrorClass::Throttling,
        "LimitExceededException" => ErrorClass::Quota,
        "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "InternalServerException"
        | "RequestTimeout"
        | "RequestTimeoutException" => ErrorClass::Transient,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        // A key and a secret that do not belong together: a file read while it was written.
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => ErrorClass::Credentials,
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => ErrorClass::AccessDenied,
        "ResourceNotFoundException" => ErrorClass::NotFound,
        "InvalidParameterValueException"
        | "MissingParameterValueException"
        | "InvalidRequestException"
        | "ValidationException"
        | "AlreadyExistsException" => ErrorClass::InvalidRequest,
        _ => match status {
            429 => ErrorClass::Throttling,
            408 | 500.. => ErrorClass::Transient,
            403 => ErrorClass::AccessDenied,
            404 => ErrorClass::NotFound,
            400..=499 => ErrorClass::InvalidRequest,
            _ => ErrorClass::Other,
        },
    }
}

/// The class of an answer without an error code: it is not AWS's but that of something on the way to
/// it, such as a proxy or a sign-in page, and says nothing of the request.
fn class_without_code(status: u16) -> ErrorClass {
    if status == 429 {
        ErrorClass::Throttling
    } else {
        ErrorClass::Transient
    }
}

/// The text of a credentials provider's error, if that is what is at the bottom of this one.
fn credentials_problem(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(e) = cause {
        if e.is::<CredentialsError>() {
            return Some(chain(e));
        }
        cause = e.source();
    }
    None
}

/// An error and its causes in one line, each said once.
pub(super) fn chain(error: &(dyn StdError + 'static)) -> String {
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

/// Why an account could not be reached with the right identity. Nothing else was called.
#[derive(Debug, Error)]
pub enum SessionError {
    /// No credentials at all.
    #[error("no AWS credentials for the {side} account {account}: {problem}")]
    NoCredentials {
        /// Which side.
        side: Side,
        /// Its account.
        account: AccountId,
        /// What was tried.
        problem: String,
        /// What could be named.
        hint: String,
    },
    /// Credentials of another account.
    #[error("the {side} identity is {identity}, but the {side} account is to be {account}")]
    WrongAccount {
        /// Which side.
        side: Side,
        /// The account that was asked for.
        account: AccountId,
        /// ARN of the identity that the credentials belong to.
        identity: String,
        /// What could be named.
        hint: String,
    },
    /// STS could not be asked.
    #[error("cannot find out whose the {side} credentials are: {source}")]
    Sts {
        /// Which side.
        side: Side,
        /// The call's error.
        source: ApiError,
    },
}

impl SessionError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoCredentials { hint, .. } | Self::WrongAccount { hint, .. } => Some(hint.clone()),
            Self::Sts { source, .. } => source.hint(),
        }
    }
}

#[cfg(test)]
mod tests;
