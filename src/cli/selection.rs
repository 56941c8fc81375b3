//! From filter options to decisions on points. The metadata file is read when points are about to be
//! decided on, not before.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use tokio::sync::OnceCell;

use super::filter_options::FilterOptions;
use super::point_list::PointList;
use crate::domain::RecoveryPoint;
use crate::domain::selection::{ColumnFilter, Decision, ValueList};
use crate::error::AppError;
use crate::metadata::{Keep, MetadataTable, Row};
use crate::nearest::did_you_mean;

/// Points without a row that are named in the log; the rest are counted.
const MOST_NAMED: usize = 10;
/// Points whose metadata are looked up together.
const POINTS_AT_ONCE: usize = 1000;
/// The column of `--allowed-apmids` and `--excluded-apmids`.
const APMID: &str = "APMID";

/// The filters of a command.
#[derive(Debug)]
pub(crate) struct Selection {
    options: FilterOptions,
    now: DateTime<Utc>,
    only: Option<PointList>,
    except: Option<PointList>,
    columns: Vec<ColumnFilter>,
    table: OnceCell<MetadataTable>,
    unmatched: Cell<usize>,
    named: RefCell<Vec<String>>,
    /// Points that were decided on, and those of them that `only` names.
    decided: Cell<usize>,
    found: Cell<usize>,
    /// The types that they have, if types are asked for.
    types: RefCell<BTreeSet<String>>,
}

impl Selection {
    /// Whether the options go together; nothing else is looked at, and nothing is told.
    ///
    /// # Errors
    /// If a list is empty, or nothing can lie between two moments.
    pub(super) fn check(options: &FilterOptions) -> Result<(), AppError> {
        column_filters(options)?;
        let now = Utc::now();
        if let (Some(after), Some(before)) = (&options.created_after, &options.created_before)
            && after.at(now) >= before.at(now)
        {
            return Err(AppError::usage(
                format!(
                    "--created-after {after} is not before --created-before {before}: no recovery point passes both"
                ),
                "--created-after takes the earlier moment; an age such as 90d is that of the oldest point",
            ));
        }
        Ok(())
    }

    /// Reads the options and the lists of points. Of the metadata file no more is looked at than whether it is
    /// there.
    ///
    /// # Errors
    /// If a list is empty or cannot be read, or the metadata file is missing.
    pub(crate) async fn new(options: &FilterOptions) -> Result<Self, AppError> {
        let columns = column_filters(options)?;
        tell_empty_elements(options, &columns);
        if let Some(file) = &options.metadata_csv {
            MetadataTable::require(file)?;
        }
        let read = async |option, file: &Option<PathBuf>| match file {
            Some(file) => PointList::read(option, file.clone()).await.map(Some),
            None => Ok(None),
        };
        Ok(Self {
            now: Utc::now(),
            only: read("--only-from", &options.only_from).await?,
            except: read("--exclude-from", &options.exclude_from).await?,
            columns,
            options: options.clone(),
            table: OnceCell::new(),
            unmatched: Cell::new(0),
            named: RefCell::default(),
            decided: Cell::new(0),
            found: Cell::new(0),
            types: RefCell::default(),
        })
    }

    /// Reads what decisions need of the metadata file, if there is one and it has not been read.
    ///
    /// # Errors
    /// If it cannot be used.
    pub(crate) async fn load(&self) -> Result<(), AppError> {
        let columns = self.columns.iter().map(|filter| filter.column.clone());
        self.load_columns(Keep::Only(columns.collect())).await
    }

    /// As [`Self::load`], with all columns, which are to be shown.
    ///
    /// # Errors
    /// If it cannot be used.
    pub(crate) async fn load_all(&self) -> Result<(), AppError> {
        self.load_columns(Keep::All).await
    }

    async fn load_columns(&self, keep: Keep) -> Result<(), AppError> {
        let Some(file) = &self.options.metadata_csv else {
            return Ok(());
        };
        // Whoever comes while it is being read waits for that: vaults are read side by side, and a pipe has it once.
        let read = async || {
            let table = load(file.clone(), keep).await?;
            for filter in &self.columns {
                table.require_column(&filter.column, file)?;
            }
            Ok::<_, AppError>(table)
        };
        self.table.get_or_try_init(read).await.map(|_| ())
    }

    /// The metadata, once loaded.
    pub(crate) fn table(&self) -> Option<&MetadataTable> {
        self.table.get()
    }

    /// Points, each with the metadata of its resource, as far as there are any.
    pub(crate) fn with_metadata<'t>(
        &'t self,
        points: &'t [RecoveryPoint],
    ) -> impl Iterator<Item = (&'t RecoveryPoint, Option<Row<'t>>)> {
        points.chunks(POINTS_AT_ONCE).flat_map(|points| {
            let rows = match self.table.get() {
                Some(table) => table.rows(points.iter().map(|point| &point.resource_arn)),
                None => vec![None; points.len()],
            };
            points.iter().zip(rows)
        })
    }

    /// What the filters say of a point, whose resource has this metadata.
    pub(crate) fn decide(&self, point: &RecoveryPoint, row: Option<Row<'_>>) -> Decision {
        if !self.takes(point) {
            return Decision::Filtered;
        }
        if self.table.get().is_none() {
            return Decision::Selected;
        }
        if row.is_none() {
            self.note_unmatched(point);
        }
        let decisions = self
            .columns
            .iter()
            .map(|filter| filter.decide(row.and_then(|row| row.get(&filter.column))));
        // What is surely not wanted is told as that, whatever else is not known of it.
        decisions.fold(Decision::Selected, |all, one| match (all, one) {
            (Decision::Filtered, _) | (_, Decision::Filtered) => Decision::Filtered,
            (Decision::NoMetadata, _) | (_, Decision::NoMetadata) => Decision::NoMetadata,
            _ => Decision::Selected,
        })
    }

    /// Whether a point is wanted as far as the point itself tells.
    fn takes(&self, point: &RecoveryPoint) -> bool {
        self.decided.set(self.decided.get() + 1);
        if self.options.resource_types.is_some() && !self.types.borrow().contains(&point.resource_type) {
            self.types.borrow_mut().insert(point.resource_type.clone());
        }
        if let Some(only) = &self.only {
            if !only.has(&point.recovery_point_arn) {
                return false;
            }
            self.found.set(self.found.get() + 1);
        }
        let options = &self.options;
        let is_type = |list: &ValueList| {
            list.iter()
                .any(|name| name.eq_ignore_ascii_case(&point.resource_type))
        };
        let date = point.creation_date;
        let except = self.except.as_ref();
        !except.is_some_and(|list| list.has(&point.recovery_point_arn))
            && options.resource_types.as_ref().is_none_or(is_type)
            && options
                .created_after
                .as_ref()
                .is_none_or(|after| date >= after.at(self.now))
            && options
                .created_before
                .as_ref()
                .is_none_or(|before| date < before.at(self.now))
    }

    fn note_unmatched(&self, point: &RecoveryPoint) {
        self.unmatched.set(self.unmatched.get() + 1);
        let mut named = self.named.borrow_mut();
        let resource = point.resource_arn.as_str();
        if named.len() < MOST_NAMED && !named.iter().any(|n| n == resource) {
            tracing::warn!("No metadata found for resource {resource}");
            named.push(resource.to_owned());
        }
    }

    /// Says which of the types that are asked for no point has.
    fn report_types(&self) {
        let seen = self.types.take();
        let wanted = self.options.resource_types.iter().flat_map(ValueList::iter);
        let is_seen = |wanted: &&str| seen.iter().any(|kind| kind.eq_ignore_ascii_case(wanted));
        for wanted in wanted.filter(|wanted| !seen.is_empty() && !is_seen(wanted)) {
            let near = did_you_mean(wanted, seen.iter().map(String::as_str));
            tracing::warn!(
                "--resource-types: no recovery point is of type `{wanted}`; {}there are {}",
                near.map_or_else(String::new, |near| format!("{near} ")),
                seen.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
            );
        }
    }

    /// Says how many points had no metadata, and how many were named and not met, once all are decided.
    pub(crate) fn report_unmatched(&self) {
        self.report_types();
        let unmatched = self.unmatched.replace(0);
        if unmatched > self.named.borrow().len() {
            tracing::warn!("{unmatched} recovery points in all have no metadata in the CSV file");
        }
        let (decided, found) = (self.decided.replace(0), self.found.replace(0));
        if let Some(only) = self
            .only
            .as_ref()
            .filter(|only| decided > 0 && found < only.len())
        {
            tracing::warn!(
                "{} of the {} recovery points that {} names are in none of the vaults that were read",
                only.len() - found,
                only.len(),
                only.file().display()
            );
        }
    }

    /// The filters in words, as the state file keeps them.
    pub(crate) fn describe(&self) -> String {
        let mut parts = Vec::new();
        let join = |list: &ValueList| list.iter().collect::<Vec<_>>().join(",");
        for filter in &self.columns {
            let (allowed, excluded, plural) = if filter.column == APMID {
                ("allowed ", "excluded ", "s")
            } else {
                ("where ", "where not ", "")
            };
            for (word, list) in [(allowed, &filter.allowed), (excluded, &filter.excluded)] {
                parts.extend(
                    list.as_ref()
                        .map(|list| format!("{word}{}{plural}: {}", filter.column, join(list))),
                );
            }
        }
        let options = &self.options;
        parts.extend(
            options
                .resource_types
                .as_ref()
                .map(|list| format!("types: {}", join(list))),
        );
        parts.extend(
            options
                .created_after
                .as_ref()
                .map(|after| format!("made after {after}")),
        );
        parts.extend(
            options
                .created_before
                .as_ref()
                .map(|before| format!("made before {before}")),
        );
        parts.extend(
            self.only
                .as_ref()
                .map(|list| format!("only from {}", list.describe())),
        );
        parts.extend(
            self.except
                .as_ref()
                .map(|list| format!("not from {}", list.describe())),
        );
        if parts.is_empty() {
            "all".to_owned()
        } else {
            parts.join("; ")
        }
    }
}

/// What is asked of the metadata, column by column: what options say of one column is put together.
fn column_filters(options: &FilterOptions) -> Result<Vec<ColumnFilter>, AppError> {
    let mut filters: Vec<ColumnFilter> = Vec::new();
    let mut add = |column: &str, list: ValueList, is_allowed: bool| {
        let place = filters.iter().position(|filter| filter.column == column);
        let place = place.unwrap_or_else(|| {
            filters.push(ColumnFilter {
                column: column.to_owned(),
                ..ColumnFilter::default()
            });
            filters.len() - 1
        });
        if let Some(filter) = filters.get_mut(place) {
            let values = if is_allowed {
                &mut filter.allowed
            } else {
                &mut filter.excluded
            };
            match values {
                Some(values) => values.extend(list),
                None => *values = Some(list),
            }
        }
    };
    for (option, text, is_allowed) in [
        ("--allowed-apmids", &options.allowed_apmids, true),
        ("--excluded-apmids", &options.excluded_apmids, false),
    ] {
        if let Some(text) = text {
            let list = ValueList::parse(text).map_err(|error| {
                AppError::usage(format!("{option}: {error}"), "for example: APP001,APP002")
            })?;
            add(APMID, list, is_allowed);
        }
    }
    for (columns, is_allowed) in [(&options.where_column, true), (&options.where_not, false)] {
        for (column, list) in columns {
            add(column, list.clone(), is_allowed);
        }
    }
    Ok(filters)
}

fn tell_empty_elements(options: &FilterOptions, columns: &[ColumnFilter]) {
    let of_columns = columns.iter().flat_map(|filter| {
        [&filter.allowed, &filter.excluded].map(|list| (filter.column.as_str(), list.as_ref()))
    });
    let lists = of_columns.chain([("--resource-types", options.resource_types.as_ref())]);
    for (what, list) in lists {
        if let Some(list) = list.filter(|list| list.empty_elements > 0) {
            tracing::warn!("{what}: {} empty elements are passed over", list.empty_elements);
        }
    }
}

/// Reads columns of a metadata file and says what is to be said of it. Beside the caller's thread: a pipe may
/// have nothing to say for long, and a signal must be heard meanwhile.
///
/// # Errors
/// If it cannot be used.
async fn load(path: PathBuf, keep: Keep) -> Result<MetadataTable, AppError> {
    let name = path.display().to_string();
    let reading = tokio::task::spawn_blocking(move || MetadataTable::load(&path, &keep));
    let table = reading
        .await
        .map_err(|error| AppError::io(format!("read the CSV file {name}"), error.into()))??;
    for warning in table.warnings() {
        tracing::warn!("{name}: {warning}");
    }
    tracing::debug!(rows = table.len(), "metadata loaded from {name}");
    Ok(table)
}
