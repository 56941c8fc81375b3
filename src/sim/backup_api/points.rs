//! Recovery points.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::json;

use super::date_query;
use super::vaults::{key, missing};
use crate::sim::reply::{Answer, Page, Refusal, seconds};
use crate::sim::request::Request;
use crate::sim::types::{Lifecycle, Point, Vault};
use crate::sim::world::World;

/// The seconds of a date that is so many days after another.
fn after(created: DateTime<Utc>, days: Option<i64>) -> Option<f64> {
    days.filter(|d| *d >= 0)
        .map(|d| seconds(created + TimeDelta::days(d)))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CalculatedLifecycle {
    #[serde(skip_serializing_if = "Option::is_none")]
    delete_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    move_to_cold_storage_at: Option<f64>,
}

/// The members that list and describe have in common, those that have no value left out.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Member<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    backup_size_in_bytes: Option<i64>,
    backup_vault_arn: &'a str,
    backup_vault_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    calculated_lifecycle: Option<CalculatedLifecycle>,
    completion_date: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    composite_member_identifier: Option<&'a str>,
    creation_date: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_key_arn: Option<&'a str>,
    initiation_date: f64,
    is_encrypted: bool,
    is_parent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifecycle: Option<&'a Lifecycle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_recovery_point_arn: Option<&'a str>,
    recovery_point_arn: &'a str,
    resource_arn: &'a str,
    resource_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_backup_vault_arn: Option<&'a str>,
    status: &'a str,
    vault_type: &'static str,
}

impl<'a> Member<'a> {
    fn new(vault: &'a Vault, point: &'a Point) -> Self {
        let created = seconds(point.created);
        let days = point.lifecycle.as_ref();
        Self {
            backup_size_in_bytes: point.bytes,
            backup_vault_arn: &vault.arn,
            backup_vault_name: &vault.name,
            calculated_lifecycle: days.map(|l| CalculatedLifecycle {
                delete_at: after(point.created, l.delete_after_days),
                move_to_cold_storage_at: after(point.created, l.move_to_cold_storage_after_days),
            }),
            completion_date: created,
            composite_member_identifier: point.member.as_deref(),
            creation_date: created,
            encryption_key_arn: point.key_arn.as_deref(),
            initiation_date: created,
            is_encrypted: point.encrypted,
            is_parent: point.is_parent,
            lifecycle: days,
            parent_recovery_point_arn: point.parent_arn.as_deref(),
            recovery_point_arn: &point.arn,
            resource_arn: &point.resource_arn,
            resource_type: &point.resource_type,
            source_backup_vault_arn: point.source_vault_arn.as_deref(),
            status: &point.status,
            vault_type: "BACKUP_VAULT",
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    recovery_points: Vec<Member<'a>>,
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
    fn takes_date(&self, created: DateTime<Utc>) -> bool {
        self.created_after.is_none_or(|at| created > at) && self.created_before.is_none_or(|at| created < at)
    }

    fn takes(&self, point: &Point) -> bool {
        self.resource_arn.is_none_or(|r| r == &*point.resource_arn)
            && self.resource_type.is_none_or(|t| t == &*point.resource_type)
            && self.parent.is_none_or(|p| point.parent_arn.as_deref() == Some(p))
    }
}

pub(super) fn list(world: &World, account: &str, request: &Request, name: &str) -> Result<String, Refusal> {
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
    let of_dates = vault.dates.iter().enumerate().skip(page.from);
    for (place, _) in of_dates.filter(|(_, created)| filter.takes_date(**created)) {
        let is_listed = |p: &&Point| !p.deleted && p.listed_from <= now && filter.takes(p);
        let Some(point) = vault.points.get(place).filter(is_listed) else {
            continue;
        };
        if members.len() == page.size {
            next = Some(page.token(place));
            break;
        }
        members.push(Member::new(vault, point));
    }
    let answer = ListAnswer {
        next_token: next,
        recovery_points: members,
    };
    serde_json::to_string(&answer).map_err(|error| Refusal::new(500, "InternalFailure", error.to_string()))
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
    let mut answer = json!(Member::new(vault, point));
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
