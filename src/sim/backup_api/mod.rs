//! AWS Backup's REST interface: which request is which operation, and its answer.

mod copy_jobs;
mod points;
mod settings;
mod vaults;

use super::reply::{Body, Refusal};
use super::request::Request;
use super::world::{Caller, World};

/// All that there are.
pub(super) const OPERATIONS: &[&str] = &[
    "ListBackupVaults",
    "CreateBackupVault",
    "DescribeBackupVault",
    "DeleteBackupVault",
    "PutBackupVaultAccessPolicy",
    "GetBackupVaultAccessPolicy",
    "DeleteBackupVaultAccessPolicy",
    "ListRecoveryPointsByBackupVault",
    "DescribeRecoveryPoint",
    "DeleteRecoveryPoint",
    "StartCopyJob",
    "ListCopyJobs",
    "DescribeCopyJob",
    "DescribeGlobalSettings",
    "DescribeRegionSettings",
];

/// The operation that a request asks for.
pub(super) fn operation(request: &Request) -> &'static str {
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    match (request.method.as_str(), path.as_slice()) {
        ("GET", ["backup-vaults"]) => "ListBackupVaults",
        ("PUT", ["backup-vaults", _]) => "CreateBackupVault",
        ("GET", ["backup-vaults", _]) => "DescribeBackupVault",
        ("DELETE", ["backup-vaults", _]) => "DeleteBackupVault",
        ("PUT", ["backup-vaults", _, "access-policy"]) => "PutBackupVaultAccessPolicy",
        ("GET", ["backup-vaults", _, "access-policy"]) => "GetBackupVaultAccessPolicy",
        ("DELETE", ["backup-vaults", _, "access-policy"]) => "DeleteBackupVaultAccessPolicy",
        ("GET", ["backup-vaults", _, "recovery-points"]) => "ListRecoveryPointsByBackupVault",
        ("GET", ["backup-vaults", _, "recovery-points", _]) => "DescribeRecoveryPoint",
        ("DELETE", ["backup-vaults", _, "recovery-points", _]) => "DeleteRecoveryPoint",
        ("PUT", ["copy-jobs"]) => "StartCopyJob",
        ("GET", ["copy-jobs"]) => "ListCopyJobs",
        ("GET", ["copy-jobs", _]) => "DescribeCopyJob",
        ("GET", ["global-settings"]) => "DescribeGlobalSettings",
        ("GET", ["account-settings"]) => "DescribeRegionSettings",
        _ => "UnknownOperation",
    }
}

/// Does it.
pub(super) fn handle(world: &mut World, caller: &Caller, request: &Request) -> Result<Body, Refusal> {
    let name = request.path.get(1).map_or("", String::as_str);
    let last = request.path.get(3).map_or("", String::as_str);
    let account = caller.account.as_str();
    let members = match operation(request) {
        "ListRecoveryPointsByBackupVault" => {
            return points::list(world, account, request, name).map(Body::Text);
        }
        "ListBackupVaults" => vaults::list(world, account, request),
        "CreateBackupVault" => vaults::create(world, account, request, name),
        "DescribeBackupVault" => vaults::describe(world, account, request, name),
        "DeleteBackupVault" => vaults::delete(world, account, request, name),
        "PutBackupVaultAccessPolicy" => vaults::put_policy(world, account, request, name),
        "GetBackupVaultAccessPolicy" => vaults::get_policy(world, account, request, name),
        "DeleteBackupVaultAccessPolicy" => vaults::delete_policy(world, account, request, name),
        "DescribeRecoveryPoint" => points::describe(world, account, request, name, last),
        "DeleteRecoveryPoint" => points::delete(world, account, request, name, last),
        "StartCopyJob" => copy_jobs::start(world, account, request),
        "ListCopyJobs" => copy_jobs::list(world, account, request),
        "DescribeCopyJob" => copy_jobs::describe(world, account, name),
        "DescribeGlobalSettings" => settings::global(world),
        "DescribeRegionSettings" => Ok(settings::region(world)),
        _ => Err(Refusal::new(
            404,
            "UnknownOperationException",
            "the simulator does not have this operation",
        )),
    };
    members.map(Body::Members)
}

/// The JSON body of a request.
fn body(request: &Request) -> Result<serde_json::Value, Refusal> {
    if request.body.is_empty() {
        return Ok(serde_json::json!({}));
    }
    serde_json::from_slice(&request.body)
        .map_err(|e| Refusal::new(400, "SerializationException", e.to_string()))
}

/// A query value that is a date, as the SDKs write them.
fn date_query(request: &Request, name: &str) -> Result<Option<chrono::DateTime<chrono::Utc>>, Refusal> {
    let Some(text) = request.query(name) else {
        return Ok(None);
    };
    chrono::DateTime::parse_from_rfc3339(text)
        .map(|at| Some(at.to_utc()))
        .map_err(|_| Refusal::invalid(format!("{name} is not a date")))
}
