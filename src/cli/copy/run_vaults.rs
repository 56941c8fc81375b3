//! From prepared vaults to a finished run: destination set-up, state files, the loop.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, TryStreamExt as _};
use tokio::signal::unix::{SignalKind, signal};

use super::last_resort::{self, UnsavedVault};
use super::prepare::{self, Clients};
use super::prepared_vault::PreparedVault;
use super::{CopyCommand, unless_stopped};
use crate::aws::{BackupClient, vault_access};
use crate::cli::copy_args::ProgressChoice;
use crate::cli::output::tell_repeats;
use crate::cli::vault_choice::VAULTS_AT_ONCE;
use crate::copy::driver::Driver;
use crate::copy::event::{CopyEvent, CopyEventKind, ItemFailure, StopReason};
use crate::copy::plan::PlanTally;
use crate::copy::run::{DriverSettings, RunEnd, RunPolicy, VaultLedger};
use crate::copy::stop::RuntimeLimit;
use crate::error::AppError;
use crate::report::{LogFormat, ProgressMode, ProgressReporter, RunEvents, VaultSummary};
use crate::state::{StateError, Store, location};

/// Time between looks at the clock by the display.
const TICK: Duration = Duration::from_secs(1);

/// A run that is over.
#[derive(Debug)]
pub(super) struct EndedRun {
    /// Name of the run, the same over its resumes.
    pub(super) run_id: String,
    pub(super) end: RunEnd,
    /// Whether the loop has said already that the state cannot be written.
    pub(super) told_of_state: bool,
    pub(super) plan: PlanTally,
    pub(super) vaults: Vec<VaultSummary>,
}

/// What failed before a resume is no event of this process, but counts in its numbers.
fn tell_earlier_failures(command: &CopyCommand, ledgers: &[VaultLedger]) {
    let mut metrics = command.metrics.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(metrics) = &mut *metrics else { return };
    let rows = ledgers.iter().flat_map(|vault| vault.items.rows());
    for failure in rows.filter_map(|row| ItemFailure::of(&row)) {
        metrics.failed(failure.cause);
    }
}

/// Sets up the destination, opens the state files, and copies.
pub(super) async fn run(
    command: &CopyCommand,
    clients: &Clients,
    vaults: Vec<PreparedVault>,
) -> Result<EndedRun, AppError> {
    let loaded = vaults.iter().find_map(|vault| vault.opened.loaded.as_ref());
    let resumed = loaded.is_some();
    let run_id = loaded
        .map_or(&command.run_id, |loaded| &loaded.header.run_id)
        .clone();
    let stop = &*command.session.stop;
    unless_stopped(stop, Box::pin(set_up(command, clients, &vaults))).await??;
    stop.run_begins(command.drain());
    let mut stores = Vec::new();
    let mut ledgers = Vec::new();
    for vault in vaults {
        match begin(vault, command.args.journal_bytes()) {
            Ok((store, ledger)) => {
                stores.push(store);
                ledgers.push(ledger);
            }
            Err(error) => {
                // Those that were begun are left as one document each. The first error is the one
                // to be told; a journal that stays is read by --resume.
                let _ = close(command, stores, ledgers, false);
                return Err(error);
            }
        }
    }
    tell_earlier_failures(command, &ledgers);
    let reporter = Arc::new(Mutex::new(reporter(command)));
    let on_demand = show_on_signal(Arc::clone(&reporter));
    let stopped = stop.subscribe();
    let mut events = command
        .events
        .clone()
        .map(|stream| RunEvents::new(stream, &run_id, interval(command)));
    let mut sink = |event: &CopyEvent| {
        let mut reporter = reporter.lock().unwrap_or_else(PoisonError::into_inner);
        // The loop may have come to its end before it took notice of the signal.
        let reason = *stopped.borrow();
        if let (CopyEventKind::RunFinished, Some(reason)) = (&event.kind, reason) {
            reporter.stopping(reason, &event.stats);
            if let Some(events) = &mut events {
                events.stopping(reason, &event.stats);
            }
        }
        reporter.event(event);
        if let Some(events) = &mut events {
            events.event(event);
        }
        if let Some(metrics) = &mut *command.metrics.lock().unwrap_or_else(PoisonError::into_inner) {
            metrics.event(event, || command.session.context.counters.totals());
        }
        if event.kind == CopyEventKind::Tick {
            tell_repeats(&command.session.console, false);
        }
    };
    let settings = settings(command, &clients.source, resumed);
    let driver = Driver::new(
        clients.source.clone(),
        settings,
        &mut ledgers,
        stores.iter().map(Store::journal).collect(),
        stop.subscribe(),
        &mut sink,
    );
    let mut end = Box::pin(driver.run()).await;
    on_demand.abort();
    let told_of_state = end.state_error.is_some();
    let at_once = *stop.subscribe().borrow() == Some(StopReason::InterruptedAgain);
    let mut plan = PlanTally::default();
    let mut summaries = Vec::new();
    for (store, ledger) in stores.iter().zip(&ledgers) {
        plan.merge(&PlanTally::of(&ledger.items));
        summaries.push(summary(store, ledger));
    }
    let unclosed = close(command, stores, ledgers, at_once);
    let unsaved: Vec<UnsavedVault> = unclosed
        .into_iter()
        .filter_map(|(unsaved, error)| {
            end.state_error.get_or_insert(error);
            unsaved
        })
        .collect();
    last_resort::keep(command, &unsaved);
    Ok(EndedRun {
        run_id,
        end,
        told_of_state,
        plan,
        vaults: summaries,
    })
}

/// Closes the state files. Answers the errors of those that could not be, with what is then in
/// memory only.
fn close(
    command: &CopyCommand,
    stores: Vec<Store>,
    ledgers: Vec<VaultLedger>,
    at_once: bool,
) -> Vec<(Option<UnsavedVault>, StateError)> {
    let mut unclosed = Vec::new();
    for (store, ledger) in stores.into_iter().zip(ledgers) {
        let VaultLedger {
            items,
            destination_vault_arn,
            ..
        } = ledger;
        // After a second signal nothing is folded in: the journal is whole, and --resume reads it.
        if at_once {
            store.abandon();
            continue;
        }
        let path = store.path().to_owned();
        let finished = store.finish(&items);
        if let Some(events) = &command.events {
            let problem = finished.as_ref().err().map(ToString::to_string);
            events.state_saved(&path.display().to_string(), problem.as_deref());
        }
        if let Err(error) = finished {
            unclosed.push((UnsavedVault::of(path, destination_vault_arn, &items), error));
        }
    }
    unclosed
}

async fn set_up(command: &CopyCommand, clients: &Clients, vaults: &[PreparedVault]) -> Result<(), AppError> {
    let Some(client) = &clients.destination else {
        return Ok(());
    };
    let key = command.args.terms.dest_kms_key_arn.as_deref();
    // A vault that several are copied to is set up once.
    let mut destinations = BTreeSet::new();
    let vaults = vaults.iter().filter(|vault| vault.setup.is_some());
    let once = vaults
        .filter(|vault| destinations.insert(&vault.dest_vault))
        .map(Ok);
    let set_up = stream::iter(once).try_for_each_concurrent(VAULTS_AT_ONCE, |vault| async move {
        // The plan may have waited long for its confirmation. A policy is set as a whole: what
        // somebody has added to it meanwhile must stay.
        let (_, setup) =
            prepare::destination(&command.args, client, &vault.dest_vault, &vault.header).await?;
        vault_access::apply(client, &vault.dest_vault, key, &setup).await?;
        Ok::<_, AppError>(())
    });
    set_up.await
}

fn begin(vault: PreparedVault, fold_after: u64) -> Result<(Store, VaultLedger), AppError> {
    let PreparedVault {
        header,
        opened,
        items,
        ..
    } = vault;
    let path = opened.path;
    let lock = match opened.lock {
        Some(lock) => lock,
        None => Store::lock(&path)?,
    };
    if let Some((earlier, its_lock)) = opened.set_aside {
        let kept = location::set_aside(&earlier)?;
        drop(its_lock);
        tracing::info!("the earlier state is kept as {}", kept.display());
    }
    let (source_vault, destination_vault_arn) =
        (header.source_vault.clone(), header.destination_vault_arn.clone());
    let (store, items) = if let Some(loaded) = opened.loaded {
        Store::resume(&path, lock, loaded)?
    } else {
        (Store::create(&path, lock, header, &items)?, items)
    };
    store.fold_after(fold_after);
    tracing::info!("state is kept in {}", path.display());
    let created_at = store.header().created_at;
    Ok((
        store,
        VaultLedger {
            source_vault,
            destination_vault_arn,
            created_at,
            items,
        },
    ))
}

fn summary(store: &Store, ledger: &VaultLedger) -> VaultSummary {
    let counts = ledger.items.counts();
    VaultSummary {
        backup_vault_name: ledger.source_vault.to_string(),
        destination_backup_vault_arn: ledger.destination_vault_arn.to_string(),
        state_file: store.path().display().to_string(),
        total_items: counts.total,
        completed: counts.completed,
        failed: counts.failed,
        skipped: counts.skipped,
        in_progress: counts.in_progress(),
        pending: counts.pending,
    }
}

fn settings(command: &CopyCommand, source: &BackupClient, resumed: bool) -> DriverSettings {
    let args = &command.args;
    let policy = RunPolicy {
        workers: usize::from(args.terms.workers),
        poll_interval: Duration::from_secs_f64(args.terms.poll_interval),
        limits: args.limits(),
        iam_role_arn: args.role(source.region()),
        retention: args.terms.retention,
        circuit_breaker: !args.no_circuit_breaker,
        list_grace: Duration::from_secs_f64(args.list_grace),
        recopy: args.terms.force_recopy,
    };
    DriverSettings {
        policy,
        runtime_limit: args
            .runtime_limit()
            .map(|limit| RuntimeLimit::new(limit.saturating_sub(command.clock.elapsed()))),
        drain: command.drain(),
        tick: TICK,
        resumed,
    }
}

/// Whether stderr is a terminal that more can be done with than to add lines.
fn on_terminal() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// `--progress-interval`.
pub(super) fn interval(command: &CopyCommand) -> Duration {
    let default = if on_terminal() { 5.0 } else { 30.0 };
    Duration::from_secs_f64(command.args.progress_interval.unwrap_or(default))
}

fn reporter(command: &CopyCommand) -> ProgressReporter {
    let global = &command.session.global;
    let on_terminal = on_terminal();
    let mode = match command.args.progress {
        _ if global.quiet => ProgressMode::None,
        // Every line is an object then.
        ProgressChoice::Auto | ProgressChoice::Bar if global.log_format == LogFormat::Json => {
            ProgressMode::Json
        }
        // With a line for each call, a bar would only flicker.
        ProgressChoice::Auto if on_terminal && !global.verbose => ProgressMode::Bar,
        ProgressChoice::Auto | ProgressChoice::Plain => ProgressMode::Plain,
        ProgressChoice::Bar => ProgressMode::Bar,
        ProgressChoice::Json => ProgressMode::Json,
        ProgressChoice::None => ProgressMode::None,
    };
    ProgressReporter::new(command.session.console.clone(), mode, interval(command))
}

/// SIGUSR1 prints a progress line.
fn show_on_signal(reporter: Arc<Mutex<ProgressReporter>>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let Ok(mut asked) = signal(SignalKind::user_defined1()) else {
            return;
        };
        while asked.recv().await.is_some() {
            reporter.lock().unwrap_or_else(PoisonError::into_inner).show_now();
        }
    })
}
