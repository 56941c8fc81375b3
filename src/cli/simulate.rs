//! `simulate`: a simulated AWS Backup for the length of a command.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use thiserror::Error;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::domain::Region;
use crate::sim::{FaultSpec, Lack, MaxJobs, Options, Range, SeedVault, Server, SimError, access_key};

mod args;

pub use args::SimulateArgs;

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

impl SimulateError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Sim(_) => "check --seed-file and --port (0 takes a free one)",
            Self::Run { .. } => "check the command behind `--`, and PATH",
            Self::Io { .. } => "check the path, its permissions and the disk's free space",
        }
    }
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
    let server = Server::start(args.options(region.clone())).await?;
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
        "AWS_ENDPOINT_URL_IAM",
        "AWS_ENDPOINT_URL_KMS",
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
