//! Configuration files: what is stronger than what, what is told of mistakes, and `config show`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_in_result,
    reason = "a test may fail"
)]

mod common;

use std::fs;

use common::{ACCOUNTS, Rig};
use serde_json::Value;

const USER: &str = ".config/shuffle-aws-vaults/config.toml";

fn rig() -> Rig {
    let rig = Rig::new("--vault v1=6 --vault v2=4 --job-seconds 0.05");
    fs::create_dir_all(rig.path(USER).parent().unwrap()).unwrap();
    rig
}

/// An option's value and origin, by `config show`.
fn shown(rig: &Rig, script: &str, command: &str, option: &str) -> (Value, String) {
    let done = rig.run(script);
    assert_eq!(done.code, 0, "{script}: {}", done.stderr);
    let rows: Vec<Value> = serde_json::from_str(&done.stdout).unwrap();
    let row = rows
        .iter()
        .find(|row| row["command"] == command && row["option"] == option);
    let row = row.unwrap_or_else(|| panic!("{option}: {}", done.stdout));
    (row["value"].clone(), row["origin"].as_str().unwrap().to_owned())
}

#[test]
fn a_flag_beats_the_environment_the_named_file_the_users_file_and_the_default() {
    let rig = rig();
    rig.write(
        USER,
        "workers = 11\npoll-interval = 7\n[copy]\nlist_grace = 1.5\nyes = true\n",
    );
    rig.write("named.toml", "# mine\nworkers = 12\n");
    let show = |before: &str, options: &str| {
        format!("{before} shuffle-aws-vaults config show copy --output json --config named.toml -- {options}")
    };
    let all = "export SHUFFLE_AWS_VAULTS_LIST_GRACE=; unset SHUFFLE_AWS_VAULTS_LIST_GRACE;";
    let (value, origin) = shown(
        &rig,
        &show("SHUFFLE_AWS_VAULTS_WORKERS=13", "--workers 14"),
        "copy",
        "--workers",
    );
    assert_eq!((value, origin.as_str()), ("14".into(), "flag"));
    let (value, origin) = shown(
        &rig,
        &show("SHUFFLE_AWS_VAULTS_WORKERS=13", ""),
        "copy",
        "--workers",
    );
    assert_eq!(
        (value, origin.as_str()),
        ("13".into(), "environment SHUFFLE_AWS_VAULTS_WORKERS")
    );
    let (value, origin) = shown(&rig, &show("", ""), "copy", "--workers");
    assert_eq!((value, origin.as_str()), ("12".into(), "named.toml:2"));
    let (value, origin) = shown(&rig, &show("", ""), "copy", "--poll-interval");
    assert_eq!(value, "7");
    assert!(
        origin.ends_with("/.config/shuffle-aws-vaults/config.toml:2"),
        "{origin}"
    );
    let (value, origin) = shown(&rig, &format!("{all} {}", show("", "")), "copy", "--list-grace");
    assert_eq!(value, "1.5");
    assert!(origin.ends_with("config.toml:4"), "{origin}");
    let (value, origin) = shown(&rig, &show("", ""), "copy", "--yes");
    assert_eq!(value, "true");
    assert!(origin.ends_with("config.toml:5"), "{origin}");
    let (value, origin) = shown(&rig, &show("", ""), "copy", "--drain-minutes");
    assert_eq!((value, origin.as_str()), ("0".into(), "default"));
    let none = show("", "").replace("--config named.toml", "--no-config");
    let (value, origin) = shown(&rig, &none, "copy", "--workers");
    assert_eq!((value, origin.as_str()), ("10".into(), "default"));
}

#[test]
fn a_run_goes_by_its_files_and_is_resumed_by_them() {
    let rig = rig();
    rig.write(USER, "source-account = '123456789012'\ndest-account = '987654321098'\n[copy]\nvault = ['v1', 'v2']\npoll-interval = 0.1\n[verify]\nvault = ['v1']\n");
    let done = rig.run("shuffle-aws-vaults copy && shuffle-aws-vaults copy --resume && shuffle-aws-vaults verify && shuffle-aws-vaults --quiet list | grep -c v");
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(10);
    assert_eq!(rig.states().len(), 2);
    // What is typed takes the place of the file's, lists too.
    let done = rig.run("shuffle-aws-vaults copy --vault v2");
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(4);
    // What cannot stand beside it as well.
    let done = rig.run("shuffle-aws-vaults copy --all-vaults");
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(10);
}

#[test]
fn mistakes_are_told_with_file_line_and_the_nearest_name() {
    let rig = rig();
    for (text, wanted) in [
        (
            "wokers = 3\n",
            "line 1: no command has an option --wokers\n  Help: did you mean `workers`",
        ),
        (
            "\n[copy]\nvualt = 'x'\n",
            "line 3: copy has no option --vualt\n  Help: did you mean `vault`",
        ),
        (
            "[cpoy]\nworkers = 1\n",
            "line 2: [cpoy] is no command\n  Help: did you mean `copy`",
        ),
        ("workers = \n", "line 1: "),
        ("workers = 3\nworkers = 4\n", "line 2: "),
        ("[copy]\nyes = 'maybe'\n", "line 2: `yes` is on or off"),
        (
            "[copy]\nvault = [['v1']]\n",
            "line 2: `vault` is neither a value nor a list of values",
        ),
        ("config = 'x'\n", "no command has an option --config"),
        (
            "workers = 99\n",
            "invalid value '99' for '--workers <NUM>': it must be a whole number from 1 to 50",
        ),
        (
            "workers = 99\n",
            "--workers is set in the configuration file c.toml, line 1",
        ),
        (
            "[copy]\nresume = true\nreset = true\n",
            "Cannot use both flags together",
        ),
        ("[copy]\nvault = 'v1'\nall-vaults = true\n", "cannot be used with"),
    ] {
        rig.write("c.toml", text);
        let vault = if text.contains("all-vaults") {
            ""
        } else {
            "--vault v1"
        };
        let done = rig.run(&format!(
            "shuffle-aws-vaults copy {ACCOUNTS} {vault} --config c.toml"
        ));
        assert_eq!(done.code, 1, "{text}: {}", done.stderr);
        assert!(done.stderr.contains(wanted), "{text}: {}", done.stderr);
        assert_eq!(done.calls("StartCopyJob"), 0);
    }
    let done = rig.run(&format!(
        "shuffle-aws-vaults copy {ACCOUNTS} --vault v1 --config none.toml"
    ));
    assert_eq!(done.code, 1);
    assert!(
        done.stderr.contains("read the configuration file none.toml"),
        "{}",
        done.stderr
    );
    // Not even a broken one stands in the way of help.
    let done = rig.run(&format!(
        "echo broken > ~/{USER}; shuffle-aws-vaults copy; echo $?
         for arguments in --version --help 'copy --help' '--no-config copy --help'; do shuffle-aws-vaults $arguments > /dev/null; echo $?; done"
    ));
    assert_eq!(done.stdout, "1\n0\n0\n0\n0\n", "{}", done.stderr);
}

#[test]
fn every_command_is_shown_and_no_secret() {
    let rig = rig();
    let done = rig.run("shuffle-aws-vaults config show --output ndjson");
    assert_eq!(done.code, 0, "{}", done.stderr);
    for command in [
        "list", "filter", "copy", "verify", "status", "failures", "simulate",
    ] {
        assert!(
            done.stdout.contains(&format!("{{\"command\":\"{command}\"")),
            "{command}"
        );
    }
    rig.write("c.toml", "external-id = 'hush'\n");
    let done = rig.run("SHUFFLE_AWS_VAULTS_EXTERNAL_ID=sesame shuffle-aws-vaults config show copy; shuffle-aws-vaults config show verify --config c.toml");
    assert!(
        !done.stdout.contains("hush") && !done.stdout.contains("sesame"),
        "{}",
        done.stdout
    );
    assert!(done.stdout.contains("(hidden)"), "{}", done.stdout);
    let done = rig.run("shuffle-aws-vaults config show cpy");
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("did you mean `copy`?"), "{}", done.stderr);
}
