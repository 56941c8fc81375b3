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
