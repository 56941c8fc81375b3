//! Listing the recovery points of a large vault, against the simulator, beside a bare loop of the SDK.
//!
//! `cargo bench --bench listing`. Settings: `LISTING_POINTS` (1,000,000), `LISTING_RUNS` (5; of each kind,
//! in turn; one where pages take time), `LISTING_LATENCY_MS` (0,300). What is measured of `list` is the
//! whole process, as an operator runs it; of the bare loop, the loop alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark may fail, and prints what it measures"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::process::Stdio;
use std::time::{Duration, Instant};

use aws_sdk_backup::Client;
use aws_sdk_backup::config::retry::RetryConfig;
use aws_sdk_backup::config::{BehaviorVersion, Credentials, Region};
use common::server::SimServer;

/// What one run took.
#[derive(Debug, Clone, Copy)]
struct Cost {
    seconds: f64,
    calls: u64,
    /// Greatest resident memory of the process, in MB; 0 where it is not known.
    megabytes: u64,
}

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn list_calls(sim: &SimServer) -> u64 {
    sim.ledger()["calls"]["ListRecoveryPointsByBackupVault"]
        .as_u64()
        .unwrap_or(0)
}

/// The least that a program can do to see every point: page by page, and nothing but a count.
async fn bare_loop(sim: &SimServer, points: usize) -> Duration {
    let config = aws_sdk_backup::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(sim.variable("AWS_ENDPOINT_URL"))
        .credentials_provider(Credentials::new("AKIA123456789012SIMS", "s", None, None, "bench"))
        .retry_config(RetryConfig::disabled())
        .build();
    let client = Client::from_conf(config);
    let began = Instant::now();
    let (mut count, mut token) = (0, None);
    loop {
        let call = client
            .list_recovery_points_by_backup_vault()
            .backup_vault_name("v1")
            .max_results(1000)
            .set_next_token(token);
        let page = call.send().await.unwrap();
        count += page.recovery_points().len();
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(count, points);
    began.elapsed()
}

/// `list` with these options, to nowhere.
fn list(sim: &SimServer, options: &str) -> (Duration, u64) {
    let home = tempfile::tempdir().unwrap();
    let arguments = format!("list --source-account 123456789012 --vault v1 --quiet {options}");
    let began = Instant::now();
    let mut child = sim
        .command(home.path(), &arguments)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut kilobytes = 0;
    let status = loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(most) = most.and_then(|text| text.split_whitespace().next()?.parse().ok()) {
            kilobytes = most;
        }
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(status.success());
    (began.elapsed(), kilobytes / 1000)
}

fn main() {
    // `cargo test --all-targets` runs this too.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let points: usize = setting("LISTING_POINTS", "1000000").parse().unwrap();
    let runs: usize = setting("LISTING_RUNS", "5").parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    println!("{points} points; medians");
    println!(
        "{:>9}  {:<28} {:>4} {:>9} {:>7} {:>7} {:>5}",
        "ms a page", "", "runs", "seconds", "ratio", "calls", "MB"
    );
    for latency in setting("LISTING_LATENCY_MS", "0,300").split(',') {
        let sim = SimServer::start(&format!("--vault v1={points} --latency-ms {latency}"));
        let kinds = [
            ("bare loop of the SDK", None),
            ("list, page after page", Some("--list-workers 1 --output ndjson")),
            ("list, ndjson", Some("--output ndjson")),
            ("list, csv", Some("--output csv")),
            ("list, json", Some("--output json")),
        ];
        let runs = if latency == "0" { runs } else { 1 };
        let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); kinds.len()];
        for _ in 0..runs {
            for ((_, options), costs) in kinds.iter().zip(&mut costs) {
                let before = list_calls(&sim);
                let (time, megabytes) = match options {
                    None => (runtime.block_on(bare_loop(&sim, points)), 0),
                    Some(options) => list(&sim, options),
                };
                costs.push(Cost {
                    seconds: time.as_secs_f64(),
                    calls: list_calls(&sim) - before,
                    megabytes,
                });
            }
        }
        let mut first = None;
        for ((name, _), costs) in kinds.iter().zip(&mut costs) {
            costs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
            let Cost {
                seconds,
                calls,
                megabytes,
            } = costs[costs.len() / 2];
            let ratio = seconds / *first.get_or_insert(seconds);
            println!(
                "{latency:>9}  {name:<28} {runs:>4} {seconds:>9.2} {ratio:>7.2} {calls:>7} {megabytes:>5}"
            );
        }
    }
}
