//! What is in the accounts at the beginning: generated, or read from a file.

use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use rand::Rng as _;
use serde::Deserialize;
use thiserror::Error;

use super::options::SeedVault;
use super::types::{Key, Lifecycle, Point, is_fully_managed};
use super::world::{World, partition};

/// Why a seed file cannot be used.
#[derive(Debug, Error)]
pub enum SeedError {
    /// It cannot be read.
    #[error("cannot read the seed file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// It is not what a seed file should be.
    #[error("the seed file {path} cannot be used: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedFile {
    vaults: Vec<FileVault>,
    #[serde(default)]
    keys: Vec<FileKey>,
}

/// A key of a seed file that is not just a customer's.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct FileKey {
    arn: String,
    #[serde(default = "customer")]
    key_manager: KeyManager,
    #[serde(default = "yes")]
    enabled: bool,
    alias: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
enum KeyManager {
    Aws,
    Customer,
}

fn customer() -> KeyManager {
    KeyManager::Customer
}

fn yes() -> bool {
    true
}

/// A vault of a seed file; `docs/simulator.md` describes its members.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct FileVault {
    account: String,
    backup_vault_name: String,
    region: Option<String>,
    encryption_key_arn: Option<String>,
    policy: Option<serde_json::Value>,
    #[serde(default)]
    locked: bool,
    min_retention_days: Option<i64>,
    max_retention_days: Option<i64>,
    #[serde(default)]
    recovery_points: Vec<FilePoint>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct FilePoint {
    recovery_point_arn: String,
    resource_arn: String,
    resource_type: String,
    #[serde(default = "completed")]
    status: String,
    creation_date: DateTime<Utc>,
    backup_size_in_bytes: Option<i64>,
    is_encrypted: Option<bool>,
    encryption_key_arn: Option<String>,
    lifecycle: Option<Lifecycle>,
    #[serde(default)]
    is_parent: bool,
    parent_recovery_point_arn: Option<String>,
    composite_member_identifier: Option<String>,
    source_backup_vault_arn: Option<String>,
}

fn completed() -> String {
    "COMPLETED".to_owned()
}

/// Fills a new world.
pub(super) fn fill(world: &mut World) -> Result<(), SeedError> {
    if let Some(path) = world.options.seed_file.clone() {
        let read = |source| SeedError::Read {
            path: path.clone(),
            source,
        };
        let text = std::fs::read(&path).map_err(read)?;
        let file: SeedFile = serde_json::from_slice(&text).map_err(|source| SeedError::Parse {
            path: path.clone(),
            source,
        })?;
        for key in file.keys {
            let of_file = Key {
                by_aws: key.key_manager == KeyManager::Aws,
                enabled: key.enabled,
                alias: key.alias.map(Into::into),
            };
            world.keys.insert(key.arn.into(), of_file);
        }
        for vault in file.vaults {
            from_file(world, vault);
        }
    }
    for vault in world.options.vaults.clone() {
        generate(world, &vault);
    }
    Ok(())
}

fn from_file(world: &mut World, file: FileVault) {
    let region = file.region.unwrap_or_else(|| world.options.region.to_string());
    let epoch = world.clock.epoch();
    let keys = file
        .recovery_points
        .iter()
        .filter_map(|point| point.encryption_key_arn.as_deref());
    keys.for_each(|key| world.know_key(key));
    let key = file.encryption_key_arn.as_deref();
    let vault = world.make_vault(&file.account, &region, &file.backup_vault_name, key);
    vault.policy = file.policy.map(|policy| policy.to_string());
    vault.locked = file.locked;
    vault.min_retention_days = file.min_retention_days;
    vault.max_retention_days = file.max_retention_days;
    for point in file.recovery_points {
        vault.add(Point {
            arn: point.recovery_point_arn.into(),
            resource_arn: point.resource_arn.into(),
            resource_type: point.resource_type.into(),
            status: point.status.into(),
            created: point.creation_date,
            bytes: point.backup_size_in_bytes,
            encrypted: point.is_encrypted.unwrap_or(point.encryption_key_arn.is_some()),
            key_arn: point.encryption_key_arn.map(Into::into),
            lifecycle: point.lifecycle,
            is_parent: point.is_parent,
            parent_arn: point.parent_recovery_point_arn.map(Into::into),
            member: point.composite_member_identifier.map(Into::into),
            source_vault_arn: point.source_backup_vault_arn.map(Into::into),
            listed_from: epoch,
            deleted: false,
        });
    }
}

/// Where a generated point belongs, in the words of its ARNs.
struct Place {
    partition: &'static str,
    region: String,
    account: String,
}

/// ARNs of resource and recovery point, by the Developer Guide's "Access control".
fn arns(place: &Place, kind: &str, resource: usize, vault: &str, id: u64, stamp: &str) -> (String, String) {
    let Place {
        partition,
        region,
        account,
    } = place;
    let at = |service: &str, rest: &str| format!("arn:{partition}:{service}:{region}:{account}:{rest}");
    let managed = at("backup", &format!("recovery-point:{}", uuid(id)));
    let snapshot = |noun: &str| at("rds", &format!("{noun}:awsbackup:job-{}", uuid(id)));
    let short = format!("{id:017x}");
    let n = format!("{vault}-{resource:05}").to_lowercase();
    let hex = format!(
        "{:017x}",
        (resource as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ hash(vault)
    );
    match kind {
        "EBS" => (
            at("ec2", &format!("volume/vol-{hex}")),
            format!("arn:{partition}:ec2:{region}::snapshot/snap-{short}"),
        ),
        "EC2" => (
            at("ec2", &format!("instance/i-{hex}")),
            format!("arn:{partition}:ec2:{region}::image/ami-{short}"),
        ),
        "RDS" => (at("rds", &format!("db:db-{n}")), snapshot("snapshot")),
        "Aurora" | "DocumentDB" | "Neptune" => (
            at("rds", &format!("cluster:{}-{n}", kind.to_lowercase())),
            snapshot("cluster-snapshot"),
        ),
        "FSx" => (
            at("fsx", &format!("file-system/fs-{hex}")),
            format!("arn:{partition}:fsx:{region}:{account}:backup/backup-{short}"),
        ),
        "DynamoDB" => (at("dynamodb", &format!("table/table-{n}")), managed),
        "S3" => {
            let id = format!("recovery-point:bucket-{n}-{stamp}-{:08x}", id & 0xFFFF_FFFF);
            (format!("arn:{partition}:s3:::bucket-{n}"), at("backup", &id))
        }
        "CloudFormation" => (
            at("cloudformation", &format!("stack/stack-{n}/{}", uuid(hash(&n)))),
            managed,
        ),
        "VirtualMachine" => (at("backup-gateway", &format!("vm/vm-{hex}")), managed),
        "Timestream" => (at("timestream", &format!("database/db-{n}/table/t")), managed),
        _ => (at("elasticfilesystem", &format!("file-system/fs-{hex}")), managed),
    }
}

fn hash(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x100_0000_01B3)
    })
}

/// A UUID that a number stands for.
fn uuid(id: u64) -> String {
    let more = id.wrapping_mul(0xD6E8_FEB8_6659_FD93).rotate_left(32) ^ id;
    format!(
        "{:08X}-{:04X}-4{:03X}-8{:03X}-{:012X}",
        id >> 32,
        (id >> 16) & 0xFFFF,
        id & 0xFFF,
        more >> 52,
        more >> 16
    )
}

fn generate(world: &mut World, seed: &SeedVault) {
    let options = world.options.clone();
    let (account, region) = (options.source_account.to_string(), options.region.to_string());
    let place = Place {
        partition: partition(&region),
        region: region.clone(),
        account: account.clone(),
    };
    let key = format!(
        "arn:{}:kms:{region}:{account}:key/{}",
        place.partition,
        uuid(hash(&seed.name)).to_lowercase()
    );
    world.make_vault(&account, &region, &seed.name, Some(&key));
    let resources = options.resources.unwrap_or(seed.points.div_ceil(2)).max(1);
    let mut points: Vec<Point> = (0..seed.points)
        .map(|n| point(world, &options.types, &place, &seed.name, (n, resources), &key))
        .collect();
    if options.include_uncopyable {
        points.extend(uncopyable(world, &place, &seed.name, &key));
    }
    let place = (account, region, seed.name.clone());
    if let Some(vault) = world.vaults.get_mut(&place) {
        for point in points {
            vault.add(point);
        }
    }
}

/// Point number `n`: its resource is its number modulo the resources, its date goes back three
/// hours for each number within a year.
fn point(
    world: &mut World,
    types: &[String],
    place: &Place,
    vault: &str,
    (n, resources): (usize, usize),
    key: &str,
) -> Point {
    let resource = n % resources;
    let kind = types
        .get(resource % types.len().max(1))
        .map_or("EFS", String::as_str);
    let hours = i64::try_from(n % 2900).unwrap_or(0) * 3;
    let jitter = world.rng.random_range(0..3_600_000_i64);
    let epoch = world.clock.epoch();
    let created = epoch - TimeDelta::hours(hours + 2) + TimeDelta::milliseconds(jitter);
    let id: u64 = world.rng.random();
    let stamp = format!("{}00000", created.format("%Y%m%d%H%M"));
    let (resource_arn, arn) = arns(place, kind, resource, vault, id, &stamp);
    let managed = !is_fully_managed(&arn) && world.chance(world.options.managed_key_share);
    let key = if managed {
        service_key(world, place, kind)
    } else {
        key.to_owned()
    };
    Point {
        arn: arn.into(),
        resource_arn: resource_arn.into(),
        resource_type: kind.into(),
        status: "COMPLETED".into(),
        created,
        bytes: Some(world.rng.random_range(1 << 20..1_i64 << 38)),
        encrypted: true,
        key_arn: Some(key.into()),
        lifecycle: Some(Lifecycle {
            delete_after_days: Some(730),
            ..Lifecycle::default()
        }),
        is_parent: false,
        parent_arn: None,
        member: None,
        source_vault_arn: None,
        listed_from: epoch,
        deleted: false,
    }
}

/// The key that AWS manages for the service of a resource type.
fn service_key(world: &mut World, place: &Place, kind: &str) -> String {
    let alias = match kind {
        "RDS" | "Aurora" | "DocumentDB" | "Neptune" => "alias/aws/rds",
        "FSx" => "alias/aws/fsx",
        _ => "alias/aws/ebs",
    };
    let id = uuid(hash(alias)).to_lowercase();
    world.make_service_key(&place.region, &place.account, &id, alias)
}

/// One point of each kind that AWS does not copy to another account, and a composite with a member.
fn uncopyable(world: &mut World, place: &Place, vault: &str, key: &str) -> Vec<Point> {
    let mut make = |kind: &str, n: usize| point(world, &[kind.to_owned()], place, vault, (n, 1), key);
    let creating = Point {
        status: "CREATING".into(),
        ..make("EFS", 11)
    };
    let expired = Point {
        status: "EXPIRED".into(),
        ..make("EFS", 12)
    };
    let cold = Lifecycle {
        move_to_cold_storage_after_days: Some(0),
        delete_after_days: Some(365),
        ..Lifecycle::default()
    };
    let cold = Point {
        lifecycle: Some(cold),
        ..make("EFS", 13)
    };
    let continuous = make("Aurora", 14);
    let id = format!(
        "arn:{}:backup:{}:{}:recovery-point:continuous:cluster-1",
        place.partition, place.region, place.account
    );
    let continuous = Point {
        arn: id.into(),
        status: "AVAILABLE".into(),
        ..continuous
    };
    let basic = make("DynamoDB", 15);
    let basic = Point {
        arn: format!("{}/backup/01", basic.resource_arn).into(),
        ..basic
    };
    let managed = Point { ..make("EBS", 16) };
    let managed = Point {
        key_arn: Some(service_key(world, place, "EBS").into()),
        ..managed
    };
    let mut make = |kind: &str, n: usize| point(world, &[kind.to_owned()], place, vault, (n, 1), key);
    let parent = Point {
        is_parent: true,
        ..make("CloudFormation", 17)
    };
    let member = Point {
        parent_arn: Some(std::sync::Arc::clone(&parent.arn)),
        member: Some("logical-id-1".into()),
        ..make("EFS", 18)
    };
    vec![
        creating, expired, cold, continuous, basic, managed, parent, member,
    ]
}
