//! The command line: from arguments to commands, and from their outcomes to the exit code.

pub mod args;
mod connection;
mod copy;
mod copy_args;
mod credential_prompt;
mod filter;
mod list;
mod output;
mod selection;
pub mod simulate;
mod source_vault;
mod verify;
pub mod version;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use args::{Cli, Command, GlobalArgs};
use connection::Connections;

use crate::aws::Context;
use crate::error::{AppError, Outcome, code};
use crate::report::Console;

/// What every command is given.
#[derive(Debug)]
struct Session {
    global: GlobalArgs,
    console: Console,
    context: Context,
}

impl Session {
    async fn connections(&self, connection: &args::ConnectionArgs, source: &args::SourceArgs) -> Connections {
        let profile = source.source_profile.as_deref();
        Connections::new(
            connection,
            self.global.region.clone(),
            profile,
            self.context.clone(),
        )
        .await
    }
}

/// The whole program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody can be told that stderr is closed.
            let _ = error.print();
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(u8::from(!asked_for));
        }
    };
    let colour = output::use_colour(cli.global.color);
    let result = run(cli);
    if let Err(error) = &result
        && !matches!(error, AppError::ClosedPipe)
    {
        output::show_error(error, colour);
    }
    ExitCode::from(code(&result))
}

fn run(cli: Cli) -> Result<Outcome, AppError> {
    let console = Console::new();
    match cli.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "shuffle-aws-vaults", &mut script);
            output::to_stdout(|out| out.write_all(&script))?;
            return Ok(Outcome::Done);
        }
        Command::Man => {
            output::to_stdout(man)?;
            return Ok(Outcome::Done);
        }
        _ => {}
    }
    output::start_logging(&cli.global, &console)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build()
        .map_err(|error| AppError::io("start the program's threads", error))?;
    let result = runtime.block_on(dispatch(cli.command, cli.global, console));
    // A read of standard input that nobody answers must not keep the program alive.
    runtime.shutdown_background();
    result
}

/// The pages of all commands, one after the other.
fn man(out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let command = Cli::command();
    clap_mangen::Man::new(command.clone()).render(out)?;
    for sub in command.get_subcommands() {
        let name = format!("shuffle-aws-vaults-{}", sub.get_name());
        clap_mangen::Man::new(sub.clone().name(name)).render(out)?;
    }
    Ok(())
}

async fn dispatch(command: Command, global: GlobalArgs, console: Console) -> Result<Outcome, AppError> {
    let mut context = Context::default();
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        context.prompts = Some(credential_prompt::start(console.clone()));
    }
    let region = global.region.clone();
    let session = Session {
        global,
        console,
        context,
    };
    match command {
        Command::List(args) => Box::pin(list::run(args, &session)).await,
        Command::Filter(args) => Box::pin(filter::run(args, &session)).await,
        Command::Copy(args) => Box::pin(copy::run(*args, session)).await,
        Command::Verify(args) => Box::pin(verify::run(args, &session)).await,
        Command::Simulate(args) => Ok(Outcome::Child(Box::pin(simulate::run(args, region)).await?)),
        Command::Completions { .. } | Command::Man => Ok(Outcome::Done),
    }
}
