//! `list`: the vaults of the source account, or the recovery points of one.

use std::io::{self, Write as _};
use std::ops::ControlFlow;

use super::args::ListArgs;
use super::output::{long_stdout, to_stdout};
use super::{Session, selection, source_vault};
use crate::error::{AppError, Outcome};
use crate::metadata::{Keep, MetadataTable};
use crate::report::{self, PointRows, sanitize};

fn failed(error: io::Error) -> AppError {
    AppError::io("write to standard output", error)
}

pub(super) async fn run(args: ListArgs, session: &Session) -> Result<Outcome, AppError> {
    if let Some(file) = &args.metadata_csv {
        MetadataTable::require(file)?;
    }
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
            match &args.metadata_csv {
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
        if args.metadata_csv.is_some() {
            tracing::warn!("--metadata-csv has no effect without --vault: vaults have no metadata");
        }
        let all = client.list_backup_vaults().await?;
        to_stdout(|out| report::vaults(&all, args.output, out))?;
        return Ok(Outcome::Done);
    };
    source_vault::require(&client, name).await?;
    let metadata = match args.metadata_csv {
        Some(file) => Some(selection::load(file, Keep::All).await?),
        None => None,
    };
    let mut out = long_stdout();
    let mut rows = PointRows::new(args.output, metadata.as_ref(), false);
    rows.begin(&mut out).map_err(failed)?;
    let mut problem = None;
    let pages = client.all_recovery_points(name, |page| {
        match page.iter().try_for_each(|point| rows.point(point, &mut out)) {
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
    Ok(Outcome::Done)
}
