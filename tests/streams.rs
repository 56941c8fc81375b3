//! Output that nobody takes: closed, full, or left in the middle. Copies go on, and exit codes stay
//! true.

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

use common::{ACCOUNTS, Rig, json, side_by_side};

const SIM: &str = "--vault v1=30 --job-seconds 0.2";

fn copy(more: &str) -> String {
    format!("shuffle-aws-vaults copy {ACCOUNTS} --vault v1 --poll-interval 0.1 {more}")
}

#[test]
fn copies_go_on_whatever_becomes_of_stderr_and_stdout() {
    side_by_side(
        [
            ">&-",
            "--output json > >(true)",
            "2>&-",
            ">&- 2>&- <&-",
            "2>/dev/full",
            "-v --progress json --progress-interval 0.01 2> >(head -n 1 >/dev/null)",
            "--log-file /dev/full 2> >(head -n 1 >/dev/null)",
            "-v --log-file /dev/full --log-format json 2>/dev/full",
        ],
        |streams| {
            let rig = Rig::new(SIM);
            let done = rig.run(&format!("{} ; echo $? > code", copy(streams)));
            let code = std::fs::read_to_string(rig.path("code")).unwrap();
            assert_eq!(code, "0\n", "{streams}: {}", done.stderr);
            done.assert_copied_once(30);
        },
    );
}

#[test]
fn a_log_file_that_cannot_be_written_is_told_of_once() {
    let done = Rig::new(SIM).run(&copy("--log-file /dev/full"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let told = done.stderr.matches("the log file cannot be written").count();
    assert_eq!(told, 1, "{}", done.stderr);
}

#[test]
fn a_summary_that_cannot_be_printed_is_still_written() {
    let rig = Rig::new(SIM);
    let done = rig.run(&copy("--output json --summary-output s.json >/dev/full"));
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(
        done.stderr.contains("write to standard output"),
        "{}",
        done.stderr
    );
    assert_eq!(json(&rig.path("s.json"))["completed"], 30);
}

#[test]
fn a_reader_that_has_gone_does_not_hide_failures() {
    let rig = Rig::new("--vault v1=4 --job-seconds 0.1 --fail-share 1");
    let script = copy("--output json --no-circuit-breaker > >(true); echo $? > code");
    let done = rig.run(&script);
    let code = std::fs::read_to_string(rig.path("code")).unwrap();
    assert_eq!(code, "1\n", "{}", done.stderr);
}

#[test]
fn listings_say_that_they_could_not_be_written() {
    let rig = Rig::new(SIM);
    for command in ["list", "list --vault v1 --output json"] {
        let done = rig.run(&format!(
            "shuffle-aws-vaults {command} --source-account 123456789012 >/dev/full"
        ));
        assert_eq!(done.code, 1, "{command}");
        assert!(
            done.stderr.contains("write to standard output"),
            "{}",
            done.stderr
        );
    }
    let done = rig.run(
        "shuffle-aws-vaults list --vault v1 --output ndjson --source-account 123456789012 > >(head -n 1); echo $?",
    );
    assert!(done.stdout.contains("0\n"), "{}", done.stdout);
    assert!(!done.stderr.contains("ERROR"), "{}", done.stderr);
}

/// Every line, whoever says it: log, plan, progress, failures, closing lines, an error, a signal.
#[test]
fn with_json_logs_every_line_of_stderr_is_an_object() {
    let rig = Rig::new(
        "--vault v1=40 --vault v2=3 --resources 20 --job-seconds 0.3 --fail-share 0.3 --random-seed 3",
    );
    let copy = format!("shuffle-aws-vaults copy {ACCOUNTS} --poll-interval 0.1 --log-format json 2>>err");
    let script = format!(
        "set -m
         {copy} --vault v1,v2 --summary-output s.json & pid=$!; until_calls StartCopyJob 12; kill -INT $pid; wait $pid
         {copy} --vault v1,v2 --resume --progress bar --progress-interval 0.1 -v
         {copy} --vault nowhere --failed-out f --on-finish 'echo told; printf \"\\033[2Jbadly\" >&2; sleep 60 & exit 3'
         {copy} --vault v1 --resume --reset
         {copy} --vault v1 --progress plain --quiet; true"
    );
    let done = rig.run(&script);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let text = std::fs::read_to_string(rig.path("err")).unwrap();
    let mut said = Vec::new();
    for line in text.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(object["timestamp"].is_string(), "{line}");
        assert!(
            object["level"].is_string() != object["event"].is_string(),
            "{line}"
        );
        said.push(object);
    }
    for (member, text) in [
        ("message", "Vault v1 -> "),
        ("message", "Interrupted by a signal"),
        ("message", "Total: 43 items"),
        ("message", "To go on, run"),
        ("message", "Failed to copy recovery point"),
        ("message", "the backup vault `nowhere` does not exist"),
        ("help", "list the vaults with"),
        ("message", "told"),
        ("message", "\u{1b}[2Jbadly"),
        ("message", "ended with exit status: 3"),
        ("message", "Cannot use both flags together"),
        ("event", "progress"),
        ("event", "finished"),
    ] {
        let is_said =
            |object: &serde_json::Value| object[member].as_str().is_some_and(|said| said.contains(text));
        assert!(
            said.iter().any(is_said),
            "{text}: {:#?}",
            said.iter().map(ToString::to_string).collect::<Vec<_>>()
        );
    }
}
