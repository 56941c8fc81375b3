//! The options of the commands that read state files.

use std::path::PathBuf;

use clap::Args;

use super::args::OutputForm;
use super::copy_args::parse_cause;
use crate::copy::failure::FailureCause;

/// `failures`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  shuffle-aws-vaults failures ~/.shuffle-aws-vaults/state_123456789012_production-backups_20260101T120000Z.json
  shuffle-aws-vaults failures state.json --cause role,vault_policy --output csv > failures.csv

A run may be under way: nothing is locked or written.")]
pub struct FailuresArgs {
    /// State files
    #[arg(value_name = "STATE", required = true)]
    pub states: Vec<PathBuf>,
    /// Only points that failed of these causes; may be repeated
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_CAUSE",
        value_name = "CAUSE,...",
        value_delimiter = ',',
        value_parser = parse_cause(),
        hide_possible_values = true
    )]
    pub cause: Vec<FailureCause>,
    /// Form of the output.
    #[command(flatten)]
    pub form: OutputForm,
}

/// `status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  shuffle-aws-vaults status
  shuffle-aws-vaults status state.json --output json | jq .[0].rate_per_hour

A run may be under way: nothing is locked or written.")]
pub struct StatusArgs {
    /// State files [default: those of ~/.shuffle-aws-vaults, newest first, one line each]
    #[arg(value_name = "STATE")]
    pub states: Vec<PathBuf>,
    /// Form of the output.
    #[command(flatten)]
    pub form: OutputForm,
}
