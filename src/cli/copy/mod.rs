//! `copy`: plan, confirmation, destination set-up, the run, its summary.

mod closing;
mod confirm;
mod files;
mod last_resort;
mod plan_file;
mod planned;
pub(super) mod preflight;
mod prepare;
mod prepared_vault;
mod run_vaults;
mod state_file;

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rand::{Rng as _, TryRngCore as _};

use closing::Closing;
use plan_file::PlanFile;
use prepare::{Clients, Preparation};
use prepared_vault::PreparedVault;

use super::Session;
use super::args::CopyArgs;
use super::connection::Connections;
use super::on_finish::Finish;
use super::output::{tell_repeats, to_stdout};
use super::selection::Selection;
use crate::copy::cost::Prices;
use crate::copy::event::{RunStats, StopReason};
use crate::copy::plan::PlanTally;
use crate::copy::retention::OtherRetention;
use crate::copy::run::RunEnd;
use crate::copy::stop::StopSource;
use crate::error::{AppError, Outcome, code};
use crate::report::{self, EventStream, MetricsFile, OutputFormat, Summary};

/// How long a reader of events may take nothing at the end before the last ones are lost.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same after a signal.
const SHORT_PATIENCE: Duration = Duration::from_millis(500);

/// One `copy`, from its options to its end.
#[derive(Debug)]
struct CopyCommand {
    args: CopyArgs,
    /// `--plan`.
    plan: Option<PlanFile>,
    /// `--prices`.
    prices: Option<Prices>,
    /// `--events`.
    events: Option<EventStream>,
    /// `--metrics-file`, as the run has left it.
    metrics: Mutex<Option<MetricsFile>>,
    session: Session,
    run_id: String,
    began: DateTime<Utc>,
    clock: Instant,
}

pub(super) async fn run(args: CopyArgs, session: Session) -> Result<Outcome, AppError> {
    let began = Utc::now();
    let run_id = format!(
        "{}-{:08x}",
        began.format("%Y%m%dT%H%M%SZ"),
        rand::rngs::OsRng.unwrap_err().random::<u32>()
    );
    let mut command = CopyCommand {
        args,
        plan: None,
        prices: None,
        events: None,
        metrics: Mutex::default(),
        session,
        run_id,
        began,
        clock: Instant::now(),
    };
    let result = match command.open_files().await {
        Ok(()) => Box::pin(command.run()).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &result {
        let summary = command.summary_of_nothing(error, code(&result));
        if let Some(path) = &command.args.summary_output {
            // The error itself is what has to be seen.
            if let Err(problem) = summary.write(path) {
                tracing::warn!("cannot write the summary {}: {problem}", path.display());
            }
        }
        command.tell_at_the_end(&summary);
    }
    if let Some(events) = &command.events {
        let stopped = command.session.stop.subscribe().borrow().is_some();
        events
            .written(if stopped { SHORT_PATIENCE } else { PATIENCE })
            .await;
    }
    result
}

/// Options that do not go together.
pub(super) fn check(args: &CopyArgs) -> Result<(), AppError> {
    if args.resume && args.reset {
        return Err(AppError::usage(
            "Cannot use both flags together: --resume and --reset",
            "choose --resume to go on, or --reset to begin anew",
        ));
    }
    if args.terms.vaults.is_empty() && args.planning.plan.is_none() {
        return Err(AppError::usage(
            "it is not said which backup vault is to be copied",
            "name it with --vault, several with --vault repeated or a --vault-map, or take --all-vaults",
        ));
    }
    // What a plan is about is known once it has been read.
    if args.planning.plan.is_none() {
        args.terms
            .vaults
            .check(&args.terms.dest, args.terms.state_file.is_some())?;
    }
    let to_stdout = args.events.as_deref() == Some(Path::new("-"));
    if to_stdout && (args.dry_run || args.output.is_some()) {
        return Err(AppError::usage(
            "--events - and the plan of --dry-run, or the summary of --output, would both be on standard output",
            "write the events to a file",
        ));
    }
    if args.output == Some(OutputFormat::Csv) && !args.dry_run {
        return Err(AppError::usage(
            "--output csv is for --dry-run",
            "use --output json for the summary on stdout",
        ));
    }
    Ok(())
}

/// AWS writes its types in its own way, and a limit of a type that is not there limits nothing.
fn warn_of_limits(args: &CopyArgs, vaults: &[PreparedVault]) {
    for (name, _) in &args.terms.limit {
        let is_there = |vault: &PreparedVault| vault.items().rows().any(|row| *row.resource_type() == **name);
        if !vaults.iter().any(is_there) {
            tracing::warn!(
                "--limit {name}: no recovery point is of this type, so that nothing is limited by it"
            );
        }
    }
}

/// What `work` answers, unless a reason to stop comes first: nothing has been started yet.
async fn unless_stopped<T>(stop: &StopSource, work: impl Future<Output = T>) -> Result<T, AppError> {
    let mut stopped = stop.subscribe();
    let stopped = stopped.wait_for(Option::is_some);
    tokio::select! {
        biased;
        reason = stopped => Err(match reason.ok().and_then(|reason| *reason) {
            Some(StopReason::RuntimeLimit) => AppError::TimeUpEarly,
            _ => AppError::InterruptedEarly,
        }),
        answer = work => Ok(answer),
    }
}

impl CopyCommand {
    async fn run(&self) -> Result<Outcome, AppError> {
        let args = &self.args;
        let stop = &*self.session.stop;
        let selection = unless_stopped(stop, Selection::new(&args.terms.filter)).await??;
        let connections = unless_stopped(
            stop,
            self.session.connections(&args.connection, &args.terms.source),
        )
        .await?;
        let preparation = Preparation {
            args,
            connections: &connections,
            selection: &selection,
            plan: self.plan.as_ref(),
            run_id: &self.run_id,
            now: self.began,
            only_looks: false,
        };
        let prepare = async {
            let clients = preparation.connect().await?;
            let vaults = preparation.vaults(&clients).await?;
            Ok::<_, AppError>((clients, vaults))
        };
        let (clients, vaults) = Box::pin(unless_stopped(stop, Box::pin(prepare))).await??;
        selection.report_unmatched();
        warn_of_limits(args, &vaults);
        let mut plan = self.plan(&vaults);
        if let Some(events) = &self.events {
            events.planned(&plan);
        }
        preparation.require_plan(&plan, &vaults)?;
        let look = preflight::Look {
            args,
            clients: &clients,
            vaults: &vaults,
            tallies: plan.vaults.iter().map(|vault| vault.tally.clone()).collect(),
            forecast: &plan.forecast,
            is_plan: args.dry_run,
        };
        let problems = Box::pin(unless_stopped(stop, Box::pin(look.before_copy()))).await?;
        self.write_plan(&preparation, &plan, &vaults)?;
        if args.dry_run {
            let format = args.output.unwrap_or(OutputFormat::Table);
            plan.selection = preparation.selection_text();
            to_stdout(|out| report::plan(&plan, format, out))?;
            return Ok(match problems {
                0 => Outcome::Done,
                _ => Outcome::WithErrors,
            });
        }
        look.allow(problems)?;
        if !unless_stopped(stop, self.confirm(&plan)).await?? {
            return Err(AppError::usage(
                "nothing was copied: the plan was not confirmed",
                "answer y, or use --yes",
            ));
        }
        self.copy(&clients, &connections, vaults).await
    }

    /// `--drain-minutes`.
    fn drain(&self) -> Duration {
        Duration::from_secs_f64(self.args.drain_minutes * 60.0)
    }

    async fn copy(
        &self,
        clients: &Clients,
        connections: &Connections,
        vaults: Vec<PreparedVault>,
    ) -> Result<Outcome, AppError> {
        let ended = Box::pin(run_vaults::run(self, clients, vaults)).await?;
        let outcome = closing::outcome(&ended.end);
        if let Some(error) = &ended.end.state_error
            && !ended.told_of_state
        {
            tracing::error!("{error}");
        }
        if let Some((_, message)) = &ended.end.systemic {
            // What to do about it stands with its group of failures.
            tracing::error!("stopped, because every copy job fails for the same cause: {message}");
        }
        tell_repeats(&self.session.console, true);
        let run_id = ended.run_id;
        let closing = Closing {
            run_id: run_id.clone(),
            began: self.began,
            elapsed: self.clock.elapsed(),
            calls: connections.counters().totals(),
            plan: ended.plan,
            vaults: ended.vaults,
        };
        let exit_code = code(&Ok(outcome));
        let mut problems = self.close(&closing::summary(closing, &ended.end, exit_code));
        if let Some(path) = &self.args.failed_out {
            let written = closing::write_failed(path, &run_id, &ended.end);
            let written = written.map_err(|error| AppError::io(format!("write {}", path.display()), error));
            problems.extend(written.err());
        }
        for problem in &problems {
            tracing::error!("{problem}; {}", problem.hint().unwrap_or_default());
        }
        // What the caller has to know first is how the copying ended.
        Ok(match outcome {
            Outcome::Done if !problems.is_empty() => Outcome::WithErrors,
            outcome => outcome,
        })
    }

    /// Shows and writes the summary. Answers what of that did not work; a reader that has gone is
    /// none of it.
    fn close(&self, summary: &Summary) -> Vec<AppError> {
        self.tell_at_the_end(summary);
        summary.show(&self.session.console, self.session.global.quiet);
        let written = match &self.args.summary_output {
            Some(path) => summary
                .write(path)
                .map_err(|error| AppError::io(format!("write the summary {}", path.display()), error)),
            None => Ok(()),
        };
        let printed = match self.args.output {
            Some(OutputFormat::Json) => to_stdout(|out| {
                serde_json::to_writer_pretty(&mut *out, summary)?;
                writeln!(out)
            }),
            Some(OutputFormat::Ndjson) => to_stdout(|out| {
                serde_json::to_writer(&mut *out, summary)?;
                writeln!(out)
            }),
            _ => Ok(()),
        };
        let problems = [written, printed].into_iter().filter_map(Result::err);
        problems
            .filter(|problem| !matches!(problem, AppError::ClosedPipe))
            .collect()
    }

    /// `--metrics-file`, `--events`, and `--on-finish`, which runs when everything is over.
    fn tell_at_the_end(&self, summary: &Summary) {
        if let Some(metrics) = &mut *self.metrics.lock().unwrap_or_else(PoisonError::into_inner) {
            metrics.finished(summary, self.session.context.counters.totals());
        }
        if let Some(Err(error)) = self.events.as_ref().map(|events| events.finished(summary)) {
            tracing::warn!("the end of the run is not among the events: {error}");
        }
        let options = &self.args.finish;
        if let Some(command) = &options.on_finish
            && !self.args.dry_run
        {
            self.session.finish.set(Finish {
                command: command.clone(),
                timeout: Duration::from_secs_f64(options.on_finish_timeout),
                summary: serde_json::to_vec(summary).unwrap_or_default(),
                run_id: summary.run_id.clone(),
            });
        }
    }

    /// The summary of a run that came to nothing.
    fn summary_of_nothing(&self, error: &AppError, exit_code: u8) -> Summary {
        let end = RunEnd {
            stop: None,
            systemic: None,
            state_error: None,
            stats: RunStats::default(),
            repeated_calls: 0,
            other_retention: OtherRetention::default(),
            failures: Vec::new(),
        };
        let closing = Closing {
            run_id: self.run_id.clone(),
            began: self.began,
            elapsed: self.clock.elapsed(),
            calls: self.session.context.counters.totals(),
            plan: PlanTally::default(),
            vaults: Vec::new(),
        };
        Summary {
            stop_reason: Some(error.to_string()),
            ..closing::summary(closing, &end, exit_code)
        }
    }
}
