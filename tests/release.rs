//! What a release is made of: the steps of .github/release.sh, and where cargo binstall looks for what they make.

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
use std::process::Command;

use common::binary;
use common::processes::{Ended, ended};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs a step in a directory, as in the repository at `repository` if one is named.
fn step(directory: &Path, words: &[&str], repository: Option<&str>) -> Ended {
    let mut command = Command::new(Path::new(ROOT).join(".github/release.sh"));
    command.args(words).current_dir(directory);
    match repository {
        Some(repository) => command.env("GITHUB_REPOSITORY", repository),
        None => command.env_remove("GITHUB_REPOSITORY"),
    };
    ended(&mut command)
}

/// A text of the workflow, as often as it is there: what stands between `before` and the next `after`.
fn all_between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    let parts = text.split(before).skip(1);
    parts
        .map(|part| part.split(after).next().unwrap().trim())
        .collect()
}

/// What cargo binstall makes of one of its templates in Cargo.toml.
fn rendered(key: &str, target: &str) -> String {
    let manifest = include_str!("../Cargo.toml");
    let template = all_between(manifest, &format!("\n{key} = \""), "\"")[0];
    let values = [
        ("repo", "https://github.com/owner/repository"),
        ("name", env!("CARGO_PKG_NAME")),
        ("bin", env!("CARGO_PKG_NAME")),
        ("version", VERSION),
        ("target", target),
        ("binary-ext", ""),
    ];
    let mut text = template.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("{{ {name} }}"), value);
    }
    assert!(!text.contains(['{', '}']), "{text}");
    text
}

#[test]
fn binstall_finds_what_the_workflow_makes() {
    let workflow = include_str!("../.github/workflows/release.yml");
    let targets = all_between(workflow, "{ target: ", ",");
    assert_eq!(targets.len(), 4, "{targets:?}");
    let scratch = tempfile::tempdir().unwrap();
    for target in targets {
        let program = binary();
        let done = step(
            scratch.path(),
            &["package", target, program.to_str().unwrap(), "dist"],
            None,
        );
        assert_eq!(done.code, 0, "{}", done.stderr);
        let url = rendered("pkg-url", target);
        let (place, archive) = url.rsplit_once('/').unwrap();
        assert_eq!(
            place,
            format!("https://github.com/owner/repository/releases/download/v{VERSION}")
        );
        let unpack = ["-xzf", &format!("dist/{archive}")].map(str::to_owned);
        let done = ended(Command::new("tar").args(unpack).current_dir(scratch.path()));
        assert_eq!(done.code, 0, "{}", done.stderr);
        let program = scratch.path().join(rendered("bin-dir", target));
        let said = ended(Command::new(program).arg("--version"));
        assert!(said.stdout.contains(VERSION), "{}", said.stdout);
    }
}

#[test]
fn the_tag_is_the_version_and_the_repository_that_of_the_manifest() {
    let here = Path::new(ROOT);
    let tag = format!("v{VERSION}");
    let done = step(here, &["check", &tag], None);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for wrong in [VERSION, "v99.0.0", "v"] {
        let done = step(here, &["check", wrong], None);
        assert_eq!(done.code, 1, "{wrong}");
        let told = format!("the tag {wrong} is not {tag}, the version in Cargo.toml");
        assert!(done.stderr.contains(&told), "{}", done.stderr);
    }
    let repository = env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/");
    if !repository.is_empty() {
        assert_eq!(step(here, &["check", &tag], Some(repository)).code, 0);
    }
    let done = step(here, &["check", &tag], Some("some/fork"));
    assert_eq!(done.code, 1);
    let told = "Cargo.toml needs repository = \"https://github.com/some/fork\"";
    assert!(done.stderr.contains(told), "{}", done.stderr);
}

#[test]
fn a_rehearsal_fails_if_the_program_does() {
    let here = Path::new(ROOT);
    let done = step(here, &["rehearse", binary().to_str().unwrap()], None);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("Completed: 50"), "{}", done.stderr);
    assert_ne!(step(here, &["rehearse", "false"], None).code, 0);
    assert_ne!(step(here, &["nothing"], None).code, 0);
}

/// readelf and sha256sum are Linux', and these steps run there only.
#[cfg(target_os = "linux")]
mod on_linux {
    use super::*;

    #[test]
    fn a_binary_that_needs_a_loader_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::write(scratch.path().join("a.c"), "int main(void) { return 0; }\n").unwrap();
        for (flags, wanted, told) in [("-static", 0, ""), ("-pie", 1, "a.out is not static")] {
            let build = Command::new("cc")
                .args([flags, "a.c"])
                .current_dir(scratch.path())
                .status();
            assert!(build.unwrap().success());
            let done = step(scratch.path(), &["static", "a.out"], None);
            assert_eq!(done.code, wanted, "{flags}: {}", done.stderr);
            assert!(done.stderr.contains(told), "{}", done.stderr);
        }
        assert_ne!(step(scratch.path(), &["static", "a.c"], None).code, 0);
    }

    #[test]
    fn checksums_are_those_that_the_guide_checks() {
        let scratch = tempfile::tempdir().unwrap();
        let dist = scratch.path().join("dist");
        std::fs::create_dir(&dist).unwrap();
        for name in ["a.tar.gz", "b.tar.gz", "c.cdx.json"] {
            std::fs::write(dist.join(name), name).unwrap();
        }
        // Twice, because a step may be repeated: the list does not list itself.
        for _ in 0..2 {
            let done = step(scratch.path(), &["sums", "dist"], None);
            assert_eq!(done.code, 0, "{}", done.stderr);
        }
        let guide = include_str!("../USER_GUIDE.md");
        let command = all_between(guide, "\nsha256sum ", "\n")[0];
        let check = || {
            let words = command.split_whitespace();
            ended(Command::new("sha256sum").args(words).current_dir(&dist))
        };
        std::fs::remove_file(dist.join("b.tar.gz")).unwrap();
        assert_eq!(check().code, 0, "{}", check().stderr);
        let sums = std::fs::read_to_string(dist.join("SHA256SUMS")).unwrap();
        assert_eq!(sums.lines().count(), 3, "{sums}");
        std::fs::write(dist.join("a.tar.gz"), "another").unwrap();
        assert_ne!(check().code, 0);
    }
}
