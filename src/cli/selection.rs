//! From filter options to decisions on points. The metadata file is read when points are about to be
//! decided on, not before.

use std::cell::{Cell, OnceCell, RefCell};
use std::path::PathBuf;

use super::args::FilterOptions;
use crate::domain::RecoveryPoint;
use crate::domain::selection::{ApmidFilter, Decision, ValueList};
use crate::error::AppError;
use crate::metadata::{Keep, MetadataTable};

/// Points without a row that are named in the log; the rest are counted.
const MOST_NAMED: usize = 10;
/// The column that decides.
const APMID: &str = "APMID";

/// The filters of a command.
#[derive(Debug)]
pub(crate) struct Selection {
    filter: ApmidFilter,
    file: Option<PathBuf>,
    table: OnceCell<MetadataTable>,
    unmatched: Cell<usize>,
    named: RefCell<Vec<String>>,
}

impl Selection {
    /// Whether the lists can be read; nothing else is looked at, and nothing is told.
    ///
    /// # Errors
    /// If one is empty.
    pub(super) fn check(options: &FilterOptions) -> Result<(), AppError> {
        for (option, text) in [
            ("--allowed-apmids", &options.allowed_apmids),
            ("--excluded-apmids", &options.excluded_apmids),
        ] {
            text.as_deref().map(|text| parse(option, text)).transpose()?;
        }
        Ok(())
    }

    /// Reads the options. Of the metadata file no more is looked at than whether it is there.
    ///
    /// # Errors
    /// If a list is empty, or the file is missing.
    pub(crate) fn new(options: &FilterOptions) -> Result<Self, AppError> {
        let filter = ApmidFilter {
            allowed: list("--allowed-apmids", options.allowed_apmids.as_deref())?,
            excluded: list("--excluded-apmids", options.excluded_apmids.as_deref())?,
        };
        if let Some(file) = &options.metadata_csv {
            MetadataTable::require(file)?;
        }
        let file = options.metadata_csv.clone();
        Ok(Self {
            filter,
            file,
            table: OnceCell::new(),
            unmatched: Cell::new(0),
            named: RefCell::default(),
        })
    }

    /// Reads what decisions need of the metadata file, if there is one and it has not been read.
    ///
    /// # Errors
    /// If it cannot be used.
    pub(crate) async fn load(&self) -> Result<(), AppError> {
        let read: &[&str] = if self.filter.is_active() { &[APMID] } else { &[] };
        self.load_columns(Keep::Only(read)).await
    }

    /// As [`Self::load`], with all columns, which are to be shown.
    ///
    /// # Errors
    /// If it cannot be used.
    pub(crate) async fn load_all(&self) -> Result<(), AppError> {
        self.load_columns(Keep::All).await
    }

    async fn load_columns(&self, keep: Keep) -> Result<(), AppError> {
        if let Some(file) = &self.file
            && self.table.get().is_none()
        {
            let _ = self.table.set(load(file.clone(), keep).await?);
        }
        Ok(())
    }

    /// The metadata, once loaded.
    pub(crate) fn table(&self) -> Option<&MetadataTable> {
        self.table.get()
    }

    /// What the filters say of a point.
    pub(crate) fn decide(&self, point: &RecoveryPoint) -> Decision {
        let Some(table) = self.table.get() else {
            return Decision::Selected;
        };
        let row = table.row(&point.resource_arn);
        if row.is_none() {
            self.unmatched.set(self.unmatched.get() + 1);
            let mut named = self.named.borrow_mut();
            let resource = point.resource_arn.as_str();
            if named.len() < MOST_NAMED && !named.iter().any(|n| n == resource) {
                tracing::warn!("No metadata found for resource {resource}");
                named.push(resource.to_owned());
            }
        }
        self.filter.decide(row.and_then(|row| row.get(APMID)))
    }

    /// Says how many points had no metadata, once all are decided.
    pub(crate) fn report_unmatched(&self) {
        let unmatched = self.unmatched.replace(0);
        if unmatched > self.named.borrow().len() {
            tracing::warn!("{unmatched} recovery points in all have no metadata in the CSV file");
        }
    }

    /// The filters in words, as the state file keeps them.
    pub(crate) fn describe(&self) -> String {
        let mut parts = Vec::new();
        for (name, list) in [
            ("allowed", &self.filter.allowed),
            ("excluded", &self.filter.excluded),
        ] {
            if let Some(list) = list {
                parts.push(format!(
                    "{name} APMIDs: {}",
                    list.iter().collect::<Vec<_>>().join(",")
                ));
            }
        }
        if parts.is_empty() {
            "all".to_owned()
        } else {
            parts.join("; ")
        }
    }
}

fn parse(option: &str, text: &str) -> Result<ValueList, AppError> {
    ValueList::parse(text)
        .map_err(|error| AppError::usage(format!("{option}: {error}"), "for example: APP001,APP002"))
}

fn list(option: &str, text: Option<&str>) -> Result<Option<ValueList>, AppError> {
    let Some(text) = text else { return Ok(None) };
    let list = parse(option, text)?;
    if list.empty_elements > 0 {
        tracing::warn!("{option}: {} empty elements are passed over", list.empty_elements);
    }
    Ok(Some(list))
}

/// Reads columns of a metadata file and says what is to be said of it. Beside the caller's thread: a pipe may
/// have nothing to say for long, and a signal must be heard meanwhile.
///
/// # Errors
/// If it cannot be used.
pub(super) async fn load(path: PathBuf, keep: Keep) -> Result<MetadataTable, AppError> {
    let name = path.display().to_string();
    let reading = tokio::task::spawn_blocking(move || MetadataTable::load(&path, keep));
    let table = reading
        .await
        .map_err(|error| AppError::io(format!("read the CSV file {name}"), error.into()))??;
    for warning in table.warnings() {
        tracing::warn!("{name}: {warning}");
    }
    tracing::debug!(rows = table.len(), "metadata loaded from {name}");
    Ok(table)
}
