//! The command that goes on with a run, as it is shown and as a state file keeps it.

use std::ffi::OsString;
use std::path::Path;

/// An external id is left to its environment variable: the command ends up in logs and files.
const SECRET: &str = "--external-id";
const VARIABLE: &str = "$SHUFFLE_AWS_VAULTS_EXTERNAL_ID";

/// The words of this process's command line that go on with its run: what was typed, without what
/// belongs to one process only, and with `--resume`.
pub(super) fn typed() -> Vec<String> {
    words(std::env::args_os())
}

fn words(arguments: impl Iterator<Item = OsString>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in arguments.map(|word| word.to_string_lossy().into_owned()) {
        if words.last().is_some_and(|before| before == SECRET) {
            words.push(VARIABLE.to_owned());
        } else if word.starts_with("--external-id=") {
            words.extend([SECRET, VARIABLE].map(str::to_owned));
        } else if !["--reset", "--resume"].contains(&word.as_str()) && !is(&word, "--retry-failed") {
            words.push(word);
        }
    }
    words.push("--resume".to_owned());
    words
}

/// The command that carries out the plan in `path`, which `arguments` have written.
pub(super) fn carry_out(arguments: impl Iterator<Item = OsString>, path: &Path) -> String {
    let mut planned = without(&words(arguments), "--plan-out");
    planned.retain(|word| !["--dry-run", "--resume"].contains(&word.as_str()));
    planned.extend(["--plan".to_owned(), path.to_string_lossy().into_owned()]);
    text(planned, false)
}

/// Whether a word is this option, with or without its value.
fn is(word: &str, option: &str) -> bool {
    let rest = word.strip_prefix(option);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

/// The words without an option and its value.
fn without(words: &[String], option: &str) -> Vec<String> {
    let mut others = Vec::new();
    let mut is_value = false;
    for word in words {
        let is_ours = is_value || is(word, option);
        is_value = word == option && !is_value;
        if !is_ours {
            others.push(word.clone());
        }
    }
    others
}

/// The words as a shell takes them; `failed_too` tries failed points again.
pub(super) fn text(mut words: Vec<String>, failed_too: bool) -> String {
    if failed_too {
        words.push("--retry-failed".to_owned());
    }
    shlex::try_join(words.iter().map(String::as_str))
        .unwrap_or_else(|_| words.join(" "))
        .replace(&format!("'{VARIABLE}'"), &format!("\"{VARIABLE}\""))
}

/// The words with this state file named, whatever they name; as they are if they copy several vaults,
/// each of which has a state file of its own.
pub(super) fn with_state_file(words: &[String], path: &str) -> Vec<String> {
    const OPTION: &str = "--state-file";
    let vaults = words.iter().filter(|word| is(word, "--vault")).count();
    // Those that are not typed may be several, by the environment or a configuration file.
    let is_one = vaults == 1 || words.iter().any(|word| is(word, OPTION));
    if !is_one
        || vaults > 1
        || words
            .iter()
            .any(|word| is(word, "--all-vaults") || is(word, "--vault-map"))
    {
        return words.to_vec();
    }
    let mut named = without(words, OPTION);
    named.extend([OPTION, path].map(str::to_owned));
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(typed: &[&str], failed_too: bool) -> String {
        text(words(typed.iter().map(OsString::from)), failed_too)
    }

    #[test]
    fn the_command_that_goes_on_is_quoted_and_resumes() {
        let typed = [
            "shuffle-aws-vaults",
            "copy",
            "--reset",
            "--state-file",
            "a b.json",
        ];
        assert_eq!(
            command(&typed, false),
            "shuffle-aws-vaults copy --state-file 'a b.json' --resume"
        );
        let typed = ["copy", "--retry-failed", "--resume", "--retry-failed=role,gone"];
        assert_eq!(command(&typed, true), "copy --resume --retry-failed");
    }

    #[test]
    fn a_plan_is_carried_out_by_the_command_that_wrote_it() {
        let typed = "sav copy --vault a --dry-run --plan-out p.ndjson -v";
        for typed in [typed.to_owned(), typed.replace("--plan-out ", "--plan-out=")] {
            let command = carry_out(typed.split(' ').map(OsString::from), Path::new("p.ndjson"));
            assert_eq!(command, "sav copy --vault a -v --plan p.ndjson");
        }
    }

    #[test]
    fn an_external_id_is_not_in_the_command_that_goes_on() {
        for typed in [
            &["copy", "--external-id", "x y", "-v"][..],
            &["copy", "--external-id=x y", "-v"],
        ] {
            let wanted = "copy --external-id \"$SHUFFLE_AWS_VAULTS_EXTERNAL_ID\" -v --resume";
            assert_eq!(command(typed, false), wanted);
        }
    }

    #[test]
    fn the_state_file_that_is_looked_at_is_the_one_that_is_gone_on_with() {
        for (typed, wanted) in [
            ("copy --vault a", "copy --vault a --state-file s"),
            (
                "copy --state-file x --vault=a -v",
                "copy --vault=a -v --state-file s",
            ),
            ("copy --state-file=x -v", "copy -v --state-file s"),
            ("copy --vault a --vault=b", "copy --vault a --vault=b"),
            ("copy --all-vaults -v", "copy --all-vaults -v"),
            ("copy --vault-map=m.csv -v", "copy --vault-map=m.csv -v"),
        ] {
            let typed: Vec<String> = typed.split(' ').map(str::to_owned).collect();
            assert_eq!(with_state_file(&typed, "s").join(" "), wanted);
        }
    }
}
