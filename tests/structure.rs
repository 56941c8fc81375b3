//! House rules that no compiler checks: who may use whom, how long files are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_in_result,
    reason = "a test may fail"
)]

use std::path::{Path, PathBuf};

fn sources(directory: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push(path);
        }
    }
}

fn all() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 50);
    let name = |p: &PathBuf| p.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
    files
        .iter()
        .map(|p| (name(p), std::fs::read_to_string(p).unwrap()))
        .collect()
}

#[test]
fn the_simulator_and_the_client_share_nothing() {
    for (name, text) in all() {
        if name.starts_with("sim/") {
            for other in ["aws", "copy", "state", "cli", "report", "metadata", "verify"] {
                assert!(!text.contains(&format!("crate::{other}")), "{name} uses {other}");
            }
            assert!(!text.contains("aws_"), "{name} uses the SDK");
        } else if name != "cli/simulate.rs" {
            assert!(!text.contains("crate::sim::"), "{name} uses the simulator");
        }
    }
}

#[test]
fn the_sdk_is_named_in_one_module_only() {
    for (name, text) in all() {
        let allowed = name.starts_with("aws/") || name == "build.rs";
        assert!(allowed || !text.contains("aws_sdk_"), "{name}");
        assert!(allowed || !text.contains("aws_config::"), "{name}");
    }
}

/// What decides about copies knows neither clock nor network nor files, so that it can be lived through
/// in virtual time.
#[test]
fn what_decides_is_pure() {
    let pure = [
        "scheduler",
        "engine",
        "evidence",
        "doubt",
        "outcomes",
        "breaker",
        "window",
        "share",
        "resource_queues",
        "durations",
        "forecast",
        "job_times",
        "assumptions",
    ];
    let names = pure.map(|name| format!("copy/{name}.rs"));
    let found: Vec<_> = all()
        .into_iter()
        .filter(|(name, _)| names.contains(name))
        .collect();
    assert_eq!(found.len(), names.len());
    for (name, text) in found {
        for word in [
            "tokio",
            "Instant",
            "Utc::now",
            "async ",
            "std::fs",
            "BackupClient",
        ] {
            assert!(!text.contains(word), "{name}: {word}");
        }
    }
}

#[test]
fn files_stay_readable() {
    for (name, text) in all() {
        let lines = text.lines().count();
        assert!(lines <= 500, "{name} has {lines} lines");
    }
}
