//! Backup vaults and their access policies.

use serde_json::{Value, json};

use super::body;
use crate::sim::reply::{Answer, Page, Refusal, date};
use crate::sim::request::Request;
use crate::sim::types::{Vault, VaultKey};
use crate::sim::world::World;

pub(super) fn key(account: &str, request: &Request, name: &str) -> VaultKey {
    (account.to_owned(), request.region.clone(), name.to_owned())
}

pub(super) fn missing(name: &str) -> Refusal {
    Refusal::not_found(format!("Backup vault with name {name} does not exist"))
}

fn member(vault: &Vault) -> Value {
    json!({
        "BackupVaultName": vault.name,
        "BackupVaultArn": vault.arn,
        "VaultType": "BACKUP_VAULT",
        "VaultState": "AVAILABLE",
        "CreationDate": date(vault.created),
        "EncryptionKeyArn": vault.key_arn,
        "CreatorRequestId": null,
        "NumberOfRecoveryPoints": vault.points.iter().filter(|p| !p.deleted).count(),
        "Locked": vault.locked,
        "MinRetentionDays": vault.min_retention_days,
        "MaxRetentionDays": vault.max_retention_days,
    })
}

pub(super) fn list(world: &World, account: &str, request: &Request) -> Answer {
    let page = Page::of(request)?;
    let own = |key: &&VaultKey| key.0 == account && key.1 == request.region;
    let all: Vec<&Vault> = world
        .vaults
        .keys()
        .filter(own)
        .filter_map(|k| world.vaults.get(k))
        .collect();
    let end = all.len().min(page.from + page.size);
    let members: Vec<Value> = all
        .iter()
        .skip(page.from)
        .take(page.size)
        .map(|v| member(v))
        .collect();
    let next = (end < all.len()).then(|| page.token(end));
    Ok(json!({"BackupVaultList": members, "NextToken": next}))
}

pub(super) fn create(world: &mut World, account: &str, request: &Request, name: &str) -> Answer {
    let ok = (2..=50).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !ok {
        return Err(Refusal::invalid(
            "BackupVaultName must match ^[a-zA-Z0-9\\-\\_]{2,50}$",
        ));
    }
    if world.vaults.contains_key(&key(account, request, name)) {
        let message = "Backup vault with the same name already exists";
        return Err(Refusal::new(400, "AlreadyExistsException", message));
    }
    let body = body(request)?;
    let encryption_key = body.get("EncryptionKeyArn").and_then(Value::as_str);
    let vault = world.make_vault(account, &request.region, name, encryption_key);
    Ok(json!({
        "BackupVaultName": vault.name,
        "BackupVaultArn": vault.arn,
        "CreationDate": date(vault.created),
    }))
}

pub(super) fn describe(world: &World, account: &str, request: &Request, name: &str) -> Answer {
    world
        .vaults
        .get(&key(account, request, name))
        .map(member)
        .ok_or_else(|| missing(name))
}

pub(super) fn delete(world: &mut World, account: &str, request: &Request, name: &str) -> Answer {
    let key = key(account, request, name);
    let vault = world.vaults.get(&key).ok_or_else(|| missing(name))?;
    if vault.points.iter().any(|p| !p.deleted) {
        let message = "Backup vault cannot be deleted because it contains recovery points";
        return Err(Refusal::new(400, "InvalidRequestException", message));
    }
    world.vaults.remove(&key);
    Ok(json!({}))
}

pub(super) fn put_policy(world: &mut World, account: &str, request: &Request, name: &str) -> Answer {
    let body = body(request)?;
    let policy = body.get("Policy").and_then(Value::as_str).unwrap_or_default();
    if serde_json::from_str::<Value>(policy)
        .ok()
        .is_none_or(|p| p.get("Statement").is_none())
    {
        return Err(Refusal::invalid("The policy document is not valid"));
    }
    if policy.len() > world.options.policy_limit {
        return Err(Refusal::invalid("The policy document is too large"));
    }
    let vault = world
        .vaults
        .get_mut(&key(account, request, name))
        .ok_or_else(|| missing(name))?;
    vault.policy = Some(policy.to_owned());
    Ok(json!({}))
}

pub(super) fn get_policy(world: &World, account: &str, request: &Request, name: &str) -> Answer {
    let vault = world
        .vaults
        .get(&key(account, request, name))
        .ok_or_else(|| missing(name))?;
    let policy = vault
        .policy
        .as_ref()
        .ok_or_else(|| Refusal::not_found(format!("Backup vault {name} does not have an access policy")))?;
    Ok(json!({"BackupVaultName": vault.name, "BackupVaultArn": vault.arn, "Policy": policy}))
}

pub(super) fn delete_policy(world: &mut World, account: &str, request: &Request, name: &str) -> Answer {
    let vault = world
        .vaults
        .get_mut(&key(account, request, name))
        .ok_or_else(|| missing(name))?;
    vault.policy = None;
    Ok(json!({}))
}
