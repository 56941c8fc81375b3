//! What a point costs does not grow with the number of points: memory, calls, bytes on disk.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::unwrap_in_result,
    reason = "a test may fail, and says what it measured"
)]

mod common;

use common::{ACCOUNTS, Rig, json};

/// Bytes of memory that one more point may cost in a debug build. The ledger takes 240 of them; the rest
/// are answers that are being read, and blocks that are filled in turn.
const MOST_MEMORY: u64 = 3_000;
/// Bytes of the state file.
const MOST_DOCUMENT: u64 = 1_000;
/// Bytes of the journal, over a whole run.
const MOST_JOURNAL: u64 = 1_500;

/// What a run of so many points cost.
#[derive(Debug, Clone, Copy)]
struct Cost {
    memory: u64,
    document: u64,
    journal: u64,
    calls: u64,
}

fn run(points: u64) -> Cost {
    let rig = Rig::new(&format!("--vault v1={points} --job-seconds 0.1-0.2"));
    // The journal is gone at the end; its greatest length is seen on the way.
    let done = rig.run(&format!(
        "shuffle-aws-vaults copy {ACCOUNTS} --vault v1 --poll-interval 1 --workers 50 --max-in-flight 500 \
           --state-file s.json --progress none --summary-output summary.json & pid=$!
         while grep VmHWM /proc/$pid/status; do
           stat -c 'journal %s' s.json.journal 2>/dev/null
           sleep 0.03
         done 2>/dev/null
         wait $pid"
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.assert_copied_once(points);
    let most = |name: &str| {
        let lines = done.stdout.lines().filter(|line| line.starts_with(name));
        let numbers = lines.map(|line| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap());
        numbers.max().unwrap()
    };
    let calls = json(&rig.path("summary.json"))["calls"]
        .as_object()
        .unwrap()
        .values()
        .map(|n| n.as_u64().unwrap())
        .sum();
    Cost {
        memory: most("VmHWM:") * 1024,
        document: std::fs::metadata(rig.path("s.json")).unwrap().len(),
        journal: most("journal"),
        calls,
    }
}

#[test]
fn a_point_costs_the_same_however_many_there_are() {
    const FEW: u64 = 1_000;
    const MANY: u64 = 6_000;
    let (few, many) = (run(FEW), run(MANY));
    println!("{FEW} points: {few:?}\n{MANY} points: {many:?}");
    let each = |what: fn(Cost) -> u64| what(many).saturating_sub(what(few)) / (MANY - FEW);
    assert!(each(|c| c.memory) <= MOST_MEMORY, "{few:?} {many:?}");
    assert!(each(|c| c.document) <= MOST_DOCUMENT, "{few:?} {many:?}");
    assert!(each(|c| c.journal) <= MOST_JOURNAL, "{few:?} {many:?}");
    assert!(many.calls <= MANY * 11 / 10, "{many:?}");
}
