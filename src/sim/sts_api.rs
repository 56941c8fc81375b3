//! STS: GetCallerIdentity and AssumeRole, in the query protocol and XML.

use rand::Rng as _;

use super::reply::Refusal;
use super::request::Request;
use super::world::{Caller, Session, World};

/// All that there are.
pub(super) const OPERATIONS: &[&str] = &["GetCallerIdentity", "AssumeRole"];

/// The operation of an STS request.
pub(super) fn operation(request: &Request) -> &'static str {
    match request.form().get("Action").map(String::as_str) {
        Some("GetCallerIdentity") => "GetCallerIdentity",
        Some("AssumeRole") => "AssumeRole",
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
        "AssumeRole" => assume_role(world, form.get("RoleArn"), form.get("RoleSessionName"), id),
        _ => Err(Refusal::new(
            400,
            "InvalidAction",
            "Could not find operation for version 2011-06-15",
        )),
    }
}

fn assume_role(
    world: &mut World,
    role_arn: Option<&String>,
    session_name: Option<&String>,
    id: &str,
) -> Result<String, Refusal> {
    let missing = |name: &str| Refusal::new(400, "ValidationError", format!("{name} is required"));
    let role_arn = role_arn.ok_or_else(|| missing("RoleArn"))?;
    let session_name = session_name.ok_or_else(|| missing("RoleSessionName"))?.clone();
    let parts: Vec<&str> = role_arn.splitn(6, ':').collect();
    let (Some(account), Some(role)) = (parts.get(4), parts.get(5).and_then(|r| r.strip_prefix("role/")))
    else {
        return Err(Refusal::new(
            400,
            "ValidationError",
            format!("{role_arn} is invalid"),
        ));
    };
    let known = [&world.options.source_account, &world.options.dest_account];
    if !known.iter().any(|a| a.as_str() == *account) {
        let message = format!("User is not authorized to perform: sts:AssumeRole on resource: {role_arn}");
        return Err(Refusal::new(403, "AccessDenied", message));
    }
    let key = format!("ASIA{:016X}", world.rng.random::<u64>());
    let token = format!("SIMTOKEN{:032x}", world.rng.random::<u128>());
    let lifetime = world.options.credential_lifetime_seconds;
    let seconds = if lifetime > 0.0 { lifetime } else { 3600.0 };
    let expires = world.clock.wall() + super::clock::seconds(seconds);
    let role_name = role.rsplit('/').next().unwrap_or(role);
    let body = format!(
        "<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>simulated-secret</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>{}</Expiration></Credentials>\
         <AssumedRoleUser><AssumedRoleId>AROASIMULATED:{session_name}</AssumedRoleId>\
         <Arn>arn:aws:sts::{account}:assumed-role/{role_name}/{session_name}</Arn></AssumedRoleUser>",
        expires.format("%Y-%m-%dT%H:%M:%SZ")
    );
    let session = Session {
        account: (*account).to_owned(),
        role: role_name.to_owned(),
        name: session_name,
        token,
        expires_at: (lifetime > 0.0).then(|| world.clock.real_seconds() + lifetime),
    };
    world.sessions.insert(key, session);
    Ok(document("AssumeRole", &body, id))
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
        refusal.message
    )
}
