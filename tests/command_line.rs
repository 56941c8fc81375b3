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
    for command in ["list", "filter", "copy", "verify", "simulate"] {
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
    for command in ["list", "filter", "copy", "verify"] {
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
