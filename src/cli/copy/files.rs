//! Files of the command line that have to be open, or read, before anything is asked of AWS.

use std::io;
use std::sync::PoisonError;

use super::plan_file::PlanFile;
use super::{CopyCommand, planned, run_vaults, unless_stopped};
use crate::aws::CredentialListener;
use crate::cli::prices;
use crate::error::AppError;
use crate::report::{EventStream, MetricsFile};

impl CopyCommand {
    /// What has to be open before anything is asked of AWS.
    pub(super) async fn open_files(&mut self) -> Result<(), AppError> {
        self.open_events().await?;
        self.open_metrics()?;
        self.read_files().await
    }

    /// `--metrics-file`.
    fn open_metrics(&self) -> Result<(), AppError> {
        let Some(path) = self.args.metrics_file.as_deref().filter(|_| !self.args.dry_run) else {
            return Ok(());
        };
        let accounts = (
            &self.args.terms.source.source_account,
            &self.args.terms.dest.dest_account,
        );
        let begun = MetricsFile::begin(path, accounts, self.began, run_vaults::interval(self));
        let begun = begun.map_err(|error| AppError::io(format!("write {}", path.display()), error))?;
        *self.metrics.lock().unwrap_or_else(PoisonError::into_inner) = Some(begun);
        Ok(())
    }

    /// `--events`. A pipe is open only once somebody reads it.
    async fn open_events(&mut self) -> Result<(), AppError> {
        let Some(path) = self.args.events.clone() else {
            return Ok(());
        };
        let (run_id, began) = (self.run_id.clone(), self.clock);
        let action = format!("open the file of --events {}", path.display());
        let opening = tokio::task::spawn_blocking(move || EventStream::open(&path, &run_id, began));
        let opened = unless_stopped(&self.session.stop, opening).await?;
        let opened = opened.map_err(io::Error::other).and_then(|opened| opened);
        let events = opened.map_err(|error| AppError::io(action, error))?;
        events.begun(
            env!("CARGO_PKG_VERSION"),
            &self.args.terms.source.source_account,
            &self.args.terms.dest.dest_account,
        );
        let listener = events.clone();
        self.session.context.listener =
            CredentialListener::new(move |side, account, news| listener.credentials(side, account, news));
        self.events = Some(events);
        Ok(())
    }

    /// `--prices` and `--plan`, whose options become those of the run. Beside the caller's thread: a plan may be long,
    /// and a pipe may have nothing to say.
    async fn read_files(&mut self) -> Result<(), AppError> {
        let planning = self.args.planning.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let prices = planning.prices.as_deref().map(prices::read).transpose()?;
            let plan = planning.plan.as_deref().map(PlanFile::read).transpose()?;
            Ok::<_, AppError>((prices, plan))
        });
        let read = unless_stopped(&self.session.stop, reading).await?;
        let read = read.map_err(|error| AppError::io("read the files of the command line", error.into()))?;
        (self.prices, self.plan) = read?;
        match &self.plan {
            Some(plan) => planned::take_over(plan, &mut self.args, &mut self.session.global.region),
            None => Ok(()),
        }
    }
}
