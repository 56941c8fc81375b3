//! What a reader of stderr is told: each thing once, with the right numbers, and nothing hidden.

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

use common::{ACCOUNTS, Rig, json};

fn copy(more: &str) -> String {
    format!(
        "timeout -s KILL 200 shuffle-aws-vaults copy {ACCOUNTS} --vault v1 --poll-interval 0.1 --summary-output s.json \
         {more}"
    )
}

#[test]
fn a_fault_that_meets_every_worker_is_shown_three_times_and_counted() {
    let rig = Rig::new("--vault v1=50 --resources 50 --job-seconds 0.05 --fault lost:StartCopyJob=1@0-3");
    let done = rig.run(&copy("--workers 50 --log-file log"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(50);
    let text = "the answer to StartCopyJob was lost";
    let shown = done.stderr.lines().filter(|line| line.contains(text));
    let (counts, lines): (Vec<&str>, Vec<&str>) = shown.partition(|line| line.contains(" times more: "));
    let log = std::fs::read_to_string(rig.path("log")).unwrap();
    let all = log.matches(text).count();
    assert!(all >= 50, "{all}");
    let counted = counts.iter().map(|line| {
        let before = line.split(" times more: ").next().unwrap();
        before.rsplit(' ').next().unwrap().parse::<usize>().unwrap()
    });
    assert_eq!(counted.sum::<usize>() + lines.len(), all, "{}", done.stderr);
    assert!(lines.len() <= 9, "{}", done.stderr);

    let rig = Rig::new("--vault v1=50 --resources 50 --job-seconds 0.05 --fault lost:StartCopyJob=1@0-3");
    let done = rig.run(&copy("--workers 50 -v"));
    assert!(done.stderr.matches(text).count() >= 50, "{}", done.stderr);
}

#[test]
fn the_lines_of_the_guide_are_shown() {
    let rig = Rig::new("--vault v1=5 --fault Throttling:ListRecoveryPointsByBackupVault=1@0-4");
    let done = rig.run(&copy(""));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stderr
            .contains("WARNING: Transient error: Throttling (attempt 1/3)"),
        "{}",
        done.stderr
    );
}

#[test]
fn starts_without_an_answer_are_not_called_copy_jobs() {
    let rig = Rig::new("--vault v1=20 --resources 20 --fault hang:StartCopyJob=1");
    let done = rig.run(&format!(
        "{} & sleep 3; kill -INT $(pgrep -P $!); wait $!",
        copy("--workers 8")
    ));
    assert_eq!(done.code, 2, "{}", done.stderr);
    for text in [
        "no copy job is running, and 8 starts are not answered yet",
        "Left: 12 waiting, 0 running in AWS, 8 started without an answer",
    ] {
        assert!(done.stderr.contains(text), "{text}: {}", done.stderr);
    }
    let summary = json(&rig.path("s.json"));
    assert_eq!(
        (&summary["in_progress"], &summary["unanswered"]),
        (&8.into(), &8.into())
    );
}

#[test]
fn a_failed_call_is_logged_with_its_reason_apart() {
    let rig = Rig::new("--vault v1=2 --job-seconds 0.05");
    let done = rig.run(&copy("-v"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let line = done.stderr.lines().find(|line| line.contains("AWS call failed"));
    let line = line.unwrap_or_else(|| panic!("no call failed: {}", done.stderr));
    assert!(line.contains("AWS call failed operation="), "{line}");
    assert!(line.contains(" reason=Backup vault"), "{line}");
}
