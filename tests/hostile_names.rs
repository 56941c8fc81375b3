//! Names from AWS that would drive a terminal, leave a directory or break a format.

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

use common::ACCOUNTS;
use common::processes::ended;
use common::server::SimServer;

/// Raw characters that must not reach a terminal.
fn assert_tame(text: &str, what: &str) {
    let raw =
        |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c) || c == '\u{200b}';
    if let Some(c) = text.chars().find(|c| raw(*c)) {
        panic!("{what}: {} in {text:?}", c.escape_unicode());
    }
}

#[test]
fn hostile_names_from_aws_stay_text() {
    let long = "x".repeat(255);
    let names = [
        "../../x",
        "..",
        "a\u{1b}[31mred\u{1b}[0m",
        "clip\u{1b}]52;c;ZXZpbA==\u{7}",
        "right\u{202e}tfel",
        "line\r\nfeed\u{85}",
        "%s%n",
        "nul\u{0}",
        "<&\"'>\u{200b}",
        &long,
    ];
    let point = |n: usize, name: &str| {
        serde_json::json!({
            "RecoveryPointArn": format!("arn:aws:backup:us-east-1:123456789012:recovery-point:{n}-{name}"),
            "ResourceArn": format!("arn:aws:s3:::bucket-{n}-{name}"),
            "ResourceType": if n.is_multiple_of(2) { "S3".to_owned() } else { name.to_owned() },
            "CreationDate": "2024-03-01T12:00:00Z",
            "BackupSizeInBytes": 1
        })
    };
    let mut vaults: Vec<serde_json::Value> = names
        .iter()
        .map(|name| {
            serde_json::json!({
                "Account": "123456789012", "BackupVaultName": name, "RecoveryPoints": [point(0, name)]
            })
        })
        .collect();
    let points: Vec<_> = names.iter().enumerate().map(|(n, name)| point(n, name)).collect();
    vaults.push(serde_json::json!({
        "Account": "123456789012", "BackupVaultName": "v1", "RecoveryPoints": points
    }));
    let home = tempfile::tempdir().unwrap();
    let seed = home.path().join("seed.json");
    std::fs::write(&seed, serde_json::json!({ "vaults": vaults }).to_string()).unwrap();
    let server = SimServer::start(&format!(
        "--seed-file {} --job-seconds 0.05 --fail-share 0.3 --fail-message bad\u{1b}[2J\u{202e}news",
        seed.display()
    ));
    let run = |arguments: &str| ended(&mut server.command(home.path(), arguments));
    let source = "--source-account 123456789012";
    let copy = format!("copy {ACCOUNTS} --vault v1 --poll-interval 0.05");
    for arguments in [
        format!("list {source}"),
        format!("list {source} --vault v1"),
        format!("list {source} --vault v1 -v"),
        format!("filter {source} --vault v1"),
        format!("{copy} --dry-run"),
        format!("{copy} --no-circuit-breaker --dest-kms-key-arn arn:aws:kms:us-east-1:987654321098:key/k -v"),
        format!("verify {ACCOUNTS} --vault v1"),
    ] {
        let done = run(&arguments);
        assert!([0, 1].contains(&done.code), "{arguments}: {}", done.stderr);
        assert!(
            !done.stderr.contains("Usage:") && !done.stderr.contains("panicked"),
            "{}",
            done.stderr
        );
        assert_tame(&done.stdout, &arguments);
        assert_tame(&done.stderr, &arguments);
    }
    let texts = |arguments: &str, member: &str| -> Vec<String> {
        let done = run(arguments);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let all: Vec<serde_json::Value> = serde_json::from_str(&done.stdout).unwrap();
        let mut texts: Vec<String> = all
            .iter()
            .map(|v| v[member].as_str().unwrap().to_owned())
            .collect();
        texts.sort();
        texts
    };
    let mut wanted: Vec<String> = names
        .iter()
        .map(|n| (*n).to_owned())
        .chain(["v1".to_owned()])
        .collect();
    wanted.sort();
    assert_eq!(
        texts(&format!("list {source} --output json"), "backup_vault_name"),
        wanted
    );
    let mut wanted: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(n, name)| format!("arn:aws:s3:::bucket-{n}-{name}"))
        .collect();
    wanted.sort();
    let listed = texts(&format!("list {source} --vault v1 --output json"), "resource_arn");
    assert_eq!(listed, wanted);
    let inside = std::fs::read_dir(home.path()).unwrap().count();
    assert_eq!(
        inside, 2,
        "the seed and the state directory, and nothing beside them"
    );
}
