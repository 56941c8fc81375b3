//! The options of `copy`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

use super::args::{
    ConnectionArgs, CopyTerms, FinishOptions, PlanOptions, parse_not_negative, parse_positive,
};
use crate::copy::failure::FailureCause;
use crate::copy::forecast::Bounds;
use crate::copy::scheduler::Limits;
use crate::copy::window::MAX_IN_FLIGHT;
use crate::domain::{IamRoleArn, Region};
use crate::report::OutputFormat;

/// `--progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressChoice {
    /// A bar on a terminal, else plain lines.
    Auto,
    /// A bar.
    Bar,
    /// Plain lines.
    Plain,
    /// One JSON object a line.
    Json,
    /// Nothing.
    None,
}

/// `--max-in-flight`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxInFlight {
    /// This many.
    Fixed(usize),
    /// As many as AWS takes.
    Auto,
}

/// `--retry-failed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryFailed {
    /// Whatever the cause.
    All,
    /// What failed of this cause.
    Of(FailureCause),
}

/// `copy`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  shuffle-aws-vaults copy --source-account 123456789012 --dest-account 987654321098 --vault production-backups
  shuffle-aws-vaults copy --source-account 123456789012 --dest-account 987654321098 --vault production-backups \\
    --allowed-apmids APP001 --metadata-csv metadata.csv --max-runtime-minutes 120 --summary-output summary.json
  shuffle-aws-vaults copy --source-account 123456789012 --dest-account 987654321098 --vault production-backups --resume
  shuffle-aws-vaults copy --source-account 123456789012 --dest-account 987654321098 --all-vaults --vault-map map.csv

Copy jobs run on in AWS when the program stops; --resume attaches to them again.
Exit codes: 0 all done; 1 errors; 2 incomplete, run again with --resume.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct CopyArgs {
    /// What is copied, and how.
    #[command(flatten)]
    pub terms: CopyTerms,
    /// Seconds after which AWS surely lists a copy job: a start whose answer was lost is looked for after that
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_LIST_GRACE", value_name = "SECONDS", default_value = "120", value_parser = parse_not_negative, help_heading = "Pace")]
    pub list_grace: f64,
    /// On a signal, wait up to this many minutes for jobs in flight
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_DRAIN_MINUTES", value_name = "MINUTES", default_value = "0", value_parser = parse_not_negative, help_heading = "Stopping")]
    pub drain_minutes: f64,
    /// Go on when every job fails for the same cause
    #[arg(long, help_heading = "Stopping")]
    pub no_circuit_breaker: bool,
    /// Go on with an earlier run [default file: the newest for this source, vault and destination]
    #[arg(long, help_heading = "State")]
    pub resume: bool,
    /// Begin anew; the earlier state file is kept as .bak
    #[arg(long, help_heading = "State")]
    pub reset: bool,
    /// With --resume: queue failed points again, all or those of these causes, as the summary and `failures` name them
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_RETRY_FAILED",
        value_name = "CAUSE",
        requires = "resume",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all",
        value_delimiter = ',',
        value_parser = parse_retry(),
        hide_possible_values = true,
        help_heading = "State"
    )]
    pub retry_failed: Vec<RetryFailed>,
    /// Size of the journal, in MiB, at which it is folded into the state file while the run goes on
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_JOURNAL_LIMIT", value_name = "MIB", default_value = "64", value_parser = parse_positive, help_heading = "State")]
    pub journal_limit: f64,
    /// Do not look beforehand at what copies depend on (see `preflight`)
    #[arg(long, help_heading = "Copies")]
    pub skip_preflight: bool,
    /// Show the plan; only reads are made
    #[arg(long, help_heading = "Plan")]
    pub dry_run: bool,
    /// What is made of the plan.
    #[command(flatten)]
    pub planning: PlanOptions,
    /// Do not ask before copying
    #[arg(long, help_heading = "Output")]
    pub yes: bool,
    /// Write a JSON summary to this file, whatever the outcome
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_SUMMARY_OUTPUT",
        value_name = "FILE",
        help_heading = "Output"
    )]
    pub summary_output: Option<PathBuf>,
    /// At the end, write the points that failed to this file, one ARN a line, by cause; empty if none did
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_FAILED_OUT",
        value_name = "FILE",
        help_heading = "Output"
    )]
    pub failed_out: Option<PathBuf>,
    /// Write what happens in the run to this file, one JSON object a line; `-` is standard output
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_EVENTS",
        value_name = "FILE",
        help_heading = "Output"
    )]
    pub events: Option<PathBuf>,
    /// Keep the run's numbers in this file, in Prometheus' text format, for `node_exporter`'s textfile collector
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_METRICS_FILE",
        value_name = "FILE",
        help_heading = "Output"
    )]
    pub metrics_file: Option<PathBuf>,
    /// What is run at the end.
    #[command(flatten)]
    pub finish: FinishOptions,
    /// Form of the plan of a dry run, and of the summary on stdout [default: table for plans, none for copies]
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_OUTPUT",
        value_name = "FORMAT",
        help_heading = "Output"
    )]
    pub output: Option<OutputFormat>,
    /// How progress is shown on stderr
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_PROGRESS",
        value_name = "MODE",
        default_value = "auto",
        help_heading = "Output"
    )]
    pub progress: ProgressChoice,
    /// Seconds between updates of the progress display [default: 5 on a terminal, else 30]
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_PROGRESS_INTERVAL", value_name = "SECONDS", value_parser = parse_positive, help_heading = "Output")]
    pub progress_interval: Option<f64>,
    /// How AWS is called.
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

impl CopyArgs {
    /// `--journal-limit`, in bytes.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and more than a machine holds is no limit either"
    )]
    pub(super) fn journal_bytes(&self) -> u64 {
        (self.journal_limit * 1_048_576.0) as u64
    }

    /// The role that AWS Backup copies with; the source vaults are in `region`.
    pub(super) fn role(&self, region: &Region) -> IamRoleArn {
        let default = || IamRoleArn::default_for(region, &self.terms.source.source_account);
        self.terms.iam_role_arn.clone().unwrap_or_else(default)
    }

    /// Jobs in flight. With `auto` as far as AWS lets it, and that is what its quotas are for.
    pub(super) fn limits(&self) -> Limits {
        let workers = usize::from(self.terms.workers);
        let (in_flight, found_from) = match self.terms.max_in_flight {
            None => (workers, None),
            Some(MaxInFlight::Fixed(n)) => (n, None),
            Some(MaxInFlight::Auto) => (MAX_IN_FLIGHT, Some(workers)),
        };
        Limits {
            in_flight,
            found_from,
            per_resource: usize::from(self.terms.max_in_flight_per_resource),
            per_type: self.terms.limit.iter().cloned().collect(),
        }
    }

    /// What bounds the pace, for a forecast.
    pub(super) fn bounds(&self) -> Bounds {
        Bounds {
            limits: self.limits(),
            poll_interval: Duration::from_secs_f64(self.terms.poll_interval),
        }
    }

    /// `--max-runtime-minutes`.
    pub(super) fn runtime_limit(&self) -> Option<Duration> {
        self.terms
            .max_runtime_minutes
            .map(|minutes| Duration::from_secs_f64(minutes * 60.0))
    }
}

/// Takes the name of a cause; another one is an error that lists those there are.
pub(crate) fn parse_cause() -> impl TypedValueParser<Value = FailureCause> {
    PossibleValuesParser::new(FailureCause::ALL.map(FailureCause::as_str))
        .map(|name| FailureCause::named(&name).unwrap_or(FailureCause::Other))
}

fn parse_retry() -> impl TypedValueParser<Value = RetryFailed> {
    let names = FailureCause::ALL.map(FailureCause::as_str);
    PossibleValuesParser::new(names.into_iter().chain(["all"]))
        .map(|name| FailureCause::named(&name).map_or(RetryFailed::All, RetryFailed::Of))
}

pub(super) fn parse_in_flight(text: &str) -> Result<MaxInFlight, String> {
    if text == "auto" {
        return Ok(MaxInFlight::Auto);
    }
    match text.parse::<usize>() {
        Ok(n) if (1..=MAX_IN_FLIGHT).contains(&n) => Ok(MaxInFlight::Fixed(n)),
        _ => Err(format!("it must be 1 to {MAX_IN_FLIGHT}, or `auto`")),
    }
}

pub(super) fn parse_limit(text: &str) -> Result<(String, usize), String> {
    text.split_once('=')
        .and_then(|(name, n)| Some((name.trim().to_owned(), n.trim().parse::<usize>().ok()?)))
        .filter(|(name, n)| !name.is_empty() && (1..=MAX_IN_FLIGHT).contains(n))
        .ok_or_else(|| format!("it must be TYPE=NUM with NUM from 1 to {MAX_IN_FLIGHT}, such as EBS=20"))
}
