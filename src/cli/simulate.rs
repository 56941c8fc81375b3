//! `simulate`: a simulated AWS Backup for the length of a command.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use clap::Args;
use thiserror::Error;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::args::{parse_not_negative, parse_positive};
use crate::domain::{AccountId, BackupVaultName, Region};
use crate::sim::{Options, Range, SeedVault, Server, SimError, access_key};

/// `simulate`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  shuffle-aws-vaults simulate -- shuffle-aws-vaults list --source-account 123456789012
  shuffle-aws-vaults simulate --vault my-backup-vault=500 --throttle-share 0.1 --ledger ledger.json -- ./migrate.sh

COMMAND gets an environment that points at the simulator only: all AWS_* variables are replaced, and an AWS
configuration with a profile for each account is made. Exit code: that of COMMAND, 128+N if signal N ended it.")]
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
    /// Unfinished jobs above which StartCopyJob is refused (quota); 0 is no limit
    #[arg(long, value_name = "NUM", default_value = "0")]
    pub max_jobs: usize,
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
    /// Share of copy jobs that end in FAILED
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    pub fail_share: f64,
    /// Share of copy jobs that end in PARTIAL
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    pub partial_share: f64,
    /// Status message of failing jobs [default: AWS's own texts, in turn]
    #[arg(long, value_name = "TEXT")]
    pub fail_message: Option<String>,
    /// Seconds after which credentials that AssumeRole gave out expire; 0 is an hour
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = parse_not_negative)]
    pub credential_lifetime: f64,
    /// Do not honour idempotency tokens
    #[arg(long)]
    pub no_token_replay: bool,
    /// Operation to deny, such as StartCopyJob; may be repeated
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

/// Why a simulation failed.
#[derive(Debug, Error)]
pub enum SimulateError {
    /// The simulator.
    #[error(transparent)]
    Sim(#[from] SimError),
    /// The command.
    #[error("cannot run {command}: {source}")]
    Run {
        /// The command's first word.
        command: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file or stream.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// What the operating system said.
        source: io::Error,
    },
}

fn io_error(action: impl Into<String>) -> impl FnOnce(io::Error) -> SimulateError {
    let action = action.into();
    move |source| SimulateError::Io { action, source }
}

/// Serves, and runs the command if there is one. Answers the command's exit code.
///
/// # Errors
/// If the simulator or the command cannot be started, or the ledger cannot be written.
pub async fn run(args: SimulateArgs, region: Option<Region>) -> Result<u8, SimulateError> {
    let region = region.unwrap_or_else(Region::us_east_1);
    let server = Server::start(options(&args, region.clone())).await?;
    let files = tempfile::Builder::new()
        .prefix("shuffle-aws-vaults-sim-")
        .tempdir()
        .map_err(io_error("make a temporary directory"))?;
    write_config(files.path(), &args, &region)?;
    let url = format!("http://{}", server.addr());
    let environment = environment(&url, files.path(), &region);
    banner(&format!("simulated AWS Backup on {url}: nothing reaches AWS"));
    if args.print_env || args.command.is_empty() {
        print_exports(&environment)?;
    }
    let code = if args.command.is_empty() {
        until_signal().await?;
        0
    } else {
        run_command(&args.command, &environment).await?
    };
    if let Some(path) = &args.ledger {
        let text = format!("{:#}\n", server.ledger_json());
        std::fs::write(path, text).map_err(io_error(format!("write the ledger {}", path.display())))?;
    }
    Ok(code)
}

fn banner(text: &str) {
    // Nobody can be told that stderr is closed.
    let _ = writeln!(io::stderr(), "{text}");
}

fn options(args: &SimulateArgs, region: Region) -> Options {
    let default = SeedVault {
        name: "my-backup-vault".to_owned(),
        points: 100,
    };
    let vaults = match (args.vaults.is_empty(), &args.seed_file) {
        (true, None) => vec![default],
        _ => args.vaults.clone(),
    };
    Options {
        source_account: args.source_account.clone(),
        dest_account: args.dest_account.clone(),
        region,
        vaults,
        resources: args.resources.map(|n| n as usize),
        types: args.types.clone(),
        include_uncopyable: args.include_uncopyable,
        seed_file: args.seed_file.clone(),
        job_seconds: args.job_seconds,
        time_scale: args.time_scale,
        latency_ms: args.latency_ms,
        list_lag_seconds: args.list_lag,
        max_jobs: args.max_jobs,
        type_limits: args.type_limit.iter().cloned().collect::<HashMap<_, _>>(),
        per_resource: args.per_resource,
        calls_per_second: args.calls_per_second,
        burst: args.burst,
        throttle_share: args.throttle_share,
        error_share: args.error_share,
        lost_answer_share: args.lost_answer_share,
        fail_share: args.fail_share,
        partial_share: args.partial_share,
        fail_message: args.fail_message.clone(),
        credential_lifetime_seconds: args.credential_lifetime,
        token_replay: !args.no_token_replay,
        deny: args.deny.clone(),
        random_seed: args.random_seed,
        port: args.port,
    }
}

/// One profile for each account, as operators have them. The session name is new each time: the aws
/// command line tool keeps credentials of roles on disk, and those of another simulator are no good.
fn write_config(directory: &Path, args: &SimulateArgs, region: &Region) -> Result<(), SimulateError> {
    let key = access_key(&args.source_account);
    let keys =
        format!("aws_access_key_id = {key}\naws_secret_access_key = simulated-secret\nregion = {region}\n");
    let config = format!(
        "[default]\n{keys}\n[profile source]\n{keys}\n[profile destination]\n\
         role_arn = arn:{}:iam::{}:role/SimulatedMigration\nsource_profile = source\nregion = {region}\n\
         role_session_name = simulated-{}-{}\n",
        region.partition(),
        args.dest_account,
        std::process::id(),
        chrono::Utc::now().timestamp()
    );
    for (name, text) in [("config", config.as_str()), ("credentials", "")] {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(io_error(format!("write {}", path.display())))?;
    }
    Ok(())
}

fn environment(url: &str, directory: &Path, region: &Region) -> Vec<(&'static str, OsString)> {
    let mut all: Vec<(&'static str, OsString)> = [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_BACKUP",
        "AWS_ENDPOINT_URL_STS",
    ]
    .map(|name| (name, url.into()))
    .into();
    all.extend([
        ("AWS_CONFIG_FILE", directory.join("config").into()),
        (
            "AWS_SHARED_CREDENTIALS_FILE",
            directory.join("credentials").into(),
        ),
        ("AWS_EC2_METADATA_DISABLED", "true".into()),
        ("AWS_REGION", region.as_str().into()),
        ("AWS_DEFAULT_REGION", region.as_str().into()),
        ("SHUFFLE_AWS_VAULTS_SIMULATED", "1".into()),
    ]);
    all
}

fn print_exports(environment: &[(&'static str, OsString)]) -> Result<(), SimulateError> {
    let mut out = io::stdout().lock();
    for (name, value) in environment {
        let quoted = value.to_string_lossy().replace('\'', r"'\''");
        writeln!(out, "export {name}='{quoted}'").map_err(io_error("write to standard output"))?;
    }
    out.flush().map_err(io_error("write to standard output"))
}

/// The shell's own search path, with the directory of this program before it, so that COMMAND finds
/// this very program by its name.
fn search_path() -> Option<OsString> {
    let here = std::env::current_exe().ok()?.parent()?.to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(here).chain(std::env::split_paths(&path))).ok()
}

fn spawn(command: &[OsString], environment: &[(&'static str, OsString)]) -> Result<Child, SimulateError> {
    let program = command.first().cloned().unwrap_or_default();
    // A name is looked up by the child's search path, which is not ours.
    let itself = std::env::current_exe()
        .ok()
        .filter(|exe| exe.file_name() == Some(program.as_os_str()));
    let mut child = Command::new(itself.map_or_else(|| program.clone(), PathBuf::into_os_string));
    child.args(command.iter().skip(1));
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("AWS_") || name_text.starts_with("SHUFFLE_AWS_VAULTS_") {
            child.env_remove(name);
        }
    }
    if let Some(path) = search_path() {
        child.env("PATH", path);
    }
    child
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .spawn()
        .map_err(|source| SimulateError::Run {
            command: program.to_string_lossy().into_owned(),
            source,
        })
}

/// Runs the command. Ctrl-C reaches it from the terminal; other signals are handed on.
async fn run_command(
    command: &[OsString],
    environment: &[(&'static str, OsString)],
) -> Result<u8, SimulateError> {
    let handler = |kind| signal(kind).map_err(io_error("listen for signals"));
    let mut interrupt = handler(SignalKind::interrupt())?;
    let mut terminate = handler(SignalKind::terminate())?;
    let mut hangup = handler(SignalKind::hangup())?;
    let mut child = spawn(command, environment)?;
    loop {
        let name = tokio::select! {
            status = child.wait() => return status.map(code).map_err(io_error("wait for the command")),
            _ = interrupt.recv() => continue,
            _ = terminate.recv() => "-TERM",
            _ = hangup.recv() => "-HUP",
        };
        if let Some(id) = child.id() {
            let _ = Command::new("kill").args([name, &id.to_string()]).status().await;
        }
    }
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|n| 128 + n));
    code.and_then(|n| u8::try_from(n).ok()).unwrap_or(1)
}

async fn until_signal() -> Result<(), SimulateError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(io_error("listen for signals"))?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result.map_err(io_error("listen for signals")),
        _ = terminate.recv() => Ok(()),
    }
}

fn parse_vault(text: &str) -> Result<SeedVault, String> {
    let wanted = "it must be NAME=COUNT, such as my-backup-vault=500";
    let (name, points) = text.split_once('=').ok_or(wanted)?;
    name.parse::<BackupVaultName>()
        .map_err(|error| error.to_string())?;
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

fn parse_limit(text: &str) -> Result<(String, usize), String> {
    text.split_once('=')
        .and_then(|(name, n)| Some((name.trim().to_owned(), n.trim().parse::<usize>().ok()?)))
        .ok_or_else(|| "it must be TYPE=NUM, such as EBS=20".to_owned())
}
