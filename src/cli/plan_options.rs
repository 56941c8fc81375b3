//! The options of `copy` that have to do with its plan as such.

use std::path::PathBuf;

use clap::Args;

/// What is made of the plan.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Plan")]
pub struct PlanOptions {
    /// Write the plan to this file, point by point, for --plan
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_PLAN_OUT", value_name = "FILE")]
    pub plan_out: Option<PathBuf>,
    /// Copy exactly what this file of --plan-out says, or tell what has changed and copy nothing
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_PLAN",
        value_name = "FILE",
        conflicts_with = "plan_out"
    )]
    pub plan: Option<PathBuf>,
    /// CSV file of prices, for the cost of the copies: `resource_type,storage_per_gib_month,transfer_per_gib,currency`
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_PRICES", value_name = "FILE")]
    pub prices: Option<PathBuf>,
}
