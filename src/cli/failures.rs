//! `failures`: the recovery points that failed, as state files tell them.

use std::io::{self, Write};
use std::path::Path;

use super::output::to_stdout;
use super::state_args::FailuresArgs;
use crate::copy::event::ItemFailure;
use crate::copy::failure::FailureCause;
use crate::domain::in_milliseconds;
use crate::error::{AppError, Outcome};
use crate::report::{FailedPoint, FailureRows, OutputFormat};
use crate::state::{self, ItemRow, Loaded, StateError};

/// Reads a state file that the operator has named; a run on it may go on meanwhile.
pub(super) fn load(path: &Path) -> Result<Loaded, AppError> {
    state::load(path).map_err(|error| match error {
        StateError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => AppError::usage(
            format!("there is no state file {}", path.display()),
            "check the name; `shuffle-aws-vaults status` shows the state files of the default directory",
        ),
        error => error.into(),
    })
}

pub(super) fn run(args: &FailuresArgs) -> Result<Outcome, AppError> {
    let mut problem = None;
    let mut is_read = false;
    to_stdout(|out| {
        let mut rows = FailureRows::begin(args.form.output, out)?;
        for path in &args.states {
            match load(path) {
                Ok(loaded) => {
                    is_read = true;
                    list(path, &loaded, &args.cause, &mut rows, out)?;
                }
                // The others are listed all the same, and what is on stdout is a whole document.
                Err(error) => {
                    if let Some(earlier) = problem.replace(error) {
                        tracing::error!("{earlier}");
                    }
                }
            }
        }
        // That no point failed is not known where nothing could be read.
        if is_read || args.form.output != OutputFormat::Table {
            rows.end(out)?;
        }
        Ok(())
    })?;
    problem.map_or(Ok(Outcome::Done), Err)
}

fn list(
    path: &Path,
    loaded: &Loaded,
    causes: &[FailureCause],
    rows: &mut FailureRows,
    out: &mut dyn Write,
) -> io::Result<()> {
    for point in loaded
        .items
        .rows()
        .filter_map(|row| failed_point(path, loaded, &row))
    {
        if causes.is_empty() || causes.contains(&point.cause) {
            rows.point(&point, out)?;
        }
    }
    Ok(())
}

fn failed_point(path: &Path, loaded: &Loaded, row: &ItemRow<'_>) -> Option<FailedPoint> {
    let failure = ItemFailure::of(row)?;
    Some(FailedPoint {
        state_file: path.display().to_string(),
        backup_vault_name: loaded.header.source_vault.to_string(),
        recovery_point_arn: row.recovery_point_arn().to_string(),
        resource_arn: row.resource_arn().to_string(),
        resource_type: row.resource_type().to_string(),
        cause: failure.cause,
        error_code: failure.error_code,
        error_message: failure.message,
        timestamp: in_milliseconds(failure.at),
        attempt: row.attempt(),
    })
}
