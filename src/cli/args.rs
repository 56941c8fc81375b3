//! The command tree: clap structures, ranges and help texts. Nothing is decided here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::vault_options::parse_source_vault;
use crate::copy::retention::Retention;
use crate::domain::{AccountId, BackupVaultName, IamRoleArn, Region};
use crate::report::{LogFormat, OutputFormat};

const EXIT_CODES: &str = "\
Exit codes:
  0  all done
  1  errors: failed items, failed verification, bad usage or input
  2  incomplete: interrupted, runtime limit, or credentials gone; run again with --resume

Every option that takes a value can be set by an environment variable, shown beside it, and every option
by a configuration file.";

/// Move AWS Backup recovery points from one AWS account to another.
#[derive(Debug, Parser)]
#[command(
    name = "shuffle-aws-vaults",
    version,
    long_version = crate::cli::version::long(),
    propagate_version = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = EXIT_CODES
)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes, before or after its name.
#[derive(Debug, Clone, Args)]
pub struct GlobalArgs {
    /// AWS Region of the source vaults [default: the environment's, the profile's, else us-east-1]
    #[arg(long, global = true, env = "SHUFFLE_AWS_VAULTS_REGION", value_name = "REGION")]
    pub region: Option<Region>,
    /// Log each AWS call with its duration, request id and attempt
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Print errors and the closing line only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// When to use colour
    #[arg(
        long,
        global = true,
        env = "SHUFFLE_AWS_VAULTS_COLOR",
        value_name = "WHEN",
        default_value = "auto"
    )]
    pub color: When,
    /// Form of log lines
    #[arg(
        long,
        global = true,
        env = "SHUFFLE_AWS_VAULTS_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,
    /// Configuration file, stronger than the one in ~/.config/shuffle-aws-vaults/config.toml
    #[arg(long, global = true, env = "SHUFFLE_AWS_VAULTS_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Read no configuration file
    #[arg(long, global = true, conflicts_with = "config")]
    pub no_config: bool,
    /// Write the log to this file as well, at DEBUG
    #[arg(long, global = true, env = "SHUFFLE_AWS_VAULTS_LOG_FILE", value_name = "FILE")]
    pub log_file: Option<PathBuf>,
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the backup vaults of the source account, or the recovery points of one vault
    List(ListArgs),
    /// Show which recovery points the APMID filters select
    Filter(FilterArgs),
    /// Look at all that a copy depends on, before it begins; nothing is changed
    Preflight(Box<PreflightArgs>),
    /// Copy recovery points to the destination account; resumable
    Copy(Box<CopyArgs>),
    /// Check that every copyable recovery point is in the destination account
    Verify(Box<VerifyArgs>),
    /// Show what runs have done, under way or ended, from state files
    Status(StatusArgs),
    /// List the recovery points that failed, by cause, from state files
    Failures(FailuresArgs),
    /// Run a command against a simulated AWS Backup on this machine
    Simulate(crate::cli::simulate::SimulateArgs),
    /// Show what configuration files, environment and defaults make of the options
    Config(ConfigArgs),
    /// Print a shell completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff)
    Man,
}

/// `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What `config` does.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show the value of every option and where it comes from
    #[command(after_help = "\
Examples:
  shuffle-aws-vaults config show copy
  shuffle-aws-vaults config show copy --output json -- --workers 20")]
    Show {
        /// The command whose options are shown [default: all commands]
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
        /// Form of the output.
        #[command(flatten)]
        form: OutputForm,
        /// Options that are taken as given
        #[arg(last = true, value_name = "OPTIONS")]
        options: Vec<std::ffi::OsString>,
    },
}

/// Who the source account is and how it is reached.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Source account")]
pub struct SourceArgs {
    /// Source AWS account id (12 digits)
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_SOURCE_ACCOUNT", value_name = "ACCOUNT_ID")]
    pub source_account: AccountId,
    /// AWS profile for the source account [default: the default chain, else the one profile that names the account]
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_SOURCE_PROFILE", value_name = "PROFILE")]
    pub source_profile: Option<String>,
    /// Role to assume in the source account
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_SOURCE_ROLE_ARN", value_name = "ARN")]
    pub source_role_arn: Option<IamRoleArn>,
}

/// Who the destination account is and how it is reached.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Destination account")]
pub struct DestArgs {
    /// Destination AWS account id (12 digits)
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_DEST_ACCOUNT", value_name = "ACCOUNT_ID")]
    pub dest_account: AccountId,
    /// AWS profile for the destination account [default: the default chain, else the one profile that names the account]
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_DEST_PROFILE", value_name = "PROFILE")]
    pub dest_profile: Option<String>,
    /// Role to assume in the destination account
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_DEST_ROLE_ARN", value_name = "ARN")]
    pub dest_role_arn: Option<IamRoleArn>,
    /// Destination backup vault [default: the source vault's name]
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_DEST_VAULT", value_name = "VAULT_NAME")]
    pub dest_vault: Option<BackupVaultName>,
    /// Destination Region [default: the source Region]
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_DEST_REGION", value_name = "REGION")]
    pub dest_region: Option<Region>,
}

/// How AWS is called.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "AWS calls")]
pub struct ConnectionArgs {
    /// External id for roles that are assumed
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_EXTERNAL_ID",
        value_name = "ID",
        hide_env_values = true
    )]
    pub external_id: Option<String>,
    /// Session name for roles that are assumed, as CloudTrail shows it
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_ROLE_SESSION_NAME", value_name = "NAME")]
    pub role_session_name: Option<String>,
    /// Seconds to wait for a connection
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_CONNECT_TIMEOUT", value_name = "SECONDS", default_value = "5", value_parser = parse_positive)]
    pub connect_timeout: f64,
    /// Seconds to wait for an answer
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_READ_TIMEOUT", value_name = "SECONDS", default_value = "30", value_parser = parse_positive)]
    pub read_timeout: f64,
    /// Minutes to wait for expired credentials to be renewed, off a terminal
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_CREDENTIAL_WAIT", value_name = "MINUTES", default_value = "10", value_parser = parse_not_negative)]
    pub credential_wait: f64,
    /// Concurrent AWS calls that read one long list, 1 to 50; 1 reads page after page, in AWS's order
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_LIST_WORKERS", value_name = "NUM", default_value = "12", value_parser = whole::<u16>(1, 50))]
    pub list_workers: u16,
}

/// In which form a command writes to stdout.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputForm {
    /// Form of the output
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_OUTPUT",
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub output: OutputFormat,
}

/// `list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  shuffle-aws-vaults list --source-account 123456789012
  shuffle-aws-vaults list --source-account 123456789012 --vault production-backups --metadata-csv metadata.csv
  shuffle-aws-vaults list --source-account 123456789012 --vault production-backups --output ndjson | jq .resource_type")]
pub struct ListArgs {
    /// The source account.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Backup vault whose recovery points to list [default: list the vaults]
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_VAULT", value_name = "VAULT_NAME", value_parser = parse_source_vault)]
    pub vault: Option<BackupVaultName>,
    /// Which points are wanted.
    #[command(flatten)]
    pub filter: FilterOptions,
    /// Form of the output.
    #[command(flatten)]
    pub form: OutputForm,
    /// Show what would be queried; no AWS call is made
    #[arg(long)]
    pub dry_run: bool,
    /// How AWS is called.
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

/// `filter`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  shuffle-aws-vaults filter --source-account 123456789012 --vault production-backups \\
    --allowed-apmids APP001,APP002 --metadata-csv metadata.csv
  shuffle-aws-vaults filter --source-account 123456789012 --vault production-backups \\
    --excluded-apmids TEST001 --metadata-csv metadata.csv --output json | jq .summary")]
pub struct FilterArgs {
    /// The source account.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Backup vault to filter
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_VAULT", value_name = "VAULT_NAME", value_parser = parse_source_vault)]
    pub vault: BackupVaultName,
    /// Which points are wanted.
    #[command(flatten)]
    pub filter: FilterOptions,
    /// Form of the output.
    #[command(flatten)]
    pub form: OutputForm,
    /// How AWS is called.
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

/// `verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  shuffle-aws-vaults verify --source-account 123456789012 --dest-account 987654321098
  shuffle-aws-vaults verify --source-account 123456789012 --dest-account 987654321098 \\
    --vault production-backups --missing-output missing.csv --points-output audit.csv

Without --vault, --all-vaults or --vault-map every vault that holds recovery points is compared.
Exit code 0 only if nothing is missing.")]
pub struct VerifyArgs {
    /// The source account.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The destination account.
    #[command(flatten)]
    pub dest: DestArgs,
    /// Which vaults are compared.
    #[command(flatten)]
    pub vaults: VaultOptions,
    /// State file whose record of copies is used [default: the newest of each vault, if there is one]
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_STATE_FILE", value_name = "FILE")]
    pub state_file: Option<PathBuf>,
    /// Which points are wanted.
    #[command(flatten)]
    pub filter: FilterOptions,
    /// Form of the output.
    #[command(flatten)]
    pub form: OutputForm,
    /// Retention that the copies were to have, as `copy` was told: source, days=N, never (36,500 days), omit (any)
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_RETENTION",
        value_name = "RULE",
        default_value = "source"
    )]
    pub retention: Retention,
    /// Write the missing recovery points to this file: as CSV if its name ends in .csv, else one ARN a line
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_MISSING_OUTPUT", value_name = "FILE")]
    pub missing_output: Option<PathBuf>,
    /// Write every point with its copy, keys, dates, sizes and retention to this file (.csv, .json or .ndjson)
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_POINTS_OUTPUT", value_name = "FILE")]
    pub points_output: Option<PathBuf>,
    /// How AWS is called.
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

pub use super::copy_args::CopyArgs;
pub use super::copy_terms::CopyTerms;
pub use super::filter_options::FilterOptions;
pub use super::finish_options::FinishOptions;
pub use super::plan_options::PlanOptions;
pub use super::preflight_args::PreflightArgs;
pub use super::state_args::{FailuresArgs, StatusArgs};
pub use super::vault_options::VaultOptions;

/// Reads whole numbers from `least` to `most`.
pub(crate) fn whole<T: TryFrom<u32>>(least: u32, most: u32) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text
            .parse::<u32>()
            .ok()
            .filter(|number| (least..=most).contains(number));
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| match most {
                u32::MAX => format!("it must be a whole number, {least} or greater"),
                _ => format!("it must be a whole number from {least} to {most}"),
            })
    }
}

/// Reads a number greater than zero; fractions are allowed.
pub(crate) fn parse_positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 && value <= 1e9 => Ok(value),
        _ => Err("it must be a number greater than 0".to_owned()),
    }
}

/// Reads a number that is zero or greater; fractions are allowed.
pub(crate) fn parse_not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && (0.0..=1e9).contains(&value) => Ok(value),
        _ => Err("it must be a number, 0 or greater".to_owned()),
    }
}

/// Reads a number of minutes that is one or greater; fractions are allowed.
pub(crate) fn parse_minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && (1.0..=1e9).contains(&value) => Ok(value),
        _ => Err("it must be a number of minutes, 1 or greater".to_owned()),
    }
}
