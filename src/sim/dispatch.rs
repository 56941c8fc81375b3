//! One request: who calls, which operation it is, what goes wrong with it, and its answer.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use hyper::Response;
use hyper::header::HeaderValue;
use rand::Rng as _;
use serde_json::{Value, json};

use super::faults::{self, Delivery, FaultKind};
use super::ledger::CallRecord;
use super::reply::{Body, Refusal};
use super::request::Request;
use super::service::Service;
use super::world::{Caller, World};
use super::{backup_api, iam_api, identity_api, kms_api, sts_api};

/// How far a caller's clock may be off.
const MOST_SKEW: TimeDelta = TimeDelta::minutes(5);

/// What is known of a call before it is carried out.
struct Call<'a> {
    request: &'a Request,
    service: Service,
    /// Request id.
    id: String,
}

/// An answer, not yet in HTTP's form.
struct Reply {
    status: u16,
    kind: &'static str,
    body: String,
    /// AWS's error code.
    error: Option<String>,
}

/// Does what a request asks for, and says how the answer is to be sent.
pub(super) fn dispatch(world: &mut World, request: &Request) -> (Response<Bytes>, Delivery) {
    let own = match (request.method.as_str(), request.path.first().map(String::as_str)) {
        ("GET", Some("_ledger")) => Some(world.ledger()),
        ("GET", Some("_counts")) => Some(world.counts()),
        _ => None,
    };
    if let Some(ledger) = own {
        let reply = Reply {
            status: 200,
            kind: "application/json",
            body: ledger.to_string(),
            error: None,
        };
        return (reply.response(world, "-"), Delivery::Whole);
    }
    if let Some(operation) = identity_api::operation(request) {
        return (unsigned(world, operation, request), Delivery::Whole);
    }
    let (service, operation) = Service::of(request);
    let call = Call {
        request,
        service,
        id: world.uuid().to_lowercase(),
    };
    let caller = authenticate(world, request);
    let account = caller
        .as_ref()
        .map_or_else(|_| String::new(), |c| c.account.clone());
    let (reply, fault) =
        match caller.and_then(|caller| admit(world, &caller, service, operation).map(|()| caller)) {
            Ok(caller) => {
                let fault = world.pick_fault(operation, request.query("nextToken").is_some());
                (answer(world, &caller, &call, fault.as_ref()), fault)
            }
            Err(refusal) => (call.refused(&refusal), None),
        };
    world.calls.add(&CallRecord {
        at: world.clock.now(),
        operation,
        account: &account,
        status: reply.status,
        error: reply.error.as_deref(),
        fault: fault.as_ref(),
    });
    let delivery = match &fault {
        // An answer that says that nothing was done is not lost: there is nothing to be in doubt of.
        Some(FaultKind::Lost) if reply.error.is_some() => Delivery::Whole,
        Some(kind) => Delivery::of(kind, world.options.late_seconds),
        None => Delivery::Whole,
    };
    (reply.response(world, &call.id), delivery)
}

/// Answers a request that nobody has signed, because it is for credentials.
fn unsigned(world: &mut World, operation: &'static str, request: &Request) -> Response<Bytes> {
    let id = world.uuid().to_lowercase();
    let call = Call {
        request,
        service: match operation {
            "AssumeRoleWithWebIdentity" => Service::Sts,
            _ => Service::Backup,
        },
        id: id.clone(),
    };
    let reply = match identity_api::handle(world, operation, request, &id) {
        Ok(document) => Reply {
            status: 200,
            kind: document.kind,
            body: document.body,
            error: None,
        },
        Err(refusal) => call.refused(&refusal),
    };
    // What a script asks of the simulator is no call of AWS.
    if !operation.starts_with('_') {
        world.calls.add(&CallRecord {
            at: world.clock.now(),
            operation,
            account: "",
            status: reply.status,
            error: reply.error.as_deref(),
            fault: None,
        });
    }
    reply.response(world, &id)
}

fn authenticate(world: &World, request: &Request) -> Result<Caller, Refusal> {
    let Some(key) = &request.access_key else {
        return Err(Refusal::new(
            403,
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        ));
    };
    if let Some(signed_at) = request.signed_at {
        in_time(signed_at, world.clock.wall())?;
    }
    world
        .caller(key, request.session_token.as_deref())
        .map_err(faults::refusal)
}

/// AWS refuses signatures of another time than its own.
fn in_time(signed_at: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), Refusal> {
    let text = |at: DateTime<Utc>| at.format("%Y%m%dT%H%M%SZ").to_string();
    let (signed, is) = (text(signed_at), text(now));
    let message = if signed_at < now - MOST_SKEW {
        let edge = text(now - MOST_SKEW);
        format!("Signature expired: {signed} is now earlier than {edge} ({is} - 5 min.)")
    } else if signed_at > now + MOST_SKEW {
        let edge = text(now + MOST_SKEW);
        format!("Signature not yet current: {signed} is still later than {edge} ({is} + 5 min.)")
    } else {
        return Ok(());
    };
    Err(Refusal::new(403, "InvalidSignatureException", message))
}

/// Whether the call is allowed, and not too much.
fn admit(world: &mut World, caller: &Caller, service: Service, operation: &str) -> Result<(), Refusal> {
    let is_known = backup_api::OPERATIONS.contains(&operation);
    if service == Service::Sts || (service == Service::Backup && !is_known) {
        return Ok(());
    }
    if world.options.deny.iter().any(|denied| denied == operation) {
        let message = format!(
            "User: {} is not authorized to perform: {}:{operation}",
            caller.arn,
            service.prefix()
        );
        let status = if service == Service::Kms { 400 } else { 403 };
        return Err(Refusal::new(status, "AccessDeniedException", message));
    }
    if service != Service::Backup {
        return Ok(());
    }
    let at = world.clock.real_seconds();
    if !world.rate.takes(at) {
        return Err(faults::refusal("ThrottlingException"));
    }
    Ok(())
}

/// The answer of an admitted call, with its fault.
fn answer(world: &mut World, caller: &Caller, call: &Call<'_>, fault: Option<&FaultKind>) -> Reply {
    match fault {
        Some(FaultKind::Code(code)) => call.refused(&faults::refusal(code)),
        Some(FaultKind::ExpiredToken) => {
            call.refused(&Refusal::invalid("The specified NextToken is expired."))
        }
        Some(FaultKind::Status(status)) => Reply {
            status: *status,
            error: Some(format!("HTTP {status}")),
            ..Reply::page(*status)
        },
        Some(FaultKind::Reset | FaultKind::Hang) => Reply {
            body: String::new(),
            ..Reply::page(0)
        },
        _ => {
            let done = carry_out(world, caller, call, fault);
            match (done, fault) {
                (Ok(_), Some(FaultKind::Html)) => Reply::page(200),
                (Ok(body), _) => Reply {
                    status: 200,
                    kind: call.kind(),
                    body,
                    error: None,
                },
                (Err(refusal), _) => call.refused(&refusal),
            }
        }
    }
}

fn carry_out(
    world: &mut World,
    caller: &Caller,
    call: &Call<'_>,
    fault: Option<&FaultKind>,
) -> Result<String, Refusal> {
    match call.service {
        Service::Sts => return sts_api::handle(world, caller, call.request, &call.id),
        Service::Iam => return iam_api::handle(world, caller, call.request, &call.id),
        Service::Kms => return kms_api::handle(world, caller, call.request).map(|answer| answer.to_string()),
        Service::Backup => {}
    }
    if fault == Some(&FaultKind::Duplicate) {
        // What the first one answers reaches nobody.
        let _ = backup_api::handle(world, caller, call.request);
    }
    let body = backup_api::handle(world, caller, call.request)?;
    let is_of_tomorrow = world.chance(world.options.unknown_share);
    let mut value = match body {
        Body::Text(text) if fault.is_none() && !is_of_tomorrow => return Ok(text),
        Body::Text(text) => serde_json::from_str(&text).unwrap_or_default(),
        Body::Members(value) => value,
    };
    drop_nulls(&mut value);
    if is_of_tomorrow {
        add_unknown(&mut value);
    }
    if let Some(kind) = fault {
        value = faults::page(kind, call.request, world.rng.random(), value);
    }
    Ok(value.to_string())
}

/// AWS leaves out members that have no value.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(members) => members.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// AWS adds members as it grows.
fn add_unknown(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(add_unknown);
            members.insert("MemberOfTomorrow".to_owned(), json!({"Nested": [1, "two", null]}));
        }
        Value::Array(members) => members.iter_mut().for_each(add_unknown),
        _ => {}
    }
}

impl Call<'_> {
    fn kind(&self) -> &'static str {
        self.service.kind()
    }

    fn refused(&self, refusal: &Refusal) -> Reply {
        Reply {
            status: refusal.status,
            kind: self.kind(),
            body: match self.service {
                Service::Sts => sts_api::error(refusal, &self.id),
                Service::Iam => iam_api::error(refusal, &self.id),
                Service::Kms => kms_api::error(refusal).to_string(),
                Service::Backup => refusal.body().to_string(),
            },
            error: Some(refusal.code.clone()),
        }
    }
}

impl Reply {
    /// A page in HTML.
    fn page(status: u16) -> Self {
        Self {
            status,
            kind: "text/html",
            body: faults::load_balancer_page(status),
            error: None,
        }
    }

    fn response(self, world: &World, id: &str) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(self.body));
        *response.status_mut() = hyper::StatusCode::from_u16(self.status).unwrap_or_default();
        // What stands before AWS knows nothing of its request ids and codes.
        let is_aws = self.kind != "text/html";
        let date = world.clock.wall().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let headers = [
            ("content-type", Some(self.kind)),
            ("date", Some(date.as_str())),
            ("x-amzn-requestid", Some(id).filter(|_| is_aws)),
            (
                "x-amzn-errortype",
                self.error
                    .as_deref()
                    .filter(|_| self.kind.starts_with("application/")),
            ),
        ];
        for (name, value) in headers {
            if let Some(value) = value.and_then(|v| HeaderValue::from_str(v).ok()) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_of_another_time_are_refused() {
        let now: DateTime<Utc> = "2026-01-01T00:10:00Z".parse().unwrap();
        let minutes = TimeDelta::minutes;
        assert_eq!(in_time(now - minutes(5), now), Ok(()));
        assert_eq!(in_time(now + minutes(5), now), Ok(()));
        let early = in_time(now - minutes(10), now).unwrap_err();
        assert_eq!(
            early.message,
            "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z (20260101T001000Z - 5 min.)"
        );
        let late = in_time(now + minutes(10), now).unwrap_err();
        assert_eq!(
            late.message,
            "Signature not yet current: 20260101T002000Z is still later than 20260101T001500Z (20260101T001000Z + 5 min.)"
        );
        assert_eq!(
            (late.status, late.code.as_str()),
            (403, "InvalidSignatureException")
        );
    }

    #[test]
    fn members_of_tomorrow_come_at_every_level() {
        let mut value = json!({"CopyJobs": [{"State": "CREATED"}]});
        add_unknown(&mut value);
        assert!(value["MemberOfTomorrow"].is_object());
        assert!(value["CopyJobs"][0]["MemberOfTomorrow"].is_object());
    }
}
