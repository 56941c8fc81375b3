//! Points under keys that AWS manages: found by asking KMS once for each key, passed over, never guessed.

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

use common::{ACCOUNTS, Done, Rig, json, side_by_side};

const SIM: &str =
    "--vault v1=40 --resources 20 --types EBS,RDS,EFS --aws-managed-key-share 0.5 --job-seconds 0.02-0.05";
/// Two services' keys, and the one that is the account's own.
const KEYS: u64 = 3;
const DEST_KEY: &str = "--dest-kms-key-arn arn:aws:kms:us-east-1:987654321098:key/d";

fn copy(more: &str) -> String {
    format!(
        "shuffle-aws-vaults copy {ACCOUNTS} --vault v1 --poll-interval 0.05 --skip-preflight {DEST_KEY} {more}"
    )
}

/// Points of the plan, and those of them that are passed over for their key.
fn plan(done: &Done) -> (u64, u64) {
    let plan: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let vault = &plan["vaults"][0];
    let skipped = vault["skipped"].as_array().unwrap();
    let managed = skipped.iter().find(|s| s["reason"] == "aws_managed_key");
    let points = |value: &serde_json::Value| value["points"].as_u64().unwrap();
    (vault["to_copy"].as_u64().unwrap(), managed.map_or(0, points))
}

#[test]
fn points_under_keys_of_aws_are_passed_over_and_each_key_is_asked_for_once() {
    let rig = Rig::new(SIM);
    let verify = format!("shuffle-aws-vaults verify {ACCOUNTS} --output json");
    let done = rig.run(&format!("{} && {verify}", copy("--summary-output s.json")));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let summary = json(&rig.path("s.json"));
    let managed = summary["skipped_by_reason"]["aws_managed_key"].as_u64().unwrap();
    assert!(managed > 5 && summary["skipped"] == managed, "{summary}");
    assert_eq!(summary["completed"], 40 - managed);
    done.assert_copied_once(40 - managed);
    // Once by the copy, once by the verification.
    assert_eq!(done.calls("DescribeKey"), 2 * KEYS);
    let verified: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(verified["complete"], true, "{verified}");
    assert_eq!(verified["vaults"][0]["not_copyable"]["aws_managed_key"], managed);
}

#[test]
fn what_kms_does_not_say_is_tried_with_one_warning() {
    let cases = [
        ("--deny DescribeKey", "", "AccessDenied"),
        ("", "AWS_ENDPOINT_URL_KMS=http://127.0.0.1:1", "DescribeKey"),
        // Not even a question of a rehearsal reaches AWS.
        (
            "",
            "AWS_ENDPOINT_URL_KMS=https://kms.example.com",
            "this is a rehearsal",
        ),
        (
            "",
            "AWS_ENDPOINT_URL= AWS_ENDPOINT_URL_KMS=",
            "this is a rehearsal",
        ),
    ];
    side_by_side(cases, |(sim, environment, wanted)| {
        let rig = Rig::new(&format!("{SIM} {sim}"));
        let done = rig.run(&format!(
            "{environment} {}",
            copy("--no-circuit-breaker --summary-output s.json")
        ));
        assert_eq!(done.code, 1, "{environment}: {}", done.stderr);
        let summary = json(&rig.path("s.json"));
        assert_eq!(summary["skipped"], 0, "{summary}");
        let failed = summary["failed"].as_u64().unwrap();
        assert!(failed > 5, "{summary}");
        let groups = &summary["failure_groups"];
        assert_eq!(
            (&groups[0]["cause"], &groups[0]["count"]),
            (&"source_key".into(), &failed.into())
        );
        let warnings = done.stderr.matches("who manages the keys of").count();
        assert_eq!(warnings, 1, "{}", done.stderr);
        assert!(
            done.stderr.contains(wanted) && done.stderr.contains("(key arn:aws:kms:"),
            "{}",
            done.stderr
        );
        let asked = if sim.is_empty() { 0 } else { KEYS };
        assert_eq!(done.calls("DescribeKey"), asked);
    });
}

#[test]
fn only_keys_that_decide_are_asked_for() {
    for (sim, more, wanted) in [
        ("--vault v1=20 --types EFS,S3,DynamoDB", "", 0),
        (SIM, "--try-all", 0),
        (SIM, "--resource-types EFS", 0),
        // Its own, and that of RDS.
        (SIM, "--resource-types RDS", 2),
    ] {
        let done = Rig::new(sim).run(&copy(&format!("--dry-run --output json {more}")));
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(done.calls("DescribeKey"), wanted, "{sim} {more}");
        assert_eq!(plan(&done).1 > 0, wanted > 0, "{}", done.stdout);
    }
}

#[test]
fn a_run_that_is_planned_anew_asks_again() {
    let rig = Rig::new(SIM);
    let first = rig.run(&copy("--resource-types EFS --state-file s.json --yes"));
    assert_eq!(first.code, 0, "{}", first.stderr);
    let again = rig.run(&copy("--state-file s.json --resume --summary-output s2.json"));
    assert_eq!(again.code, 0, "{}", again.stderr);
    let summary = json(&rig.path("s2.json"));
    // They were passed over before, by the filter, and stay so.
    let skipped = summary["skipped"].as_u64().unwrap();
    assert!(skipped > 5 && summary["failed"] == 0, "{summary}");
    assert_eq!(summary["completed"], 40 - skipped);
    assert_eq!(again.calls("DescribeKey"), KEYS);
}

#[test]
fn a_seed_file_says_who_manages_a_key_and_an_alias_is_one_of_its_names() {
    let rig = Rig::new("--seed-file seed.json --vault other=0");
    let point = |n: u32, key: &str| {
        format!(
            r#"{{"RecoveryPointArn": "arn:aws:ec2:us-east-1::snapshot/snap-{n}", "ResourceType": "EBS", "ResourceArn":
            "arn:aws:ec2:us-east-1:123456789012:volume/vol-{n}", "CreationDate": "2026-01-02T03:04:05Z",
            "EncryptionKeyArn": "arn:aws:kms:us-east-1:123456789012:{key}"}}"#
        )
    };
    let points = [
        point(1, "key/a"),
        point(2, "key/b"),
        point(3, "alias/mine"),
        point(4, "alias/aws/ebs"),
    ]
    .join(",");
    rig.write(
        "seed.json",
        &format!(
            r#"{{"vaults": [{{"Account": "123456789012", "BackupVaultName": "v1", "RecoveryPoints": [{points}]}}],
            "keys": [{{"Arn": "arn:aws:kms:us-east-1:123456789012:key/a", "KeyManager": "AWS", "Alias": "alias/aws/ebs"}},
            {{"Arn": "arn:aws:kms:us-east-1:123456789012:key/c", "Alias": "alias/mine"}}]}}"#
        ),
    );
    let done = rig.run(&copy("--dry-run --output json"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(plan(&done), (2, 2), "{}", done.stdout);
    // What an alias of AWS is for shows in its name.
    assert_eq!(done.calls("DescribeKey"), 3);
}
