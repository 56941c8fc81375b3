//! `filter`: which recovery points the APMID filters select.

use std::io::{self, Write as _};
use std::ops::ControlFlow;

use super::args::FilterArgs;
use super::output::long_stdout;
use super::selection::Selection;
use super::{Session, source_vault};
use crate::domain::RecoveryPoint;
use crate::domain::selection::Decision;
use crate::error::{AppError, Outcome};
use crate::report::{FilterCount, PointRows};

fn failed(error: io::Error) -> AppError {
    AppError::io("write to standard output", error)
}

fn count(count: &mut FilterCount, decision: Decision, point: &RecoveryPoint) {
    let size = point
        .backup_size_bytes
        .and_then(|b| u64::try_from(b).ok())
        .unwrap_or(0);
    let (points, bytes) = match decision {
        Decision::Selected => (&mut count.included, &mut count.included_bytes),
        Decision::Filtered => (&mut count.excluded, &mut count.excluded_bytes),
        Decision::NoMetadata => (&mut count.no_metadata, &mut count.no_metadata_bytes),
    };
    *points += 1;
    *bytes += size;
}

pub(super) async fn run(args: FilterArgs, session: &Session) -> Result<Outcome, AppError> {
    let selection = Selection::new(&args.filter).await?;
    let connections = session.connections(&args.connection, &args.source).await;
    let client = connections.source(&args.source).await?;
    source_vault::require(&client, &args.vault).await?;
    selection.load_all().await?;
    let mut out = long_stdout();
    let mut rows = PointRows::new(args.form.output, selection.table(), true);
    rows.begin(&mut out).map_err(failed)?;
    let mut tally = FilterCount::default();
    let mut problem = None;
    let pages = client.all_recovery_points(&args.vault, |page| {
        for (point, row) in selection.with_metadata(&page) {
            let decision = selection.decide(point, row);
            count(&mut tally, decision, point);
            if decision == Decision::Selected
                && let Err(error) = rows.point(point, row, &mut out)
            {
                problem = Some(error);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    });
    pages.await?;
    if let Some(error) = problem {
        return Err(failed(error));
    }
    rows.end(Some(&tally), &mut out)
        .and_then(|()| out.flush())
        .map_err(failed)?;
    selection.report_unmatched();
    tracing::info!(
        "{} recovery points included, {} excluded, {} without metadata",
        tally.included,
        tally.excluded,
        tally.no_metadata
    );
    Ok(Outcome::Done)
}
