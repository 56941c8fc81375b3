//! Configuration files, and `config show`.
//!
//! A flag is stronger than the environment, that is stronger than the file of `--config`, that is stronger than
//! the operator's own file, and that is stronger than a default. What files say is added to the command line
//! before it is read, as if it had been typed, so that whatever holds for options holds for files: ranges,
//! messages, what goes together.

mod file;
mod layers;
mod show;

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser as _};

use layers::{Layered, Origin, layered, may_be_any, set_by_environment};
pub(super) use show::run;

use super::args::Cli;
use crate::error::AppError;

/// Why there is no command line to go by.
pub(super) enum Unparsed {
    /// What clap says, and where a file or the environment has set what it complains of.
    Arguments(clap::Error, Option<String>),
    /// A configuration file.
    File(AppError),
}

/// Reads the command line of this process, with what the configuration files add.
///
/// # Errors
/// If it is wrong, asks for help or the version, or a file cannot be used.
pub(super) fn parse(arguments: Vec<OsString>) -> Result<Cli, Unparsed> {
    let Layered {
        arguments, origins, ..
    } = if may_be_any(&arguments) {
        let mut command = Cli::command();
        command.build();
        layered(&command, arguments.clone()).map_err(|error| match Cli::try_parse_from(arguments) {
            // A broken file stands in the way of no help.
            Err(asked) if [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion].contains(&asked.kind()) => {
                Unparsed::Arguments(asked, None)
            }
            _ => Unparsed::File(error),
        })?
    } else {
        Layered {
            arguments,
            ..Layered::default()
        }
    };
    Cli::try_parse_from(arguments).map_err(|error| {
        let origin = blamed(&error, &origins);
        Unparsed::Arguments(error, origin)
    })
}

/// Where options stand that a text is about, if not on the command line but in the environment.
pub(super) fn from_environment(text: &str) -> Option<String> {
    let is_told = |long: &str| {
        let behind = text.split(long).skip(1);
        behind
            .into_iter()
            .any(|rest| !rest.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '-'))
    };
    environment(is_told)
}

fn environment(is_told: impl Fn(&str) -> bool) -> Option<String> {
    let mut command = Cli::command();
    command.build();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let set = set_by_environment(&command, &arguments);
    let told = set
        .into_iter()
        .filter(|(option, _)| is_told(&format!("--{option}")));
    let places =
        told.map(|(option, variable)| format!("--{option} is set in the environment variable {variable}"));
    let places: Vec<String> = places.collect();
    (!places.is_empty()).then(|| places.join("; "))
}

/// Where the option stands that an error is about, if a file or the environment has set it.
fn blamed(error: &clap::Error, origins: &[Origin]) -> Option<String> {
    let told = [ContextKind::InvalidArg, ContextKind::PriorArg].map(|kind| error.get(kind));
    let names = |value: &ContextValue| match value {
        ContextValue::String(text) => vec![text.clone()],
        ContextValue::Strings(texts) => texts.clone(),
        _ => Vec::new(),
    };
    let told: Vec<String> = told.into_iter().flatten().flat_map(names).collect();
    let is_told = |option: &str| {
        told.iter()
            .any(|text| text.split([' ', '=', '[']).next() == Some(option))
    };
    let of_files = origins
        .iter()
        .filter(|origin| is_told(&format!("--{}", origin.option)));
    let of_files = of_files.map(|origin| {
        format!(
            "--{} is set in the configuration file {}, line {}",
            origin.option,
            origin.file.display(),
            origin.line
        )
    });
    let places: Vec<String> = of_files.chain(environment(is_told)).collect();
    (!places.is_empty()).then(|| places.join("; "))
}
