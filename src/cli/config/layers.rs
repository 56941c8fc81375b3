//! Which configuration files there are, and what of them a command line takes over.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Arg, ArgAction, Command};

use super::file::{ConfigFile, Entry, Setting, wrong};
use crate::error::AppError;
use crate::nearest::did_you_mean;

/// Options that a file cannot set.
pub(super) const OWN: [&str; 4] = ["config", "no-config", "help", "version"];
/// Environment twin of `--config`.
const VARIABLE: &str = "SHUFFLE_AWS_VAULTS_CONFIG";

/// An option that a file has set.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// Its long name.
    pub(super) option: String,
    pub(super) file: PathBuf,
    pub(super) line: usize,
}

/// A command line with what the files add.
#[derive(Debug, Default)]
pub(super) struct Layered {
    pub(super) arguments: Vec<OsString>,
    /// What they have set, with `false` included.
    pub(super) origins: Vec<Origin>,
    /// The files that were read, the strongest first.
    pub(super) files: Vec<PathBuf>,
}

/// The words of a command line that matter here.
struct Typed<'a> {
    words: Vec<&'a OsStr>,
    /// The place of the command's name.
    at: usize,
}

impl<'a> Typed<'a> {
    /// Finds the command; what stands before it are global options.
    fn new(command: &Command, arguments: &'a [OsString]) -> Option<(Self, &'a str)> {
        let words: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
        let takes_value = |word: &str| {
            let option = word
                .strip_prefix("--")
                .and_then(|name| command.get_arguments().find(|arg| arg.get_long() == Some(name)));
            option.is_some_and(|option| option.get_action().takes_values())
        };
        let mut at = 1;
        while let Some(word) = words.get(at).and_then(|word| word.to_str()) {
            if command.find_subcommand(word).is_some() {
                return Some((Self { words, at }, word));
            }
            at += if takes_value(word) { 2 } else { 1 };
        }
        None
    }

    /// The words behind which options stand no more are not looked at.
    fn options(&self) -> impl Iterator<Item = &str> {
        let words = self
            .words
            .iter()
            .skip(1)
            .map(|word| word.to_str().unwrap_or_default());
        words.take_while(|word| *word != "--")
    }

    /// Whether the command line or the environment sets an option.
    fn has(&self, arg: &Arg) -> bool {
        self.is_typed(arg) || variable_of(arg).is_some()
    }

    /// Whether the command line sets an option.
    fn is_typed(&self, arg: &Arg) -> bool {
        let long = arg.get_long().unwrap_or_default();
        let is_long = |word: &str| {
            let rest = word.strip_prefix("--").and_then(|word| word.strip_prefix(long));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        };
        let is_short = |word: &str| {
            let letters = word.strip_prefix('-').filter(|letters| !letters.starts_with('-'));
            arg.get_short()
                .is_some_and(|short| letters.is_some_and(|letters| letters.contains(short)))
        };
        self.options().any(|word| is_long(word) || is_short(word))
    }

    /// The value of an option that is given once.
    fn value(&self, option: &str) -> Option<PathBuf> {
        let mut words = self.options();
        while let Some(word) = words.next() {
            match word.strip_prefix(option) {
                Some("") => return words.next().map(PathBuf::from),
                Some(rest) if rest.starts_with('=') => return rest.get(1..).map(PathBuf::from),
                _ => {}
            }
        }
        None
    }
}

/// The environment variable that sets an option, if one does.
fn variable_of(arg: &Arg) -> Option<&OsStr> {
    arg.get_env().filter(|name| std::env::var_os(name).is_some())
}

/// Options of the command that the environment sets, and not the command line; each with its variable. `command` is
/// built.
pub(super) fn set_by_environment(command: &Command, arguments: &[OsString]) -> Vec<(String, String)> {
    let Some((typed, name)) = Typed::new(command, arguments) else {
        return Vec::new();
    };
    let options = command
        .find_subcommand(name)
        .into_iter()
        .flat_map(Command::get_arguments);
    let set = options.filter(|arg| !typed.is_typed(arg)).filter_map(|arg| {
        let variable = variable_of(arg)?.to_string_lossy().into_owned();
        Some((arg.get_long()?.to_owned(), variable))
    });
    set.collect()
}

/// The operator's own file, whether it is there or not.
fn user_file() -> Option<PathBuf> {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    let directory = std::env::var_os("XDG_CONFIG_HOME")
        .and_then(|path| absolute(path.into()))
        .or_else(|| Some(absolute(std::env::home_dir()?)?.join(".config")))?;
    Some(directory.join("shuffle-aws-vaults").join("config.toml"))
}

/// Whether there may be a file: where there surely is none, nothing has to be made ready for it.
pub(super) fn may_be_any(arguments: &[OsString]) -> bool {
    let names_one = |word: &OsString| word.to_string_lossy().starts_with("--config");
    std::env::var_os(VARIABLE).is_some()
        || user_file().is_some_and(|path| path.is_file())
        || arguments.iter().any(names_one)
}

/// Adds what the configuration files say to a command line. `command` is built.
///
/// # Errors
/// If a file cannot be read, or sets what no command has.
pub(super) fn layered(command: &Command, arguments: Vec<OsString>) -> Result<Layered, AppError> {
    let Some((typed, name)) = Typed::new(command, &arguments) else {
        return Ok(Layered {
            arguments,
            ..Layered::default()
        });
    };
    let files = files(&typed)?;
    let Some(sub) = command.find_subcommand(name).filter(|_| !files.is_empty()) else {
        return Ok(Layered {
            arguments,
            ..Layered::default()
        });
    };
    for file in &files {
        file.entries
            .iter()
            .try_for_each(|entry| check(command, file, entry))?;
    }
    let mut layers = Layers {
        sub,
        typed: &typed,
        set: Vec::new(),
        added: Vec::new(),
        origins: Vec::new(),
    };
    for file in &files {
        layers.take(file)?;
    }
    let (added, origins) = (layers.added, layers.origins);
    let behind = typed.at + 1;
    let mut words: Vec<OsString> = typed.words.iter().take(behind).map(OsString::from).collect();
    words.extend(added.into_iter().map(OsString::from));
    words.extend(typed.words.iter().skip(behind).map(OsString::from));
    Ok(Layered {
        arguments: words,
        origins,
        files: files.into_iter().map(|file| file.path).collect(),
    })
}

/// The files that are to be read, the strongest first.
fn files(typed: &Typed<'_>) -> Result<Vec<ConfigFile>, AppError> {
    if typed.options().any(|word| word == "--no-config") {
        return Ok(Vec::new());
    }
    let variable = || {
        std::env::var_os(VARIABLE)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    };
    let named = typed.value("--config").or_else(variable);
    let mut files: Vec<ConfigFile> = named
        .iter()
        .map(|path| ConfigFile::read(path))
        .collect::<Result<_, _>>()?;
    if let Some(own) = user_file().filter(|path| path.is_file()) {
        files.push(ConfigFile::read(&own)?);
    }
    Ok(files)
}

/// Whether some command has such an option.
fn check(command: &Command, file: &ConfigFile, entry: &Entry) -> Result<(), AppError> {
    let problem = |what: String, hint: Option<String>, other: &str| {
        Err(wrong(
            &file.path,
            entry.line,
            &what,
            hint.as_deref().unwrap_or(other),
        ))
    };
    let mut commands = command.get_subcommands();
    let key = &entry.key;
    if let Some(name) = &entry.command {
        let Some(sub) = commands.find(|sub| sub.get_name() == name) else {
            let names = command.get_subcommands().map(Command::get_name);
            return problem(
                format!("[{name}] is no command"),
                did_you_mean(name, names),
                "name a table after a command, such as [copy]",
            );
        };
        if option(sub, key).is_none() {
            return problem(
                format!("{name} has no option --{key}"),
                did_you_mean(key, longs(sub)),
                "keys are the long names of options, as --help shows them",
            );
        }
    } else if !commands.any(|sub| option(sub, key).is_some()) {
        return problem(
            format!("no command has an option --{key}"),
            did_you_mean(key, command.get_subcommands().flat_map(longs)),
            "keys are the long names of options, as --help shows them",
        );
    }
    Ok(())
}

fn longs(sub: &Command) -> impl Iterator<Item = &str> {
    let longs = sub.get_arguments().filter_map(Arg::get_long);
    longs.filter(|name| !OWN.contains(name))
}

fn option<'a>(sub: &'a Command, key: &str) -> Option<&'a Arg> {
    let mut options = sub
        .get_arguments()
        .filter(|arg| !OWN.contains(&arg.get_long().unwrap_or_default()));
    options.find(|arg| arg.get_long() == Some(key))
}

/// What files add to a command line, one after the other.
struct Layers<'a> {
    sub: &'a Command,
    typed: &'a Typed<'a>,
    /// Options that stronger files have set.
    set: Vec<&'a Arg>,
    added: Vec<String>,
    origins: Vec<Origin>,
}

impl Layers<'_> {
    /// Takes over what nothing stronger says, or speaks against. In one file the command's table is stronger.
    fn take(&mut self, file: &ConfigFile) -> Result<(), AppError> {
        let mut taken = Vec::new();
        for of_table in [true, false] {
            for entry in &file.entries {
                let is_ours = match &entry.command {
                    Some(name) => of_table && name == self.sub.get_name(),
                    None => !of_table,
                };
                let Some(arg) = option(self.sub, &entry.key).filter(|_| is_ours) else {
                    continue;
                };
                let before = self
                    .set
                    .iter()
                    .chain(&taken)
                    .any(|set: &&Arg| set.get_id() == arg.get_id());
                if before || self.typed.has(arg) || self.is_excluded(arg) {
                    continue;
                }
                self.added.extend(words(arg, file, entry)?);
                self.origins.push(Origin {
                    option: entry.key.clone(),
                    file: file.path.clone(),
                    line: entry.line,
                });
                taken.push(arg);
            }
        }
        self.set.extend(taken);
        Ok(())
    }

    /// Whether something stronger is set that cannot stand beside the option.
    fn is_excluded(&self, arg: &Arg) -> bool {
        let is_strong =
            |other: &Arg| self.set.iter().any(|set| set.get_id() == other.get_id()) || self.typed.has(other);
        let excludes = |a: &Arg, b: &Arg| {
            self.sub
                .get_arg_conflicts_with(a)
                .iter()
                .any(|c| c.get_id() == b.get_id())
        };
        let mut others = self
            .sub
            .get_arguments()
            .filter(|other| other.get_long().is_some());
        others.any(|other| is_strong(other) && (excludes(arg, other) || excludes(other, arg)))
    }
}

/// The setting as it would be typed.
fn words(arg: &Arg, file: &ConfigFile, entry: &Entry) -> Result<Vec<String>, AppError> {
    let key = &entry.key;
    let takes_values = arg.get_action().takes_values();
    let needs_none = arg.get_num_args().is_some_and(|range| range.min_values() == 0);
    let value = |text: &String| format!("--{key}={text}");
    Ok(match &entry.setting {
        Setting::Flag(false) if !takes_values || needs_none => Vec::new(),
        Setting::Flag(true) if !takes_values || needs_none => vec![format!("--{key}")],
        Setting::Flag(flag) => vec![value(&flag.to_string())],
        Setting::Text(_) | Setting::Texts(_) if !takes_values => {
            return Err(wrong(
                &file.path,
                entry.line,
                &format!("`{key}` is on or off"),
                "write true or false",
            ));
        }
        Setting::Text(text) => vec![value(text)],
        Setting::Texts(texts) if matches!(arg.get_action(), ArgAction::Append) => {
            texts.iter().map(value).collect()
        }
        Setting::Texts(texts) => vec![value(&texts.join(","))],
    })
}
