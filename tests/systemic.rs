//! Failures of AWS's own texts: each gets its cause and its fix, those that lie outside of the points
//! stop the run, those that pass fail nothing, and once the cause is mended the rest is copied.

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

use common::{ACCOUNTS, Done, Rig, json};
use serde_json::Value;

/// Copy jobs in flight at most.
const IN_FLIGHT: u64 = 6;
/// Jobs of one systemic cause that end a run at its beginning.
const FIRST: u64 = 5;

const ORGANIZATION: &str =
    "Copy job failed. Both source and destination account must be a member of the same organization.";
const POLICY: &str = "Access Denied trying to call AWS Backup service";

/// Messages whose cause stops a run.
const SYSTEMIC: &[(&str, &str)] = &[
    (ORGANIZATION, "organization"),
    (
        "Access denied: Copy job failed. Both source and destination account must be a member of the same organization.",
        "organization",
    ),
    (
        "COPY JOB FAILED. CROSS-ACCOUNT COPY FEATURE IS NOT ENABLED FOR THE CURRENT ORGANIZATION.",
        "cross_account_opt_in",
    ),
    (POLICY, "vault_policy"),
    (
        "Copy job failed because the destination Backup vault is encrypted with the default Backup service managed key. \
         The contents of this vault cannot be copied.",
        "vault_key",
    ),
    ("The destination vault cannot be the default vault", "vault_key"),
    (
        "Storage Gateway backup copies require a user-created backup vault and key at destination.",
        "vault_key",
    ),
    (
        "Copy job failed. The retention specified in the job is not within the range specified for the target Backup \
         Vault.",
        "lock_range",
    ),
    ("The IAM role cannot be assumed by AWS Backup.", "role"),
    ("Insufficient privileges to perform this action.", "role"),
    ("Failed to unshare snapshot", "role"),
    (
        "You have reached your quota of 50,000 for number of public and private images allowed per Region.",
        "destination_quota",
    ),
];

/// Messages that fail their point and nothing else.
const OF_THE_POINT: &[(&str, &str)] = &[
    ("Given key ID is not accessible.", "source_key"),
    ("KMS key is either disabled or pending deletion", "source_key"),
    (
        "Snapshots encrypted with the AWS Managed CMK can't be shared",
        "source_key",
    ),
    (
        "The source snapshot KMS key does not exist, is not enabled or you do not have permissions to access it",
        "source_key",
    ),
    ("Cannot find recovery point.", "gone"),
    ("The recovery point is no longer available.", "gone"),
    ("Snapshot snap-1 does not exist.", "gone"),
    ("Source AMI ami-1 not found in Region us-west-2", "source_image"),
    ("The option group og-1 does not exist", "option_group"),
    (
        "Images from AWS Marketplace cannot be copied to another AWS account.",
        "unsupported",
    ),
    (
        "Feature is not supported for provided resource type.",
        "unsupported",
    ),
    ("A text of tomorrow.", "other"),
];

/// Messages that pass.
const PASSING: &[&str] = &[
    "There are too many copy jobs running for resource.",
    "Subscriber limit exceeded: copy jobs",
    "You have reached the maximum allowed in-progress snapshots for a single volume.",
];

fn copy(more: &str) -> String {
    format!(
        "timeout -s KILL 200 shuffle-aws-vaults copy {ACCOUNTS} --vault v1 --poll-interval 0.1 --workers 6 \
         --summary-output s.json {more}"
    )
}

fn rig(points: u64, share: &str, messages: &[&str]) -> Rig {
    let mut rig = Rig::new(&format!(
        "--vault v1={points} --resources {points} --job-seconds 0.05 --fail-share {share}"
    ));
    for message in messages {
        rig.sim
            .extend(["--fail-message".to_owned(), (*message).to_owned()]);
    }
    rig
}

fn group<'a>(summary: &'a Value, cause: &str) -> Option<&'a Value> {
    let mut groups = summary["failure_groups"].as_array()?.iter();
    groups.find(|group| group["cause"] == cause)
}

/// The run stopped for one cause: few starts, the fix once, the state whole, the command to go on.
fn assert_stopped(rig: &Rig, done: &Done, cause: &str, points: u64) {
    let stderr = &done.stderr;
    assert_eq!(done.code, 1, "{cause}: {stderr}");
    let summary = json(&rig.path("s.json"));
    // The four before the one that stops the run have each made room for one more.
    let starts = done.calls("StartCopyJob");
    assert!(
        (FIRST..IN_FLIGHT + FIRST).contains(&starts),
        "{cause}: {starts} starts\n{stderr}"
    );
    assert_eq!(summary["exit_code"], 1);
    assert_eq!(summary["stop_reason"], "every copy job fails for the same cause");
    let count = |member: &str| summary[member].as_u64().unwrap();
    assert_eq!(
        count("failed") + count("in_progress") + count("pending"),
        points,
        "{stderr}"
    );
    assert!(count("failed") >= FIRST, "{stderr}");
    assert_eq!(
        summary["failure_groups"].as_array().unwrap().len(),
        1,
        "{summary:#}"
    );
    let group = group(&summary, cause).unwrap_or_else(|| panic!("{cause}: {summary:#}"));
    assert_eq!(group["count"], summary["failed"]);
    let fix = group["fix"].as_str().unwrap();
    assert_eq!(stderr.matches(fix).count(), 1, "the fix once: {stderr}");
    let command = summary["resume_command"].as_str().unwrap();
    assert!(command.ends_with("--resume --retry-failed"), "{command}");
    assert!(stderr.contains(command), "{stderr}");
    let state = json(&rig.states()[0]);
    assert_eq!(
        state["items"].as_array().map_or(points, |all| all.len() as u64),
        points
    );
}

#[test]
fn a_cause_outside_of_the_points_stops_the_run_with_few_starts() {
    for (message, cause) in SYSTEMIC {
        let rig = rig(60, "1", &[message]);
        let done = rig.run(&copy(""));
        assert_stopped(&rig, &done, cause, 60);
        let sample = json(&rig.path("s.json"))["failure_groups"][0]["sample"].clone();
        assert_eq!(sample, *message);
    }
}

/// And none of them does where the operator says so, or if it is of the points.
#[test]
fn failures_of_many_kinds_are_grouped_by_cause_with_sample_and_fix() {
    let all: Vec<_> = SYSTEMIC.iter().chain(OF_THE_POINT).collect();
    let messages: Vec<&str> = all.iter().map(|(message, _)| *message).collect();
    let points = 2 * all.len() as u64;
    let rig = rig(points, "1", &messages);
    let done = rig.run(&copy("--no-circuit-breaker"));
    assert_eq!(done.code, 1, "{}", done.stderr);
    let summary = json(&rig.path("s.json"));
    assert_eq!(summary["failed"], points, "{}", done.stderr);
    assert_eq!(done.calls("StartCopyJob"), points);
    for cause in all.iter().map(|(_, cause)| cause) {
        let texts: Vec<&str> = all.iter().filter(|(_, c)| c == cause).map(|(m, _)| *m).collect();
        let group = group(&summary, cause).unwrap_or_else(|| panic!("{cause}: {summary:#}"));
        assert_eq!(group["count"], 2 * texts.len(), "{cause}: {summary:#}");
        assert!(texts.contains(&group["sample"].as_str().unwrap()), "{group}");
        let fix = group["fix"].as_str().unwrap();
        assert_eq!(done.stderr.matches(fix).count(), 1, "{}", done.stderr);
    }
    let of_message = |message: &str| {
        let failures = summary["failures"].as_array().unwrap();
        let all = failures.iter().filter(|f| f["error_message"] == message);
        all.map(|f| f["cause"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    for (message, cause) in all {
        assert_eq!(of_message(message), [*cause, *cause], "{message}");
    }
    let command = summary["resume_command"].as_str().unwrap();
    assert!(command.ends_with("--resume --retry-failed"), "{command}");
}

#[test]
fn failures_of_points_stop_nothing_however_many_they_are() {
    for message in ["A text of tomorrow.", "Cannot find recovery point."] {
        let rig = rig(60, "1", &[message]);
        let done = rig.run(&copy(""));
        assert_eq!(done.code, 1, "{}", done.stderr);
        let summary = json(&rig.path("s.json"));
        assert_eq!(
            (&summary["failed"], &summary["stop_reason"]),
            (&60.into(), &Value::Null)
        );
        assert_eq!(done.calls("StartCopyJob"), 60);
    }
}

#[test]
fn copies_in_between_begin_the_count_anew() {
    let rig = rig(100, "0.5", &[ORGANIZATION]);
    let done = rig.run(&copy(""));
    assert_eq!(done.code, 1, "{}", done.stderr);
    let summary = json(&rig.path("s.json"));
    assert_eq!(summary["stop_reason"], Value::Null, "{}", done.stderr);
    assert_eq!(summary["pending"], 0);
    let failed = summary["failed"].as_u64().unwrap();
    assert!(failed > 20, "{failed}");
    done.assert_copied_once(100 - failed);
}

#[test]
fn too_many_jobs_never_fail_a_point() {
    let rig = rig(40, "0.6", PASSING);
    let done = rig.run(&copy(""));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(json(&rig.path("s.json"))["failed"], 0);
    assert!(done.calls("StartCopyJob") > 60, "{}", done.calls("StartCopyJob"));
    done.assert_copied_once(40);
}

#[test]
fn faults_inside_of_aws_are_tried_a_few_times_and_a_fatal_one_twice() {
    for (message, cause, attempts) in [
        ("An internal error occurred.", "aws_internal", 4),
        ("Token expired. Try again.", "aws_internal", 4),
        (
            "We are unable to copy resource tags to your backup because of the Internal Failure.",
            "aws_internal",
            4,
        ),
        (
            "Copy job encountered a fatal error. Please contact AWS Support.",
            "fatal",
            2,
        ),
    ] {
        let rig = rig(7, "1", &[message]);
        let done = rig.run(&copy(""));
        assert_eq!(done.code, 1, "{}", done.stderr);
        let summary = json(&rig.path("s.json"));
        assert_eq!(
            group(&summary, cause).map(|g| &g["count"]),
            Some(&7.into()),
            "{summary:#}"
        );
        assert_eq!(done.calls("StartCopyJob"), 7 * attempts, "{message}");
    }
}

#[test]
fn starts_that_are_denied_or_name_a_wrong_role_stop_the_run() {
    let mut denied = rig(60, "0", &[]);
    denied
        .sim
        .extend(["--deny".to_owned(), "StartCopyJob".to_owned()]);
    let done = denied.run(&copy(""));
    assert_stopped(&denied, &done, "access_denied", 60);

    let wrong = rig(60, "0", &[]);
    // A preflight would see it.
    let role = "--iam-role-arn arn:aws:iam::111122223333:role/elsewhere --skip-preflight";
    let done = wrong.run(&copy(role));
    assert_stopped(&wrong, &done, "role", 60);
}

/// A source vault of `kind`, and a destination vault that is there already.
fn seeded(kind: &str, destination: &str) -> Rig {
    let arn = |n: u32| match kind {
        "EBS" => (
            format!("arn:aws:ec2:us-east-1::snapshot/snap-{n:017x}"),
            format!("arn:aws:ec2:us-east-1:123456789012:volume/vol-{n:017x}"),
        ),
        _ => (
            format!("arn:aws:backup:us-east-1:123456789012:recovery-point:00000000-0000-4000-8000-{n:012X}"),
            format!("arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-{n:017x}"),
        ),
    };
    let points: Vec<String> = (0..30)
        .map(|n| {
            let (point, resource) = arn(n);
            format!(
                r#"{{"RecoveryPointArn": "{point}", "ResourceArn": "{resource}", "ResourceType": "{kind}",
                "CreationDate": "2026-01-02T03:04:05Z", "IsEncrypted": true,
                "EncryptionKeyArn": "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555",
                "Lifecycle": {{"DeleteAfterDays": 3000}}}}"#
            )
        })
        .collect();
    let mut rig = Rig::new("--job-seconds 0.05");
    let file = rig.write(
        "seed.json",
        &format!(
            r#"{{"vaults": [{{"Account": "123456789012", "BackupVaultName": "v1", "RecoveryPoints": [{}]}},
            {{"Account": "987654321098", "BackupVaultName": "v1", {destination}}}]}}"#,
            points.join(", ")
        ),
    );
    rig.sim
        .extend(["--seed-file".to_owned(), file.display().to_string()]);
    rig
}

const KEY: &str =
    r#""EncryptionKeyArn": "arn:aws:kms:us-east-1:987654321098:key/11111111-2222-3333-4444-555555555555""#;
const ALLOWS: &str = r#""Policy": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "backup:CopyIntoBackupVault", "Resource": "*"}]}"#;

/// Runs, sees it stop for the cause, mends the cause, and runs again: all is copied, once.
fn stops_and_goes_on(rig: &Rig, cause: &str, first: &str, then: &str) {
    // A job that went on in AWS when the first run stopped may still fail of the old cause: then the
    // command is run once more, as the program says.
    let again = copy(&format!("{then} --resume --retry-failed"));
    let script = format!(
        "{}; echo $?; cp s.json first.json; curl -s $AWS_ENDPOINT_URL/_ledger > first-ledger.json; {again} || {again}",
        copy(first)
    );
    let done = rig.run(&script);
    assert_eq!(done.stdout, "1\n", "{}", done.stderr);
    assert_eq!(done.code, 0, "{cause}: {}", done.stderr);
    let summary = json(&rig.path("first.json"));
    let found = group(&summary, cause).unwrap_or_else(|| panic!("{cause}: {summary:#}"));
    assert!(found["count"].as_u64().unwrap() >= FIRST);
    let starts = json(&rig.path("first-ledger.json"))["calls"]["StartCopyJob"]
        .as_u64()
        .unwrap();
    assert!(starts < IN_FLIGHT + FIRST, "{starts}");
    done.assert_copied_once(30);
}

#[test]
fn a_vault_policy_that_is_mended_lets_the_rest_through() {
    let rig = seeded("EFS", KEY);
    stops_and_goes_on(&rig, "vault_policy", "--skip-dest-setup", "");
}

#[test]
fn a_retention_that_is_mended_lets_the_rest_through() {
    let lock = r#""Locked": true, "MinRetentionDays": 7, "MaxRetentionDays": 1000"#;
    let rig = seeded("EFS", &format!("{KEY}, {ALLOWS}, {lock}"));
    // What the vault's description tells is refused beforehand.
    let done = rig.run(&copy(""));
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(
        done.stderr.contains("takes retentions of 7 to 1000 days"),
        "{}",
        done.stderr
    );
    assert_eq!(done.calls("StartCopyJob"), 0);
    stops_and_goes_on(&rig, "lock_range", "--try-all", "--retention days=900");
}

#[test]
fn a_vault_under_the_default_key_stops_a_run_of_types_that_need_another() {
    let rig = seeded("EBS", ALLOWS);
    // A preflight would see it.
    let done = rig.run(&copy("--skip-preflight"));
    assert_stopped(&rig, &done, "vault_key", 30);
    assert!(done.stderr.contains("--dest-kms-key-arn"), "{}", done.stderr);
    done.assert_copied_once(0);
}

#[test]
fn a_resume_without_a_mended_cause_stops_again_after_few_starts() {
    let rig = rig(60, "1", &[POLICY]);
    let done = rig.run(&format!("{}; {}", copy(""), copy("--resume --retry-failed")));
    assert_eq!(done.code, 1, "{}", done.stderr);
    let starts = done.calls("StartCopyJob");
    assert!(starts < 2 * (IN_FLIGHT + FIRST), "{starts}\n{}", done.stderr);
    assert_eq!(json(&rig.path("s.json"))["total_items"], 60);
}
