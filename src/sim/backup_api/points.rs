//! Recovery points.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::date_query;
use super::vaults::{key, missing};
use crate::sim::reply::{Answer, Page, Refusal, date};
use crate::sim::request::Request;
use crate::sim::types::{Lifecycle, Point, Vault};
use crate::sim::world::World;

pub(super) fn lifecycle(value: &Lifecycle) -> Value {
    json!({
        "MoveToColdStorageAfterDays": value.move_to_cold_storage_after_days,
        "DeleteAfterDays": value.delete_after_days,
        "OptInToArchiveForSupportedResources": value.opt_in_to_archive_for_supported_resources,
    })
}

fn after(created: DateTime<Utc>, days: Option<i64>) -> Option<Value> {
    days.filter(|d| *d >= 0)
        .map(|d| date(created + TimeDelta::days(d)))
}

/// The members that list and describe have in common.
fn member(vault: &Vault, point: &Point) -> Value {
    let days = point.lifecycle.as_ref();
    json!({
        "RecoveryPointArn": &*point.arn,
        "BackupVaultName": vault.name,
        "BackupVaultArn": vault.arn,
        "SourceBackupVaultArn": point.source_vault_arn.as_deref(),
        "ResourceArn": &*point.resource_arn,
        "ResourceType": &*point.resource_type,
        "CreatedBy": null,
        "IamRoleArn": null,
        "Status": &*point.status,
        "StatusMessage": null,
        "CreationDate": date(point.created),
        "InitiationDate": date(point.created),
        "CompletionDate": date(point.created),
        "BackupSizeInBytes": point.bytes,
        "CalculatedLifecycle": days.map(|l| json!({
            "MoveToColdStorageAt": after(point.created, l.move_to_cold_storage_after_days),
            "DeleteAt": after(point.created, l.delete_after_days),
        })),
        "Lifecycle": days.map(lifecycle),
        "EncryptionKeyArn": point.key_arn.as_deref(),
        "IsEncrypted": point.encrypted,
        "LastRestoreTime": null,
        "ParentRecoveryPointArn": point.parent_arn.as_deref(),
        "CompositeMemberIdentifier": point.member.as_deref(),
        "IsParent": point.is_parent,
        "ResourceName": null,
        "VaultType": "BACKUP_VAULT",
    })
}

/// What `ListRecoveryPointsByBackupVault` can be asked for.
struct Filter<'a> {
    resource_arn: Option<&'a str>,
    resource_type: Option<&'a str>,
    parent: Option<&'a str>,
    created_after: Option<DateTime<Utc>>,
    created_before: Option<DateTime<Utc>>,
}

impl Filter<'_> {
    fn takes(&self, point: &Point) -> bool {
        self.resource_arn.is_none_or(|r| r == &*point.resource_arn)
            && self.resource_type.is_none_or(|t| t == &*point.resource_type)
            && self.parent.is_none_or(|p| point.parent_arn.as_deref() == Some(p))
            && self.created_after.is_none_or(|at| point.created > at)
            && self.created_before.is_none_or(|at| point.created < at)
    }
}

pub(super) fn list(world: &World, account: &str, request: &Request, name: &str) -> Answer {
    let page = Page::of(request)?;
    let filter = Filter {
        resource_arn: request.query("resourceArn"),
        resource_type: request.query("resourceType"),
        parent: request.query("parentRecoveryPointArn"),
        created_after: date_query(request, "createdAfter")?,
        created_before: date_query(request, "createdBefore")?,
    };
    let vault = world
        .vaults
        .get(&key(account, request, name))
        .ok_or_else(|| missing(name))?;
    let now = world.clock.now();
    let mut members = Vec::new();
    let mut next = None;
    for (place, point) in vault.points.iter().enumerate().skip(page.from) {
        if point.deleted || point.listed_from > now || !filter.takes(point) {
            continue;
        }
        if members.len() == page.size {
            next = Some(page.token(place));
            break;
        }
        members.push(member(vault, point));
    }
    Ok(json!({"NextToken": next, "RecoveryPoints": members}))
}

fn gone(arn: &str) -> Refusal {
    Refusal::not_found(format!("Cannot find recovery point {arn}"))
}

pub(super) fn describe(world: &World, account: &str, request: &Request, name: &str, arn: &str) -> Answer {
    let vault = world
        .vaults
        .get(&key(account, request, name))
        .ok_or_else(|| missing(name))?;
    let point = vault.point(arn).ok_or_else(|| gone(arn))?;
    let mut answer = member(vault, point);
    let cold = after_now(point, world.clock.now());
    if let Some(object) = answer.as_object_mut() {
        object.insert(
            "StorageClass".to_owned(),
            json!(if cold { "COLD" } else { "WARM" }),
        );
    }
    Ok(answer)
}

pub(super) fn after_now(point: &Point, now: DateTime<Utc>) -> bool {
    point
        .lifecycle
        .as_ref()
        .and_then(|l| l.move_to_cold_storage_after_days)
        .is_some_and(|days| point.created + TimeDelta::days(days) <= now)
}

pub(super) fn delete(world: &mut World, account: &str, request: &Request, name: &str, arn: &str) -> Answer {
    let vault = world
        .vaults
        .get_mut(&key(account, request, name))
        .ok_or_else(|| missing(name))?;
    let place = vault.index.remove(arn).ok_or_else(|| gone(arn))?;
    if let Some(point) = vault.points.get_mut(place) {
        point.deleted = true;
    }
    Ok(json!({}))
}
