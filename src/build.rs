//! Build script: tells the program its commit, target and SDK versions for the long `--version`.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=Cargo.lock");
    println!("cargo::rerun-if-changed=src/build.rs");
    println!("cargo::rerun-if-changed=.git/HEAD");
    println!("cargo::rerun-if-changed=.git/refs/heads");
    let commit = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()
        .filter(|out| out.status.success())
        .and_then(|out| String::from_utf8(out.stdout).ok())
        .map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned());
    println!("cargo::rustc-env=BUILD_COMMIT={commit}");
    let target = std::env::var("TARGET").unwrap_or_else(|_| "unknown".to_owned());
    println!("cargo::rustc-env=BUILD_TARGET={target}");
    let lock = std::fs::read_to_string("Cargo.lock").unwrap_or_default();
    for (krate, variable) in [
        ("aws-config", "BUILD_AWS_CONFIG"),
        ("aws-sdk-backup", "BUILD_AWS_SDK_BACKUP"),
        ("aws-sdk-sts", "BUILD_AWS_SDK_STS"),
    ] {
        println!("cargo::rustc-env={variable}={}", locked_version(&lock, krate));
    }
}

fn locked_version<'a>(lock: &'a str, krate: &str) -> &'a str {
    lock.split("[[package]]")
        .find(|entry| entry.contains(&format!("name = \"{krate}\"\n")))
        .and_then(|entry| entry.split("version = \"").nth(1))
        .and_then(|rest| rest.split('"').next())
        .unwrap_or("unknown")
}
