//! Settings of the organization and of a Region.

use serde_json::{Map, Value, json};

use crate::sim::options::Lack;
use crate::sim::reply::{Answer, Refusal, date};
use crate::sim::world::World;

/// Types that a Region knows, and whether AWS Backup manages their backups fully.
const TYPES: &[(&str, bool)] = &[
    ("Aurora", false),
    ("CloudFormation", true),
    ("DocumentDB", false),
    ("DynamoDB", true),
    ("EBS", false),
    ("EC2", false),
    ("EFS", true),
    ("FSx", false),
    ("Neptune", false),
    ("RDS", false),
    ("Redshift", false),
    ("S3", true),
    ("SAP HANA on Amazon EC2", true),
    ("Storage Gateway", false),
    ("Timestream", true),
    ("VirtualMachine", true),
];

/// `DescribeGlobalSettings`.
pub(super) fn global(world: &World) -> Answer {
    if world.lacks(Lack::Organization) {
        let message = "The account is not a member of an organization.";
        return Err(Refusal::new(400, "InvalidRequestException", message));
    }
    let enabled = !world.lacks(Lack::CrossAccountBackup);
    Ok(json!({
        "GlobalSettings": {"isCrossAccountBackupEnabled": enabled.to_string()},
        "LastUpdateTime": date(world.clock.epoch()),
    }))
}

/// `DescribeRegionSettings`.
pub(super) fn region(world: &World) -> Value {
    let out = &world.options.opted_out;
    let opted_in: Map<String, Value> = TYPES
        .iter()
        .map(|(name, _)| ((*name).to_owned(), json!(!out.iter().any(|out| out == name))))
        .collect();
    let managed: Map<String, Value> = TYPES
        .iter()
        .filter(|(_, fully)| *fully)
        .map(|(name, _)| ((*name).to_owned(), json!(true)))
        .collect();
    json!({
        "ResourceTypeOptInPreference": opted_in,
        "ResourceTypeManagementPreference": managed,
    })
}
