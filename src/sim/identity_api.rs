//! Where credentials come from, other than from AssumeRole: the SSO portal, web identity, and what a
//! script asks of the simulator itself. None of it is signed.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use rand::Rng as _;
use serde_json::{Value, json};

use super::clock::seconds;
use super::reply::Refusal;
use super::request::Request;
use super::sts_api;
use super::world::{Session, World};

/// Life of credentials where nothing else is asked for, in seconds.
const USUAL_LIFE: f64 = 3600.0;

/// Credentials that are given out.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) key: String,
    pub(super) token: String,
    /// When they expire, as the caller is told.
    pub(super) expiration: DateTime<Utc>,
}

/// An answer: its content type and body.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) kind: &'static str,
    pub(super) body: String,
}

/// The operation of a request that is not signed; `None` if the request is not of that kind.
pub(super) fn operation(request: &Request) -> Option<&'static str> {
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    match (request.method.as_str(), path.as_slice()) {
        (_, ["_credentials"]) => Some("_credentials"),
        (_, ["_expire"]) => Some("_expire"),
        (_, ["_sso_login"]) => Some("_sso_login"),
        ("GET", ["federation", "credentials"]) => Some("GetRoleCredentials"),
        ("POST", []) => (sts_api::operation(request) == "AssumeRoleWithWebIdentity")
            .then_some("AssumeRoleWithWebIdentity"),
        _ => None,
    }
}

/// Answers it.
pub(super) fn handle(
    world: &mut World,
    operation: &'static str,
    request: &Request,
    id: &str,
) -> Result<Document, Refusal> {
    let json = |value: Value| Document {
        kind: "application/json",
        body: value.to_string(),
    };
    match operation {
        "_credentials" => credentials(world, request),
        "_expire" => {
            let expired = world.expire(request.query("account"));
            Ok(json(json!({"expired": expired})))
        }
        "_sso_login" => Ok(json(sso_login(world, request)?)),
        "GetRoleCredentials" => role_credentials(world, request).map(json),
        _ => web_identity(world, &request.form(), id).map(|body| Document {
            kind: "text/xml",
            body,
        }),
    }
}

/// `/_credentials`: keys of an account, in the form that is asked for.
fn credentials(world: &mut World, request: &Request) -> Result<Document, Refusal> {
    let account = request
        .query("account")
        .ok_or_else(|| Refusal::missing("account"))?;
    let life = number(request, "lifetime")?.unwrap_or(0.0);
    let skew = number(request, "skew")?.unwrap_or(0.0);
    let mut issued = world.issue(account, "Operator", "operator", life)?;
    issued.expiration += seconds(skew);
    let Issued { key, token, .. } = &issued;
    let expiration = text(issued.expiration);
    let (kind, body) = match request.query("form").unwrap_or("process") {
        "process" => (
            "application/json",
            json!({"Version": 1, "AccessKeyId": key, "SecretAccessKey": SECRET, "SessionToken": token,
                   "Expiration": expiration})
            .to_string(),
        ),
        "container" => (
            "application/json",
            json!({"AccessKeyId": key, "SecretAccessKey": SECRET, "Token": token, "Expiration": expiration})
                .to_string(),
        ),
        "profile" => (
            "text/plain",
            lines(&issued, |name, value| {
                format!("{} = {value}\n", name.to_lowercase())
            }),
        ),
        "env" => (
            "text/plain",
            lines(&issued, |name, value| format!("export {name}={value}\n")),
        ),
        _ => {
            return Err(Refusal::invalid(
                "form must be process, container, profile or env",
            ));
        }
    };
    Ok(Document { kind, body })
}

/// A line for each of three keys, in the names that the environment has for them.
fn lines(issued: &Issued, line: impl Fn(&str, &str) -> String) -> String {
    [
        ("AWS_ACCESS_KEY_ID", issued.key.as_str()),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", issued.token.as_str()),
    ]
    .map(|(name, value)| line(name, value))
    .concat()
}

/// The secret of all simulated keys: signatures are not checked.
pub(super) const SECRET: &str = "simulated-secret";

/// `/_sso_login`: what `aws sso login` writes to its cache.
fn sso_login(world: &mut World, request: &Request) -> Result<Value, Refusal> {
    let life = number(request, "lifetime")?.unwrap_or(USUAL_LIFE);
    let token = format!("simsso{:032x}", world.rng.random::<u128>());
    let until = world.clock.real_seconds() + life;
    world.sso_tokens.insert(token.clone(), until);
    Ok(json!({
        "accessToken": token,
        "expiresAt": text(world.clock.wall() + seconds(life)),
        "region": world.options.region.as_str(),
        "startUrl": request.query("start_url").unwrap_or("https://simulated.awsapps.com/start"),
    }))
}

/// The SSO portal's `GetRoleCredentials`.
fn role_credentials(world: &mut World, request: &Request) -> Result<Value, Refusal> {
    let now = world.clock.real_seconds();
    let signed_in = request
        .sso_token
        .as_ref()
        .and_then(|token| world.sso_tokens.get(token))
        .is_some_and(|until| *until > now);
    if !signed_in {
        return Err(Refusal::new(
            401,
            "UnauthorizedException",
            "Session token not found or invalid",
        ));
    }
    let account = request
        .query("account_id")
        .ok_or_else(|| Refusal::missing("account_id"))?;
    let role = request
        .query("role_name")
        .ok_or_else(|| Refusal::missing("role_name"))?;
    let life = world.options.credential_lifetime_seconds;
    let issued = world.issue(account, role, "operator", life)?;
    Ok(json!({"roleCredentials": {
        "accessKeyId": issued.key,
        "secretAccessKey": SECRET,
        "sessionToken": issued.token,
        "expiration": issued.expiration.timestamp_millis(),
    }}))
}

/// STS's `AssumeRoleWithWebIdentity`: any token is good.
fn web_identity(world: &mut World, form: &HashMap<String, String>, id: &str) -> Result<String, Refusal> {
    if form.get("WebIdentityToken").is_none_or(String::is_empty) {
        return Err(Refusal::new(
            400,
            "InvalidIdentityToken",
            "No OpenIDConnect token",
        ));
    }
    sts_api::assume_role(world, form, "AssumeRoleWithWebIdentity", id)
}

fn number(request: &Request, name: &str) -> Result<Option<f64>, Refusal> {
    let parse = |text: &str| {
        text.parse::<f64>()
            .ok()
            .filter(|n| n.is_finite())
            .ok_or_else(|| Refusal::invalid(format!("{name} must be a number of seconds")))
    };
    request.query(name).map(parse).transpose()
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

impl World {
    /// Gives out credentials of one of the two accounts. A life of 0 never ends, and is told as an hour.
    pub(super) fn issue(
        &mut self,
        account: &str,
        role: &str,
        name: &str,
        life: f64,
    ) -> Result<Issued, Refusal> {
        let known = [&self.options.source_account, &self.options.dest_account];
        if !known.iter().any(|a| a.as_str() == account) {
            let message = format!("User is not authorized to act in account {account}");
            return Err(Refusal::new(403, "AccessDenied", message));
        }
        let key = format!("ASIA{:016X}", self.rng.random::<u64>());
        let token = format!("SIMTOKEN{:032x}", self.rng.random::<u128>());
        let told = if life > 0.0 { life } else { USUAL_LIFE };
        let session = Session {
            account: account.to_owned(),
            role: role.to_owned(),
            name: name.to_owned(),
            token: token.clone(),
            expires_at: (life > 0.0).then(|| self.clock.real_seconds() + life),
        };
        self.sessions.insert(key.clone(), session);
        Ok(Issued {
            key,
            token,
            expiration: self.clock.wall() + seconds(told),
        })
    }

    /// Ends all credentials given out so far, of one account or of both; answers how many.
    fn expire(&mut self, account: Option<&str>) -> usize {
        let now = self.clock.real_seconds();
        let mut expired = 0;
        for session in self.sessions.values_mut() {
            let alive = session.expires_at.is_none_or(|at| at > now);
            if alive && account.is_none_or(|account| account == session.account) {
                session.expires_at = Some(now);
                expired += 1;
            }
        }
        expired
    }
}
