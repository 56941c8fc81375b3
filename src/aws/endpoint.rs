//! Whether calls go somewhere else than to AWS.

use std::env;

/// Set by the simulator for the command that it runs.
const SIMULATED: &str = "SHUFFLE_AWS_VAULTS_SIMULATED";

/// An endpoint that the environment puts in AWS's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomEndpoint {
    /// Its URL.
    pub url: String,
    /// Whether it is a rehearsal: the simulator, or anything else on this machine. States of
    /// rehearsals and of real runs are never mixed.
    pub simulated: bool,
}

impl CustomEndpoint {
    /// Its URL without the user and password that may stand in it.
    pub fn shown(&self) -> String {
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("", &self.url));
        let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        format!(
            "{scheme}{}{host}{path}",
            if scheme.is_empty() { "" } else { "://" }
        )
    }
}

/// A service that is asked beside AWS Backup and STS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// Roles.
    Iam,
    /// Keys.
    Kms,
}

impl Service {
    /// As its environment variable ends.
    fn name(self) -> &'static str {
        match self {
            Self::Iam => "IAM",
            Self::Kms => "KMS",
        }
    }
}

/// Whether a service may be asked: a rehearsal never reaches AWS, not even with a question.
///
/// # Errors
/// If it may not, in words.
pub(super) fn may_be_asked(service: Service) -> Result<(), String> {
    let is_rehearsal = custom_endpoint().is_some_and(|endpoint| endpoint.simulated);
    if !is_rehearsal || url_for(service.name()).is_some_and(|url| is_loopback(&url)) {
        return Ok(());
    }
    Err(format!(
        "this is a rehearsal, and AWS_ENDPOINT_URL_{} names no stand-in for that service on this machine",
        service.name()
    ))
}

/// The endpoint of a service by the AWS environment variables, if it is not AWS's own.
fn url_for(service: &str) -> Option<String> {
    env::var(format!("AWS_ENDPOINT_URL_{service}"))
        .or_else(|_| env::var("AWS_ENDPOINT_URL"))
        .ok()
        .filter(|url| !url.trim().is_empty())
}

/// The endpoint in force for AWS Backup by the AWS environment variables, if it is not AWS's own.
pub fn custom_endpoint() -> Option<CustomEndpoint> {
    let url = url_for("BACKUP")?;
    let simulated = env::var_os(SIMULATED).is_some() || is_loopback(&url);
    Some(CustomEndpoint { url, simulated })
}

fn is_loopback(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', '?']).next().unwrap_or_default();
    ["127.", "localhost", "[::1]"]
        .iter()
        .any(|prefix| host.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_url_is_not_shown() {
        for (url, shown) in [
            (
                "https://user:secret@proxy.example.com:8443/x?y",
                "https://proxy.example.com:8443/x?y",
            ),
            ("http://127.0.0.1:1", "http://127.0.0.1:1"),
            ("proxy/a@b", "proxy/a@b"),
        ] {
            let endpoint = CustomEndpoint {
                url: url.to_owned(),
                simulated: false,
            };
            assert_eq!(endpoint.shown(), shown);
        }
    }

    #[test]
    fn loopback_is_a_rehearsal_and_nothing_else_is() {
        for url in ["http://127.0.0.1:8080", "http://localhost/x", "https://[::1]:1"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "https://backup.us-east-1.amazonaws.com",
            "https://vpce-127.example.com",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
