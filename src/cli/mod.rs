//! The command line: from arguments to commands, and from their outcomes to the exit code.

pub mod args;
mod config;
mod connection;
mod copy;
mod copy_args;
pub mod copy_terms;
mod credential_prompt;
mod failures;
mod filter;
pub mod filter_options;
pub mod finish_options;
mod list;
mod on_finish;
mod output;
pub mod plan_options;
mod point_list;
mod preflight_args;
mod prices;
mod repeats;
mod resume_command;
mod selection;
pub mod simulate;
mod small_csv;
mod source_vault;
mod state_args;
mod status;
mod supervise;
mod vault_choice;
mod vault_map;
pub mod vault_options;
mod verify;
pub mod version;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use args::{Cli, Command, GlobalArgs};
use config::Unparsed;
use connection::Connections;
use on_finish::FinishSlot;
use selection::Selection;
use supervise::{Ending, Supervisor};

use crate::aws::Context;
use crate::copy::stop::StopSource;
use crate::error::{AppError, Outcome, code};
use crate::report::{Console, LogFormat};

/// How long a warning at the very end waits for its reader.
const LAST_WARNING: Duration = Duration::from_secs(1);

/// What every command is given.
#[derive(Debug)]
struct Session {
    global: GlobalArgs,
    console: Console,
    context: Context,
    stop: Arc<StopSource>,
    finish: FinishSlot,
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
    let cli = match config::parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(Unparsed::Arguments(error, origin)) => {
            // Nobody can be told that stderr is closed.
            let _ = error.print();
            if let Some(origin) = origin {
                output::show_line_at_once(&origin);
            }
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(u8::from(!asked_for));
        }
        Err(Unparsed::File(error)) => {
            output::show_error_at_once(&error, output::use_colour(args::When::Auto), LogFormat::Text);
            return ExitCode::from(code(&Err(error)));
        }
    };
    let colour = output::use_colour(cli.global.color);
    let log_format = cli.global.log_format;
    // Until here, and for a command line that is wrong, there is no thread, no socket and no file.
    if let Err(error) = check(&cli.command) {
        output::show_error_at_once(&error, colour, log_format);
        return ExitCode::from(code(&Err(error)));
    }
    let console = match Console::start(log_format) {
        Ok(console) => console,
        Err(error) => {
            let error = AppError::io("start the program's threads", error);
            output::show_error_at_once(&error, colour, log_format);
            return ExitCode::from(code(&Err(error)));
        }
    };
    supervise::tell_of_faults(&console);
    let context = Context::default();
    let supervisor = Supervisor {
        stop: Arc::new(StopSource::new(context.cancel.clone())),
        console,
        stops_at_signals: matches!(cli.command, Command::Copy(_)),
        runtime_limit: match &cli.command {
            Command::Copy(args) => args.runtime_limit(),
            _ => None,
        },
    };
    let finish = FinishSlot::default();
    let work = {
        let (console, stop) = (supervisor.console.clone(), Arc::clone(&supervisor.stop));
        let finish = finish.clone();
        move || run(cli, console, context, stop, finish)
    };
    let ending = supervisor
        .run(work)
        .unwrap_or_else(|error| Ending::Ended(Err(AppError::io("start the program's threads", error))));
    let is_over = matches!(ending, Ending::Ended(_));
    let exit_code = code(&conclude(&supervisor, ending, colour));
    // A run that was left at once, or broke, has left nothing to tell.
    if let Some(finish) = finish.take().filter(|_| is_over) {
        let lines = (log_format == LogFormat::Json).then(|| supervisor.console.clone());
        if let Some(problem) = finish.run(exit_code, lines) {
            tracing::warn!("{problem}");
        }
        supervisor.console.written_within(LAST_WARNING);
    }
    ExitCode::from(exit_code)
}

/// What is wrong with options that does not show in one alone.
fn check(command: &Command) -> Result<(), AppError> {
    match command {
        Command::Copy(args) => {
            copy::check(args)?;
            Selection::check(&args.terms.filter)
        }
        Command::Preflight(args) => Selection::check(&args.terms.filter),
        Command::List(args) => list::check(args),
        Command::Filter(args) => Selection::check(&args.filter),
        Command::Verify(args) => {
            verify::check(args)?;
            Selection::check(&args.filter)
        }
        _ => Ok(()),
    }
}

/// Says what is left to be said, and makes an outcome of every ending.
fn conclude(supervisor: &Supervisor, ending: Ending, colour: bool) -> Result<Outcome, AppError> {
    let run_is_on = supervisor.stop.drain().is_some();
    match &ending {
        Ending::Ended(Ok(_) | Err(AppError::ClosedPipe)) | Ending::Broken => {}
        Ending::Ended(Err(error)) => output::show_error(error, colour, &supervisor.console),
        Ending::Late(reason) => {
            let next = if run_is_on {
                format!(
                    "the journal beside the state file has everything. To go on, run: {}",
                    resume_command::text(resume_command::typed(), false)
                )
            } else {
                "nothing was started".to_owned()
            };
            let why = reason.describe();
            supervisor.console.line(&format!(
                "WARNING: {why}: left without waiting any longer; {next}"
            ));
        }
    }
    output::tell_repeats(&supervisor.console, true);
    supervisor.last_words(&ending);
    match ending {
        Ending::Ended(result) => result,
        Ending::Late(_) => Ok(Outcome::Incomplete),
        Ending::Broken if run_is_on => Ok(Outcome::Incomplete),
        Ending::Broken => Ok(Outcome::WithErrors),
    }
}

fn run(
    cli: Cli,
    console: Console,
    context: Context,
    stop: Arc<StopSource>,
    finish: FinishSlot,
) -> Result<Outcome, AppError> {
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
    let session = Session {
        global: cli.global,
        console,
        context,
        stop,
        finish,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build()
        .map_err(|error| AppError::io("start the program's threads", error))?;
    let result = runtime.block_on(dispatch(cli.command, session));
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

async fn dispatch(command: Command, mut session: Session) -> Result<Outcome, AppError> {
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        session.context.prompts = Some(credential_prompt::start(session.console.clone()));
    }
    let region = session.global.region.clone();
    match command {
        Command::List(args) => Box::pin(list::run(args, &session)).await,
        Command::Filter(args) => Box::pin(filter::run(args, &session)).await,
        Command::Preflight(args) => Box::pin(copy::preflight::run(*args, &session)).await,
        Command::Copy(args) => Box::pin(copy::run(*args, session)).await,
        Command::Verify(args) => Box::pin(verify::run(*args, &session)).await,
        Command::Status(args) => status::run(&args),
        Command::Failures(args) => failures::run(&args),
        Command::Simulate(args) => Ok(Outcome::Child(Box::pin(simulate::run(args, region)).await?)),
        Command::Config(args) => config::run(&args, &std::env::args_os().collect::<Vec<_>>()),
        Command::Completions { .. } | Command::Man => Ok(Outcome::Done),
    }
}
