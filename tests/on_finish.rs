//! `--on-finish`: the command is told of every end, and changes none.

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

use std::time::{Duration, Instant};

use common::{ACCOUNTS, Rig, json};

fn copy(vault: &str, hook: &str, more: &str) -> String {
    format!(
        "shuffle-aws-vaults copy {ACCOUNTS} --vault {vault} --poll-interval 0.1 --yes --on-finish '{hook}' {more}"
    )
}

const KEEP: &str = "cat > told.json; echo code $SHUFFLE_AWS_VAULTS_EXIT_CODE run $SHUFFLE_AWS_VAULTS_RUN_ID";

#[test]
fn the_command_reads_the_summary_of_every_end() {
    let rig = Rig::new("--vault v1=30 --resources 30 --job-seconds 0.3-0.6");
    let begun = copy("v1", KEEP, "");
    let done = rig.run(&format!(
        "set -m; {begun} & pid=$!; until_calls StartCopyJob 12; kill -INT $pid; wait $pid; echo $?; mv told.json stopped.json
         sleep 1; {begun} --resume; echo $?"
    ));
    assert_eq!(done.stdout, "2\n0\n", "its output is not data: {}", done.stderr);
    let (stopped, told) = (json(&rig.path("stopped.json")), json(&rig.path("told.json")));
    assert_eq!(
        (&stopped["exit_code"], &told["exit_code"]),
        (&2.into(), &0.into())
    );
    assert_eq!(told["completed"], 30);
    let run = told["run_id"].as_str().unwrap();
    for code in [2, 0] {
        assert!(
            done.stderr.contains(&format!("code {code} run {run}\n")),
            "{}",
            done.stderr
        );
    }
    // Of a run that came to nothing too.
    let done = rig.run(&copy("nowhere", KEEP, ""));
    assert_eq!(done.code, 1);
    let told = json(&rig.path("told.json"));
    assert_eq!(told["exit_code"], 1);
    assert!(
        told["stop_reason"]
            .as_str()
            .unwrap()
            .contains("`nowhere` does not exist"),
        "{told}"
    );
    // A plan ends nothing.
    std::fs::remove_file(rig.path("told.json")).unwrap();
    assert_eq!(rig.run(&copy("v1", KEEP, "--dry-run")).code, 0);
    assert!(!rig.path("told.json").exists());
}

#[test]
fn whatever_becomes_of_the_command_the_exit_code_stays() {
    for (hook, warning) in [
        ("true", ""),
        ("exec <&-; sleep 0.2", ""),
        (
            "exit 7",
            "WARNING: --on-finish: `exit 7` ended with exit status: 7",
        ),
        ("kill -9 $$", "ended with signal: 9"),
        ("no-such-command", "ended with exit status: 127"),
    ] {
        let rig = Rig::new("--vault v1=3 --job-seconds 0.05");
        let done = rig.run(&copy("v1", hook, ""));
        assert_eq!(done.code, 0, "{hook}: {}", done.stderr);
        assert!(done.stderr.contains(warning), "{hook}: {}", done.stderr);
        assert_eq!(
            done.stderr.contains("--on-finish: "),
            !warning.is_empty(),
            "{hook}: {}",
            done.stderr
        );
    }
}

#[test]
fn one_that_takes_too_long_is_ended_with_all_that_it_has_begun() {
    let rig = Rig::new("--vault v1=3 --job-seconds 0.05");
    let began = Instant::now();
    let hook = "trap \"\" TERM; sleep 987 & echo $! > child; wait; sleep 987";
    let done = rig.run(&copy("v1", hook, "--on-finish-timeout 0.5; echo $?"));
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
    assert_eq!(done.stdout, "0\n");
    assert!(
        done.stderr
            .contains("was ended, as it took longer than 0.5 s (--on-finish-timeout)"),
        "{}",
        done.stderr
    );
    let child = std::fs::read_to_string(rig.path("child")).unwrap();
    let state = std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
}

#[test]
fn a_signal_ends_it_at_once() {
    let rig = Rig::new("--vault v1=3 --job-seconds 0.05");
    let began = Instant::now();
    let run = copy("v1", "touch begun; sleep 987", "");
    let done = rig.run(&format!(
        "set -m; {run} & pid=$!; until [ -e begun ]; do sleep 0.05; done; kill -TERM $pid; wait $pid; echo $?"
    ));
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
    assert_eq!(done.stdout, "0\n", "all was done before: {}", done.stderr);
    assert!(done.stderr.contains("was ended by a signal"), "{}", done.stderr);
}
