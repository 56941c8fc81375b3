//! STS: GetCallerIdentity and AssumeRole, in the query protocol and XML.

use std::collections::HashMap;

use quick_xml::escape::escape;

use super::identity_api::SECRET;
use super::reply::Refusal;
use super::request::Request;
use super::world::{Caller, World};

/// All that there are.
pub(super) const OPERATIONS: &[&str] = &["GetCallerIdentity", "AssumeRole"];

/// The operation of an STS request.
pub(super) fn operation(request: &Request) -> &'static str {
    match request.form().get("Action").map(String::as_str) {
        Some("GetCallerIdentity") => "GetCallerIdentity",
        Some("AssumeRole") => "AssumeRole",
        Some("AssumeRoleWithWebIdentity") => "AssumeRoleWithWebIdentity",
        _ => "UnknownStsOperation",
    }
}

/// Answers in XML.
pub(super) fn handle(
    world: &mut World,
    caller: &Caller,
    request: &Request,
    id: &str,
) -> Result<String, Refusal> {
    let form = request.form();
    match operation(request) {
        "GetCallerIdentity" => Ok(document(
            "GetCallerIdentity",
            &format!(
                "<Arn>{}</Arn><UserId>{}</UserId><Account>{}</Account>",
                caller.arn, caller.user_id, caller.account
            ),
            id,
        )),
        "AssumeRole" => assume_role(world, &form, "AssumeRole", id),
        _ => Err(Refusal::new(
            400,
            "InvalidAction",
            "Could not find operation for version 2011-06-15",
        )),
    }
}

/// AssumeRole, and its like without a signature.
pub(super) fn assume_role(
    world: &mut World,
    form: &HashMap<String, String>,
    operation: &str,
    id: &str,
) -> Result<String, Refusal> {
    let invalid = |message: String| Refusal::new(400, "ValidationError", message);
    let member = |name: &str| {
        form.get(name)
            .ok_or_else(|| invalid(format!("{name} is required")))
    };
    let role_arn = member("RoleArn")?;
    let session_name = member("RoleSessionName")?;
    let parts: Vec<&str> = role_arn.splitn(6, ':').collect();
    let (Some(account), Some(role)) = (parts.get(4), parts.get(5).and_then(|r| r.strip_prefix("role/")))
    else {
        return Err(invalid(format!("{role_arn} is invalid")));
    };
    let role = role.rsplit('/').next().unwrap_or(role);
    let life = world.options.credential_lifetime_seconds;
    let issued = world.issue(account, role, session_name, life)?;
    let body = format!(
        "<Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>\
         <SessionToken>{}</SessionToken><Expiration>{}</Expiration></Credentials>\
         <AssumedRoleUser><AssumedRoleId>AROASIMULATED:{session_name}</AssumedRoleId>\
         <Arn>arn:aws:sts::{account}:assumed-role/{role}/{session_name}</Arn></AssumedRoleUser>",
        issued.key,
        issued.token,
        issued.expiration.format("%Y-%m-%dT%H:%M:%SZ"),
        account = escape(*account),
        role = escape(role),
        session_name = escape(session_name),
    );
    Ok(document(operation, &body, id))
}

fn document(operation: &str, result: &str, id: &str) -> String {
    format!(
        "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <{operation}Result>{result}</{operation}Result>\
         <ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{operation}Response>"
    )
}

/// An STS error.
pub(super) fn error(refusal: &Refusal, id: &str) -> String {
    // The same errors have other names here than in the JSON services.
    let code = match refusal.code.as_str() {
        "ExpiredTokenException" => "ExpiredToken",
        "UnrecognizedClientException" => "InvalidClientTokenId",
        "MissingAuthenticationTokenException" => "MissingAuthenticationToken",
        "InvalidSignatureException" => "SignatureDoesNotMatch",
        code => code,
    };
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>",
        escape(&refusal.message)
    )
}
