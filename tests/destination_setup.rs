//! Making a destination vault ready through the binary: what stands in its access policy stays, what is
//! added is shown, and what would keep copies out is told before anything is made.

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

use common::{ACCOUNTS, Done, Rig, side_by_side};
use serde_json::{Value, json};

const COPY: &str = "shuffle-aws-vaults copy --poll-interval 0.1 --vault v1";

/// Two points, and a destination vault with this policy.
fn rig(policy: &Value, more: &str) -> Rig {
    let rig = Rig::new(&format!(
        "--vault v1=2 --job-seconds 0.05 --seed-file seed.json {more}"
    ));
    let vault = json!({"Account": "987654321098", "BackupVaultName": "v1", "Policy": policy,
        "Locked": true, "MinRetentionDays": 1, "MaxRetentionDays": 1000});
    let seed = json!({"vaults": [vault]}).to_string();
    let path = rig.write("seed.json", &seed);
    let mut rig = rig;
    for word in &mut rig.sim {
        if word == "seed.json" {
            *word = path.to_string_lossy().into_owned();
        }
    }
    rig
}

/// The policy that stands after the script, by a request that nobody signed.
fn run(rig: &Rig, script: &str) -> (Done, Value) {
    let get = r#"curl -sf -H "Authorization: AWS4-HMAC-SHA256 Credential=AKIA987654321098SIMS/20260101/us-east-1/backup/aws4_request" \
        $AWS_ENDPOINT_URL/backup-vaults/v1/access-policy | jq -r .Policy > policy.json"#;
    let done = rig.run(&format!("{script}; code=$?; {get}; exit $code"));
    let policy = std::fs::read(rig.path("policy.json")).unwrap();
    let policy = serde_json::from_slice(&policy).unwrap_or_default();
    (done, policy)
}

fn statement(effect: &str, principal: &Value, action: &Value) -> Value {
    json!({"Effect": effect, "Principal": principal, "Action": action, "Resource": "*"})
}

#[test]
fn what_stands_in_a_policy_stays_whatever_its_shape() {
    let own = json!({"AWS": ["arn:aws:iam::987654321098:root"]});
    let first = statement("Allow", &own, &json!("backup:DescribeBackupVault"));
    let second = statement("Deny", &json!("*"), &json!(["backup:DeleteRecoveryPoint"]));
    let cases = [
        (first.clone(), vec![first.clone()]),
        (json!([first, second]), vec![first.clone(), second.clone()]),
        (json!([second]), vec![second.clone()]),
    ];
    side_by_side(cases, |(statements, wanted)| {
        let rig = rig(
            &json!({"Version": "2008-10-17", "Id": "own", "Statement": statements}),
            "",
        );
        let (done, policy) = run(&rig, &format!("{COPY} {ACCOUNTS}"));
        assert_eq!(done.code, 0, "{}", done.stderr);
        done.assert_copied_once(2);
        assert_eq!(
            (&policy["Version"], &policy["Id"]),
            (&json!("2008-10-17"), &json!("own"))
        );
        let all = policy["Statement"].as_array().unwrap();
        assert_eq!(all[..wanted.len()], wanted, "{policy}");
        assert_eq!(all.len(), wanted.len() + 1, "{policy}");
        assert!(
            done.stderr
                .contains("+      \"Action\": \"backup:CopyIntoBackupVault\","),
            "{}",
            done.stderr
        );
        assert!(
            !done.stderr.contains("\n    -"),
            "nothing is taken away: {}",
            done.stderr
        );
    });
}

#[test]
fn a_policy_that_lets_the_source_in_is_not_written() {
    let principals = [
        json!("*"),
        json!({"AWS": "*"}),
        json!({"AWS": "123456789012"}),
        json!({"AWS": ["arn:aws:iam::987654321098:root", "arn:aws:iam::123456789012:root"]}),
    ];
    side_by_side(principals, |principal| {
        let policy =
            json!({"Statement": statement("Allow", &principal, &json!("backup:CopyIntoBackupVault"))});
        let rig = rig(&policy, "");
        let (done, after) = run(&rig, &format!("{COPY} {ACCOUNTS}"));
        assert_eq!(done.code, 0, "{}", done.stderr);
        done.assert_copied_once(2);
        assert_eq!(done.calls("PutBackupVaultAccessPolicy"), 0);
        assert_eq!(after, policy);
    });
}

#[test]
fn a_policy_that_aws_finds_too_large_is_told_and_stays() {
    let long: Vec<String> = (0..600)
        .map(|n| format!("arn:aws:iam::987654321098:role/role-{n:06}"))
        .collect();
    let policy =
        json!({"Statement": statement("Allow", &json!({"AWS": long}), &json!("backup:DescribeBackupVault"))});
    let rig = rig(&policy, "");
    let (done, after) = run(&rig, &format!("{COPY} {ACCOUNTS}"));
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert_eq!(after, policy);
    assert_eq!(done.calls("StartCopyJob"), 0);
    assert!(
        done.stderr
            .contains("bytes with the statement that lets the source account copy into it"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains("join or remove statements"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_dry_run_shows_the_difference_and_writes_nothing() {
    let policy = json!({"Statement": [statement("Deny", &json!("*"), &json!("backup:DeleteRecoveryPoint"))]});
    let rig = rig(&policy, "");
    let (done, after) = run(&rig, &format!("{COPY} {ACCOUNTS} --dry-run --output json"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(after, policy);
    let plan: Value = serde_json::from_str(&done.stdout).unwrap();
    let difference = plan["vaults"][0]["policy_difference"].as_str().unwrap();
    let added = difference.lines().filter(|line| line.starts_with('+')).count();
    assert_eq!(added, 9, "{difference}");
    assert!(
        difference.contains("\n+        \"AWS\": \"arn:aws:iam::123456789012:root\""),
        "{difference}"
    );
}

/// Whatever is done, no call that changes a lock or takes something away is made.
#[test]
fn locks_are_never_touched() {
    let rig = rig(&json!({"Statement": []}), "");
    let (done, _) = run(&rig, &format!("{COPY} {ACCOUNTS}"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let calls: Vec<&String> = done.ledger["calls"].as_object().unwrap().keys().collect();
    for call in calls {
        assert!(
            !call.contains("Delete") && !call.contains("Lock") && !call.contains("Unknown"),
            "{call}"
        );
    }
}
