//! Copy jobs.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::points::after_now;
use super::vaults::{key, missing};
use super::{body, date_query};
use crate::sim::options::Lack;
use crate::sim::reply::{Answer, Page, Refusal, date};
use crate::sim::request::Request;
use crate::sim::types::{Job, JobState, Lifecycle, Point, Seen};
use crate::sim::world::World;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StartInput {
    recovery_point_arn: Option<String>,
    source_backup_vault_name: Option<String>,
    destination_backup_vault_arn: Option<String>,
    iam_role_arn: Option<String>,
    idempotency_token: Option<String>,
    lifecycle: Option<Lifecycle>,
}

/// Why AWS refuses a point outright.
fn uncopyable(point: &Point, now: chrono::DateTime<chrono::Utc>) -> Option<&'static str> {
    let continuous = point.arn.contains(":continuous:") || &*point.status == "STOPPED";
    if !["COMPLETED", "AVAILABLE", "PARTIAL"].contains(&&*point.status) && !continuous {
        return Some("Recovery point is not in a state that allows it to be copied.");
    }
    if continuous {
        return Some("Continuous recovery points cannot be copied on demand.");
    }
    if after_now(point, now) {
        return Some("Recovery points in cold storage cannot be copied.");
    }
    let basic_table = &*point.resource_type == "DynamoDB" && point.arn.split(':').nth(2) == Some("dynamodb");
    (basic_table || point.resource_type.starts_with("Redshift"))
        .then_some("Feature is not supported for provided resource type.")
}

pub(super) fn start(world: &mut World, account: &str, request: &Request) -> Answer {
    let input: StartInput =
        serde_json::from_value(body(request)?).map_err(|e| Refusal::invalid(e.to_string()))?;
    let required = |value: &Option<String>, name: &str| {
        value
            .clone()
            .filter(|v| !v.is_empty())
            .ok_or_else(|| Refusal::missing(name))
    };
    let point_arn = required(&input.recovery_point_arn, "RecoveryPointArn")?;
    let vault_name = required(&input.source_backup_vault_name, "SourceBackupVaultName")?;
    let destination = required(&input.destination_backup_vault_arn, "DestinationBackupVaultArn")?;
    let role = required(&input.iam_role_arn, "IamRoleArn")?;
    if World::vault_key(&destination).is_none() {
        return Err(Refusal::invalid(
            "DestinationBackupVaultArn is not the ARN of a backup vault",
        ));
    }
    if role.split(':').nth(4) != Some(account) || !role.contains(":role/") {
        return Err(Refusal::invalid(
            "IamRoleArn must be a role of the calling account",
        ));
    }
    if world.lacks(Lack::PassRole) {
        let message = format!("User is not authorized to perform: iam:PassRole on resource: {role}");
        return Err(Refusal::new(403, "AccessDeniedException", message));
    }
    let token: Option<Arc<str>> = input.idempotency_token.as_deref().map(Into::into);
    if world.options.token_replay
        && let Some(token) = &token
        && let Some(&known) = world.tokens.get(&(account.to_owned(), Arc::clone(token)))
        && let Some(job) = world.jobs.get(known)
    {
        return Ok(started(job));
    }
    let vault_key = key(account, request, &vault_name);
    let vault = world.vaults.get(&vault_key).ok_or_else(|| missing(&vault_name))?;
    let source_vault_arn: Arc<str> = vault.arn.as_str().into();
    let point = vault
        .point(&point_arn)
        .cloned()
        .ok_or_else(|| Refusal::not_found(format!("Cannot find recovery point {point_arn}")))?;
    if let Some(reason) = uncopyable(&point, world.clock.now()) {
        return Err(Refusal::new(400, "InvalidRequestException", reason));
    }
    if is_full(world, &point.resource_type) {
        return Err(Refusal::new(
            400,
            "LimitExceededException",
            "Subscriber limit exceeded: copy jobs",
        ));
    }
    let seen = world.decide_seen();
    let (end, message) = decide_end(
        world,
        (&point, &role),
        account,
        &destination,
        input.lifecycle.as_ref(),
    );
    let asked = input.lifecycle.or_else(|| point.lifecycle.clone());
    let is_lost = world.chance(world.options.lost_lifecycle_share);
    let lifecycle = asked.filter(|_| !is_lost);
    let created = world.clock.now();
    let job = Job {
        id: world.uuid().into(),
        account: account.into(),
        source_vault: vault_key,
        source_vault_arn,
        source_point: Arc::clone(&point.arn),
        destination_vault_arn: destination.into(),
        destination_point: None,
        resource_arn: point.resource_arn,
        resource_type: point.resource_type,
        bytes: point.bytes,
        iam_role_arn: role.into(),
        lifecycle,
        token,
        is_parent: point.is_parent,
        created,
        runs_from: None,
        unknown_from: None,
        seen,
        ended: None,
        end,
        message,
    };
    Ok(enter(world, job))
}

/// How the job will end: it has to assume its role first.
fn decide_end(
    world: &mut World,
    (point, role): (&Point, &str),
    account: &str,
    destination: &str,
    lifecycle: Option<&Lifecycle>,
) -> (JobState, Option<String>) {
    let is_named = |name: &String| role.rsplit('/').next() == Some(name.as_str());
    if world.options.absent_roles.iter().any(is_named) {
        let message = format!("The IAM role {role} does not exist.");
        return (JobState::Failed, Some(message));
    }
    world.decide_end(point, account, destination, lifecycle)
}

/// Whether a quota takes no more jobs of a type.
fn is_full(world: &World, resource_type: &str) -> bool {
    world.options.max_jobs.iter().any(|quota| {
        let counts = |kind: &str| quota.types.is_empty() || quota.types.iter().any(|name| name == kind);
        let unfinished = world.unfinished.iter().filter(|(kind, _)| counts(kind));
        quota.jobs > 0
            && counts(resource_type)
            && unfinished.map(|(_, jobs)| jobs).sum::<usize>() >= quota.jobs
    })
}

fn enter(world: &mut World, job: Job) -> Value {
    let index = world.jobs.len();
    let answer = started(&job);
    world.job_index.insert(Arc::clone(&job.id), index);
    world
        .jobs_of_point
        .entry(Arc::clone(&job.source_point))
        .or_default()
        .push(index);
    if let Some(token) = &job.token {
        world
            .tokens
            .insert((job.account.to_string(), Arc::clone(token)), index);
    }
    let created = job.created;
    *world
        .unfinished
        .entry(Arc::clone(&job.resource_type))
        .or_default() += 1;
    world.jobs.push(job);
    world.enter(index, created);
    answer
}

fn started(job: &Job) -> Value {
    json!({"CopyJobId": &*job.id, "CreationDate": date(job.created), "IsParent": job.is_parent})
}

/// A job as it looked at `seen`.
fn member(job: &Job, seen: chrono::DateTime<chrono::Utc>) -> Value {
    let state = job.state_at(seen);
    let over = matches!(state, JobState::Completed | JobState::Failed | JobState::Partial);
    json!({
        "AccountId": &*job.account,
        "CopyJobId": &*job.id,
        "SourceBackupVaultArn": &*job.source_vault_arn,
        "SourceRecoveryPointArn": &*job.source_point,
        "DestinationBackupVaultArn": &*job.destination_vault_arn,
        "DestinationRecoveryPointArn": job.destination_point.as_deref().filter(|_| over),
        "DestinationRecoveryPointLifecycle": over.then(|| job.lifecycle.clone().unwrap_or_default()),
        "ResourceArn": &*job.resource_arn,
        "CreationDate": date(job.created),
        "CompletionDate": job.ended.filter(|_| over).map(date),
        "State": state.name(),
        "StatusMessage": job.message.as_deref().filter(|_| over),
        "BackupSizeInBytes": job.bytes,
        "IamRoleArn": &*job.iam_role_arn,
        "CreatedBy": null,
        "ResourceType": &*job.resource_type,
        "ParentJobId": null,
        "IsParent": job.is_parent,
        "CompositeMemberIdentifier": null,
        "NumberOfChildJobs": null,
        "ChildJobsInState": null,
        "ResourceName": null,
        "MessageCategory": if !over { Value::Null } else if state == JobState::Completed { json!("SUCCESS") } else { json!("FAILURE") },
    })
}

pub(super) fn describe(world: &World, account: &str, id: &str) -> Answer {
    let job = world
        .job_index
        .get(id)
        .and_then(|i| world.jobs.get(*i))
        .filter(|j| &*j.account == account && j.seen != Seen::Nowhere);
    let job = job.ok_or_else(|| Refusal::not_found(format!("Cannot find copy job {id}")))?;
    Ok(json!({"CopyJob": member(job, world.clock.now())}))
}

pub(super) fn list(world: &World, account: &str, request: &Request) -> Answer {
    let page = Page::of(request)?;
    let created_after = date_query(request, "createdAfter")?;
    let created_before = date_query(request, "createdBefore")?;
    let completed_after = date_query(request, "completeAfter")?;
    let completed_before = date_query(request, "completeBefore")?;
    let until = world.listed_until();
    let takes = |job: &Job| {
        let is = |name: &str, value: &str| request.query(name).is_none_or(|wanted| wanted == value);
        let ended = job.ended.filter(|at| *at <= until);
        &*job.account == account
            && job.seen == Seen::Everywhere
            && job.created <= until
            && is("state", job.state_at(until).name())
            && is("destinationVaultArn", &job.destination_vault_arn)
            && is("resourceArn", &job.resource_arn)
            && is("resourceType", &job.resource_type)
            && is("sourceRecoveryPointArn", &job.source_point)
            && is("accountId", &job.account)
            && request.query("parentJobId").is_none()
            && created_after.is_none_or(|at| job.created > at)
            && created_before.is_none_or(|at| job.created < at)
            && completed_after.is_none_or(|at| ended.is_some_and(|e| e > at))
            && completed_before.is_none_or(|at| ended.is_some_and(|e| e < at))
    };
    // By what narrows most; each order only grows at its end, so that page tokens stay good.
    let all: Vec<usize>;
    let candidates: &[usize] = if let Some(arn) = request.query("sourceRecoveryPointArn") {
        world.jobs_of_point.get(arn).map_or(&[], Vec::as_slice)
    } else if let Some(at) = completed_after {
        let early = |i: &usize| world.jobs.get(*i).and_then(|j| j.ended).is_none_or(|e| e <= at);
        world
            .ended
            .get(world.ended.partition_point(early)..)
            .unwrap_or_default()
    } else {
        // In the order in which they were made.
        let first = created_after.map_or(0, |at| world.jobs.partition_point(|job| job.created <= at));
        all = (first..world.jobs.len()).collect();
        &all
    };
    let mut members = Vec::new();
    let mut next = None;
    for (place, index) in candidates.iter().enumerate().skip(page.from) {
        let Some(job) = world.jobs.get(*index).filter(|j| takes(j)) else {
            continue;
        };
        if members.len() == page.size {
            next = Some(page.token(place));
            break;
        }
        members.push(member(job, until));
    }
    Ok(json!({"CopyJobs": members, "NextToken": next}))
}
