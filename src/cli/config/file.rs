//! A configuration file: TOML, read into settings that know their lines.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::AppError;

/// What a key is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Setting {
    /// `true` or `false`.
    Flag(bool),
    /// Anything that has one text.
    Text(String),
    /// An array.
    Texts(Vec<String>),
}

/// One line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The command in whose table it stands; `None` at the top.
    pub(super) command: Option<String>,
    /// The long name of an option, with dashes.
    pub(super) key: String,
    pub(super) setting: Setting,
    pub(super) line: usize,
}

/// A file.
#[derive(Debug, Clone)]
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    pub(super) entries: Vec<Entry>,
}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, is no TOML, or has a value of a kind that no option takes.
    pub(super) fn read(path: &Path) -> Result<Self, AppError> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| {
            AppError::io(format!("read the configuration file {}", path.display()), error)
        })?;
        let entries =
            parse(&text).map_err(|(line, problem)| wrong(path, line, &problem, "mend that line"))?;
        Ok(Self {
            path: path.to_owned(),
            entries,
        })
    }
}

/// An error of a line.
pub(super) fn wrong(path: &Path, line: usize, problem: &str, hint: &str) -> AppError {
    AppError::usage(
        format!(
            "the configuration file {}, line {line}: {problem}",
            path.display()
        ),
        hint,
    )
}

fn line_of(text: &str, byte: usize) -> usize {
    let before = text.as_bytes().get(..byte).unwrap_or_default();
    memchr::memchr_iter(b'\n', before).count() + 1
}

fn parse(text: &str) -> Result<Vec<Entry>, (usize, String)> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = line_of(text, error.span().map_or(0, |span| span.start));
        (line, error.message().to_owned())
    })?;
    let mut entries = Vec::new();
    for (key, value) in table.get_ref() {
        if let DeValue::Table(table) = value.get_ref() {
            for (inner, value) in table {
                entries.push(entry(text, Some(key.get_ref()), inner, value)?);
            }
        } else {
            entries.push(entry(text, None, key, value)?);
        }
    }
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

fn entry(
    text: &str,
    command: Option<&str>,
    key: &Spanned<std::borrow::Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
) -> Result<Entry, (usize, String)> {
    let line = line_of(text, key.span().start);
    let name = key.get_ref().replace('_', "-");
    let setting = match value.get_ref() {
        DeValue::Boolean(flag) => Some(Setting::Flag(*flag)),
        DeValue::Array(values) => {
            let texts = values.iter().map(|value| scalar(value.get_ref()));
            texts.collect::<Option<Vec<String>>>().map(Setting::Texts)
        }
        other => scalar(other).map(Setting::Text),
    };
    let setting =
        setting.ok_or_else(|| (line, format!("`{name}` is neither a value nor a list of values")))?;
    Ok(Entry {
        command: command.map(str::to_owned),
        key: name,
        setting,
        line,
    })
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(|number| number.to_string()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Datetime(date) => Some(date.to_string()),
        DeValue::Boolean(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_kind_know_their_lines() {
        let text = "region = 'eu-west-1'\n# x\n[copy]\nworkers = 20\npoll_interval = 0.5\nyes = true\nvault = [\n 'a', \"b\"]\ncreated-after = 2026-01-31\n";
        let entries = parse(text).unwrap();
        let told: Vec<String> = entries
            .iter()
            .map(|e| {
                format!(
                    "{} {} {:?} {}",
                    e.command.as_deref().unwrap_or("-"),
                    e.key,
                    e.setting,
                    e.line
                )
            })
            .collect();
        let wanted = [
            "- region Text(\"eu-west-1\") 1",
            "copy workers Text(\"20\") 4",
            "copy poll-interval Text(\"0.5\") 5",
            "copy yes Flag(true) 6",
            "copy vault Texts([\"a\", \"b\"]) 7",
            "copy created-after Text(\"2026-01-31\") 9",
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn what_is_no_toml_or_no_value_is_told_with_its_line() {
        for (text, line) in [
            ("a = 1\nb = \n", 2),
            ("a = 1\n\na = 2\n", 3),
            ("[copy]\n[copy.x]\ny = 1\n", 2),
            ("\nvault = [['a']]\n", 2),
            ("\u{0}", 1),
        ] {
            assert_eq!(parse(text).unwrap_err().0, line, "{text:?}");
        }
    }

    proptest::proptest! {
        /// A file that is none is refused, and nothing worse.
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z0-9_=,.#*'\"\\[\\]\\{\\}\n\r\t \\\\\u{0}ä-]{0,60}") {
            let _ = parse(&text);
        }
    }
}
