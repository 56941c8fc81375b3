use aws_sdk_backup::config::http::HttpResponse;
use aws_sdk_backup::error::{ConnectorError, ErrorMetadata};
use aws_smithy_types::body::SdkBody;

use super::text::doing;
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
        ("HTTP 500", "the answer is not in AWS's form")
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
            Some(
                "add to the policies of the identity that made the call: \
                 {\"Effect\":\"Allow\",\"Action\":\"backup:StartCopyJob\",\"Resource\":\"*\"}",
            ),
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
        (
            answer(503, None, None),
            Some("something else than AWS may have answered"),
        ),
        (
            answer(503, Some("ServiceUnavailable"), None),
            Some("this is a fault of AWS"),
        ),
        (
            answer(200, None, None),
            Some("something else than AWS may have answered"),
        ),
        (
            answer(400, Some("InvalidRequestException"), None),
            Some("change the option that AWS complains of"),
        ),
        (
            answer(400, Some("LimitExceededException"), None),
            Some("delete what is not needed"),
        ),
        (
            answer(400, Some("ResourceNotFoundException"), None),
            Some("check the name, the account and --region"),
        ),
        (ApiError::cancelled("ListCopyJobs", false), None),
    ] {
        let hint = error.hint();
        let begins = |hint: &String| wanted.is_some_and(|wanted| hint.starts_with(wanted));
        assert!(
            hint.as_ref().map_or(wanted.is_none(), begins),
            "{error:?}: {hint:?}"
        );
        let session = SessionError::Sts {
            side: Side::Source,
            account: "123456789012".parse().unwrap(),
            source: Box::new(error),
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
        "DescribeGlobalSettings",
        "DescribeRegionSettings",
        "GetRole",
        "SimulatePrincipalPolicy",
        "DescribeKey",
        "GetCallerIdentity",
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

/// Settings of the destination's side.
fn destination() -> SideSettings {
    let second = std::time::Duration::from_secs(1);
    SideSettings {
        side: Side::Destination,
        account: "987654321098".parse().unwrap(),
        region: "eu-west-1".parse().unwrap(),
        profile: None,
        role_arn: None,
        external_id: None,
        role_session_name: None,
        connect_timeout: second,
        read_timeout: second,
        credential_wait: second,
        list_workers: 1,
    }
}

#[test]
fn whom_was_asked_what_about_is_said() {
    let at = |operation, class| {
        let error = ApiError::local(operation, "X", "no", class);
        let about = error.clone().about("v");
        assert_eq!(about, error, "nothing is known of whom");
        (error.at(&destination()), about.at(&destination()).about("v"))
    };
    let place = "in the destination account 987654321098, eu-west-1: no (X)";
    let (plain, about) = at("ListBackupVaults", ErrorClass::Other);
    assert_eq!(plain.to_string(), format!("ListBackupVaults {place}"));
    assert_eq!(about.to_string(), format!("ListBackupVaults of v {place}"));
    let (_, about) = at("GetBackupVaultAccessPolicy", ErrorClass::AccessDenied);
    assert_eq!(
        about.to_string(),
        format!("Access denied when reading the access policy of v {place}")
    );
    let (_, about) = at("CreateBackupVault", ErrorClass::AccessDenied);
    assert_eq!(
        about.to_string(),
        format!("Failed to create vault: Access denied for v {place}")
    );
    let (sts, _) = at("GetCallerIdentity", ErrorClass::Other);
    assert_eq!(sts.to_string(), "GetCallerIdentity in eu-west-1: no (X)");
    assert_eq!(sts.side(), Some(Side::Destination));
}

#[test]
fn the_permission_is_the_one_that_aws_misses() {
    let hint = |operation, message: &str| {
        let error = ApiError::local(
            operation,
            "AccessDeniedException",
            message,
            ErrorClass::AccessDenied,
        );
        error.at(&destination()).hint().unwrap()
    };
    let statement = |action: &str| {
        format!(
            "add to the policies of the destination identity: \
             {{\"Effect\":\"Allow\",\"Action\":\"{action}\",\"Resource\":\"*\"}}"
        )
    };
    for (operation, action) in [
        ("ListCopyJobs", "backup:ListCopyJobs"),
        ("GetRole", "iam:GetRole"),
        ("DescribeKey", "kms:DescribeKey"),
        ("GetCallerIdentity", "sts:GetCallerIdentity"),
    ] {
        assert_eq!(hint(operation, "no"), statement(action));
    }
    let other = "User: x is not authorized to perform: kms:CreateGrant on resource: y";
    let created = hint("CreateBackupVault", other);
    assert!(created.starts_with(&statement("kms:CreateGrant")), "{created}");
    assert!(created.ends_with(" and copy with --skip-dest-setup"), "{created}");
    let denied = "x is not authorized to perform: backup:ListCopyJobs with an explicit deny in a service control policy";
    assert_eq!(
        hint("ListCopyJobs", denied),
        "a policy denies backup:ListCopyJobs to the destination identity, whatever others allow: have that statement \
         changed"
    );
}

#[test]
fn the_way_to_aws_is_described_by_where_it_ends() {
    let hint = |error: &Found| {
        let error = ApiError::from_sdk("ListCopyJobs", error).at(&destination());
        (error.message.clone(), error.hint().unwrap())
    };
    let (message, next) = hint(&Found::dispatch_failure(ConnectorError::io("dns error".into())));
    assert_eq!(message, "dns error");
    assert!(next.contains("the Region eu-west-1 (--dest-region)"), "{next}");
    let (_, next) = hint(&Found::timeout_error("slow"));
    assert!(next.contains("--read-timeout"), "{next}");
    let endpoint =
        "failed to apply endpoint `x` to request `Request { body: secret }`: endpoint must contain scheme";
    let (message, _) = hint(&Found::dispatch_failure(ConnectorError::other(
        endpoint.into(),
        None,
    )));
    assert_eq!(
        message,
        "the endpoint `x` is no URL of a service: endpoint must contain scheme"
    );
}

#[test]
fn a_role_that_cannot_be_assumed_says_what_sts_said() {
    let refused = |code: Option<&'static str>, status: u16| {
        let mut metadata = ErrorMetadata::builder().message("no");
        if let Some(code) = code {
            metadata = metadata.code(code);
        }
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
        response.headers_mut().insert("x-amzn-requestid", "r-1");
        let error = ApiError::of_assume_role(&Found::service_error(metadata.build(), response));
        assert_eq!(error.class, ErrorClass::Credentials);
        SessionError::Role {
            side: Side::Source,
            account: "123456789012".parse().unwrap(),
            source: Box::new(error),
        }
    };
    let denied = refused(Some("AccessDenied"), 403);
    assert_eq!(
        denied.to_string(),
        "no AWS credentials for the source account 123456789012: the role cannot be assumed: AssumeRole: no \
         (AccessDenied, request id r-1)"
    );
    assert!(
        denied
            .hint()
            .unwrap()
            .starts_with("let the trust policy of the role")
    );
    let broken = refused(None, 503).hint().unwrap();
    assert!(broken.starts_with("something else than AWS"), "{broken}");
}
