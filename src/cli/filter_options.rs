//! The options that say which recovery points are wanted: the same for `list`, `filter`, `copy` and `verify`.

use std::path::PathBuf;

use clap::Args;

use crate::domain::selection::ValueList;
use crate::domain::when::When;

/// Which recovery points are wanted.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Selection")]
pub struct FilterOptions {
    /// Only points of these resource types (comma-separated, such as EBS,RDS; in any letters)
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_RESOURCE_TYPES",
        value_name = "TYPE,...",
        value_parser = parse_list
    )]
    pub resource_types: Option<ValueList>,
    /// Only points made then or later: a date (2026-01-31, UTC), a time (RFC 3339), or an age (90d)
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_CREATED_AFTER", value_name = "TIME")]
    pub created_after: Option<When>,
    /// Only points made before then
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_CREATED_BEFORE", value_name = "TIME")]
    pub created_before: Option<When>,
    /// Only the recovery points that this file names: an ARN a line (`#` begins a comment), or a CSV file
    /// with a `recovery_point_arn` column
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_ONLY_FROM", value_name = "FILE")]
    pub only_from: Option<PathBuf>,
    /// None of the recovery points that this file names; beats --only-from
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_EXCLUDE_FROM", value_name = "FILE")]
    pub exclude_from: Option<PathBuf>,
    /// Only points whose resource has one of these APMIDs (comma-separated; exact, case-sensitive)
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_ALLOWED_APMIDS",
        value_name = "APMID,...",
        requires = "metadata_csv"
    )]
    pub allowed_apmids: Option<String>,
    /// No points whose resource has one of these APMIDs; beats --allowed-apmids
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_EXCLUDED_APMIDS",
        value_name = "APMID,...",
        requires = "metadata_csv"
    )]
    pub excluded_apmids: Option<String>,
    /// Only points whose resource has one of these values in that column of the metadata file; may be
    /// repeated: all must be so
    #[arg(
        long = "where",
        env = "SHUFFLE_AWS_VAULTS_WHERE",
        value_name = "COLUMN=VALUE,...",
        value_parser = parse_column,
        requires = "metadata_csv"
    )]
    pub where_column: Vec<(String, ValueList)>,
    /// No points whose resource has one of these values in that column; beats --where
    #[arg(
        long,
        env = "SHUFFLE_AWS_VAULTS_WHERE_NOT",
        value_name = "COLUMN=VALUE,...",
        value_parser = parse_column,
        requires = "metadata_csv"
    )]
    pub where_not: Vec<(String, ValueList)>,
    /// CSV file with a resourceArn column and any others; `-` is standard input
    #[arg(long, env = "SHUFFLE_AWS_VAULTS_METADATA_CSV", value_name = "FILE")]
    pub metadata_csv: Option<PathBuf>,
}

impl FilterOptions {
    /// The first option that is given and chooses among recovery points.
    pub(super) fn first_filter(&self) -> Option<&'static str> {
        [
            ("--resource-types", self.resource_types.is_some()),
            ("--created-after", self.created_after.is_some()),
            ("--created-before", self.created_before.is_some()),
            ("--only-from", self.only_from.is_some()),
            ("--exclude-from", self.exclude_from.is_some()),
            ("--allowed-apmids", self.allowed_apmids.is_some()),
            ("--excluded-apmids", self.excluded_apmids.is_some()),
            ("--where", !self.where_column.is_empty()),
            ("--where-not", !self.where_not.is_empty()),
        ]
        .into_iter()
        .find_map(|(name, is_given)| is_given.then_some(name))
    }
}

fn parse_list(text: &str) -> Result<ValueList, String> {
    ValueList::parse(text).map_err(|error| error.to_string())
}

fn parse_column(text: &str) -> Result<(String, ValueList), String> {
    let (column, values) = text
        .split_once('=')
        .filter(|(column, _)| !column.trim().is_empty())
        .ok_or("it must be COLUMN=VALUE, such as Environment=Production,Staging")?;
    Ok((column.trim().to_owned(), parse_list(values)?))
}
