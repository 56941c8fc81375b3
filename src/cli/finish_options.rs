//! The options of `copy` that say what is run when it is over.

use clap::Args;

use super::args::parse_positive;

/// What is run at the end.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct FinishOptions {
    /// At the end run this command by `sh -c`, whatever the outcome, with the summary in JSON on its standard input
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_ON_FINISH", value_name = "COMMAND")]
    pub on_finish: Option<String>,
    /// Seconds that the command of --on-finish may take
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_ON_FINISH_TIMEOUT", value_name = "SECONDS", default_value = "60", value_parser = parse_positive)]
    pub on_finish_timeout: f64,
}
