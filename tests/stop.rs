//! A process that has to be gone is gone: whatever AWS, the network, the disk or the reader of its
//! output does, and wherever the program is.
//!
//! `SHUFFLE_TEST_ROUNDS` sets the number of random moments.

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

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use common::live::{Copy, Fate, Network, Sim, full_pipe};
use common::processes::{send, until, wait};
use common::{ACCOUNTS, Rig, json, side_by_side};

const SIM: &str = "--vault v1=60 --job-seconds 60";
/// The promise, and half a second for a machine that does other things too.
const AT_MOST: Duration = Duration::from_millis(5500);
const AT_ONCE: Duration = Duration::from_millis(600);

fn ends_with_2(copy: &mut Copy, at_most: Duration, what: &str) {
    let (code, took) = copy.wait();
    assert_eq!(code, Some(2), "{what}: {}", copy.stderr());
    assert!(took <= at_most, "{what}: {took:?}: {}", copy.stderr());
}

/// One signal ends it in time, a second one at once.
fn ends_by(signal: &str, second: bool, copy: &mut Child) {
    send(signal, copy.id());
    if second {
        std::thread::sleep(Duration::from_millis(50));
        send(signal, copy.id());
    }
    let (code, took) = wait(copy, Duration::from_mins(1));
    assert_eq!(code, Some(2));
    assert!(took <= if second { AT_ONCE } else { AT_MOST }, "{took:?}");
}

/// Answers the first `count` requests, and none after them.
fn hangs_after(sim: &Sim, count: u64) -> Network {
    let mut seen = 0;
    Network::new(sim, move |_| {
        seen += 1;
        if seen > count { Fate::Hangs } else { Fate::Answered }
    })
}

/// Answers all but those whose first line begins like this; tells when one has come.
fn hangs_at(sim: &Sim, begin: &'static str, end: &'static str) -> (Network, &'static AtomicUsize) {
    let seen: &'static AtomicUsize = Box::leak(Box::default());
    let network = Network::new(sim, move |line| {
        let path = line.rsplit_once(' ').unwrap().0;
        let path = path.split('?').next().unwrap();
        if path.starts_with(begin) && path.ends_with(end) {
            seen.fetch_add(1, Ordering::SeqCst);
            Fate::Hangs
        } else {
            Fate::Answered
        }
    });
    (network, seen)
}

#[test]
fn at_random_moments_of_a_run_whose_server_hangs_a_signal_ends_it_in_5_seconds() {
    let rounds = std::env::var("SHUFFLE_TEST_ROUNDS").map_or(20, |n| n.parse().unwrap());
    let seed = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    let slowest = AtomicU64::new(0);
    side_by_side(0..rounds, |round: u64| {
        let mut random = u64::from(seed) ^ (round + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut below = |n: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % n
        };
        let (answered, after) = (below(40), below(2500));
        let signal = ["INT", "TERM", "HUP"][usize::try_from(below(3)).unwrap()];
        let what = format!("seed {seed} round {round}: {signal} after {after} ms, {answered} answers");
        let sim = Sim::start(SIM);
        let network = hangs_after(&sim, answered);
        let mut copy = sim.copy("", Some(&network));
        std::thread::sleep(Duration::from_millis(after));
        copy.signal(signal);
        let (code, took) = copy.wait();
        assert_eq!(code, Some(2), "{what}: {}", copy.stderr());
        assert!(took <= AT_MOST, "{what}: {took:?}: {}", copy.stderr());
        slowest.fetch_max(u64::try_from(took.as_millis()).unwrap(), Ordering::SeqCst);
        sim.assert_state_loads();
    });
    eprintln!("{rounds} rounds, slowest {} ms", slowest.load(Ordering::SeqCst));
}

#[test]
fn before_the_run_too_a_signal_ends_it() {
    side_by_side(
        [
            ("GET /backup-vaults/v1", "/v1"),
            ("GET /backup-vaults/v1", "/recovery-points"),
            ("GET /copy-jobs", ""),
            ("PUT /backup-vaults/v1", "/v1"),
            ("PUT /backup-vaults/v1", "/access-policy"),
        ],
        |(begin, end)| {
            let what = format!("{begin}...{end}");
            let sim = Sim::start(SIM);
            let (network, seen) = hangs_at(&sim, begin, end);
            let mut copy = sim.copy("--drain-minutes 5 --summary-output s.json", Some(&network));
            until(&what, || seen.load(Ordering::SeqCst) > 0);
            copy.signal("INT");
            ends_with_2(&mut copy, AT_MOST, &what);
            let said = copy.stderr();
            assert!(
                said.contains("interrupted before anything was started"),
                "{what}: {said}"
            );
            assert_eq!(json(&sim.path("s.json"))["exit_code"], 2);
            assert_eq!(sim.ledger()["calls"].get("StartCopyJob"), None);
        },
    );
}

#[test]
fn an_identity_that_cannot_be_found_out_does_not_hold_up_the_end() {
    let sim = Sim::start(SIM);
    let network = hangs_after(&sim, 0).and_sts();
    let mut copy = sim.copy("", Some(&network));
    std::thread::sleep(Duration::from_millis(300));
    copy.signal("TERM");
    ends_with_2(&mut copy, AT_MOST, "GetCallerIdentity");
}

#[test]
fn credentials_that_are_awaited_do_not_hold_up_the_end() {
    let sim = Sim::start(SIM);
    let mut gone = false;
    let network = Network::new(&sim, move |line| {
        gone |= line.starts_with("PUT /copy-jobs");
        if gone {
            let message = "The security token included in the request is expired";
            Fate::Refused(403, "ExpiredTokenException", message.to_owned())
        } else {
            Fate::Answered
        }
    });
    let mut copy = sim.copy("", Some(&network));
    copy.until("waiting up to");
    copy.signal("INT");
    ends_with_2(&mut copy, AT_MOST, "credentials");
    sim.assert_state_loads();
}

#[test]
fn a_second_signal_does_not_wait_for_anything() {
    side_by_side(
        [
            (0, ""),
            (30, ""),
            (30, "--drain-minutes 5"),
            (1000, "--drain-minutes 5"),
        ],
        |(answered, more)| {
            let what = format!("{answered} {more}");
            let sim = Sim::start(SIM);
            let network = hangs_after(&sim, answered);
            let mut copy = sim.copy(more, Some(&network));
            if answered > 0 {
                copy.until("state is kept in");
            }
            std::thread::sleep(Duration::from_millis(500));
            copy.signal("INT");
            if answered > 0 {
                copy.until("stopping gracefully");
                copy.signal("INT");
            }
            let at_most = if answered > 0 { AT_ONCE } else { AT_MOST };
            ends_with_2(&mut copy, at_most, &what);
            sim.assert_state_loads();
        },
    );
}

#[test]
fn draining_ends_in_time_though_the_server_hangs() {
    let sim = Sim::start(SIM);
    let network = hangs_after(&sim, 30);
    let mut copy = sim.copy("--drain-minutes 0.05", Some(&network));
    copy.until("state is kept in");
    std::thread::sleep(Duration::from_millis(1500));
    copy.signal("TERM");
    ends_with_2(&mut copy, AT_MOST + Duration::from_secs(3), "drain");
    sim.assert_state_loads();
}

#[test]
#[ignore = "the shortest runtime limit is a minute"]
fn a_runtime_limit_is_kept_though_the_server_hangs() {
    side_by_side([0, 3, 30], |answered| {
        let sim = Sim::start(SIM);
        let network = hangs_after(&sim, answered);
        let began = std::time::Instant::now();
        let mut copy = sim.copy(
            "--max-runtime-minutes 1 --drain-minutes 5 --read-timeout 600",
            Some(&network),
        );
        let (code, _) = copy.wait();
        assert_eq!(code, Some(2), "{}", copy.stderr());
        let took = began.elapsed();
        assert!(took <= Duration::from_mins(1) + AT_MOST, "{answered}: {took:?}");
        sim.assert_state_loads();
    });
}

/// A thread that stands still in a write to a file, as in one to a disk that does not answer.
#[test]
fn a_write_that_does_not_return_does_not_hold_up_the_end() {
    side_by_side([false, true], |second| {
        let sim = Sim::start(SIM);
        let (_, keep) = full_pipe(sim.home.path());
        let mut copy = sim
            .command(&format!("copy {ACCOUNTS} --vault v1 --log-file pipe"), None)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(800));
        ends_by("TERM", second, &mut copy);
        drop(keep);
    });
}

#[test]
fn nobody_reads_stderr_and_the_copying_goes_on() {
    let sim = Sim::start("--vault v1=60 --job-seconds 0.1");
    let (pipe, keep) = full_pipe(sim.home.path());
    let mut copy = sim
        .command(
            &format!("copy {ACCOUNTS} --vault v1 --poll-interval 0.1 -v"),
            None,
        )
        .stderr(pipe)
        .spawn()
        .unwrap();
    let (code, _) = wait(&mut copy, Duration::from_secs(100));
    assert_eq!(code, Some(0));
    assert_eq!(sim.ledger()["copied_points"], 60);
    drop(keep);
}

#[test]
fn nobody_reads_stderr_and_a_signal_ends_it() {
    side_by_side([false, true], |second| {
        let sim = Sim::start(SIM);
        let (pipe, keep) = full_pipe(sim.home.path());
        let mut copy = sim
            .command(&format!("copy {ACCOUNTS} --vault v1 -v"), None)
            .stderr(pipe)
            .spawn()
            .unwrap();
        until("no job", || sim.ledger()["calls"].get("StartCopyJob").is_some());
        ends_by("HUP", second, &mut copy);
        drop(keep);
        sim.assert_state_loads();
    });
}

#[test]
fn a_run_that_is_to_outlive_its_terminal_does() {
    let rig = Rig::new("--vault v1=20 --job-seconds 1");
    let done = rig.run(&format!(
        "nohup shuffle-aws-vaults copy {ACCOUNTS} --vault v1 --poll-interval 0.1 & pid=$!; sleep 1; kill -HUP $pid; \
         wait $pid; echo $?"
    ));
    assert!(done.stdout.ends_with("0\n"), "{} {}", done.stdout, done.stderr);
    done.assert_copied_once(20);
}

#[test]
fn a_request_for_a_progress_line_never_ends_the_program() {
    let sim = Sim::start(SIM);
    let (network, seen) = hangs_at(&sim, "GET /backup-vaults/v1", "/recovery-points");
    let mut copy = sim.copy("", Some(&network));
    until("no listing", || seen.load(Ordering::SeqCst) > 0);
    copy.signal("USR1");
    std::thread::sleep(Duration::from_millis(200));
    assert!(copy.child.try_wait().unwrap().is_none(), "{}", copy.stderr());
    copy.signal("TERM");
    ends_with_2(&mut copy, AT_MOST, "USR1");
}

#[test]
fn other_commands_die_of_signals_like_any_program() {
    side_by_side(
        [
            "list --source-account 123456789012".to_owned(),
            format!("verify {ACCOUNTS}"),
        ],
        |command| {
            let sim = Sim::start(SIM);
            let network = hangs_after(&sim, 0);
            let stderr = std::fs::File::create(sim.path("other")).unwrap();
            let mut child = sim
                .command(&command, Some(&network))
                .stderr(stderr)
                .spawn()
                .unwrap();
            until("no word", || {
                std::fs::read_to_string(sim.path("other"))
                    .unwrap()
                    .contains("INFO")
            });
            send("TERM", child.id());
            let (code, took) = wait(&mut child, Duration::from_mins(1));
            assert_eq!(code, None, "{command}");
            assert!(took < AT_MOST);
        },
    );
}
