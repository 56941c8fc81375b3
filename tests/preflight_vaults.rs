//! Destination vaults, and keys of points, that a preflight finds to be in the way of copies.

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

use common::findings::{assert_nothing_changed, checks, copy, not_fine, preflight};
use common::{Rig, side_by_side};
use serde_json::{Value, json};

/// Two EBS points, and what a destination vault is to be.
fn seeded(destination: &Value) -> Rig {
    let point = |n: u32| {
        json!({"RecoveryPointArn": format!("arn:aws:ec2:us-east-1::snapshot/snap-{n}"), "ResourceType": "EBS",
            "ResourceArn": format!("arn:aws:ec2:us-east-1:123456789012:volume/vol-{n}"),
            "CreationDate": "2026-01-02T03:04:05Z", "Lifecycle": {"DeleteAfterDays": 3000}})
    };
    let mut vaults = vec![
        json!({"Account": "123456789012", "BackupVaultName": "v1", "RecoveryPoints": [point(1), point(2)]}),
    ];
    if let Some(members) = destination.as_object() {
        let mut vault = json!({"Account": "987654321098", "BackupVaultName": "v1"});
        vault.as_object_mut().unwrap().extend(members.clone());
        vaults.push(vault);
    }
    let mut rig = Rig::new("--job-seconds 0.05");
    let path = rig.write("seed.json", &json!({"vaults": vaults}).to_string());
    rig.sim
        .extend(["--seed-file".to_owned(), path.display().to_string()]);
    rig
}

fn statement(effect: &str) -> Value {
    json!({"Effect": effect, "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Sid": format!("{effect}It"),
        "Action": "backup:CopyIntoBackupVault", "Resource": "*"})
}

#[test]
fn destination_vaults_that_refuse_the_points_are_found() {
    let key = "arn:aws:kms:us-east-1:987654321098:key/k";
    let allow = json!({"Version": "2012-10-17", "Statement": [statement("Allow")]});
    let deny = json!({"Version": "2012-10-17", "Statement": [statement("Allow"), statement("Deny")]});
    let cases = [
        (json!({"EncryptionKeyArn": key, "Policy": allow}), "", vec![]),
        (json!({"Policy": allow}), "", vec!["vault_key"]),
        (
            json!({"EncryptionKeyArn": key, "Policy": deny}),
            "",
            vec!["vault_policy"],
        ),
        (
            json!({"EncryptionKeyArn": key, "Policy": allow, "Locked": true, "MaxRetentionDays": 1000}),
            "",
            vec!["vault_lock"],
        ),
        (
            json!({"EncryptionKeyArn": key, "Policy": allow, "Locked": true, "MaxRetentionDays": 1000}),
            "--retention days=1000",
            vec![],
        ),
        (json!(null), "", vec!["vault_key"]),
        (
            json!(null),
            "--dest-kms-key-arn arn:aws:kms:us-east-1:987654321098:key/k",
            vec![],
        ),
        // Nothing is made or changed there, and so it stays as it is.
        (
            json!({"EncryptionKeyArn": key}),
            "--skip-dest-setup",
            vec!["vault_policy"],
        ),
        (json!({"EncryptionKeyArn": key}), "", vec![]),
        (json!(null), "--skip-dest-setup", vec!["destination_vault"]),
    ];
    side_by_side(cases, |(destination, options, wanted)| {
        let rig = seeded(&destination);
        let done = rig.run(&preflight(options));
        let problems: Vec<String> = not_fine(&done)
            .into_iter()
            .map(|(check, result, _)| {
                assert_eq!(result, "problem", "{}", done.stdout);
                check
            })
            .collect();
        assert_eq!(problems, wanted, "{destination} {options}: {}", done.stdout);
        assert_eq!(done.code, i32::from(!wanted.is_empty()));
        assert_nothing_changed(&done);
        // A copy that is to leave the destination alone does not look at it either.
        if !options.contains("--skip-dest-setup") {
            let done = rig.run(&copy(options));
            assert_eq!(
                done.code,
                i32::from(!wanted.is_empty()),
                "{destination} {options}: {}",
                done.stderr
            );
            if !wanted.is_empty() {
                assert_nothing_changed(&done);
            }
        }
    });
}

#[test]
fn a_statement_that_lacks_is_shown_as_it_must_be() {
    let rig = seeded(&json!({"EncryptionKeyArn": "arn:aws:kms:us-east-1:987654321098:key/k"}));
    let done = rig.run(&preflight("--skip-dest-setup"));
    let found = checks(&done);
    let next = found
        .iter()
        .find(|finding| finding["check"] == "vault_policy")
        .unwrap()["next_step"]
        .as_str()
        .unwrap();
    let (_, policy) = next.split_once("--policy '").unwrap();
    let policy: Value = serde_json::from_str(policy.strip_suffix('\'').unwrap()).unwrap();
    assert_eq!(
        policy["Statement"][0]["Principal"]["AWS"],
        "arn:aws:iam::123456789012:root"
    );
}

#[test]
fn a_key_of_the_points_that_is_disabled_is_warned_of() {
    let key = "arn:aws:kms:us-east-1:123456789012:key/off";
    let point = |n: u32| {
        json!({"RecoveryPointArn": format!("arn:aws:ec2:us-east-1::snapshot/snap-{n}"), "ResourceType": "EBS",
            "ResourceArn": format!("arn:aws:ec2:us-east-1:123456789012:volume/vol-{n}"),
            "CreationDate": "2026-01-02T03:04:05Z", "EncryptionKeyArn": key})
    };
    let mut rig = Rig::new("--job-seconds 0.05");
    let seed = json!({"keys": [{"Arn": key, "Enabled": false}],
        "vaults": [{"Account": "123456789012", "BackupVaultName": "v1", "RecoveryPoints": [point(1), point(2)]}]});
    let path = rig.write("seed.json", &seed.to_string());
    rig.sim
        .extend(["--seed-file".to_owned(), path.display().to_string()]);
    let options = "--dest-kms-key-arn arn:aws:kms:us-east-1:987654321098:key/k";
    let looked = rig.run(&preflight(options));
    assert_eq!(looked.code, 0, "{}", looked.stderr);
    assert_eq!(
        not_fine(&looked),
        [("source_keys".to_owned(), "warning".to_owned(), true)]
    );
    assert!(
        looked
            .stdout
            .contains(&format!("aws kms enable-key --key-id {key}")),
        "{}",
        looked.stdout
    );
    let done = rig.run(&copy(&format!("{options} --summary-output s.json")));
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("aws kms enable-key"), "{}", done.stderr);
    assert_eq!(
        common::json(&rig.path("s.json"))["failure_groups"][0]["cause"],
        "source_key"
    );
}
