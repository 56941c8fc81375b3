//! Fault campaign, short form: whatever goes wrong between the program and AWS, every point is copied
//! once, nothing fails for a passing cause, the run ends soon after the faults do, and no storm of
//! calls is sent. The long form is `tests/campaign/faults.sh`.

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

use std::path::PathBuf;
use std::sync::OnceLock;

use common::{ACCOUNTS, Done, Rig, json, side_by_side};
use serde_json::Value;

/// Points of a run.
const POINTS: u64 = 200;
/// Far beyond the minute that the slowest of these runs takes on an idle machine.
const MOST_SECONDS: u64 = 240;

/// `copy`, ended by force if it does not end. A start whose answer is lost is settled after the grace:
/// longer than `--list-lag` in these tests.
fn copy(more: &str) -> String {
    format!(
        "SHUFFLE_AWS_VAULTS_LIST_GRACE=2 timeout -s KILL {MOST_SECONDS} shuffle-aws-vaults copy {ACCOUNTS} --vault v1 \
         --poll-interval 0.5 --max-in-flight 40 --connect-timeout 2 --read-timeout 2 --summary-output s.json {more}"
    )
}

/// Jobs take less than a second unless the options say otherwise.
fn rig(faults: &str) -> Rig {
    let quick = if faults.contains("--job-seconds") {
        ""
    } else {
        "--job-seconds 0.1-0.4"
    };
    Rig::new(&format!("--vault v1={POINTS} {quick} {faults}"))
}

/// Calls to AWS Backup in all.
fn calls(ledger: &Value) -> u64 {
    let all = ledger["calls"].as_object().unwrap();
    all.values().map(|n| n.as_u64().unwrap()).sum()
}

/// Calls of a run without faults.
fn quiet_calls() -> u64 {
    static CALLS: OnceLock<u64> = OnceLock::new();
    *CALLS.get_or_init(|| {
        let done = rig("").run(&copy(""));
        assert_eq!(done.code, 0, "{}", done.stderr);
        calls(&done.ledger)
    })
}

struct Run {
    done: Done,
    summary: Value,
    _rig: Rig,
}

impl Run {
    fn new(faults: &str, more: &str) -> Self {
        let rig = rig(faults);
        let done = rig.run(&copy(more));
        assert_ne!(done.code, 137, "it did not end\n{}", done.stderr);
        let path: PathBuf = rig.path("s.json");
        assert!(path.exists(), "no summary\n{}", done.stderr);
        Self {
            summary: json(&path),
            done,
            _rig: rig,
        }
    }

    fn count(&self, member: &str) -> u64 {
        self.summary[member].as_u64().unwrap()
    }

    fn faults(&self, kind: &str) -> u64 {
        self.done.ledger["faults"][kind].as_u64().unwrap_or(0)
    }

    /// No copy twice, no item left, no storm.
    fn assert_sound(&self) -> &Self {
        let stderr = &self.done.stderr;
        assert_eq!(self.done.ledger["duplicates"], 0, "{stderr}");
        let ended = self.count("completed") + self.count("failed") + self.count("skipped");
        assert_eq!(self.count("total_items"), ended, "an item is left\n{stderr}");
        assert_eq!(self.count("in_progress"), 0, "{stderr}");
        let bound = 2 * quiet_calls() + self.count("retries") + self.count("throttles");
        let sent = calls(&self.done.ledger);
        assert!(
            sent <= bound,
            "{sent} calls, {bound} allowed: {:#}\n{stderr}",
            self.done.ledger["calls"]
        );
        self
    }

    /// And every point copied, none failed.
    fn assert_all_copied(&self) -> &Self {
        self.assert_sound();
        assert_eq!(self.done.code, 0, "{}", self.done.stderr);
        assert_eq!(self.count("failed"), 0, "{}", self.done.stderr);
        self.done.assert_copied_once(POINTS);
        self
    }

    /// And each of these faults came.
    fn assert_met(&self, kinds: &[&str]) -> &Self {
        for kind in kinds {
            assert!(
                self.faults(kind) > 0,
                "{kind} never came: {:#}",
                self.done.ledger["faults"]
            );
        }
        self
    }
}

/// `--fault` for each kind, with the rest of the SPEC after it.
fn each(kinds: &[&str], rest: &str) -> String {
    kinds
        .iter()
        .fold(String::new(), |all, kind| all + " --fault " + kind + rest)
}

#[test]
fn throttling_slows_down_and_fails_nothing() {
    let kinds = [
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
    ];
    let faults = each(&kinds, ":StartCopyJob=0.05") + &each(&kinds, ":ListCopyJobs=0.05");
    let run = Run::new(&faults, "");
    run.assert_all_copied().assert_met(&kinds);
    assert!(run.count("throttles") >= kinds.iter().map(|k| run.faults(k)).sum());
}

#[test]
fn a_burst_of_throttling_is_sat_out() {
    let run = Run::new("--fault ThrottlingException:StartCopyJob=1@0-6", "");
    run.assert_all_copied().assert_met(&["ThrottlingException"]);
}

#[test]
fn faults_inside_of_aws_fail_nothing() {
    let kinds = [
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "InternalError",
        "InternalFailure",
    ];
    let run = Run::new(
        &(each(&kinds, ":StartCopyJob=0.05") + &each(&kinds, ":ListCopyJobs=0.05")),
        "",
    );
    run.assert_all_copied().assert_met(&kinds);
}

#[test]
fn timeouts_that_aws_reports_fail_nothing() {
    let kinds = ["RequestTimeout", "RequestTimeoutException"];
    let run = Run::new(
        &(each(&kinds, ":StartCopyJob=0.05") + &each(&kinds, ":ListCopyJobs=0.05")),
        "",
    );
    run.assert_all_copied().assert_met(&kinds);
}

#[test]
fn pages_of_load_balancers_fail_nothing() {
    let kinds = ["500", "502", "503", "504"];
    let run = Run::new(
        &(each(&kinds, ":StartCopyJob=0.05") + &each(&kinds, ":ListCopyJobs=0.05")),
        "",
    );
    run.assert_all_copied().assert_met(&kinds);
}

#[test]
fn an_outage_is_sat_out() {
    let run = Run::new(
        "--fault 503:StartCopyJob=1@0-6 --fault reset:ListCopyJobs=0.5@2-6",
        "",
    );
    run.assert_all_copied().assert_met(&["503"]);
}

#[test]
fn a_full_service_is_waited_for() {
    let run = Run::new("--fault LimitExceededException:StartCopyJob=0.3", "");
    run.assert_all_copied().assert_met(&["LimitExceededException"]);
}

#[test]
fn closed_connections_lose_and_double_nothing() {
    let kinds = ["reset", "lost"];
    let faults = each(&kinds, ":StartCopyJob=0.05") + &each(&kinds, ":ListCopyJobs=0.1");
    Run::new(&faults, "").assert_all_copied().assert_met(&kinds);
}

#[test]
fn answers_that_never_come_or_come_late_lose_and_double_nothing() {
    let kinds = ["hang", "hang-after", "late"];
    let faults = each(&kinds, ":StartCopyJob=0.05") + " --fault hang:ListCopyJobs=0.05";
    Run::new(&faults, "").assert_all_copied().assert_met(&kinds);
}

#[test]
fn broken_answers_lose_and_double_nothing() {
    let kinds = ["half", "html", "wrong-type"];
    let faults = each(&kinds, ":StartCopyJob=0.05") + &each(&kinds, ":ListCopyJobs=0.05");
    Run::new(&faults, "").assert_all_copied().assert_met(&kinds);
}

#[test]
fn an_answer_at_one_byte_a_second_is_given_up() {
    let faults = "--fault slow:StartCopyJob=0.05 --fault slow:ListCopyJobs=0.1";
    Run::new(faults, "").assert_all_copied().assert_met(&["slow"]);
}

#[test]
fn a_proxy_that_repeats_starts_doubles_nothing() {
    Run::new("--fault duplicate=0.5", "")
        .assert_all_copied()
        .assert_met(&["duplicate"]);
}

#[test]
fn rejected_credentials_are_renewed_and_fail_nothing() {
    let kinds = [
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
    ];
    let run = Run::new(&each(&kinds, ":StartCopyJob=0.05"), "");
    run.assert_all_copied().assert_met(&kinds);
}

#[test]
fn a_right_that_is_missing_stops_the_run_with_few_calls() {
    let run = Run::new("--fault AccessDeniedException:StartCopyJob=1", "");
    assert_eq!(run.done.code, 1, "{}", run.done.stderr);
    assert!(
        run.done.calls("StartCopyJob") < POINTS,
        "{}",
        run.done.calls("StartCopyJob")
    );
    assert!(
        run.done.stderr.contains("backup:StartCopyJob"),
        "{}",
        run.done.stderr
    );
    run.done.assert_copied_once(0);
}

/// Jobs and points show up in lists seconds after they are there; lost starts must wait for that.
#[test]
fn lists_that_lag_lose_and_double_nothing() {
    let faults = "--list-lag 1 --fault lost:StartCopyJob=0.1";
    Run::new(faults, "").assert_all_copied().assert_met(&["lost"]);
}

/// The token is no guard here: the look for the job of a lost start is the only one.
#[test]
fn lists_that_lag_double_nothing_where_tokens_are_forgotten() {
    let faults =
        "--list-lag 1 --no-token-replay --fault lost:StartCopyJob=0.1 --fault hang-after:StartCopyJob=0.05";
    Run::new(faults, "")
        .assert_all_copied()
        .assert_met(&["lost", "hang-after"]);
}

#[test]
fn jobs_that_stay_in_created_are_waited_for() {
    let run = Run::new("--stuck-share 0.1 --stuck-seconds 5", "");
    run.assert_all_copied();
}

#[test]
fn jobs_that_no_list_shows_are_asked_for() {
    let run = Run::new("--unlisted-share 0.1", "");
    run.assert_all_copied();
    assert!(run.done.calls("DescribeCopyJob") > 0);
}

/// Listing is denied, so that each job is asked for while it runs: sweeps list only jobs that ended.
#[test]
fn unknown_states_and_members_are_carried() {
    let run = Run::new(
        "--unknown-share 0.5 --job-seconds 1-2 --deny ListCopyJobs",
        "--no-reconcile",
    );
    assert_eq!(run.done.code, 0, "{}", run.done.stderr);
    assert!(run.done.calls("DescribeCopyJob") > POINTS);
    assert_eq!(run.count("completed"), POINTS);
    run.done.assert_copied_once(POINTS);
}

#[test]
fn partial_copies_are_reported_and_the_rest_is_copied() {
    let run = Run::new("--partial-share 0.2", "");
    run.assert_sound();
    assert_eq!(run.done.code, 1, "{}", run.done.stderr);
    let failed = run.count("failed");
    assert!(failed > 0 && failed < POINTS, "{failed}");
    assert_eq!(run.count("completed"), POINTS - failed);
    for failure in run.summary["failures"].as_array().unwrap() {
        assert_eq!(failure["error_code"], "CopyJobPartial");
    }
}

#[test]
fn a_clock_that_is_behind_aws_is_made_up_for() {
    Run::new("--clock-skew 600", "").assert_all_copied();
}

#[test]
fn a_clock_that_is_ahead_of_aws_is_made_up_for() {
    Run::new("--clock-skew=-600", "").assert_all_copied();
}

/// Not the first call only: whichever operation comes first finds out.
#[test]
fn every_command_makes_up_for_a_clock_that_is_off() {
    side_by_side(["600", "-600"], |skew| {
        let rig = rig(&format!("--clock-skew={skew}"));
        for command in [
            "list",
            "list --vault v1",
            "filter --vault v1",
            "copy --vault v1 --dry-run",
        ] {
            let both = if command.starts_with("copy") {
                ACCOUNTS
            } else {
                "--source-account 123456789012"
            };
            let done = rig.run(&format!("shuffle-aws-vaults {command} {both}"));
            assert_eq!(done.code, 0, "{command}: {}", done.stderr);
            assert!(done.stderr.contains("this machine's clock is"), "{}", done.stderr);
        }
    });
}

/// AWS's dates of jobs are not ours then, and the token is no guard.
#[test]
fn lost_starts_are_found_by_a_clock_that_is_off() {
    side_by_side(["600", "-600"], |skew| {
        let faults = format!("--clock-skew={skew} --no-token-replay --fault lost:StartCopyJob=0.05");
        Run::new(&faults, "").assert_all_copied().assert_met(&["lost"]);
    });
}

/// A list without end would be read for ever, and a part of it copied as if it were all.
#[test]
fn a_list_that_repeats_itself_is_an_error_and_nothing_is_copied() {
    side_by_side(["1", "1@0-1000"], |share| {
        let rig = rig(&format!(
            "--fault repeat-token:ListRecoveryPointsByBackupVault={share}"
        ));
        let done = rig.run(&copy(""));
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(
            done.stderr.contains("the same NextToken twice"),
            "{}",
            done.stderr
        );
        assert_eq!(done.calls("StartCopyJob"), 0);
    });
}

fn list(faults: &str) -> (Done, usize) {
    let done = Rig::new(&format!("--vault v1=3500 {faults}")).run(&format!(
        "timeout -s KILL {MOST_SECONDS} shuffle-aws-vaults list --source-account 123456789012 --vault v1 --output ndjson"
    ));
    let arns: std::collections::HashSet<String> = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["recovery_point_arn"].to_string())
        .collect();
    assert_eq!(arns.len(), done.stdout.lines().count(), "a point is listed twice");
    let distinct = arns.len();
    (done, distinct)
}

#[test]
fn empty_pages_are_not_the_end_of_a_list() {
    let (done, listed) = list("--fault empty-page=0.5");
    assert_eq!((done.code, listed), (0, 3500), "{}", done.stderr);
    assert!(done.ledger["faults"]["empty-page"].as_u64().unwrap() > 0);
}

#[test]
fn a_list_goes_on_after_every_passing_fault() {
    let kinds = [
        "ThrottlingException",
        "503",
        "InternalFailure",
        "reset",
        "half",
        "html",
    ];
    let (done, listed) = list(&each(&kinds, ":ListRecoveryPointsByBackupVault=0.08"));
    assert_eq!((done.code, listed), (0, 3500), "{}", done.stderr);
    assert!(!done.ledger["faults"].as_object().unwrap().is_empty());
}

/// Half a list must never look like a whole one.
#[test]
fn a_page_token_that_expires_ends_with_an_error() {
    let (done, listed) = list("--fault expired-token=1");
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(listed < 3500);
    assert!(done.stderr.contains("NextToken is expired"), "{}", done.stderr);
}
