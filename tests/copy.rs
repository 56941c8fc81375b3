//! `copy` and `verify` through the binary.

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
use serde_json::Value;

fn copy(more: &str) -> String {
    format!("shuffle-aws-vaults copy {ACCOUNTS} --poll-interval 0.1 {more}")
}

fn verify(more: &str) -> String {
    format!("shuffle-aws-vaults verify {ACCOUNTS} {more}")
}

const QUICK: &str = "--vault v1=60 --job-seconds 0.05-0.2";

#[test]
fn everything_is_copied_once_and_verified() {
    let rig = Rig::new(QUICK);
    let done = rig.run(&format!(
        "{} && {} && {} --output json",
        copy("--vault v1 --summary-output s.json"),
        copy("--vault v1 --summary-output again.json"),
        verify("")
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(60);
    assert_eq!(done.calls("StartCopyJob"), 60, "the second copy starts nothing");
    let first = json(&rig.path("s.json"));
    assert_eq!(first["completed"], 60);
    assert_eq!(first["success_rate"], 100.0);
    assert_eq!(first["exit_code"], 0);
    let again = json(&rig.path("again.json"));
    assert_eq!(again["skipped"], 60);
    assert_eq!(again["skipped_by_reason"]["already_copied"], 60);
    let verified: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(verified["complete"], true);
    assert_eq!(verified["vaults"][0]["matched"], 60);
    assert_eq!(verified["vaults"][0]["extra"], 0);
}

#[test]
fn the_summary_has_every_field_of_the_guide() {
    let rig = Rig::new(&format!("{QUICK} --fail-share 1 --fail-message Nope"));
    let done = rig.run(&copy("--vault v1 --no-circuit-breaker --summary-output s.json"));
    assert_eq!(done.code, 1, "{}", done.stderr);
    let summary = json(&rig.path("s.json"));
    for field in [
        "total_items",
        "completed",
        "failed",
        "skipped",
        "in_progress",
        "duration_seconds",
        "duration_formatted",
        "start_time",
        "end_time",
        "success_rate",
        "throughput_per_hour",
        "failures",
    ] {
        assert!(!summary[field].is_null(), "{field}");
    }
    assert_eq!(summary["failed"], 60);
    let failure = &summary["failures"][0];
    assert_eq!(failure["error_message"], "Nope");
    assert_eq!(failure["error_code"], "CopyJobFailed");
    assert!(failure["recovery_point_arn"].is_string() && failure["timestamp"].is_string());
    assert_eq!(summary["failure_groups"][0]["count"], 60);
}

#[test]
fn verify_misses_a_copy_that_was_removed() {
    let rig = Rig::new(QUICK);
    // DeleteRecoveryPoint, signed by nobody: the simulator looks at the access key only.
    let delete = r#"
        arn=$(jq -r '.items[0].destination_recovery_point_arn' $HOME/.shuffle-aws-vaults/*.json | sed 's/:/%3A/g; s,/,%2F,g')
        curl -sf -X DELETE -H "Authorization: AWS4-HMAC-SHA256 Credential=AKIA987654321098SIMS/20260101/us-east-1/backup/aws4_request" \
            $AWS_ENDPOINT_URL/backup-vaults/v1/recovery-points/$arn"#;
    if std::process::Command::new("jq")
        .arg("--version")
        .output()
        .is_err()
        || std::process::Command::new("curl")
            .arg("--version")
            .output()
            .is_err()
    {
        // Without the two tools nothing can be removed; the pure tests of `verify` cover the rest.
        return;
    }
    let done = rig.run(&format!(
        "{} && {delete}\n{} --missing-output m.csv",
        copy("--vault v1"),
        verify("")
    ));
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert_eq!(done.calls("DeleteRecoveryPoint"), 1);
    assert!(
        done.stdout.contains("Incomplete: 1 recovery points are missing"),
        "{}",
        done.stdout
    );
    let missing = std::fs::read_to_string(rig.path("m.csv")).unwrap();
    assert_eq!(missing.lines().count(), 2, "{missing}");
}

#[test]
fn verify_without_any_copy_misses_all() {
    let done = Rig::new("--vault v1=3").run(&verify("--vault v1"));
    assert_eq!(done.code, 1);
    assert!(done.stdout.contains("Missing: 3"), "{}", done.stdout);
}

#[test]
fn a_dry_run_changes_nothing() {
    let rig = Rig::new("--vault v1=9 --include-uncopyable");
    let done = rig.run(&copy("--vault v1 --dry-run --output json"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let plan: Value = serde_json::from_str(&done.stdout).unwrap();
    let vault = &plan["vaults"][0];
    assert_eq!(vault["to_copy"], 10, "nine, and the composite");
    let skipped = vault["skipped"].as_array().unwrap();
    let reasons: Vec<&str> = skipped.iter().map(|s| s["reason"].as_str().unwrap()).collect();
    let all = [
        "aws_managed_key",
        "child_of_composite",
        "cold",
        "continuous",
        "not_completed",
        "unsupported_type",
    ];
    assert_eq!(reasons, all);
    assert_eq!(done.calls("StartCopyJob") + done.calls("CreateBackupVault"), 0);
    assert!(rig.states().is_empty());
}

#[test]
fn a_job_that_is_under_way_is_one_for_its_own_vault_only() {
    let rig = Rig::new("--vault v1=5 --types EFS --job-seconds 600");
    let plan = |more: &str| {
        copy(&format!(
            "--vault v1 --state-file p.json --dry-run --output json {more}"
        ))
    };
    let done = rig.run(&format!(
        "timeout -s INT 3 {}; {} > same.json && {} > other.json",
        copy("--vault v1"),
        plan(""),
        plan("--dest-vault v2")
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let started = done.calls("StartCopyJob");
    assert!(started > 0, "{}", done.stderr);
    for (file, under_way) in [("same.json", started), ("other.json", 0)] {
        let vault = &json(&rig.path(file))["vaults"][0];
        assert_eq!(vault["under_way"], under_way, "{file}: {vault}");
        assert_eq!(vault["to_copy"], 5 - under_way, "{file}: {vault}");
    }
}

#[test]
fn a_destination_that_may_not_be_read_is_told_and_one_that_cannot_be_read_is_not_taken_for_empty() {
    let (jobs, points) = (
        "cannot look for copy jobs that are under way already",
        "cannot read the destination vault",
    );
    let begun = Rig::new("--vault v1=3 --job-seconds 600");
    let left = begun.run(&format!(
        "set -m; {} & pid=$!; until_calls StartCopyJob 1; kill -INT $pid; wait $pid",
        copy("--vault v1 --state-file s.json")
    ));
    assert!(begun.path("s.json").exists(), "{}", left.stderr);
    for (faults, code, told) in [
        ("--deny ListCopyJobs", 0, Some(jobs)),
        ("--fault ValidationException:ListCopyJobs=1", 1, None),
        // A run that is gone on with does not list the source, which is denied here as well.
        ("--deny ListRecoveryPointsByBackupVault", 0, Some(points)),
        (
            "--fault ValidationException:ListRecoveryPointsByBackupVault=1",
            1,
            None,
        ),
    ] {
        let rig = Rig::new(&format!("--vault v1=3 {faults}"));
        std::fs::copy(begun.path("s.json"), rig.path("s.json")).unwrap();
        let done = rig.run(&copy("--vault v1 --state-file s.json --resume --dry-run"));
        assert_eq!(done.code, code, "{faults}: {}", done.stderr);
        for words in [jobs, points] {
            assert_eq!(
                done.stderr.contains(words),
                told == Some(words),
                "{faults}: {}",
                done.stderr
            );
        }
    }
}

#[test]
fn only_what_the_filters_select_is_copied() {
    let rig = Rig::new("--vault v1=10 --resources 5 --types DynamoDB --job-seconds 0.05");
    rig.write(
        "m.csv",
        "resourceArn,APMID\narn:aws:dynamodb:us-east-1:123456789012:table/table-v1-00001,APP1\n",
    );
    let filter = "--vault v1 --allowed-apmids APP1 --metadata-csv m.csv";
    let done = rig.run(&format!(
        "{} --summary-output s.json && {}",
        copy(filter),
        verify(filter)
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(2);
    assert_eq!(json(&rig.path("s.json"))["skipped_by_reason"]["no_metadata"], 8);
}

#[test]
fn several_vaults_are_one_run_with_a_state_each() {
    let rig = Rig::new("--vault v1=10 --vault v2=10 --job-seconds 0.05-0.1");
    let done = rig.run(&copy("--vault v1 --vault v2 --summary-output s.json"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(20);
    assert_eq!(rig.states().len(), 2);
    let summary = json(&rig.path("s.json"));
    assert_eq!(summary["vaults"].as_array().unwrap().len(), 2);
    assert_eq!(summary["total_items"], 20);
}

#[test]
fn throttling_lost_answers_and_errors_fail_nothing_and_double_nothing() {
    let rig = Rig::new(
        "--vault v1=80 --job-seconds 0.05-0.2 --throttle-share 0.1 --error-share 0.05 --lost-answer-share 0.2 --random-seed 7",
    );
    let done = rig.run(&format!(
        "{} && {}",
        copy("--vault v1 --summary-output s.json"),
        verify("")
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(80);
    let summary = json(&rig.path("s.json"));
    assert!(summary["throttles"].as_u64().unwrap() > 0);
    assert!(done.stderr.contains("Transient error: "), "{}", done.stderr);
}

#[test]
fn a_quota_is_waited_for() {
    let rig = Rig::new("--vault v1=30 --job-seconds 0.1-0.2 --max-jobs 4");
    let done = rig.run(&copy("--vault v1 --workers 20"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(30);
}

#[test]
fn a_quota_of_one_type_does_not_hold_up_the_others() {
    for in_flight in ["20", "auto"] {
        let rig = Rig::new("--vault v1=60 --types EFS,EBS --job-seconds 0.2-0.3 --max-jobs EBS+EC2=2");
        let key = "arn:aws:kms:us-east-1:987654321098:key/1";
        let options = format!("--vault v1 --max-in-flight {in_flight} --dest-kms-key-arn {key}");
        let done = rig.run(&copy(&options));
        assert_eq!(done.code, 0, "{}", done.stderr);
        done.assert_copied_once(60);
        let mut ends: Vec<(&str, bool)> = done.ledger["copies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|job| {
                (
                    job["completed"].as_str().unwrap(),
                    job["resource_arn"].as_str().unwrap().contains(":volume/"),
                )
            })
            .collect();
        ends.sort_unstable();
        let last_of_efs = ends.iter().rposition(|(_, is_ebs)| !is_ebs).unwrap();
        let ebs_before = ends
            .iter()
            .take(last_of_efs)
            .filter(|(_, is_ebs)| *is_ebs)
            .count();
        assert!(ebs_before <= 15, "{ebs_before} of 30, {in_flight} in flight");
    }
}

#[test]
fn one_cause_for_all_stops_the_run_and_names_the_fix() {
    let rig = Rig::new(QUICK);
    let rig = Rig { sim: [rig.sim.clone(), vec!["--fail-share".into(), "1".into(), "--fail-message".into(),
        "Copy job failed. Both source and destination account must be a member of the same organization.".into()]].concat(), ..rig };
    let done = rig.run(&copy("--vault v1 --summary-output s.json"));
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.calls("StartCopyJob") < 40, "{}", done.calls("StartCopyJob"));
    assert!(done.stderr.contains("same AWS organization"), "{}", done.stderr);
    assert_eq!(
        json(&rig.path("s.json"))["stop_reason"],
        "every copy job fails for the same cause"
    );
}

#[test]
fn failed_points_are_tried_again_on_demand() {
    let rig = Rig::new("--vault v1=20 --job-seconds 0.05 --fail-share 0.3 --fail-message Nope");
    let script = format!(
        "{}; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do {} && exit 0; done; exit 9",
        copy("--vault v1"),
        copy("--vault v1 --resume --retry-failed")
    );
    let done = rig.run(&script);
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(20);
}

#[test]
fn types_that_need_a_key_of_the_customer_ask_for_it() {
    let rig = Rig::new("--vault v1=4 --types EBS --job-seconds 0.05");
    let done = rig.run(&copy("--vault v1"));
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("--dest-kms-key-arn"), "{}", done.stderr);
    assert_eq!(done.calls("CreateBackupVault"), 0);
    let key = "--dest-kms-key-arn arn:aws:kms:us-east-1:987654321098:key/1";
    let done = rig.run(&copy(&format!("--vault v1 {key}")));
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(4);
}

#[test]
fn quiet_and_machine_readable_output() {
    let rig = Rig::new("--vault v1=5 --job-seconds 0.05");
    let done = rig.run(&copy("--vault v1 --output json -q"));
    let summary: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(summary["completed"], 5);
    assert_eq!(
        done.stderr
            .lines()
            .filter(|l| !l.contains("simulated AWS"))
            .count(),
        1,
        "{}",
        done.stderr
    );
}

#[test]
fn secrets_are_never_logged() {
    let rig = Rig::new("--vault v1=3 --job-seconds 0.05");
    let done = rig.run(&format!(
        "RUST_LOG=trace {}",
        copy("--vault v1 -v --log-file l.txt --external-id CANARY")
    ));
    let log = std::fs::read_to_string(rig.path("l.txt")).unwrap();
    assert!(log.contains("StartCopyJob"), "{log}");
    for text in [&done.stderr, &log] {
        assert!(!text.contains("simulated-secret") && !text.contains("SIMTOKEN") && !text.contains("CANARY"));
    }
}

#[test]
fn a_locked_vault_with_another_range_is_refused_before_anything_starts() {
    let rig = Rig::new("--vault v1=4 --job-seconds 0.05 --seed-file seed.json");
    let seed = format!("{}/seed.json", rig.home.path().display());
    let rig = Rig {
        sim: rig
            .sim
            .iter()
            .map(|o| if o == "seed.json" { seed.clone() } else { o.clone() })
            .collect(),
        ..rig
    };
    rig.write(
        "seed.json",
        r#"{"vaults": [{"Account": "987654321098", "BackupVaultName": "v1", "Locked": true, "MinRetentionDays": 7, "MaxRetentionDays": 100}]}"#,
    );
    let done = rig.run(&copy("--vault v1"));
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(
        done.stderr
            .contains("takes retentions of 7 to 100 days, and 4 recovery points"),
        "{}",
        done.stderr
    );
    assert_eq!(
        done.calls("StartCopyJob") + done.calls("PutBackupVaultAccessPolicy"),
        0
    );
    let done = rig.run(&copy("--vault v1 --retention days=30"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(4);
}
