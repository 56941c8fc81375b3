//! The scripts of docs/examples, as docs/running-at-scale.md has them run: several runs from one list, stopped,
//! killed, and run again by their exit codes.

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

use std::collections::BTreeSet;
use std::path::Path;

use common::console::{blocks, works_as_shown};
use common::{Done, Rig, json, side_by_side};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples");

const RUNS: &str = "\
# name     options

orders     --source-account 123456789012 --vault orders
billing    --source-account 123456789012 --vault billing --dest-vault billing-copies
  archive  --source-account 123456789012 --vault archive";

/// What a job definition would set, and the scripts.
fn prelude() -> String {
    format!(
        "run_one={EXAMPLES}/run-one.sh until_done={EXAMPLES}/until-done.sh
         export RUNS_FILE=runs.txt STATE_DIRECTORY=$HOME/state PAUSE_SECONDS=0
         export SHUFFLE_AWS_VAULTS_DEST_ACCOUNT=987654321098 SHUFFLE_AWS_VAULTS_POLL_INTERVAL=0.1
         # A program that a script has lost must not outlive the test.
         export SHUFFLE_AWS_VAULTS_MAX_RUNTIME_MINUTES=2\n"
    )
}

fn run(rig: &Rig, script: &str) -> Done {
    rig.write("runs.txt", RUNS);
    rig.run(&format!("{}{script}", prelude()))
}

/// A simulator with the three vaults of the list.
fn three_vaults(job_seconds: &str) -> Rig {
    Rig::new(&format!(
        "--vault orders=30 --vault billing=20 --vault archive=10 --job-seconds {job_seconds}"
    ))
}

#[test]
fn each_index_is_stopped_and_run_again_and_nothing_is_copied_twice() {
    let rig = three_vaults("0.5-1");
    // As Kubernetes and AWS Batch do it: 2 is run again, anything else is the end. The first attempts
    // are stopped by SIGTERM while jobs are in flight.
    let done = run(
        &rig,
        r#"
        index() { # VARIABLE INDEX NAME
          env "$1=$2" "$run_one" & pid=$!
          until [ -e "state/$3/state.json" ]; do sleep 0.05; done
          until_calls StartCopyJob $((5 + 10 * $2)); kill -TERM $pid; wait $pid; code=$?
          echo "$2: $code"
          while [ $code = 2 ]; do env "$1=$2" "$run_one"; code=$?; done
          echo "$2: $code"
        }
        index JOB_COMPLETION_INDEX 0 orders
        index AWS_BATCH_JOB_ARRAY_INDEX 1 billing &
        index JOB_COMPLETION_INDEX 2 archive &
        wait"#,
    );
    assert_eq!(done.code, 0, "{}", done.stderr);
    for index in 0..3 {
        let of_index = |line: &&str| line.starts_with(&format!("{index}: "));
        let codes: Vec<&str> = done.stdout.lines().filter(of_index).collect();
        assert_eq!(codes.last(), Some(&&*format!("{index}: 0")), "{}", done.stderr);
    }
    assert!(done.stdout.starts_with("0: 2\n"), "{}", done.stdout);
    done.assert_copied_once(60);
    assert_eq!(done.calls("StartCopyJob"), 60, "{}", done.stderr);
    for (name, points) in [("orders", 30), ("billing", 20), ("archive", 10)] {
        let state = json(&rig.path(&format!("state/{name}/state.json")));
        assert_eq!(state["finished"], true, "{name}");
        assert_eq!(state["items"].as_array().unwrap().len(), points, "{name}");
    }
    assert!(summaries(&rig, "orders") >= 2);
}

fn summaries(rig: &Rig, name: &str) -> usize {
    let files = std::fs::read_dir(rig.path(&format!("state/{name}"))).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("summary-")).count()
}

#[test]
fn a_run_that_was_killed_goes_on() {
    let rig = three_vaults("0.2-0.4");
    let done = run(
        &rig,
        r#"
        "$run_one" orders & pid=$!
        until_calls StartCopyJob 15; kill -KILL $pid; wait $pid; echo $?
        "$run_one" orders; echo $?
        "$run_one" orders; echo $?"#,
    );
    assert_eq!(done.stdout, "137\n0\n0\n", "{}", done.stderr);
    done.assert_copied_once(30);
}

#[test]
fn the_loop_goes_on_at_2_and_ends_with_any_other_code() {
    let rig = three_vaults("0.5-1");
    let done = run(
        &rig,
        r#"
        "$until_done" "$run_one" orders & loop=$!
        until_calls StartCopyJob 15; kill -TERM $(pgrep -P $loop); wait $loop; echo $?
        "$until_done" "$run_one" archive --iam-role-arn arn:aws:iam::111122223333:role/elsewhere --skip-preflight; echo $?
        "$until_done" "$run_one" archive --retry-failed; echo $?"#,
    );
    assert_eq!(done.stdout, "0\n1\n0\n", "{}", done.stderr);
    done.assert_copied_once(40);
    assert!(summaries(&rig, "orders") >= 2);
}

/// As Ctrl-C does it, which reaches the whole group.
#[test]
fn a_loop_that_is_stopped_does_not_begin_again() {
    let rig = three_vaults("20");
    let done = run(
        &rig,
        r#"
        set -m
        "$until_done" "$run_one" orders & loop=$!
        until_calls StartCopyJob 10; kill -INT -- -$loop; wait $loop; echo $?"#,
    );
    assert_eq!(done.stdout, "2\n", "{}", done.stderr);
    assert_eq!(summaries(&rig, "orders"), 1);
}

#[test]
fn a_plan_is_shown_and_a_finished_run_can_be_begun_anew() {
    let rig = three_vaults("0.05");
    let done = run(
        &rig,
        r#"
        "$run_one" archive --dry-run; echo $?; ls state/archive
        "$run_one" archive; echo $?
        "$run_one" archive --dry-run; echo $?
        "$run_one" archive --reset; echo $?"#,
    );
    assert!(
        done.stdout.contains("To copy: 10 recovery points"),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout.contains("To copy: 0 recovery points"),
        "{}",
        done.stdout
    );
    let codes: Vec<&str> = done.stdout.lines().filter(|line| line.len() == 1).collect();
    assert_eq!(codes, ["0"; 4], "{}", done.stderr);
    done.assert_copied_once(10);
    assert!(
        rig.path("state/archive/state.json.bak").exists(),
        "{}",
        done.stderr
    );
}

#[test]
fn what_is_wrong_with_list_or_call_is_said_and_ends_with_1() {
    let rig = Rig::new("--vault orders=1");
    rig.write("twice.txt", "a --vault v\n\n# a\na --vault w\n");
    rig.write("above.txt", "../a --vault v\n");
    rig.write("number.txt", "1 --vault v\n");
    rig.write("windows.txt", "a --vault v\r\n");
    rig.write("empty.txt", "# nothing\n");
    for (call, message) in [
        ("\"$run_one\"", "which run? give its name or index"),
        ("\"$run_one\" --dry-run", "which run?"),
        (
            "\"$run_one\" 3",
            "runs.txt has no run 3; it has 3 (indexes from 0): orders billing archive",
        ),
        ("\"$run_one\" order", "has no run order"),
        (
            "RUNS_FILE=none \"$run_one\" 0",
            "the list of runs none cannot be read",
        ),
        ("RUNS_FILE= \"$run_one\" 0", "RUNS_FILE is not set"),
        ("STATE_DIRECTORY= \"$run_one\" 0", "STATE_DIRECTORY is not set"),
        (
            "RUNS_FILE=twice.txt \"$run_one\" 0",
            "twice.txt, line 4: a is there twice",
        ),
        (
            "RUNS_FILE=above.txt \"$run_one\" 0",
            "above.txt, line 1: a name begins with a letter",
        ),
        (
            "RUNS_FILE=number.txt \"$run_one\" 1",
            "number.txt, line 1: a name begins with a letter",
        ),
        (
            "RUNS_FILE=windows.txt \"$run_one\" 0",
            "windows.txt, line 1: it ends as on Windows",
        ),
        (
            "RUNS_FILE=empty.txt \"$run_one\" 0",
            "empty.txt has no run 0; it has 0",
        ),
        (
            "\"$run_one\" orders --workers 0",
            "it must be a whole number from 1 to 50",
        ),
    ] {
        let done = run(&rig, call);
        assert_eq!(done.code, 1, "{call}: {}", done.stderr);
        assert!(done.stderr.contains(message), "{call}: {}", done.stderr);
        assert_eq!(done.calls("StartCopyJob"), 0, "{call}");
    }
}

#[test]
fn every_console_example_of_the_document_works_as_shown() {
    let blocks = blocks(include_str!("../docs/running-at-scale.md"));
    assert!(blocks.len() >= 3, "{}", blocks.len());
    side_by_side(blocks, |block| {
        let rig = Rig::new("--vault orders=20 --vault billing=20 --job-seconds 0.02-0.05");
        let list = ["orders", "billing"].map(|vault| {
            format!("{vault}-us  --source-account 123456789012 --vault {vault} --region us-east-1\n")
        });
        rig.write("runs.txt", &list.concat());
        works_as_shown(&rig, &block, &format!("PATH={EXAMPLES}:$PATH"));
    });
}

fn files(directory: &Path, all: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, all);
        } else {
            all.push(std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// A name that the program does not know would be ignored without a word.
#[test]
fn variables_of_the_examples_are_those_of_options() {
    let mut texts = vec![include_str!("../docs/running-at-scale.md").to_owned()];
    files(Path::new(EXAMPLES), &mut texts);
    let prefix = "SHUFFLE_AWS_VAULTS_";
    let named: BTreeSet<String> = texts
        .iter()
        .flat_map(|text| text.split(prefix).skip(1))
        .map(|rest| {
            rest.split(|c: char| !c.is_ascii_uppercase() && c != '_')
                .next()
                .unwrap()
        })
        .filter(|name| !name.is_empty())
        .map(|name| format!("{prefix}{name}"))
        .collect();
    assert!(named.len() >= 6, "{named:?}");
    let help = Rig::new("").run("shuffle-aws-vaults copy --help").stdout;
    for name in named {
        assert!(help.contains(&format!("[env: {name}=")), "{name}");
    }
}

/// The list that is shipped: its lines are options that the program takes.
#[test]
fn a_run_of_the_shipped_list_works() {
    let rig = Rig::new("--vault orders=10 --job-seconds 0.05");
    let done = run(
        &rig,
        &format!("RUNS_FILE={EXAMPLES}/runs.txt \"$run_one\" orders-us"),
    );
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(10);
}
