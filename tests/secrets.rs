//! No secret is written anywhere, whatever goes wrong and however much is logged; and no text from
//! AWS drives a terminal.

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

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::live::{Fate, Network, Sim};
use common::processes::{send, until, wait};
use common::{ACCOUNTS, Rig, side_by_side};

const SECRET: &str = "CANARYsecretkey";
const TOKEN: &str = "CANARYsessiontoken";
const COMMAND: &str = "CANARYinacommandline";
const OUTPUT: &str = "CANARYofaprocess";
const EXTERNAL_ID: &str = "CANARYexternalid";

/// The access key of the source account, which is the one canary that the simulator has to know.
fn access_key(sim: &Sim) -> String {
    let text = std::fs::read_to_string(sim.variable("AWS_CONFIG_FILE")).unwrap();
    let line = text.lines().find(|line| line.starts_with("aws_access_key_id"));
    line.unwrap().split(" = ").nth(1).unwrap().to_owned()
}

/// A command at its most talkative, with its streams in files of the home directory.
fn talkative(sim: &Sim, arguments: &str, network: Option<&Network>) -> Command {
    let arguments = format!("{arguments} -v --log-file log");
    let mut command = sim.command(&arguments, network);
    for (name, value) in [
        ("RUST_LOG", "trace"),
        ("AWS_LOG", "trace"),
        ("AWS_LOG_LEVEL", "trace"),
        ("LOG_SENSITIVE_BODIES", "true"),
        ("RUST_BACKTRACE", "full"),
    ] {
        command.env(name, value);
    }
    let file = |name: &str| std::fs::File::create(sim.path(name)).unwrap();
    command.stdout(file("stdout")).stderr(file("stderr"));
    command
}

/// Everything that has been written under the home directory.
fn written(directory: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.push_str(&written(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            all.push_str("=== ");
            all.push_str(&path.display().to_string());
            all.push('\n');
            all.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    all
}

fn assert_secret(sim: &Sim, what: &str) -> String {
    let all = written(sim.home.path());
    assert!(all.contains("=== "), "{what}: nothing was written");
    for canary in ["CANARY", "simulated-secret", &access_key(sim)] {
        let line = all.lines().find(|line| line.contains(canary));
        assert_eq!(line, None, "{what}: {canary}");
    }
    all
}

fn with_keys(sim: &Sim, command: &mut Command) {
    command
        .env("AWS_ACCESS_KEY_ID", access_key(sim))
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("AWS_SESSION_TOKEN", TOKEN)
        .env("SHUFFLE_AWS_VAULTS_DEST_PROFILE", "destination");
}

fn copy(more: &str) -> String {
    format!("copy {ACCOUNTS} --vault v1 --poll-interval 0.1 --output json --summary-output s.json {more}")
}

#[test]
fn a_copy_at_its_most_talkative_writes_no_secret() {
    side_by_side(["text", "json"], |format| {
        let sim = Sim::start("--vault v1=6 --job-seconds 0.1");
        let role = "arn:aws:iam::987654321098:role/SimulatedMigration";
        let arguments = copy(&format!(
            "--log-format {format} --dest-role-arn {role} --external-id {EXTERNAL_ID}"
        ));
        let mut command = talkative(&sim, &arguments, None);
        with_keys(&sim, &mut command);
        command.env_remove("SHUFFLE_AWS_VAULTS_DEST_PROFILE");
        let status = command.status().unwrap();
        let all = assert_secret(&sim, format);
        assert!(status.success(), "{all}");
        assert!(all.contains("StartCopyJob"), "{all}");
    });
}

#[test]
fn what_is_left_of_an_interrupted_copy_holds_no_secret() {
    side_by_side(["INT", "KILL"], |signal| {
        let sim = Sim::start("--vault v1=30 --job-seconds 60");
        let role = "arn:aws:iam::987654321098:role/SimulatedMigration";
        let arguments = copy(&format!("--dest-role-arn {role} --external-id {EXTERNAL_ID}"));
        let mut command = talkative(&sim, &arguments, None);
        with_keys(&sim, &mut command);
        command.env_remove("SHUFFLE_AWS_VAULTS_DEST_PROFILE");
        let mut child = command.spawn().unwrap();
        until("no job", || sim.ledger()["calls"].get("StartCopyJob").is_some());
        send(signal, child.id());
        wait(&mut child, Duration::from_mins(1));
        let all = assert_secret(&sim, signal);
        let wanted = if signal == "INT" {
            "SHUFFLE_AWS_VAULTS_EXTERNAL_ID"
        } else {
            ".journal"
        };
        assert!(all.contains(wanted), "{all}");
    });
}

#[test]
fn errors_of_aws_and_of_the_network_write_no_secret() {
    let echo = format!(
        "The request signature we calculated does not match the signature you provided. The Canonical String for \
         this request should have been\n'GET\n/\nx-amz-security-token:{TOKEN}\n'"
    );
    side_by_side(
        [
            ("signature", Some((403, "SignatureDoesNotMatch", echo))),
            (
                "expired",
                Some((403, "ExpiredTokenException", "expired".to_owned())),
            ),
            (
                "denied",
                Some((403, "AccessDeniedException", "denied".to_owned())),
            ),
            ("broken", Some((500, "InternalFailure", "broken".to_owned()))),
            ("unreachable", None),
        ],
        |(what, answer)| {
            let sim = Sim::start("--vault v1=6 --job-seconds 0.1");
            let network = answer.map(|(status, code, message)| {
                Network::new(&sim, move |_| Fate::Refused(status, code, message.clone()))
            });
            let arguments = "list --source-account 123456789012";
            let mut command = talkative(&sim, arguments, network.as_ref());
            with_keys(&sim, &mut command);
            if network.is_none() {
                command.env("AWS_ENDPOINT_URL_BACKUP", "http://127.0.0.1:1");
            }
            let mut child = command.spawn().unwrap();
            // Keys that AWS does not take are renewed and then awaited.
            let is_awaited = ["expired", "signature"].contains(&what);
            if is_awaited {
                let said = || std::fs::read_to_string(sim.path("stderr")).unwrap();
                until("no renewal", || {
                    said().matches("Refreshing credentials").count() == 3
                });
                send("TERM", child.id());
            }
            let (code, _) = wait(&mut child, Duration::from_mins(1));
            let all = assert_secret(&sim, what);
            let wanted = if is_awaited { None } else { Some(1) };
            assert_eq!(code, wanted, "{what}: {all}");
            assert!(all.contains(if is_awaited { "WARNING" } else { "ERROR" }));
        },
    );
}

#[test]
fn identities_that_do_not_work_write_no_secret() {
    let place = tempfile::tempdir().unwrap();
    let sim = Sim::start("--vault v1=6 --job-seconds 0.1");
    let key = access_key(&sim);
    let good = format!(
        r#"{{"Version": 1, "AccessKeyId": "{key}", "SecretAccessKey": "{OUTPUT}", "SessionToken": "{OUTPUT}"}}"#
    );
    for (what, script, code) in [
        ("good", format!("echo '{good}'"), 0),
        ("wrong account", format!("echo '{good}'"), 1),
        ("cut short", format!("echo '{}'", &good[..good.len() - 10]), 1),
        (
            "no version",
            format!("echo '{}'", good.replace("\"Version\": 1,", "")),
            1,
        ),
        ("fails", format!("echo {OUTPUT}; exit 3"), 1),
        (
            "unknown key",
            format!("echo '{}'", good.replace(&key, "AKIACANARYUNKNOWN")),
            1,
        ),
        ("is not there", String::new(), 1),
    ] {
        let program = place.path().join("credentials.sh");
        let _ = std::fs::remove_file(&program);
        if what != "is not there" {
            std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
            assert!(
                Command::new("chmod")
                    .arg("+x")
                    .arg(&program)
                    .status()
                    .unwrap()
                    .success()
            );
        }
        let config = place.path().join("config");
        let text = format!(
            "[default]\ncredential_process = {} --password {COMMAND}\nregion = us-east-1\n",
            program.display()
        );
        std::fs::write(&config, text).unwrap();
        let account = if what == "wrong account" {
            "111122223333"
        } else {
            "123456789012"
        };
        let mut command = talkative(&sim, &format!("list --source-account {account}"), None);
        let status = command.env("AWS_CONFIG_FILE", &config).status().unwrap();
        let all = assert_secret(&sim, what);
        assert_eq!(status.code(), Some(code), "{what}: {all}");
    }
}

const ESCAPES: &str =
    "bell\u{7} red\u{1b}[31m title\u{1b}]0;x\u{9c} csi\u{9b}2J del\u{7f} back\u{8} return\rover";

fn assert_harmless(text: &str, what: &str) {
    let wild = |c: &char| c.is_control() && *c != '\n' && *c != '\t';
    let line = text.lines().find(|line| line.chars().any(|c| wild(&c)));
    assert_eq!(line, None, "{what}");
    assert!(text.contains("red"), "{what}: {text}");
}

#[test]
fn texts_of_failed_jobs_do_not_drive_the_terminal() {
    side_by_side(["text", "json"], |format| {
        for more in ["--no-circuit-breaker", "", "-q"] {
            let what = format!("{format} {more}");
            let mut rig = Rig::new("--vault v1=6 --job-seconds 0.1 --fail-share 1");
            rig.sim.extend(["--fail-message".to_owned(), ESCAPES.to_owned()]);
            let done = rig.run(&format!(
                "shuffle-aws-vaults {} --log-format {format} --log-file log {more}",
                copy("")
            ));
            assert_eq!(done.code, 1, "{what}: {}", done.stderr);
            assert_harmless(&done.stderr, &what);
            let log = std::fs::read_to_string(rig.path("log")).unwrap();
            assert_harmless(&log, &what);
            for line in log.lines().filter(|_| format == "json") {
                serde_json::from_str::<serde_json::Value>(line).unwrap();
            }
        }
    });
}

#[test]
fn texts_of_refusals_do_not_drive_the_terminal() {
    side_by_side(["text", "json"], |format| {
        let sim = Sim::start("--vault v1=6");
        let network = Network::new(&sim, |_| {
            Fate::Refused(400, "ValidationException", ESCAPES.to_owned())
        });
        let arguments = format!("list --source-account 123456789012 -v --log-format {format}");
        let mut command = sim.command(&arguments, Some(&network));
        let done = command.stderr(Stdio::piped()).output().unwrap();
        assert_eq!(done.status.code(), Some(1));
        assert_harmless(&String::from_utf8(done.stderr).unwrap(), format);
    });
}
