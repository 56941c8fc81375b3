//! Help, version, completions, manual page, usage errors.

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

use std::process::{Command, Output};

use common::namespaces::unshare;

fn run(arguments: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(common::binary()).args(arguments).output().unwrap();
    (
        status.code().unwrap(),
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

#[test]
fn help_and_version_end_with_0() {
    for command in [
        "list",
        "filter",
        "preflight",
        "copy",
        "verify",
        "status",
        "failures",
        "simulate",
    ] {
        let (code, out, _) = run(&[command, "--help"]);
        assert_eq!(code, 0);
        assert!(out.contains("Examples:"), "{command}: {out}");
    }
    let (code, out, _) = run(&["--version"]);
    assert_eq!(code, 0);
    assert!(out.contains("aws-sdk-backup: 1."), "{out}");
}

#[test]
fn usage_errors_end_with_1() {
    for arguments in [
        &[][..],
        &["nonsense"],
        &["list"],
        &["copy", "--vault", "v1"],
        &["list", "--output", "xml"],
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!(code, 1, "{arguments:?}");
        assert!(out.is_empty() && !err.is_empty(), "{arguments:?}");
    }
}

/// Wrong command lines of all kinds: of one option, of two that do not go together, of a list.
const WRONG: [&str; 6] = [
    "nonsense",
    "copy --workers 99",
    "copy --source-account 123456789012 --dest-account 987654321098 --vault v1 --resume --reset",
    "copy --source-account 123456789012 --dest-account 987654321098 --vault v1 --vault v1",
    "filter --source-account 123456789012 --vault v1 --allowed-apmids , --metadata-csv m.csv",
    "verify --source-account 123456789012 --dest-account 987654321098 --state-file s.json",
];
const RIGHT: &str = "list --source-account 123456789012 --dry-run";

/// The next process of a namespace of its own has the next number, unless threads have taken it.
#[test]
fn help_and_usage_errors_start_no_thread() {
    let Some(options) = unshare(&["-Urpf"]).or_else(|| unshare(&["-pf"])) else {
        return;
    };
    let started = |arguments: &str| {
        let script = format!(
            "'{}' {arguments} >/dev/null 2>&1; sh -c 'echo $$'; true",
            common::binary().display()
        );
        let output = Command::new("unshare")
            .args(&options)
            .args(["sh", "-c", &script])
            .output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        text.trim().parse::<u32>().unwrap() - 3
    };
    for arguments in WRONG.into_iter().chain(["--help", "copy --help", "--version"]) {
        assert_eq!(started(arguments), 0, "{arguments}");
    }
    assert!(started(RIGHT) > 1, "what is right starts some");
}

/// With one descriptor to spare, which the loader needs for libraries, there is room for neither sockets
/// nor a runtime.
#[test]
fn help_and_usage_errors_open_no_socket() {
    let run = |arguments: &str| {
        let script = format!("ulimit -n 4; exec '{}' {arguments}", common::binary().display());
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for arguments in WRONG {
        let (code, said) = run(arguments);
        assert_eq!(code, Some(1), "{arguments}: {said}");
        let is_usage = said.contains("For more information, try '--help'") || said.contains("  Help: ");
        assert!(is_usage && !said.contains("cannot"), "{arguments}: {said}");
    }
    for arguments in ["--help", "copy --help", "--version"] {
        assert_eq!(run(arguments), (Some(0), String::new()));
    }
    let (code, said) = run(RIGHT);
    assert!(
        code == Some(1) && said.contains("start the program's threads"),
        "{said}"
    );
}

#[test]
fn scripts_and_manual_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = run(&["completions", shell]);
        assert_eq!(code, 0);
        assert!(out.contains("max-runtime-minutes"), "{shell}");
    }
    let (code, out, _) = run(&["man"]);
    assert_eq!(code, 0);
    assert!(out.contains("shuffle\\-aws\\-vaults\\-copy") || out.contains("shuffle-aws-vaults-copy"));
}

#[test]
fn every_option_with_a_value_has_an_environment_twin() {
    for command in [
        "list",
        "filter",
        "preflight",
        "copy",
        "verify",
        "status",
        "failures",
    ] {
        let (_, help, _) = run(&[command, "--help"]);
        for line in help
            .lines()
            .map(str::trim)
            .filter(|l| l.starts_with("--") && l.contains('<'))
        {
            let option = line.trim_start_matches("--").split([' ', '[']).next().unwrap();
            let twin = format!("SHUFFLE_AWS_VAULTS_{}", option.to_uppercase().replace('-', "_"));
            assert!(help.contains(&twin), "{command}: {twin}");
        }
    }
}
