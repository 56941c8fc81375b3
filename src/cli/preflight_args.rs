//! The options of `preflight`: those of `copy` that decide what is copied, how, and how long it takes.

use clap::{Args, FromArgMatches as _};

use super::args::{ConnectionArgs, CopyArgs, CopyTerms, OutputForm};
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
pub struct PreflightArgs {
    /// What is to be copied, and how.
    #[command(flatten)]
    pub terms: CopyTerms,
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
            let option = what.split_once("--").map_or("", |(_, rest)| rest);
            let option = option.split(|letter: char| !letter.is_ascii_lowercase() && letter != '-');
            let variable = option
                .take(1)
                .collect::<String>()
                .replace('-', "_")
                .to_uppercase();
            AppError::usage(
                format!("the environment has something that `copy` does not take: {what}"),
                format!("mend the environment variable SHUFFLE_AWS_VAULTS_{variable}, or unset it"),
            )
        };
        let mut line = vec!["--source-account", self.terms.source.source_account.as_str()];
        line.extend(["--dest-account", self.terms.dest.dest_account.as_str()]);
        let command = CopyArgs::augment_args(clap::Command::new("copy").no_binary_name(true));
        let matches = command.try_get_matches_from(line).map_err(wrong)?;
        let copy = CopyArgs::from_arg_matches(&matches).map_err(wrong)?;
        Ok(CopyArgs {
            terms: self.terms.clone(),
            // Whatever is in a state file, nothing is done about it here.
            reset: true,
            resume: false,
            dry_run: true,
            connection: self.connection.clone(),
            ..copy
        })
    }
}
