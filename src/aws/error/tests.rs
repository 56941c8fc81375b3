use aws_sdk_backup::config::http::HttpResponse;
use aws_sdk_backup::error::ConnectorError;
use aws_smithy_types::body::SdkBody;

use super::*;

type Found = SdkError<ErrorMetadata>;

/// What AWS, or something on the way to it, answered.
fn answer(status: u16, code: Option<&str>, message: Option<&str>) -> ApiError {
    let mut metadata = ErrorMetadata::builder();
    if let Some(code) = code {
        metadata = metadata.code(code);
    }
    if let Some(message) = message {
        metadata = metadata.message(message);
    }
    let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
    response.headers_mut().insert("x-amzn-requestid", "r-1");
    ApiError::from_sdk("StartCopyJob", &Found::service_error(metadata.build(), response))
}

#[test]
fn what_aws_refused_was_not_done_and_what_broke_inside_may_have_been() {
    let refused = answer(400, Some("InvalidRequestException"), Some("no such point"));
    assert_eq!(
        (refused.class, refused.in_doubt()),
        (ErrorClass::InvalidRequest, false)
    );
    assert_eq!(
        (refused.http_status, refused.code.as_str()),
        (Some(400), "InvalidRequestException")
    );
    assert_eq!(refused.request_id.as_deref(), Some("r-1"));
    assert_eq!(
        refused.to_string(),
        "StartCopyJob: no such point (InvalidRequestException, request id r-1)"
    );
    let broken = answer(500, None, None);
    assert_eq!((broken.class, broken.in_doubt()), (ErrorClass::Transient, true));
    assert_eq!(
        (broken.code.as_str(), broken.message.as_str()),
        ("HTTP 500", "AWS gave no reason")
    );
    // A success that cannot be read.
    let unreadable = answer(200, Some("InvalidRequestException"), None);
    assert_eq!(
        (unreadable.class, unreadable.in_doubt()),
        (ErrorClass::Transient, true)
    );
    assert_eq!(unreadable.code, "UnreadableResponse");
}

#[test]
fn a_403_without_a_code_comes_from_something_on_the_way() {
    assert_eq!(answer(403, None, None).class, ErrorClass::Transient);
    assert_eq!(answer(404, None, None).class, ErrorClass::Transient);
    assert_eq!(
        answer(403, Some("AccessDeniedException"), None).class,
        ErrorClass::AccessDenied
    );
}

#[test]
fn a_call_that_never_left_is_not_in_doubt() {
    let of = |error: &Found| {
        let error = ApiError::from_sdk("StartCopyJob", error);
        (error.code.clone(), error.class, error.in_doubt())
    };
    let transient = |code: &str, in_doubt| (code.to_owned(), ErrorClass::Transient, in_doubt);
    let failure = |error| of(&Found::dispatch_failure(error));
    assert_eq!(
        failure(ConnectorError::io("client error (Connect)".into())),
        transient("ConnectionError", false)
    );
    assert_eq!(
        failure(ConnectorError::timeout("HTTP connect timeout".into())),
        transient("RequestTimeout", false)
    );
    assert_eq!(
        failure(ConnectorError::io("reset".into())),
        transient("ConnectionError", true)
    );
    assert_eq!(
        of(&Found::timeout_error("slow")),
        transient("RequestTimeout", true)
    );
    let invalid = of(&Found::construction_failure("no region"));
    assert_eq!(
        invalid,
        ("InvalidRequest".to_owned(), ErrorClass::InvalidRequest, false)
    );
}

#[test]
fn missing_credentials_are_found_at_the_bottom_of_an_error() {
    let cause = CredentialsError::provider_error("the token has expired");
    let error = ApiError::from_sdk("StartCopyJob", &Found::construction_failure(cause));
    assert_eq!(
        (error.class, error.code.as_str()),
        (ErrorClass::Credentials, "NoCredentials")
    );
    assert!(
        error.message.ends_with("the token has expired"),
        "{}",
        error.message
    );
}

#[test]
fn causes_are_said_once_and_in_order() {
    #[derive(Debug, Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);
    let inner = Layer("no route", None);
    let same = Layer("cannot connect", Some(Box::new(inner)));
    let outer = Layer("cannot connect", Some(Box::new(same)));
    assert_eq!(chain(&outer), "cannot connect: no route");
}

#[test]
fn the_request_that_aws_repeats_is_not_shown() {
    let message = "Signature does not match.\n\nThe Canonical String for this request was\nsecret";
    let error = answer(403, Some("InvalidSignatureException"), Some(message));
    assert_eq!(error.message, "Signature does not match.");
    assert_eq!(without_request("plain"), "plain");
}

#[test]
fn hints_say_what_to_do_next() {
    for (error, wanted) in [
        (
            answer(403, Some("AccessDeniedException"), None),
            Some("allow backup:StartCopyJob"),
        ),
        (
            answer(400, Some("ExpiredTokenException"), None),
            Some("renew the credentials"),
        ),
        (
            answer(403, Some("InvalidSignatureException"), None),
            Some("check this machine's clock"),
        ),
        (
            answer(400, Some("ThrottlingException"), None),
            Some("run again later"),
        ),
        (answer(503, None, None), Some("check the network")),
        (answer(400, Some("InvalidRequestException"), None), None),
    ] {
        let hint = error.hint();
        let begins = |hint: &String| wanted.is_some_and(|wanted| hint.starts_with(wanted));
        assert!(
            hint.as_ref().map_or(wanted.is_none(), begins),
            "{error:?}: {hint:?}"
        );
        let session = SessionError::Sts {
            side: Side::Source,
            source: error,
        };
        assert_eq!(session.hint(), hint);
    }
    let wrong = SessionError::NoCredentials {
        side: Side::Source,
        account: "123456789012".parse().unwrap(),
        problem: "none".to_owned(),
        hint: "name a profile".to_owned(),
    };
    assert_eq!(wrong.hint().as_deref(), Some("name a profile"));
}

#[test]
fn operations_are_said_in_words_where_access_is_denied() {
    for (operation, words) in [
        ("ListCopyJobs", "Access denied when listing copy jobs: "),
        ("StartCopyJob", "Access denied when starting a copy job: "),
        ("NewOperation", "Access denied when NewOperation: "),
        ("CreateBackupVault", "Failed to create vault: Access denied: "),
    ] {
        let error = ApiError::local(operation, "AccessDenied", "no", ErrorClass::AccessDenied);
        assert_eq!(error.to_string(), format!("{words}no (AccessDenied)"));
    }
}

#[test]
fn each_operation_has_words_of_its_own() {
    let operations = [
        "ListRecoveryPointsByBackupVault",
        "ListBackupVaults",
        "DescribeBackupVault",
        "GetBackupVaultAccessPolicy",
        "PutBackupVaultAccessPolicy",
        "ListCopyJobs",
        "DescribeCopyJob",
        "StartCopyJob",
    ];
    let words: std::collections::BTreeSet<&str> = operations.map(doing).into();
    assert_eq!(words.len(), operations.len());
    assert!(words.iter().all(|words| words.contains(' ')), "{words:?}");
}

#[test]
fn errors_of_our_own_keep_their_doubt() {
    assert!(ApiError::cancelled("StartCopyJob", true).in_doubt());
    assert!(!ApiError::cancelled("StartCopyJob", false).in_doubt());
    assert!(ApiError::cut_short("StartCopyJob", "half").in_doubt());
}

#[test]
fn the_codes_of_the_guide_are_sorted() {
    for code in [
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
    ] {
        assert_eq!(class_of(code, 400), ErrorClass::Throttling, "{code}");
    }
    for code in [
        "ServiceUnavailable",
        "InternalError",
        "InternalFailure",
        "RequestTimeout",
    ] {
        assert_eq!(class_of(code, 400), ErrorClass::Transient, "{code}");
    }
    for code in [
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
    ] {
        assert_eq!(class_of(code, 403), ErrorClass::Credentials, "{code}");
    }
    assert_eq!(class_of("LimitExceededException", 400), ErrorClass::Quota);
    for code in ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"] {
        assert_eq!(class_of(code, 400), ErrorClass::AccessDenied, "{code}");
    }
    assert_eq!(class_of("ResourceNotFoundException", 400), ErrorClass::NotFound);
    for code in ["InvalidParameterValueException", "AlreadyExistsException"] {
        assert_eq!(class_of(code, 200), ErrorClass::InvalidRequest, "{code}");
    }
}

#[test]
fn the_status_decides_where_the_code_is_new() {
    assert_eq!(class_of("ERROR_9999", 503), ErrorClass::Transient);
    assert_eq!(class_of("ERROR_9999", 429), ErrorClass::Throttling);
    assert_eq!(class_of("ERROR_9999", 400), ErrorClass::InvalidRequest);
    assert_eq!(class_of("ERROR_9999", 403), ErrorClass::AccessDenied);
    assert_eq!(class_of("ERROR_9999", 404), ErrorClass::NotFound);
    assert_eq!(class_of("ERROR_9999", 408), ErrorClass::Transient);
    assert_eq!(class_of("ERROR_9999", 301), ErrorClass::Other);
}

#[test]
fn what_a_proxy_answers_is_no_refusal_of_aws() {
    for status in [302, 307, 400, 403, 404, 407, 413, 502] {
        assert_eq!(class_without_code(status), ErrorClass::Transient, "{status}");
    }
    assert_eq!(class_without_code(429), ErrorClass::Throttling);
}
