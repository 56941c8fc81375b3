//! Error answers and broken pages, as AWS and what stands before it write them.

use serde_json::{Value, json};

use super::spec::FaultKind;
use crate::sim::reply::{Page, Refusal};
use crate::sim::request::Request;

/// Status and text of AWS's common errors. A code that is not here is a client's error, unless its
/// name says that the fault is inside of AWS.
pub(in crate::sim) fn refusal(code: &str) -> Refusal {
    let (status, message) = match code {
        "Throttling" | "ThrottlingException" | "ThrottledException" => (400, "Rate exceeded"),
        "TooManyRequestsException" => (429, "Too Many Requests"),
        "RequestLimitExceeded" => (503, "Request limit exceeded."),
        "ServiceUnavailable" | "ServiceUnavailableException" => (
            503,
            "The request has failed due to a temporary failure of the server.",
        ),
        "InternalError" | "InternalFailure" => (
            500,
            "The request processing has failed because of an unknown error, exception or failure.",
        ),
        "RequestTimeout" | "RequestTimeoutException" => (408, "The request timed out."),
        "LimitExceededException" => (400, "Subscriber limit exceeded: copy jobs"),
        "ExpiredToken" | "ExpiredTokenException" => {
            (403, "The security token included in the request is expired")
        }
        "InvalidClientTokenId" | "UnrecognizedClientException" => {
            (403, "The security token included in the request is invalid.")
        }
        "AccessDenied" | "AccessDeniedException" => (403, "User is not authorized to perform this operation"),
        _ if code.contains("Unavailable") => (503, "Service unavailable"),
        _ if code.starts_with("Internal") => (500, "An internal error occurred."),
        _ => (400, "The request was refused by the simulator."),
    };
    Refusal::new(status, code, message)
}

/// What a load balancer sends of its own.
pub(in crate::sim) fn load_balancer_page(status: u16) -> String {
    let name = match status {
        500 => "500 Internal Server Error",
        502 => "502 Bad Gateway",
        503 => "503 Service Temporarily Unavailable",
        504 => "504 Gateway Time-out",
        _ => "200 OK",
    };
    format!(
        "<html>\r\n<head><title>{name}</title></head>\r\n<body>\r\n<center><h1>{name}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
}

/// The answer as this fault makes it. `nonce` tells tokens of the same page apart.
pub(in crate::sim) fn page(kind: &FaultKind, request: &Request, nonce: u32, answer: Value) -> Value {
    match kind {
        FaultKind::WrongType => wrong_types(answer),
        FaultKind::RepeatToken => match (request.query("nextToken"), Page::of(request)) {
            (Some(token), _) => with_token(answer, token),
            (None, Ok(page)) => with_token(answer, &page.token(0)),
            (None, Err(_)) => answer,
        },
        FaultKind::EmptyPage => match Page::of(request) {
            Ok(page) => with_token(without_members(answer), &page.token_again(nonce)),
            Err(_) => answer,
        },
        _ => answer,
    }
}

/// Every member gets a type that AWS's model does not have there.
fn wrong_types(answer: Value) -> Value {
    let Value::Object(mut members) = answer else {
        return answer;
    };
    for member in members.values_mut() {
        *member = match member {
            Value::String(_) => json!(12345),
            Value::Array(_) => json!("wrong"),
            _ => json!([{"wrong": true}]),
        };
    }
    Value::Object(members)
}

fn with_token(mut answer: Value, token: &str) -> Value {
    if let Some(members) = answer.as_object_mut() {
        members.insert("NextToken".to_owned(), json!(token));
    }
    answer
}

fn without_members(mut answer: Value) -> Value {
    for member in answer.as_object_mut().into_iter().flat_map(|o| o.values_mut()) {
        if member.is_array() {
            *member = json!([]);
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_change_their_types() {
        let answer =
            json!({"CopyJobId": "x", "CreationDate": 1.5, "CopyJobs": [{}], "CopyJob": {"State": "CREATED"}});
        let wrong = wrong_types(answer);
        assert!(wrong["CopyJobId"].is_number() && wrong["CreationDate"].is_array());
        assert!(wrong["CopyJobs"].is_string() && wrong["CopyJob"].is_array());
    }

    #[test]
    fn the_status_follows_the_code() {
        for (code, status) in [
            ("ThrottlingException", 400),
            ("TooManyRequestsException", 429),
            ("ServiceUnavailableException", 503),
            ("InternalFailure", 500),
            ("ExpiredTokenException", 403),
            ("SomethingNew", 400),
            ("InternalServerException", 500),
        ] {
            assert_eq!(refusal(code).status, status, "{code}");
        }
    }
}
