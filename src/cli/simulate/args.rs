//! The options of `simulate`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::{FaultSpec, Lack, MaxJobs, Options, Range, SeedVault};
use crate::cli::args::{parse_not_negative, parse_positive};
use crate::domain::{AccountId, BackupVaultName, Region};

/// `simulate`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  shuffle-aws-vaults simulate -- shuffle-aws-vaults list --source-account 123456789012
  shuffle-aws-vaults simulate --vault my-backup-vault=500 --throttle-share 0.1 --ledger ledger.json -- ./migrate.sh
  shuffle-aws-vaults simulate --fault lost:StartCopyJob=0.2 --fault 503=1@10-20 -- ./migrate.sh

Faults: KIND is an error code of AWS (Throttling, InternalFailure, ExpiredToken, ...), a load
balancer's 500, 502, 503 or 504, or one of
  reset          nothing done, connection closed
  hang           nothing done, never answered
  lost           carried out, connection closed
  hang-after     carried out, never answered
  late           carried out, answered --late-seconds later
  slow           carried out, answered at one byte a second
  half           carried out, connection closed after half of the answer
  html           carried out, answered with 200 and a web page
  wrong-type     carried out, answered with members of wrong types
  duplicate      carried out twice
  repeat-token   a page of a list that names itself as the next
  expired-token  a NextToken that is refused
  empty-page     a page without members, and a NextToken that goes on
SHARE is that of OPERATION's calls, or of all calls of AWS Backup; FROM and TO are seconds since
the simulator began.

COMMAND gets an environment that points at the simulator only: all AWS_* variables are replaced, and
an AWS configuration with a profile for each account is made. Exit code: that of COMMAND, 128+N if
signal N ended it.")]
pub struct SimulateArgs {
    /// Account that holds the vaults
    #[arg(long, value_name = "ACCOUNT_ID", default_value = "123456789012")]
    pub source_account: AccountId,
    /// Account to copy to; it has no vaults at first
    #[arg(long, value_name = "ACCOUNT_ID", default_value = "987654321098")]
    pub dest_account: AccountId,
    /// A vault and the number of recovery points in it; may be repeated [default: my-backup-vault=100]
    #[arg(long = "vault", value_name = "NAME=COUNT", value_parser = parse_vault)]
    pub vaults: Vec<SeedVault>,
    /// Distinct resources in each vault [default: half the points]
    #[arg(long, value_name = "NUM", value_parser = clap::value_parser!(u32).range(1..))]
    pub resources: Option<u32>,
    /// Resource types, in turn
    #[arg(
        long,
        value_name = "TYPE,...",
        value_delimiter = ',',
        default_value = "EFS,S3,DynamoDB"
    )]
    pub types: Vec<String>,
    /// Share of the points of types that are not fully managed (EBS, RDS, ...) that are under an AWS managed key
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    pub aws_managed_key_share: f64,
    /// What the accounts lack; may be repeated
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    pub without: Vec<Lack>,
    /// Resource types that no Region is opted in to
    #[arg(long, value_name = "TYPE,...", value_delimiter = ',')]
    pub opted_out: Vec<String>,
    /// Name of a role that does not exist; may be repeated. All others do
    #[arg(long = "absent-role", value_name = "NAME")]
    pub absent_roles: Vec<String>,
    /// Share of copies that are kept for ever, whatever retention they were to get
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    pub lost_lifecycle_share: f64,
    /// Add one point of each kind that AWS does not copy to each vault
    #[arg(long)]
    pub include_uncopyable: bool,
    /// JSON file of vaults and points of both accounts, instead of or beside --vault
    #[arg(long, value_name = "FILE")]
    pub seed_file: Option<PathBuf>,
    /// How long a copy job runs, in seconds
    #[arg(long, value_name = "MIN-MAX", default_value = "1-3", value_parser = parse_range)]
    pub job_seconds: Range,
    /// Simulated seconds to a real one
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = parse_positive)]
    pub time_scale: f64,
    /// Time before each answer, in milliseconds
    #[arg(long, value_name = "MIN-MAX", default_value = "0", value_parser = parse_range)]
    pub latency_ms: Range,
    /// Seconds for which new jobs and points are missing from lists
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = parse_not_negative)]
    pub list_lag: f64,
    /// Unfinished jobs, of all or of some types together, above which StartCopyJob is refused (quota);
    /// may be repeated. 0 is no limit
    #[arg(long, value_name = "NUM|TYPE+TYPE=NUM", value_parser = parse_max_jobs)]
    pub max_jobs: Vec<MaxJobs>,
    /// Running jobs of a resource type above which further ones wait in CREATED; may be repeated
    #[arg(long, value_name = "TYPE=NUM", value_parser = parse_limit, value_delimiter = ',')]
    pub type_limit: Vec<(String, usize)>,
    /// Running jobs of one resource above which further ones wait in CREATED
    #[arg(long, value_name = "NUM", default_value = "1")]
    pub per_resource: usize,
    /// Calls a second above which calls are throttled; 0 is no limit
    #[arg(long, value_name = "NUM", default_value = "0", value_parser = parse_not_negative)]
    pub calls_per_second: f64,
    /// Calls that may come at once before --calls-per-second counts
    #[arg(long, value_name = "NUM", default_value = "50", value_parser = parse_positive)]
    pub burst: f64,
    /// Share of calls that are throttled, 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    pub throttle_share: f64,
    /// Share of calls that AWS fails with 500 or 503
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    pub error_share: f64,
    /// Share of StartCopyJob calls that are carried out and whose answer is then cut off
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    pub lost_answer_share: f64,
    /// What goes wrong with calls: KIND[:OPERATION]=SHARE[@FROM-TO]; may be repeated. See "Faults" below
    #[arg(long = "fault", value_name = "SPEC")]
    pub faults: Vec<FaultSpec>,
    /// Seconds after which the answers of --fault late come
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = parse_not_negative)]
    pub late_seconds: f64,
    /// Seconds that AWS's clock is ahead of this machine's; behind it if negative
    #[arg(long, value_name = "SECONDS", default_value = "0", allow_negative_numbers = true, value_parser = parse_skew)]
    pub clock_skew: f64,
    /// Share of copy jobs that are in an unknown state for a while, and of answers with unknown members
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    pub unknown_share: f64,
    /// Share of copy jobs that stay in CREATED for --stuck-seconds
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    pub stuck_share: f64,
    /// How long they do
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = parse_not_negative)]
    pub stuck_seconds: f64,
    /// Share of copy jobs that no list shows; DescribeCopyJob does
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    pub unlisted_share: f64,
    /// Share of copy jobs that neither lists nor DescribeCopyJob show, although they copy
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    pub forget_jobs_share: f64,
    /// Share of copy jobs that end in FAILED
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    pub fail_share: f64,
    /// Share of copy jobs that end in PARTIAL
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    pub partial_share: f64,
    /// Status message of failing jobs; may be repeated, and they come in turn [default: some of AWS's own]
    #[arg(long = "fail-message", value_name = "TEXT")]
    pub fail_messages: Vec<String>,
    /// Seconds after which credentials that AssumeRole gave out expire; 0 is an hour
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = parse_not_negative)]
    pub credential_lifetime: f64,
    /// Do not honour idempotency tokens
    #[arg(long)]
    pub no_token_replay: bool,
    /// Bytes that the access policy of a vault may have
    #[arg(long, value_name = "BYTES", default_value = "20480")]
    pub policy_limit: usize,
    /// Operation to deny, such as StartCopyJob or DescribeKey, but none of STS; may be repeated
    #[arg(long, value_name = "OPERATION")]
    pub deny: Vec<String>,
    /// Seed of everything that is random
    #[arg(long, value_name = "NUM", default_value = "1")]
    pub random_seed: u64,
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value = "0")]
    pub port: u16,
    /// Write every call and every copy to this file at the end
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Print the environment as shell exports (also done without COMMAND)
    #[arg(long)]
    pub print_env: bool,
    /// Command to run against the simulator; without one it serves until Ctrl-C
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

impl SimulateArgs {
    /// What the simulator is told.
    pub(super) fn options(&self, region: Region) -> Options {
        let default = SeedVault {
            name: "my-backup-vault".to_owned(),
            points: 100,
        };
        let vaults = match (self.vaults.is_empty(), &self.seed_file) {
            (true, None) => vec![default],
            _ => self.vaults.clone(),
        };
        Options {
            source_account: self.source_account.clone(),
            dest_account: self.dest_account.clone(),
            region,
            vaults,
            resources: self.resources.map(|n| n as usize),
            types: self.types.clone(),
            managed_key_share: self.aws_managed_key_share,
            without: self.without.clone(),
            opted_out: self.opted_out.clone(),
            absent_roles: self.absent_roles.clone(),
            lost_lifecycle_share: self.lost_lifecycle_share,
            include_uncopyable: self.include_uncopyable,
            seed_file: self.seed_file.clone(),
            job_seconds: self.job_seconds,
            time_scale: self.time_scale,
            latency_ms: self.latency_ms,
            list_lag_seconds: self.list_lag,
            max_jobs: self.max_jobs.clone(),
            type_limits: self.type_limit.iter().cloned().collect::<HashMap<_, _>>(),
            per_resource: self.per_resource,
            calls_per_second: self.calls_per_second,
            burst: self.burst,
            throttle_share: self.throttle_share,
            error_share: self.error_share,
            lost_answer_share: self.lost_answer_share,
            faults: self.faults.clone(),
            late_seconds: self.late_seconds,
            clock_skew_seconds: self.clock_skew,
            unknown_share: self.unknown_share,
            stuck_share: self.stuck_share,
            stuck_seconds: self.stuck_seconds,
            unlisted_share: self.unlisted_share,
            forget_jobs_share: self.forget_jobs_share,
            fail_share: self.fail_share,
            partial_share: self.partial_share,
            fail_messages: self.fail_messages.clone(),
            credential_lifetime_seconds: self.credential_lifetime,
            token_replay: !self.no_token_replay,
            policy_limit: self.policy_limit,
            deny: self.deny.clone(),
            random_seed: self.random_seed,
            port: self.port,
        }
    }
}

fn parse_vault(text: &str) -> Result<SeedVault, String> {
    let wanted = "it must be NAME=COUNT, such as my-backup-vault=500";
    let (name, points) = text.split_once('=').ok_or(wanted)?;
    BackupVaultName::of_existing(name).map_err(|error| error.to_string())?;
    let points = points.parse().map_err(|_| wanted)?;
    Ok(SeedVault {
        name: name.to_owned(),
        points,
    })
}

fn parse_range(text: &str) -> Result<Range, String> {
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    match (min.trim().parse::<f64>(), max.trim().parse::<f64>()) {
        (Ok(min), Ok(max)) if min >= 0.0 && max >= min && max <= 1e9 => Ok(Range { min, max }),
        _ => Err("it must be a number, or MIN-MAX".to_owned()),
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("it must be a number from 0 to 1".to_owned()),
    }
}

fn parse_max_jobs(text: &str) -> Result<MaxJobs, String> {
    let (types, jobs) = text.rsplit_once('=').unwrap_or(("", text));
    let names = types.split('+').map(|name| name.trim().to_owned());
    Ok(MaxJobs {
        types: names.filter(|name| !name.is_empty()).collect(),
        jobs: jobs
            .trim()
            .parse()
            .map_err(|_| "it must be NUM or TYPE+TYPE=NUM, such as 100 or EBS+EC2=20")?,
    })
}

fn parse_limit(text: &str) -> Result<(String, usize), String> {
    text.split_once('=')
        .and_then(|(name, n)| Some((name.trim().to_owned(), n.trim().parse::<usize>().ok()?)))
        .ok_or_else(|| "it must be TYPE=NUM, such as EBS=20".to_owned())
}

fn parse_skew(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (-1e9..=1e9).contains(&seconds) => Ok(seconds),
        _ => Err("it must be a number of seconds".to_owned()),
    }
}
