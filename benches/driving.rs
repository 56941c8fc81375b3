//! How fast StartCopyJob is driven with 50 calls under way, beside a bare loop of the SDK on the same
//! simulator: `cargo bench --bench driving`. Setting: `DRIVING_POINTS` (20,000; for each of the two).
//!
//! Once with answers after 50 ms, once after 20 ms, and once at once. In the last the processor is the limit,
//! for which the simulator, the loop, and in `copy` the state and the polls compete.
//!
//! Both rates are read from the simulator's dates of the jobs that were started: all starts but the
//! first tenth of them, in which `copy` feels its way to what AWS takes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark may fail, and prints what it measures"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_backup::Client;
use aws_sdk_backup::config::retry::RetryConfig;
use aws_sdk_backup::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_backup::types::Lifecycle;
use chrono::{DateTime, Utc};
use common::server::SimServer;

const CALLS: usize = 50;

fn client(sim: &SimServer) -> Client {
    let config = aws_sdk_backup::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(sim.variable("AWS_ENDPOINT_URL"))
        .credentials_provider(Credentials::new("AKIA123456789012SIMS", "s", None, None, "bench"))
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

async fn points_of(client: &Client, vault: &str) -> Vec<String> {
    let (mut points, mut token) = (Vec::new(), None);
    loop {
        let call = client
            .list_recovery_points_by_backup_vault()
            .backup_vault_name(vault);
        let page = call.max_results(1000).set_next_token(token).send().await.unwrap();
        let arns = page
            .recovery_points()
            .iter()
            .filter_map(|p| p.recovery_point_arn());
        points.extend(arns.map(str::to_owned));
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            return points;
        }
    }
}

/// The least that a program can do to start all jobs.
async fn bare_loop(client: Client, points: Vec<String>, destination: String) {
    let (points, next) = (Arc::new(points), Arc::new(AtomicUsize::new(0)));
    let destination: Arc<str> = destination.into();
    let tasks: Vec<_> = (0..CALLS)
        .map(|_| {
            let (client, points) = (client.clone(), Arc::clone(&points));
            let (next, destination) = (Arc::clone(&next), Arc::clone(&destination));
            tokio::spawn(async move {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let started = client
                        .start_copy_job()
                        .recovery_point_arn(point)
                        .source_backup_vault_name("bare")
                        .destination_backup_vault_arn(&*destination)
                        .iam_role_arn(
                            "arn:aws:iam::123456789012:role/service-role/AWSBackupDefaultServiceRole",
                        )
                        .lifecycle(Lifecycle::builder().delete_after_days(730).build())
                        .idempotency_token(point)
                        .send();
                    started.await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Starts a second, from the dates of all jobs into a vault.
fn rate(ledger: &serde_json::Value, vault: &str, points: usize) -> f64 {
    let into = |job: &&serde_json::Value| {
        job["destination_backup_vault_arn"]
            .as_str()
            .unwrap()
            .ends_with(&format!(":{vault}"))
    };
    let copies = ledger["copies"].as_array().unwrap().iter().filter(into);
    let date = |job: &serde_json::Value| job["created"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let mut dates: Vec<DateTime<Utc>> = copies.map(date).collect();
    assert_eq!(dates.len(), points, "{vault}");
    dates.sort_unstable();
    let first = points / 10;
    let seconds = (dates[points - 1] - dates[first]).as_seconds_f64();
    (points - 1 - first) as f64 / seconds
}

fn main() {
    let points: usize = std::env::var("DRIVING_POINTS").map_or(20_000, |n| n.parse().unwrap());
    // A thousand jobs in flight are seen at the next poll: the faster they start, the sooner that has to be.
    for (latency, poll) in [(50, 0.3), (20, 0.3), (0, 0.1)] {
        drive(points, latency, poll);
    }
}

/// Both loops against one simulator whose answers take so many milliseconds.
fn drive(points: usize, latency: u32, poll: f64) {
    let sim = SimServer::start(&format!(
        "--vault bare={points} --vault ours={points} --job-seconds 0.01-0.02 --latency-ms {latency}"
    ));
    let home = tempfile::tempdir().unwrap();
    let copy = format!(
        "copy {} --vault ours --dest-vault ours --workers {CALLS} --max-in-flight 1000 --poll-interval {poll} --quiet",
        common::ACCOUNTS
    );
    let ran = |arguments: &str| sim.command(home.path(), arguments).status().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    assert!(ran(&copy).success());
    runtime.block_on(async {
        let client = client(&sim);
        let all = points_of(&client, "bare").await;
        // The jobs fail, as nobody has made the vault; they are started all the same.
        let destination = "arn:aws:backup:us-east-1:987654321098:backup-vault:bare";
        bare_loop(client, all, destination.to_owned()).await;
    });
    let ledger = sim.ledger();
    let (bare, ours) = (rate(&ledger, "bare", points), rate(&ledger, "ours", points));
    println!(
        "StartCopyJob, {CALLS} calls under way, answers after {latency} ms: bare loop of the SDK {bare:.0} a second, copy {ours:.0}: {:.0} %",
        ours / bare * 100.0
    );
}
