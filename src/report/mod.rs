//! What the operator sees: listings on stdout, progress on stderr, the summary in a file.

mod audit;
mod bar;
mod console;
mod cost;
mod event_stream;
mod failures;
mod forecast;
mod listing;
mod metrics;
mod options;
mod plan;
mod preflight;
mod progress;
mod records;
mod run_events;
mod screen;
mod status;
mod summary;
mod text;
mod vault_lines;
mod verification;
mod whole_file;

use clap::ValueEnum;

pub use audit::{AuditedVault, PointAudit};
pub use console::{Console, ConsoleWriter, error_object};
pub use event_stream::EventStream;
pub use failures::{FailedPoint, FailureGroup, FailureRows, failed_list};
pub use listing::{FilterCount, PointRows, vaults};
pub use metrics::MetricsFile;
pub use options::{OptionOrigin, options};
pub use plan::{Plan, PlannedVault, brief_plan, plan};
pub use preflight::{finding_line, preflight};
pub use progress::{ProgressMode, ProgressReporter};
pub use run_events::RunEvents;
pub use status::{Condition, OldestJob, RunStatus, StateStatus, UnreadableState, statuses};
pub use summary::{RetentionSummary, Summary, SummaryFailure, VaultSummary};
pub use text::{bytes, duration, escape_controls, sanitize};
pub use verification::{missing_csv, missing_list, verification};
pub use whole_file::WholeFile;

/// `--log-format`, which everything on standard error has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `--output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Table,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values with a header.
    Csv,
}
