//! KMS: DescribeKey, in the JSON 1.1 protocol; and the keys that there are.

use serde_json::{Value, json};

use super::clock::Clock;
use super::reply::{Answer, Refusal, date};
use super::request::Request;
use super::types::Key;
use super::world::{Caller, World, partition};

/// All that there are.
pub(super) const OPERATIONS: &[&str] = &["DescribeKey"];

/// What stands before an operation's name in `X-Amz-Target`.
const TARGET: &str = "TrentService.";

/// The operation of a request to KMS; `None` if it is to another service.
pub(super) fn operation(request: &Request) -> Option<&'static str> {
    let name = request.target.as_deref()?.strip_prefix(TARGET)?;
    let known = OPERATIONS.iter().find(|known| **known == name);
    Some(known.copied().unwrap_or("UnknownKmsOperation"))
}

/// Answers in JSON.
pub(super) fn handle(world: &World, caller: &Caller, request: &Request) -> Answer {
    if operation(request) != Some("DescribeKey") {
        return Err(Refusal::new(
            400,
            "UnknownOperationException",
            "the simulator does not have this operation",
        ));
    }
    let body: Value = serde_json::from_slice(&request.body)
        .map_err(|error| Refusal::new(400, "SerializationException", error.to_string()))?;
    let wanted = body
        .get("KeyId")
        .and_then(Value::as_str)
        .ok_or_else(|| Refusal::new(400, "ValidationException", "KeyId must not be null"))?;
    describe(world, caller, &request.region, wanted)
}

fn describe(world: &World, caller: &Caller, region: &str, wanted: &str) -> Answer {
    let arn = if wanted.starts_with("arn:") {
        wanted.to_owned()
    } else {
        let kind = if wanted.starts_with("alias/") { "" } else { "key/" };
        format!(
            "arn:{}:kms:{region}:{}:{kind}{wanted}",
            partition(region),
            caller.account
        )
    };
    let mut parts = arn.split(':').skip(3);
    let (at, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if at != region {
        return Err(Refusal::new(
            400,
            "NotFoundException",
            format!("Invalid arn {at}"),
        ));
    }
    if account != caller.account {
        // Which keys there are is nothing that another account gets to know.
        let message = format!(
            "User: {} is not authorized to perform: kms:DescribeKey on resource: {arn} because the resource does \
             not exist in this Region, no resource-based policies allow access, or a resource-based policy \
             explicitly denies access",
            caller.arn
        );
        return Err(Refusal::new(400, "AccessDeniedException", message));
    }
    let mut keys = world.keys.iter();
    if let Some((arn, key)) = keys.find(|(own, key)| is_called(own, key, &arn)) {
        return Ok(json!({"KeyMetadata": metadata(arn, key, account, &world.clock)}));
    }
    if arn == wanted && arn.contains(":key/") {
        // A rehearsal may name any key of its own accounts.
        return Ok(json!({"KeyMetadata": metadata(&arn, &Key::default(), account, &world.clock)}));
    }
    let message = format!("Key '{arn}' does not exist");
    Err(Refusal::new(400, "NotFoundException", message))
}

/// Whether an ARN is a key's, or its alias's.
fn is_called(own: &str, key: &Key, arn: &str) -> bool {
    let place = own.rsplit_once(":key/").map(|(place, _)| place);
    let by_alias = |alias: &str| place.is_some_and(|place| arn == format!("{place}:{alias}"));
    own == arn || key.alias.as_deref().is_some_and(by_alias)
}

fn metadata(arn: &str, key: &Key, account: &str, clock: &Clock) -> Value {
    json!({
        "AWSAccountId": account,
        "KeyId": arn.rsplit('/').next(),
        "Arn": arn,
        "CreationDate": date(clock.epoch()),
        "Enabled": key.enabled,
        "Description": if key.by_aws { "Default key that protects my resources when no other key is defined" } else { "" },
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": if key.enabled { "Enabled" } else { "Disabled" },
        "Origin": "AWS_KMS",
        "KeyManager": if key.by_aws { "AWS" } else { "CUSTOMER" },
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": false,
    })
}

/// The body of an error.
pub(super) fn error(refusal: &Refusal) -> Value {
    json!({"__type": refusal.code, "message": refusal.message})
}

impl World {
    /// Takes note of a key that is spoken of: a customer's, unless more is known of it.
    pub(super) fn know_key(&mut self, arn: &str) {
        if arn.contains(":key/") {
            self.keys.entry(arn.into()).or_default();
        }
    }

    /// Whether a key is one that AWS manages for a service.
    pub(super) fn is_managed_key(&self, arn: &str) -> bool {
        arn.contains(":alias/aws/") || self.keys.get(arn).is_some_and(|key| key.by_aws)
    }

    /// The key that AWS manages for a service in an account, by its alias, such as `alias/aws/ebs`.
    pub(super) fn make_service_key(&mut self, region: &str, account: &str, id: &str, alias: &str) -> String {
        let arn = format!("arn:{}:kms:{region}:{account}:key/{id}", partition(region));
        let key = Key {
            by_aws: true,
            enabled: true,
            alias: Some(alias.into()),
        };
        self.keys.insert(arn.as_str().into(), key);
        arn
    }
}
