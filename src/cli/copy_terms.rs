//! The options that say what is copied, how, and at which pace: those of `copy` and of `preflight`.

use std::path::PathBuf;

use clap::Args;

use super::args::{DestArgs, FilterOptions, SourceArgs, VaultOptions, parse_minutes, parse_positive, whole};
use super::copy_args::{MaxInFlight, parse_in_flight, parse_limit};
use crate::copy::retention::Retention;
use crate::domain::{IamRoleArn, arn};

/// What is copied, and how.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct CopyTerms {
    /// The source account.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The destination account.
    #[command(flatten)]
    pub dest: DestArgs,
    /// Which vaults are copied.
    #[command(flatten)]
    pub vaults: VaultOptions,
    /// Which points are wanted.
    #[command(flatten)]
    pub filter: FilterOptions,
    /// Concurrent AWS calls, 1 to 50
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_WORKERS", value_name = "NUM", default_value = "10", value_parser = whole::<u16>(1, 50), help_heading = "Pace")]
    pub workers: u16,
    /// Copy jobs in flight, 1 to 1000, or `auto` to find what AWS takes [default: the number of workers]
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_MAX_IN_FLIGHT", value_name = "NUM|auto", value_parser = parse_in_flight, help_heading = "Pace")]
    pub max_in_flight: Option<MaxInFlight>,
    /// Copy jobs in flight for one resource, 1 to 30; AWS runs one at a time
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_MAX_IN_FLIGHT_PER_RESOURCE", value_name = "NUM", default_value = "1", value_parser = whole::<u16>(1, 30), help_heading = "Pace")]
    pub max_in_flight_per_resource: u16,
    /// Copy jobs in flight of one resource type, such as EBS=20; may be repeated
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_LIMIT", value_name = "TYPE=NUM", value_parser = parse_limit, value_delimiter = ',', help_heading = "Pace")]
    pub limit: Vec<(String, usize)>,
    /// Seconds between looks at the state of copy jobs; fractions are allowed
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_POLL_INTERVAL", value_name = "SECONDS", default_value = "30", value_parser = parse_positive, help_heading = "Pace")]
    pub poll_interval: f64,
    /// Stop after this many minutes (1 or more), with the state saved and exit code 2
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_MAX_RUNTIME_MINUTES", value_name = "MINUTES", value_parser = parse_minutes, help_heading = "Stopping")]
    pub max_runtime_minutes: Option<f64>,
    /// State file [default: ~/.shuffle-aws-vaults/state_{account}_{vault}_{time}.json]
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_STATE_FILE",
        value_name = "FILE",
        help_heading = "State"
    )]
    pub state_file: Option<PathBuf>,
    /// Do not look for copies and copy jobs that are there already
    #[arg(long, help_heading = "State")]
    pub no_reconcile: bool,
    /// Copy points that are in the destination already
    #[arg(long, help_heading = "State")]
    pub force_recopy: bool,
    /// Role that AWS Backup uses, in the source account [default: service-role/AWSBackupDefaultServiceRole]
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_IAM_ROLE_ARN",
        value_name = "ARN",
        help_heading = "Copies"
    )]
    pub iam_role_arn: Option<IamRoleArn>,
    /// Retention of copies: source, days=N, never (36,500 days), omit. Days count from the source's creation
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_RETENTION",
        value_name = "RULE",
        default_value = "source",
        help_heading = "Copies"
    )]
    pub retention: Retention,
    /// Skip points that expire within this many days
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_MIN_REMAINING_DAYS", value_name = "DAYS", value_parser = whole::<u32>(1, u32::MAX), help_heading = "Copies")]
    pub min_remaining_days: Option<u32>,
    /// Copy points whose status is EXPIRED too
    #[arg(long, help_heading = "Copies")]
    pub include_expired: bool,
    /// Send points that AWS is known to refuse all the same
    #[arg(long, help_heading = "Copies")]
    pub try_all: bool,
    /// Do not create the destination vault and do not touch its access policy
    #[arg(long, help_heading = "Copies")]
    pub skip_dest_setup: bool,
    /// KMS key of a destination vault that has to be created
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_DEST_KMS_KEY_ARN",
        value_name = "ARN",
        value_parser = parse_kms_key_arn,
        help_heading = "Copies"
    )]
    pub dest_kms_key_arn: Option<String>,
}

/// Reads the ARN of a KMS key, or of an alias of one.
fn parse_kms_key_arn(text: &str) -> Result<String, String> {
    let is_key = |resource: &str| ["key/", "alias/"].iter().any(|kind| resource.starts_with(kind));
    match arn::split(text) {
        Some(parts) if parts.service == "kms" && is_key(parts.resource) => Ok(text.to_owned()),
        _ => Err(
            "it must be the ARN of a KMS key, such as arn:aws:kms:us-east-1:987654321098:key/1234abcd-12ab-34cd-56ef-1234567890ab"
                .to_owned(),
        ),
    }
}
