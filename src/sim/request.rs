//! One HTTP request, taken apart.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;

/// What a handler needs of a request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path segments, decoded.
    pub(super) path: Vec<String>,
    pub(super) query: HashMap<String, String>,
    pub(super) body: Vec<u8>,
    pub(super) access_key: Option<String>,
    pub(super) session_token: Option<String>,
    /// When it was signed, by the caller's clock.
    pub(super) signed_at: Option<DateTime<Utc>>,
    /// Service and operation, in the JSON protocols.
    pub(super) target: Option<String>,
    /// Access token of the SSO portal.
    pub(super) sso_token: Option<String>,
    /// Region of the signature's scope.
    pub(super) region: String,
}

impl Request {
    pub(super) fn new(parts: &Parts, body: Vec<u8>) -> Self {
        let header = |name: &str| {
            parts
                .headers
                .get(name)
                .and_then(|v| v.to_str().ok())
                .map(str::to_owned)
        };
        let authorization = header(AUTHORIZATION.as_str()).unwrap_or_default();
        let scope: Vec<&str> = authorization
            .split("Credential=")
            .nth(1)
            .and_then(|rest| rest.split([',', ' ']).next())
            .map(|credential| credential.split('/').collect())
            .unwrap_or_default();
        Self {
            method: parts.method.as_str().to_owned(),
            path: parts
                .uri
                .path()
                .split('/')
                .filter(|s| !s.is_empty())
                .map(decoded)
                .collect(),
            query: form(parts.uri.query().unwrap_or_default()),
            body,
            access_key: scope.first().filter(|k| !k.is_empty()).map(|k| (*k).to_owned()),
            session_token: header("x-amz-security-token"),
            signed_at: header("x-amz-date").and_then(|text| {
                let at = NaiveDateTime::parse_from_str(&text, "%Y%m%dT%H%M%SZ");
                at.ok().map(|at| at.and_utc())
            }),
            target: header("x-amz-target"),
            sso_token: header("x-amz-sso_bearer_token"),
            region: scope
                .get(2)
                .map_or_else(|| "us-east-1".to_owned(), |r| (*r).to_owned()),
        }
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// The body as a form, which is what STS is sent.
    pub(super) fn form(&self) -> HashMap<String, String> {
        form(&String::from_utf8_lossy(&self.body))
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn form(text: &str) -> HashMap<String, String> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(&value.replace('+', " ")))
        })
        .collect()
}
