//! Signals, kill -9, runtime limit, and what --resume makes of them.

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

use common::{ACCOUNTS, Rig, json, side_by_side};

const SIM: &str = "--vault v1=60 --job-seconds 0.3-0.6";

fn copy(more: &str) -> String {
    format!("shuffle-aws-vaults copy {ACCOUNTS} --vault v1 --poll-interval 0.1 {more}")
}

/// Starts a copy, sends a signal after a while, and answers its code on stdout.
fn interrupted(signal: &str, after: f32, more: &str) -> String {
    format!(
        "{} & pid=$!; sleep {after}; kill -{signal} $pid; wait $pid; echo $?",
        copy(more)
    )
}

/// Sends it as soon as so many starts were sent, and not after a time that a busy machine may need to begin.
fn interrupted_at(signal: &str, starts: u32, more: &str) -> String {
    format!(
        "{} & pid=$!; until_calls StartCopyJob {starts}; kill -{signal} $pid; wait $pid; echo $?",
        copy(more)
    )
}

#[test]
fn signals_end_with_2_and_the_command_that_goes_on() {
    side_by_side(["INT", "TERM", "HUP"], |signal| {
        let rig = Rig::new("--vault v1=60 --job-seconds 5");
        // A script's background jobs ignore SIGINT unless they are given a group of their own.
        let began = Instant::now();
        let done = rig.run(&format!(
            "set -m; {}",
            interrupted_at(signal, 10, "--summary-output s.json")
        ));
        assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
        assert_eq!(done.stdout, "2\n", "{signal}: {}", done.stderr);
        let summary = json(&rig.path("s.json"));
        let command = summary["resume_command"].as_str().unwrap();
        assert!(
            command.ends_with("--resume") && done.stderr.contains(command),
            "{}",
            done.stderr
        );
        assert_eq!(summary["stop_reason"], "interrupted by a signal");
        let states = rig.states();
        assert_eq!(states.len(), 1, "one document, no journal, no lock: {states:?}");
        assert_eq!(json(&states[0])["finished"], false);
    });
}

#[test]
fn the_printed_command_finishes_without_a_second_copy() {
    let rig = Rig::new(SIM);
    let script = format!(
        "set -m; {}; eval \"$(jq -r .resume_command s.json 2>/dev/null || echo '{}')\"",
        interrupted_at("INT", 15, "--summary-output s.json"),
        copy("--resume")
    );
    let done = rig.run(&script);
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(60);
    assert_eq!(done.calls("StartCopyJob"), 60, "no job was started twice");
    assert_eq!(json(&rig.states()[0])["finished"], true);
}

#[test]
fn killed_at_many_moments_and_resumed_nothing_is_lost_or_doubled() {
    let rig = Rig::new("--vault v1=60 --job-seconds 0.1-0.3 --lost-answer-share 0.1");
    let resume = "$([ -n \"$(ls $HOME/.shuffle-aws-vaults/*.json 2>/dev/null)\" ] && echo --resume)";
    // A busy machine may need most of these to get as far as to have a state.
    let kills: Vec<String> = [0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 1.0, 1.5]
        .iter()
        .map(|after| interrupted("KILL", *after, resume))
        .collect();
    let kills = kills.join("; ");
    let done = rig.run(&format!("{kills}; {}", copy(resume)));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stdout.lines().filter(|l| *l == "137").count() >= 5,
        "{}",
        done.stdout
    );
    done.assert_copied_once(60);
    assert_eq!(rig.states().len(), 1, "{:?}", rig.states());
}

#[test]
fn a_second_signal_leaves_at_once() {
    let rig = Rig::new("--vault v1=60 --job-seconds 30");
    let script = format!(
        "set -m; {} & pid=$!; until_calls StartCopyJob 10; kill -INT $pid; sleep 0.3
         at=$(date +%s%N); kill -INT $pid; wait $pid; echo $? $(( ($(date +%s%N) - at) / 1000000 ))",
        copy("--drain-minutes 5")
    );
    let done = rig.run(&script);
    let (code, milliseconds) = done.stdout.trim().split_once(' ').unwrap();
    assert_eq!(code, "2", "{}", done.stderr);
    // It has to be gone long before the jobs are, and how fast the machine begins a run is another matter.
    assert!(milliseconds.parse::<u64>().unwrap() < 2000, "{milliseconds} ms");
}

#[test]
fn draining_waits_for_the_jobs_in_flight() {
    let rig = Rig::new("--vault v1=60 --job-seconds 3");
    let done = rig.run(&format!(
        "set -m; {}",
        interrupted_at("INT", 10, "--drain-minutes 1 --summary-output s.json")
    ));
    assert_eq!(done.stdout, "2\n", "{}", done.stderr);
    let summary = json(&rig.path("s.json"));
    assert_eq!(
        (&summary["in_progress"], &summary["completed"]),
        (&0.into(), &10.into()),
        "{summary}"
    );
}

#[test]
fn options_of_state_are_checked() {
    let rig = Rig::new("--vault v1=6 --vault v2=6 --job-seconds 0.05");
    rig.write("broken.json", "{\"format\": \n");
    rig.write(
        "newer.json",
        "{\"format\": \"shuffle-aws-vaults/state\", \"version\": 99}",
    );
    let copies = format!("{} && ", copy("--state-file s.json"));
    for (script, message) in [
        (copy("--resume --reset"), "Cannot use both flags together"),
        (copy("--resume"), "there is nothing to resume"),
        (
            copy("--resume --state-file none.json"),
            "none.json does not exist",
        ),
        (
            copy("--resume --state-file broken.json"),
            "Failed to load state file: Invalid JSON: broken.json, line 2",
        ),
        (
            copy("--resume --state-file newer.json"),
            "State file version mismatch",
        ),
        (copy("--retry-failed"), "--resume"),
        (
            format!("{copies} shuffle-aws-vaults copy {ACCOUNTS} --vault v2 --state-file s.json --resume"),
            "belongs to another run: vault is v1 in the file and v2 in this run",
        ),
        (
            format!("unset SHUFFLE_AWS_VAULTS_SIMULATED; {}", copy("--workers 51")),
            "it must be a whole number from 1 to 50",
        ),
        (copy("--workers 0"), "it must be a whole number from 1 to 50"),
        (copy("--connect-timeout 0"), "greater than 0"),
        (copy("--max-runtime-minutes 0.5"), "1 or greater"),
    ] {
        let done = rig.run(&script);
        assert_eq!(done.code, 1, "{script}: {}", done.stderr);
        assert!(done.stderr.contains(message), "{script}: {}", done.stderr);
    }
    assert_eq!(
        std::fs::read_to_string(rig.path("broken.json")).unwrap(),
        "{\"format\": \n"
    );
}

#[test]
fn an_unfinished_file_is_not_overwritten_and_reset_keeps_it() {
    let rig = Rig::new(SIM);
    let script = format!(
        "set -m; {}; {}; echo $?; {}; echo $?; ls",
        interrupted_at("INT", 15, "--state-file s.json"),
        copy("--state-file s.json"),
        copy("--state-file s.json --reset")
    );
    let done = rig.run(&script);
    assert!(
        done.stdout.starts_with("2\n1\n0\n"),
        "{} {}",
        done.stdout,
        done.stderr
    );
    assert!(done.stderr.contains("holds an unfinished run"), "{}", done.stderr);
    assert!(done.stdout.contains("s.json.bak"), "{}", done.stdout);
    done.assert_copied_once(60);
}

/// Neither sees the other's jobs in AWS's lists; the tokens are all that keeps them apart.
#[test]
fn two_machines_with_states_of_their_own_copy_nothing_twice_though_starts_are_throttled() {
    let rig = Rig::new(
        "--vault v1=60 --job-seconds 0.3-0.6 --list-lag 60 --fault Throttling:StartCopyJob=0.4 --random-seed 5",
    );
    let done = rig.run(&format!(
        "{} & other=$!; {}; code=$?; wait $other; echo $code $?",
        copy("--state-file a.json"),
        copy("--state-file b.json"),
    ));
    assert_eq!(done.stdout, "0 0\n", "{}", done.stderr);
    done.assert_copied_once(60);
}

#[test]
fn reset_leaves_the_earlier_state_where_it_is_until_a_run_begins() {
    let rig = Rig::new("--vault v1=5 --types EBS --job-seconds 0.05");
    let key = "--dest-kms-key-arn arn:aws:kms:us-east-1:987654321098:key/1";
    let done = rig.run(&copy(key));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let before = rig.states();
    assert_eq!(before.len(), 1);
    // Another simulator: there is no vault yet, and without a key none can be made.
    let done = rig.run(&copy("--reset"));
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("--dest-kms-key-arn"), "{}", done.stderr);
    assert_eq!(rig.states(), before, "{}", done.stderr);
    let done = rig.run(&copy(&format!("--reset {key}")));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let after = rig.states();
    assert_eq!(after.len(), 2, "{after:?}");
    let name = before[0].to_string_lossy();
    assert!(
        after
            .iter()
            .any(|path| *path.to_string_lossy() == *format!("{name}.bak")),
        "{after:?}"
    );
}

#[test]
fn two_at_once_on_one_state_are_refused() {
    let rig = Rig::new("--vault v1=30 --job-seconds 1");
    let done = rig.run(&format!(
        "{} & until_calls StartCopyJob 1; {}; echo $?; wait",
        copy("--state-file s.json"),
        copy("--state-file s.json --resume")
    ));
    assert_eq!(done.stdout, "1\n", "{}", done.stderr);
    assert!(done.stderr.contains("is in use by process"), "{}", done.stderr);
    done.assert_copied_once(30);
}

#[test]
fn a_second_run_of_a_vault_is_told_of_the_first() {
    let rig = Rig::new("--vault v1=30 --job-seconds 2");
    let done = rig.run(&format!(
        "{} & until_calls StartCopyJob 1; {}; wait",
        copy(""),
        copy("--dry-run")
    ));
    let text = " is at work on this vault, with the state file ";
    assert!(done.stderr.contains(text), "{}", done.stderr);
    done.assert_copied_once(30);
}

#[test]
fn a_summary_that_cannot_be_written_does_not_hide_that_work_is_left() {
    let rig = Rig::new("--vault v1=60 --job-seconds 5");
    let done = rig.run(&format!(
        "set -m; {}",
        interrupted_at("INT", 10, "--summary-output none/s.json")
    ));
    assert_eq!(done.stdout, "2\n", "{}", done.stderr);
    assert!(
        done.stderr.contains("write the summary none/s.json"),
        "{}",
        done.stderr
    );
    let done = Rig::new("--vault v1=2 --job-seconds 0.05").run(&copy("--summary-output none/s.json"));
    assert_eq!(done.code, 1, "{}", done.stderr);
}
