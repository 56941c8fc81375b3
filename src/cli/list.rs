//! `list`: the vaults of the source account, or the recovery points of one.

use std::io::{self, Write as _};
use std::ops::ControlFlow;

use super::args::ListArgs;
use super::output::{long_stdout, to_stdout};
use super::selection::Selection;
use super::{Session, source_vault};
use crate::domain::selection::Decision;
use crate::error::{AppError, Outcome};
use crate::report::{self, PointRows, sanitize};

fn failed(error: io::Error) -> AppError {
    AppError::io("write to standard output", error)
}

/// Options that do not go together.
pub(super) fn check(args: &ListArgs) -> Result<(), AppError> {
    match args.filter.first_filter() {
        Some(option) if args.vault.is_none() => Err(AppError::usage(
            format!("{option} chooses recovery points, and vaults are listed without --vault"),
            "name the vault whose recovery points you want with --vault",
        )),
        _ => Selection::check(&args.filter),
    }
}

pub(super) async fn run(args: ListArgs, session: &Session) -> Result<Outcome, AppError> {
    let selection = Selection::new(&args.filter).await?;
    let connections = session.connections(&args.connection, &args.source).await;
    if args.dry_run {
        let account = &args.source.source_account;
        let region = connections.region();
        let what = match &args.vault {
            None => "ListBackupVaults: the backup vaults".to_owned(),
            Some(vault) => {
                format!("ListRecoveryPointsByBackupVault: the recovery points of the vault {vault}")
            }
        };
        to_stdout(|out| {
            writeln!(out, "Would query account {account}, Region {region}")?;
            writeln!(out, "  {what}")?;
            if args.filter.first_filter().is_some() {
                writeln!(out, "  filters: {}", sanitize(&selection.describe()))?;
            }
            match &args.filter.metadata_csv {
                Some(file) => writeln!(
                    out,
                    "  with metadata from {}",
                    sanitize(&file.display().to_string())
                ),
                None => Ok(()),
            }
        })?;
        return Ok(Outcome::Done);
    }
    let client = connections.source(&args.source).await?;
    let Some(name) = &args.vault else {
        if args.filter.metadata_csv.is_some() {
            tracing::warn!("--metadata-csv has no effect without --vault: vaults have no metadata");
        }
        let all = client.list_backup_vaults().await?;
        to_stdout(|out| report::vaults(&all, args.form.output, out))?;
        return Ok(Outcome::Done);
    };
    source_vault::require(&client, name).await?;
    selection.load_all().await?;
    let mut out = long_stdout();
    let mut rows = PointRows::new(args.form.output, selection.table(), false);
    rows.begin(&mut out).map_err(failed)?;
    let is_filtered = args.filter.first_filter().is_some();
    let mut problem = None;
    let pages = client.all_recovery_points(name, |page| {
        // Without filters all are shown, and none is said to lack metadata.
        let mut wanted = selection
            .with_metadata(&page)
            .filter(|&(point, row)| !is_filtered || selection.decide(point, row) == Decision::Selected);
        match wanted.try_for_each(|(point, row)| rows.point(point, row, &mut out)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                problem = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    pages.await?;
    if let Some(error) = problem {
        return Err(failed(error));
    }
    rows.end(None, &mut out)
        .and_then(|()| out.flush())
        .map_err(failed)?;
    selection.report_unmatched();
    Ok(Outcome::Done)
}
