//! The metadata file: reading it, looking resources up, and the memory that it takes.
//!
//! - `cargo bench --bench metadata` measures 10,000, 100,000 and 1,000,000 rows (the last is a file of
//!   88 MB), all columns kept and only the APMID, and look-ups among 1,000,000 rows, a page of 1,000 at a time, in
//!   random order and in the file's. Microseconds for a page are nanoseconds for a look-up.
//! - `cargo bench --bench metadata -- memory` reads 1,000,000 rows in a process of their own and prints
//!   that process's greatest resident memory, and what it was before.
//! - `cargo bench --bench metadata -- write m.csv` writes that file, for whole commands:
//!   `B=target/release/shuffle-aws-vaults; $B simulate --vault v1=10 -- /usr/bin/time -v $B filter
//!   --source-account 123456789012 --vault v1 --allowed-apmids APP001 --metadata-csv m.csv -v`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark may fail, and prints what it measures"
)]

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use shuffle_aws_vaults::domain::ResourceArn;
use shuffle_aws_vaults::metadata::{Keep, MetadataTable};

const ROWS: u64 = 1_000_000;
/// Points that AWS lists at a time, and whose resources are looked up together.
const PAGE: usize = 1000;
/// What `copy` and `verify` read.
fn apmid() -> Keep {
    Keep::Only(vec!["APMID".to_owned()])
}

/// Bits that look random and never come again (splitmix64).
fn mixed(number: u64) -> u64 {
    let mut bits = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The ARN of a row's resource, of 63 to 70 bytes.
fn arn(row: u64) -> String {
    let kind = match row % 4 {
        0 => "ec2:us-east-1:123456789012:volume/vol-0",
        1 => "dynamodb:us-east-1:123456789012:table/orders-0",
        2 => "rds:us-east-1:123456789012:db:production-0",
        _ => "fsx:us-east-1:123456789012:file-system/fs-0",
    };
    format!("arn:aws:{kind}{:016x}", mixed(row))
}

fn write(path: &Path, rows: u64) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    writeln!(file, "resourceArn,APMID,Environment,Owner").unwrap();
    for row in 0..rows {
        let bits = mixed(row);
        let environment = match bits >> 8 & 3 {
            0 => "Production",
            1 => "Development",
            2 => "Staging",
            _ => "Test",
        };
        let owner = match bits >> 16 & 3 {
            0 => "Web",
            1 => "Data",
            2 => "Ops",
            _ => "Store",
        };
        writeln!(file, "{},APP{:03},{environment},{owner}", arn(row), bits % 500).unwrap();
    }
    file.flush().unwrap();
}

fn load(path: &Path, keep: &Keep) -> MetadataTable {
    MetadataTable::load(path, keep).unwrap()
}

fn loads(criterion: &mut Criterion, directory: &Path) {
    let mut group = criterion.benchmark_group("load");
    group.sample_size(20);
    for rows in [ROWS / 100, ROWS / 10, ROWS] {
        let path = directory.join(rows.to_string());
        write(&path, rows);
        group.throughput(Throughput::Elements(rows));
        for (name, keep) in [("all columns", Keep::All), ("APMID", apmid())] {
            group.bench_with_input(BenchmarkId::new(name, rows), &keep, |bencher, keep| {
                // Without the time in which the table is given back.
                bencher.iter_custom(|times| {
                    let mut taken = Duration::ZERO;
                    for _ in 0..times {
                        let began = Instant::now();
                        let table = load(&path, keep);
                        taken += began.elapsed();
                        black_box(table);
                    }
                    taken
                });
            });
        }
    }
    group.finish();
}

fn look_ups(criterion: &mut Criterion, path: &Path) {
    let table = load(path, &Keep::All);
    let in_order: Vec<u64> = (0..ROWS).collect();
    // An order that has nothing to do with the file's, so that each look-up waits for memory.
    let mut shuffled = in_order.clone();
    shuffled.sort_unstable_by_key(|&row| mixed(row ^ 0x5555));
    let mut group = criterion.benchmark_group("look-up of 1,000");
    group.throughput(Throughput::Elements(PAGE as u64));
    for (name, rows, first, found) in [
        ("present, in the file's order", &in_order, 0, true),
        ("present", &shuffled, 0, true),
        ("absent", &shuffled, ROWS, false),
    ] {
        let arn = |row: &u64| ResourceArn::from_aws(&arn(first + row));
        let arns: Vec<ResourceArn> = rows.iter().map(arn).collect();
        let pages: Vec<&[ResourceArn]> = arns.chunks(PAGE).collect();
        let of_page = |page: &[ResourceArn]| table.rows(page.iter());
        assert!(
            pages
                .iter()
                .all(|page| of_page(page).iter().all(|row| row.is_some() == found))
        );
        let mut next = pages.iter().copied().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| next.next().map(of_page));
        });
        let mut next = pages.iter().copied().cycle();
        group.bench_function(format!("{name}, and its APMID"), |bencher| {
            bencher.iter(|| {
                let rows = next.next().map(of_page).unwrap_or_default();
                rows.iter()
                    .flatten()
                    .filter(|row| row.get("APMID").is_some())
                    .count()
            });
        });
    }
    group.finish();
}

/// The greatest resident memory of this process so far, as Linux counts it.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap().trim().to_owned()
}

fn memory(directory: &Path) {
    let path = directory.join("memory");
    write(&path, ROWS);
    for name in ["all", "apmid"] {
        let mut process = Command::new(std::env::current_exe().unwrap());
        let done = process.arg(name).arg(&path).status().unwrap();
        assert!(done.success());
    }
}

fn load_once(name: &str, path: &Path, keep: &Keep) {
    let before = peak();
    let began = Instant::now();
    let table = load(path, keep);
    let taken = began.elapsed();
    let rows = table.len();
    println!(
        "{name}: {rows} rows in {taken:.0?}, at most {} resident, {before} before",
        peak()
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let directory = tempfile::tempdir().unwrap();
    match arguments.as_slice() {
        ["memory"] => memory(directory.path()),
        ["all", path] => load_once("all columns", Path::new(path), &Keep::All),
        ["apmid", path] => load_once("APMID", Path::new(path), &apmid()),
        ["write", path] => write(Path::new(path), ROWS),
        _ => {
            let mut criterion = Criterion::default().configure_from_args();
            loads(&mut criterion, directory.path());
            look_ups(&mut criterion, &directory.path().join(ROWS.to_string()));
            criterion.final_summary();
        }
    }
}
