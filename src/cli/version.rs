//! The long `--version`.

/// Version, commit, target and SDK versions, a line each.
pub fn long() -> String {
    format!(
        "{}\ncommit: {}\ntarget: {}\naws-config: {}\naws-sdk-backup: {}\naws-sdk-sts: {}\ntls: rustls (aws-lc-rs)",
        env!("CARGO_PKG_VERSION"),
        env!("BUILD_COMMIT"),
        env!("BUILD_TARGET"),
        env!("BUILD_AWS_CONFIG"),
        env!("BUILD_AWS_SDK_BACKUP"),
        env!("BUILD_AWS_SDK_STS"),
    )
}
