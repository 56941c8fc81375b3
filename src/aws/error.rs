//! What can go wrong with an AWS call, sorted by what can be done about it.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_backup::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_backup::operation::RequestId;
use thiserror::Error;

use crate::domain::{AccountId, Region};

use super::{Side, SideSettings};
use text::{plain, without_request};

mod text;

pub(super) use text::chain;

/// The operation that gets credentials of a role.
pub(super) const ASSUME_ROLE: &str = "AssumeRole";

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
    place: Option<Box<Place>>,
}

/// Whom a call asked, and what about.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    side: Side,
    account: AccountId,
    region: Region,
    subject: Option<String>,
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
            place: None,
        }
    }

    /// The same with the account and Region that were asked.
    pub(super) fn at(mut self, settings: &SideSettings) -> Self {
        let SideSettings {
            side,
            account,
            region,
            ..
        } = settings;
        self.place = Some(Box::new(Place {
            side: *side,
            account: account.clone(),
            region: region.clone(),
            subject: None,
        }));
        self
    }

    /// Which account was asked, if one was.
    pub fn side(&self) -> Option<Side> {
        self.place.as_ref().map(|place| place.side)
    }

    /// A role that could not be assumed: there are no credentials, whatever the reason.
    pub(super) fn of_assume_role<E>(error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        Self {
            class: ErrorClass::Credentials,
            ..Self::from_sdk(ASSUME_ROLE, error)
        }
    }

    /// The same with what it was about, such as a vault.
    pub(super) fn about(mut self, subject: impl std::fmt::Display) -> Self {
        if let Some(place) = &mut self.place {
            place.subject = Some(subject.to_string());
        }
        self
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
                    message: without_request(service.err().message().unwrap_or(match service.err().code() {
                        Some(_) => "AWS gave no reason",
                        None => "the answer is not in AWS's form",
                    })),
                    request_id: error.request_id().map(str::to_owned),
                    http_status: Some(status),
                    class,
                    may_have_taken_effect: class == ErrorClass::Transient,
                    place: None,
                    code,
                }
            }
            SdkError::ConstructionFailure(_) => Self::local(
                operation,
                "InvalidRequest",
                plain(error),
                ErrorClass::InvalidRequest,
            ),
            SdkError::DispatchFailure(failure) => {
                let message = plain(error);
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
                    format!("the answer cannot be read: {}", plain(error)),
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
}

impl StdError for ApiError {}

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
    /// A role that could not be assumed.
    #[error("no AWS credentials for the {side} account {account}: the role cannot be assumed: {source}")]
    Role {
        /// Which side.
        side: Side,
        /// Its account.
        account: AccountId,
        /// The call's error.
        source: Box<ApiError>,
    },
    /// STS could not be asked.
    #[error("cannot find out whose the credentials for the {side} account {account} are: {source}")]
    Sts {
        /// Which side.
        side: Side,
        /// Its account.
        account: AccountId,
        /// The call's error.
        source: Box<ApiError>,
    },
}

impl SessionError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoCredentials { hint, .. } | Self::WrongAccount { hint, .. } => Some(hint.clone()),
            Self::Role { source, .. } => Some(source.hint_of_role()),
            Self::Sts { source, .. } => source.hint(),
        }
    }
}

#[cfg(test)]
mod tests;
