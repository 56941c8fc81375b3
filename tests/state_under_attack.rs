//! State files among hostile or broken surroundings: other processes, disks, links, permissions,
//! and files that belong to something else.
//!
//! Read-only and full disks are real ones: small file systems in a mount namespace. Where the
//! kernel allows none, those tests say so and pass; `.ci/run` is run as root, who may.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_in_result,
    reason = "a test may fail, and says what it did"
)]

mod common;

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use common::namespaces::{unshare, with_mounts};
use common::processes::{Ended, ended, until};
use common::server::SimServer;
use common::{ACCOUNTS, binary, json};

const POINTS: usize = 4;

fn server(more: &str) -> SimServer {
    SimServer::start(&format!(
        "--vault v1={POINTS} --resources {POINTS} --job-seconds 0.05-0.1 {more}"
    ))
}

fn arguments(more: &str) -> String {
    format!("copy {ACCOUNTS} --vault v1 --poll-interval 0.05 {more}")
}

fn copy(server: &SimServer, home: &Path, more: &str) -> Command {
    let mut command = server.command(home, &arguments(more));
    command.env("SHUFFLE_AWS_VAULTS_LIST_GRACE", "0.3");
    command
}

fn starts(server: &SimServer) -> u64 {
    server.ledger()["calls"]["StartCopyJob"].as_u64().unwrap_or(0)
}

fn assert_refused(done: &Ended, words: &str) {
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains(words), "`{words}`: {}", done.stderr);
    assert!(done.stderr.contains("Help: "), "{}", done.stderr);
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_killed_holders_lock_vanishes_by_itself() {
    let server = SimServer::start("--vault v1=4 --resources 4 --job-seconds 3");
    let home = tempfile::tempdir().unwrap();
    let mut holder = copy(&server, home.path(), "--state-file s.json")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("nothing was started", || server.jobs_into("v1").len() == POINTS);
    let second = ended(&mut copy(&server, home.path(), "--state-file s.json --resume"));
    assert_refused(&second, &format!("is in use by process {} on ", holder.id()));
    for text in [
        "Help: nothing was done and nothing has failed: another run is at work on it",
        "shuffle-aws-vaults status s.json",
        &format!("kill {}; then go on with --resume", holder.id()),
    ] {
        assert!(second.stderr.contains(text), "{text}: {}", second.stderr);
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(home.path().join("s.json.lock").exists(), "its file stays");
    let third = ended(&mut copy(&server, home.path(), "--state-file s.json --resume"));
    assert_eq!(third.code, 0, "{}", third.stderr);
    assert!(!home.path().join("s.json.lock").exists());
    server.assert_copied_once("v1", POINTS, &third.stderr);
}

#[test]
#[cfg(debug_assertions)]
fn a_file_system_without_locks_is_refused() {
    let server = server("");
    let home = tempfile::tempdir().unwrap();
    for options in ["", "--state-file s.json"] {
        let done = ended(copy(&server, home.path(), options).env("SHUFFLE_AWS_VAULTS_FAIL_LOCK", "1"));
        assert_refused(&done, ".lock cannot be locked: ");
        assert!(done.stderr.contains("--state-file"), "{}", done.stderr);
    }
    assert_eq!(starts(&server), 0);
    let done = ended(&mut copy(&server, home.path(), ""));
    assert_eq!(done.code, 0, "{}", done.stderr);
}

#[test]
#[cfg(debug_assertions)]
fn killed_before_it_had_a_state_it_leaves_nothing_that_misleads() {
    let server = server("");
    for point in ["file created:1", "lock taken:1", "document written:1"] {
        let home = tempfile::tempdir().unwrap();
        let died = ended(copy(&server, home.path(), "").env("SHUFFLE_AWS_VAULTS_CRASH_AT", point));
        assert_eq!(died.code, -1, "{point}: {}", died.stderr);
        let done = ended(&mut copy(&server, home.path(), "--resume"));
        assert_refused(&done, "there is nothing to resume: no state of vault v1");
        let done = ended(&mut copy(&server, home.path(), ""));
        assert_eq!(done.code, 0, "{point}: {}", done.stderr);
        assert!(!done.stderr.contains("unfinished"), "{}", done.stderr);
        let left = std::fs::read_dir(home.path().join(".shuffle-aws-vaults"))
            .unwrap()
            .count();
        assert_eq!(left, 1, "{point}: only the state");
    }
}

#[test]
fn a_read_only_disk_is_told_before_anything_is_started() {
    let server = server("");
    let home = tempfile::tempdir().unwrap();
    let Some(done) = with_mounts(
        &copy(&server, home.path(), ""),
        home.path(),
        "mount -t tmpfs -o size=4m none disk || exit 99
        mount -o remount,ro disk
        copy --state-file disk/s.json; echo new $?
        HOME=$PWD/disk copy; echo default $?
        mount -o remount,rw disk
        copy --state-file disk/s.json --max-in-flight 1 --max-runtime-minutes 1 >&2; echo run $?
        mount -o remount,ro disk
        copy --state-file disk/s.json --resume; echo resume $?",
    ) else {
        return;
    };
    assert_eq!(
        done.stdout, "new 1\ndefault 1\nrun 0\nresume 1\n",
        "{}",
        done.stderr
    );
    let told = done.stderr.matches("Read-only file system").count();
    assert_eq!(told, 3, "{}", done.stderr);
    assert!(done.stderr.contains("disk/s.json.lock"), "{}", done.stderr);
    server.assert_copied_once("v1", POINTS, &done.stderr);
}

#[test]
fn a_disk_that_is_full_at_any_size_costs_nothing() {
    let points = 40;
    let server = SimServer::start("--vault v1=40 --resources 40 --per-resource 100 --job-seconds 0.05-0.1");
    let mut codes = Vec::new();
    // In pages: from a disk that takes nothing to one that is large enough.
    for pages in (1..60).step_by(3) {
        let home = tempfile::tempdir().unwrap();
        let vault = format!("d-{pages}");
        let options = format!("--dest-vault {vault} --workers 20 --state-file disk/s.json");
        let size = pages * 4;
        let Some(done) = with_mounts(
            &copy(&server, home.path(), ""),
            home.path(),
            &format!(
                "mount -t tmpfs -o size={size}k none disk || exit 99
                copy {options} --summary-output s.json; first=$?
                mount -o remount,size=64m disk
                code=2; n=0
                while [ $code = 2 ] && [ $n -lt 5 ]; do
                    resume=; [ -e disk/s.json ] && resume=--resume
                    [ $first = 0 ] || copy {options} $resume; code=$?; n=$((n+1))
                done
                echo $first $code $(ls disk); cp disk/s.json last.json"
            ),
        ) else {
            return;
        };
        let (first, rest) = done.stdout.trim().split_once(' ').unwrap();
        assert_eq!(rest, "0 s.json", "{pages}: {}", done.stderr);
        assert!(["0", "1", "2"].contains(&first), "{first}: {}", done.stderr);
        if first != "0" {
            assert!(
                done.stderr.contains("disk/s.json") && done.stderr.contains("No space left on device"),
                "{pages}: {}",
                done.stderr
            );
        }
        server.assert_copied_once(&vault, points, &done.stderr);
        assert_eq!(json(&home.path().join("last.json"))["finished"], true);
        codes.push(first.to_owned());
        if first == "0" {
            break;
        }
    }
    println!("exit codes by size: {codes:?}");
    let has = |code: &str| codes.iter().any(|c| c == code);
    assert!(has("1") && has("2") && has("0"), "{codes:?}");
}

#[test]
fn without_a_home_it_asks_for_a_file() {
    let server = server("");
    let home = tempfile::tempdir().unwrap();
    // A user that no password file knows.
    let Some(options) = unshare(&["-U", "--map-user=54321"]) else {
        return;
    };
    let run = |more: &str| {
        let template = copy(&server, home.path(), more);
        let mut command = Command::new("unshare");
        command
            .args(&options)
            .arg(binary())
            .args(template.get_args())
            .env_clear()
            .current_dir(home.path())
            .stdin(Stdio::null());
        for (name, value) in template.get_envs().filter(|(name, _)| *name != "HOME") {
            command.env(name, value.unwrap_or_default());
        }
        ended(&mut command)
    };
    assert_refused(&run(""), "no home directory is known");
    assert_eq!(starts(&server), 0);
    let done = run("--state-file s.json");
    assert_eq!(done.code, 0, "{}", done.stderr);
}

#[test]
fn links_pipes_and_directories_are_not_taken_for_state() {
    let server = server("");
    let made = tempfile::tempdir().unwrap();
    let done = ended(&mut copy(&server, made.path(), "--state-file s.json"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let before = starts(&server);
    for name in ["s.json", "s.json.journal", "s.json.lock"] {
        for kind in ["link", "dangling link", "pipe", "directory"] {
            let home = tempfile::tempdir().unwrap();
            let victim = home.path().join("victim");
            let state = std::fs::read(made.path().join("s.json")).unwrap();
            std::fs::write(home.path().join("s.json"), &state).unwrap();
            let place = home.path().join(name);
            let _ = std::fs::remove_file(&place);
            match kind {
                "directory" => std::fs::create_dir(&place).unwrap(),
                "pipe" => assert!(Command::new("mkfifo").arg(&place).status().unwrap().success()),
                _ => symlink("victim", &place).unwrap(),
            }
            if kind == "link" {
                std::fs::write(&victim, &state).unwrap();
            }
            for more in ["--resume", "--reset", ""] {
                let done = ended(&mut copy(
                    &server,
                    home.path(),
                    &format!("--state-file s.json {more}"),
                ));
                assert_eq!(done.code, 1, "{kind} {name} {more}: {}", done.stderr);
                assert!(
                    done.stderr.contains(name) || done.stderr.contains("s.json does not exist"),
                    "{kind} {name} {more}: {}",
                    done.stderr
                );
            }
            if kind == "link" {
                assert_eq!(std::fs::read(&victim).unwrap(), state, "{name} was followed");
            } else {
                assert!(!victim.exists(), "{name} was followed");
            }
        }
    }
    assert_eq!(starts(&server), before);
}

#[test]
fn files_and_directory_are_their_owners_alone_whatever_the_umask() {
    let server = server("");
    for umask in ["000", "077", "027"] {
        let home = tempfile::tempdir().unwrap();
        let template = copy(&server, home.path(), &format!("--dest-vault d-{umask}"));
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("umask {umask}; exec \"$@\""))
            .arg("sh")
            .arg(binary())
            .args(template.get_args())
            .env_clear();
        for (name, value) in template.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let done = ended(&mut command);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let directory = home.path().join(".shuffle-aws-vaults");
        assert_eq!(mode(&directory), 0o700, "{umask}");
        for entry in std::fs::read_dir(&directory).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600, "{umask}");
        }
    }
}

#[test]
fn a_directory_that_others_can_write_to_is_tightened_or_warned_of() {
    let server = server("");
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join(".shuffle-aws-vaults");
    std::fs::create_dir(&directory).unwrap();
    set_mode(&directory, 0o777);
    let done = ended(&mut copy(&server, home.path(), ""));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("it is yours alone now"), "{}", done.stderr);
    assert_eq!(mode(&directory), 0o700);
    let open = home.path().join("open");
    std::fs::create_dir(&open).unwrap();
    for (wanted, warned) in [(0o777, true), (0o1777, false)] {
        set_mode(&open, wanted);
        let done = ended(&mut copy(&server, home.path(), "--state-file open/s.json"));
        assert_eq!(done.code, 0, "{}", done.stderr);
        let warning = "every user can replace files in open";
        assert_eq!(done.stderr.contains(warning), warned, "{}", done.stderr);
        assert_eq!(mode(&open), wanted, "the operator's own directory stays as it is");
    }
}

#[test]
fn a_directory_of_somebody_else_is_refused_but_not_to_root() {
    let server = server("");
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join(".shuffle-aws-vaults");
    std::fs::create_dir(&directory).unwrap();
    if std::os::unix::fs::chown(&directory, Some(12345), None).is_err() {
        println!("NOT TESTED HERE: only root can give a directory away");
        return;
    }
    if std::fs::metadata(home.path()).unwrap().uid() == 0 {
        let done = ended(&mut copy(&server, home.path(), ""));
        assert_eq!(done.code, 0, "as root: {}", done.stderr);
    }
    let Some(options) = unshare(&["-U", "--map-user=54321"]) else {
        return;
    };
    let template = copy(&server, home.path(), "");
    let mut command = Command::new("unshare");
    command.args(options).arg(binary()).args(template.get_args());
    command.env_clear().current_dir(home.path());
    for (name, value) in template.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    assert_refused(&ended(&mut command), "belongs to another user");
}

#[test]
fn a_state_of_something_else_is_refused() {
    let server = server("");
    let home = tempfile::tempdir().unwrap();
    let done = ended(&mut copy(&server, home.path(), "--state-file s.json"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let whole = std::fs::read_to_string(home.path().join("s.json")).unwrap();
    let before = starts(&server);
    let resume = "--state-file other.json --resume";
    for (from, to, words) in [
        ("\"version\":1", "\"version\":2", "State file version mismatch"),
        (
            "\"source_account\":\"123456789012\"",
            "\"source_account\":\"111111111111\"",
            "source account is 111111111111 in the file and 123456789012 in this run",
        ),
        (
            "\"endpoint\":\"simulated\"",
            "\"endpoint\":\"aws\"",
            "AWS endpoint is Aws in the file and Simulated in this run",
        ),
    ] {
        // As the operator is told to after an edit: without the checksum.
        let (text, _) = whole.split_once(",\"crc32\"").unwrap();
        let text = text.replace(from, to) + "}";
        assert!(text.contains(to));
        let path = home.path().join("other.json");
        std::fs::write(&path, &text).unwrap();
        let done = ended(&mut copy(&server, home.path(), resume));
        assert_refused(&done, words);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "{to}");
    }
    // The reverse: a rehearsal's state and a run that is no rehearsal, as far as anyone can tell
    // from an address that is not one of loopback's.
    let mut real = copy(&server, home.path(), "--state-file s.json --resume");
    let elsewhere: Vec<_> = real
        .get_envs()
        .filter(|(name, _)| name.to_string_lossy().starts_with("AWS_ENDPOINT_URL"))
        .map(|(name, url)| {
            let url = url.unwrap().to_string_lossy().replace("127.0.0.1", "0.0.0.0");
            (name.to_owned(), url)
        })
        .collect();
    let done = ended(real.envs(elsewhere).env_remove("SHUFFLE_AWS_VAULTS_SIMULATED"));
    assert_refused(&done, "AWS endpoint is Simulated in the file and Aws in this run");
    assert_eq!(starts(&server), before);
    assert_eq!(
        std::fs::read_to_string(home.path().join("s.json")).unwrap(),
        whole
    );
}
