//! The options of `preflight`: those of `copy` that decide what is copied, how, and how long it takes.

use std::path::PathBuf;

use clap::{Args, FromArgMatches as _};

use super::args::{
    ConnectionArgs, CopyArgs, DestArgs, FilterOptions, OutputForm, SourceArgs, VaultOptions, parse_minutes,
    parse_positive,
};
use super::copy_args::{MaxInFlight, parse_in_flight, parse_limit};
use crate::copy::retention::Retention;
use crate::domain::IamRoleArn;
use crate::error::AppError;

/// `preflight`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  shuffle-aws-vaults preflight --source-account 123456789012 --dest-account 987654321098 --vault production-backups
  shuffle-aws-vaults preflight --source-account 123456789012 --dest-account 987654321098 --vault production-backups \\
    --retention days=365 --output json | jq '.checks[] | select(.result != \"ok\")'

Only reads are made. Give it the options that the copy is to have.
Exit codes: 0 nothing is in the way, though there may be warnings; 1 a problem.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct PreflightArgs {
    /// The source account.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The destination account.
    #[command(flatten)]
    pub dest: DestArgs,
    /// Which vaults are to be copied.
    #[command(flatten)]
    pub vaults: VaultOptions,
    /// Which points are wanted.
    #[command(flatten)]
    pub filter: FilterOptions,

    /// Concurrent AWS calls of the copy, 1 to 50
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_WORKERS", value_name = "NUM", default_value = "10", value_parser = clap::value_parser!(u16).range(1..=50), help_heading = "Pace")]
    pub workers: u16,
    /// Copy jobs in flight, 1 to 1000, or `auto` [default: the number of workers]
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_MAX_IN_FLIGHT", value_name = "NUM|auto", value_parser = parse_in_flight, help_heading = "Pace")]
    pub max_in_flight: Option<MaxInFlight>,
    /// Copy jobs in flight for one resource, 1 to 30; AWS runs one at a time
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_MAX_IN_FLIGHT_PER_RESOURCE", value_name = "NUM", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=30), help_heading = "Pace")]
    pub max_in_flight_per_resource: u16,
    /// Copy jobs in flight of one resource type, such as EBS=20; may be repeated
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_LIMIT", value_name = "TYPE=NUM", value_parser = parse_limit, value_delimiter = ',', help_heading = "Pace")]
    pub limit: Vec<(String, usize)>,
    /// Seconds between looks at the state of copy jobs; fractions are allowed
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_POLL_INTERVAL", value_name = "SECONDS", default_value = "30", value_parser = parse_positive, help_heading = "Pace")]
    pub poll_interval: f64,
    /// Minutes after which the copy is to stop, 1 or more: credentials have to last no longer
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_MAX_RUNTIME_MINUTES", value_name = "MINUTES", value_parser = parse_minutes, help_heading = "Pace")]
    pub max_runtime_minutes: Option<f64>,

    /// State file that the copy is to have [default: in ~/.shuffle-aws-vaults]
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
    /// Retention of copies: source, days=N, never (36,500 days), omit
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_RETENTION",
        value_name = "RULE",
        default_value = "source",
        help_heading = "Copies"
    )]
    pub retention: Retention,
    /// Skip points that expire within this many days
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_MIN_REMAINING_DAYS", value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Copies")]
    pub min_remaining_days: Option<u32>,
    /// Copy points whose status is EXPIRED too
    #[arg(long, help_heading = "Copies")]
    pub include_expired: bool,
    /// Send points that AWS is known to refuse all the same
    #[arg(long, help_heading = "Copies")]
    pub try_all: bool,
    /// Leave the destination vault and its access policy as they are
    #[arg(long, help_heading = "Copies")]
    pub skip_dest_setup: bool,
    /// KMS key of a destination vault that has to be created
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_DEST_KMS_KEY_ARN",
        value_name = "ARN",
        help_heading = "Copies"
    )]
    pub dest_kms_key_arn: Option<String>,

    /// Form of the output.
    #[command(flatten)]
    pub form: OutputForm,
    /// How AWS is called.
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

impl PreflightArgs {
    /// The copy that is asked about, as a dry run: what is not an option here is as `copy` has it by default and
    /// by the environment.
    ///
    /// # Errors
    /// If the environment has something for `copy` that it does not take.
    pub(super) fn copy(&self) -> Result<CopyArgs, AppError> {
        let wrong = |error: clap::Error| {
            let text = error.to_string();
            let what = text
                .lines()
                .next()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned();
            AppError::usage(
                format!("the environment has something that `copy` does not take: {what}"),
                "see: shuffle-aws-vaults copy --help",
            )
        };
        let mut line = vec!["--source-account", self.source.source_account.as_str()];
        line.extend(["--dest-account", self.dest.dest_account.as_str()]);
        let command = CopyArgs::augment_args(clap::Command::new("copy").no_binary_name(true));
        let matches = command.try_get_matches_from(line).map_err(wrong)?;
        let copy = CopyArgs::from_arg_matches(&matches).map_err(wrong)?;
        Ok(CopyArgs {
            source: self.source.clone(),
            dest: self.dest.clone(),
            vaults: self.vaults.clone(),
            filter: self.filter.clone(),
            workers: self.workers,
            max_in_flight: self.max_in_flight,
            max_in_flight_per_resource: self.max_in_flight_per_resource,
            limit: self.limit.clone(),
            poll_interval: self.poll_interval,
            max_runtime_minutes: self.max_runtime_minutes,
            state_file: self.state_file.clone(),
            // Whatever is in that file, nothing is done about it here.
            reset: true,
            resume: false,
            no_reconcile: self.no_reconcile,
            force_recopy: self.force_recopy,
            iam_role_arn: self.iam_role_arn.clone(),
            retention: self.retention,
            min_remaining_days: self.min_remaining_days,
            include_expired: self.include_expired,
            try_all: self.try_all,
            skip_dest_setup: self.skip_dest_setup,
            dest_kms_key_arn: self.dest_kms_key_arn.clone(),
            dry_run: true,
            connection: self.connection.clone(),
            ..copy
        })
    }
}
