//! `config show`: every option's value, and where it comes from.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory as _};

use super::layers::{Layered, OWN, layered};
use crate::cli::args::{Cli, ConfigArgs, ConfigCommand};
use crate::cli::output::to_stdout;
use crate::error::{AppError, Outcome};
use crate::nearest::did_you_mean;
use crate::report::{self, OptionOrigin};

/// Commands that have no options to speak of.
const WITHOUT: [&str; 4] = ["completions", "man", "config", "help"];

/// Shows the options of one command or of all.
///
/// # Errors
/// If there is no such command, or an option has a value that it cannot have.
pub(in crate::cli) fn run(args: &ConfigArgs, typed: &[OsString]) -> Result<Outcome, AppError> {
    let ConfigCommand::Show {
        command: wanted,
        form,
        options,
    } = &args.command;
    // What is not given is told as that, instead of being missed.
    let mut command = Cli::command();
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .filter(|name| !WITHOUT.contains(&name.as_str()))
        .collect();
    for name in &names {
        command = command.mut_subcommand(name, |sub| sub.mut_args(|arg| arg.required(false)));
    }
    command.build();
    if let Some(name) = wanted.as_ref().filter(|name| !names.contains(name)) {
        let near = did_you_mean(name, names.iter().map(String::as_str));
        let all = format!("it is one of {}", names.join(", "));
        return Err(AppError::usage(
            format!("there is no command {name} with options"),
            near.unwrap_or(all),
        ));
    }
    let mut rows = Vec::new();
    let mut files = Vec::new();
    for name in names
        .iter()
        .filter(|name| wanted.as_ref().is_none_or(|wanted| wanted == *name))
    {
        let mut arguments = vec![OsString::from("shuffle-aws-vaults")];
        arguments.extend(global_words(typed));
        arguments.push(name.into());
        arguments.extend(options.iter().cloned());
        let layers = layered(&command, arguments)?;
        let matches = command.clone().try_get_matches_from(&layers.arguments);
        let matches = matches.map_err(|error| {
            let text = error.to_string();
            let text = text
                .strip_prefix("error: ")
                .unwrap_or(&text)
                .lines()
                .next()
                .unwrap_or_default();
            AppError::usage(format!("{name}: {text}"), "mend the option where it is set")
        })?;
        if let (Some(sub), Some(matches)) = (command.find_subcommand(name), matches.subcommand_matches(name))
        {
            rows.extend(
                sub.get_arguments()
                    .filter_map(|arg| row(name, arg, matches, &layers)),
            );
        }
        files = layers.files;
    }
    for file in files.iter().rev() {
        tracing::info!("read the configuration file {}", file.display());
    }
    to_stdout(|out| report::options(&rows, form.output, out))?;
    Ok(Outcome::Done)
}

/// `--config FILE` and `--no-config` as they were typed for this command: they are what is shown.
fn global_words(typed: &[OsString]) -> Vec<OsString> {
    let mut words = Vec::new();
    let mut typed = typed.iter().skip(1).take_while(|word| *word != "--");
    while let Some(word) = typed.next() {
        let text = word.to_string_lossy();
        if text == "--no-config" || text.starts_with("--config=") {
            words.push(word.clone());
        } else if text == "--config" {
            words.push(word.clone());
            words.extend(typed.next().cloned());
        }
    }
    words
}

fn row(command: &str, arg: &Arg, matches: &ArgMatches, layers: &Layered) -> Option<OptionOrigin> {
    let long = arg.get_long().filter(|long| !OWN.contains(long))?;
    let id = arg.get_id().as_str();
    let takes_values = arg.get_action().takes_values();
    let source = matches.value_source(id);
    let origin = layers.origins.iter().find(|origin| origin.option == long);
    let value = if takes_values {
        let raw = matches.get_raw(id);
        raw.map(|values| {
            values
                .map(|value| value.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
                .join(",")
        })
    } else {
        Some(matches.get_flag(id).to_string())
    };
    let secret = arg.is_hide_env_values_set() && value.is_some();
    Some(OptionOrigin {
        command: command.to_owned(),
        option: format!("--{long}"),
        value: if secret {
            Some("(hidden)".to_owned())
        } else {
            value
        },
        origin: match (origin, source) {
            (Some(origin), _) => format!("{}:{}", origin.file.display(), origin.line),
            (None, Some(ValueSource::CommandLine)) => "flag".to_owned(),
            (None, Some(ValueSource::EnvVariable)) => {
                let name = arg.get_env().map(|name| name.to_string_lossy().into_owned());
                format!("environment {}", name.unwrap_or_default())
            }
            _ => "default".to_owned(),
        },
    })
}
