//! IAM: GetRole and SimulatePrincipalPolicy, in the query protocol and XML. Every role of the two accounts exists
//! and trusts AWS Backup, but for those that the options name.

use std::collections::HashMap;

use chrono::SecondsFormat;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::escape::escape;

use super::options::Lack;
use super::reply::Refusal;
use super::request::Request;
use super::world::{Caller, World};

/// All that there are.
pub(super) const OPERATIONS: &[&str] = &["GetRole", "SimulatePrincipalPolicy"];
/// A role that AWS Backup's console makes, with a path of its own.
const DEFAULT_ROLE: &str = "AWSBackupDefaultServiceRole";
const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// The operation of a request to IAM; `None` if it is to another service.
pub(super) fn operation(request: &Request) -> Option<&'static str> {
    let form = request.form();
    let action = form.get("Action")?;
    OPERATIONS.iter().find(|known| *known == action).copied()
}

/// Answers in XML.
pub(super) fn handle(world: &World, caller: &Caller, request: &Request, id: &str) -> Result<String, Refusal> {
    let form = request.form();
    match operation(request) {
        Some("GetRole") => get_role(world, caller, &form, id),
        _ => simulate(world, caller, &form, id),
    }
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "ValidationError", message)
}

fn no_such_role(name: &str) -> Refusal {
    let message = format!("The role with name {name} cannot be found.");
    Refusal::new(404, "NoSuchEntity", message)
}

fn get_role(
    world: &World,
    caller: &Caller,
    form: &HashMap<String, String>,
    id: &str,
) -> Result<String, Refusal> {
    let name = form
        .get("RoleName")
        .ok_or_else(|| invalid("RoleName is required"))?;
    if world.options.absent_roles.iter().any(|absent| absent == name) {
        return Err(no_such_role(name));
    }
    let path = if name == DEFAULT_ROLE {
        "/service-role/"
    } else {
        "/"
    };
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"backup.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    let result = format!(
        "<Role><Path>{path}</Path><RoleName>{name}</RoleName><RoleId>AROASIMULATEDROLE123</RoleId>\
         <Arn>arn:aws:iam::{}:role{path}{name}</Arn><CreateDate>{}</CreateDate>\
         <AssumeRolePolicyDocument>{}</AssumeRolePolicyDocument></Role>",
        caller.account,
        world.clock.epoch().to_rfc3339_opts(SecondsFormat::Secs, true),
        utf8_percent_encode(trust, NON_ALPHANUMERIC),
        name = escape(name),
    );
    Ok(document("GetRole", &result, id))
}

fn simulate(
    world: &World,
    caller: &Caller,
    form: &HashMap<String, String>,
    id: &str,
) -> Result<String, Refusal> {
    let source = form
        .get("PolicySourceArn")
        .ok_or_else(|| invalid("PolicySourceArn is required"))?;
    let parts: Vec<&str> = source.splitn(6, ':').collect();
    let is_entity = |resource: &&str| {
        ["user/", "role/", "group/"]
            .iter()
            .any(|kind| resource.starts_with(kind))
    };
    if parts.get(2) != Some(&"iam") || !parts.get(5).is_some_and(is_entity) {
        return Err(Refusal::new(
            400,
            "InvalidInput",
            format!("Invalid Entity Arn: {source}"),
        ));
    }
    if parts.get(4) != Some(&caller.account.as_str()) {
        return Err(Refusal::new(
            403,
            "AccessDenied",
            format!("{source} is of another account"),
        ));
    }
    let entity = parts.get(5).copied().unwrap_or_default();
    let name = entity.rsplit('/').next().unwrap_or_default();
    let is_absent = world.options.absent_roles.iter().any(|absent| absent == name);
    // A role is known by its whole path only.
    if entity.starts_with("role/") && (is_absent || entity == format!("role/{DEFAULT_ROLE}")) {
        return Err(no_such_role(name));
    }
    let list = |name: &str| -> Vec<&String> {
        (1..)
            .map_while(|n| form.get(&format!("{name}.member.{n}")))
            .collect()
    };
    let (actions, resources) = (list("ActionNames"), list("ResourceArns"));
    let results: Vec<String> = actions
        .iter()
        .flat_map(|action| resources.iter().map(move |resource| (action, resource)))
        .map(|(action, resource)| {
            let denied = action.as_str() == "iam:PassRole" && world.lacks(Lack::PassRole);
            let decision = if denied { "implicitDeny" } else { "allowed" };
            format!(
                "<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{resource}</EvalResourceName>\
                 <EvalDecision>{decision}</EvalDecision><MatchedStatements/><MissingContextValues/></member>",
                action = escape(action.as_str()),
                resource = escape(resource.as_str()),
            )
        })
        .collect();
    let result = format!(
        "<IsTruncated>false</IsTruncated><EvaluationResults>{}</EvaluationResults>",
        results.concat()
    );
    Ok(document("SimulatePrincipalPolicy", &result, id))
}

fn document(operation: &str, result: &str, id: &str) -> String {
    format!(
        "<{operation}Response xmlns=\"{NAMESPACE}\"><{operation}Result>{result}</{operation}Result>\
         <ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{operation}Response>"
    )
}

/// An IAM error.
pub(super) fn error(refusal: &Refusal, id: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{}</Code><Message>{}</Message></Error>\
         <RequestId>{id}</RequestId></ErrorResponse>",
        refusal.code,
        escape(&refusal.message)
    )
}
