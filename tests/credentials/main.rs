//! Credentials that expire in the middle of a command, and everything that renews them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_in_result,
    reason = "a test may fail"
)]

#[path = "../common/mod.rs"]
mod common;
mod gone;
mod sources;

use common::{ACCOUNTS, Done, Rig, json};

/// Shell functions of these tests. `keys` has the simulator give out credentials, `expire` ends all
/// that were given out, and `both` writes a credentials file with a profile for each side.
const PRELUDE: &str = r#"
SRC=123456789012; DST=987654321098
keys() { curl -sf "$AWS_ENDPOINT_URL/_credentials?account=$1&lifetime=${2:-0}&form=${3:-profile}"; }
expire() { curl -sf -X POST "$AWS_ENDPOINT_URL/_expire${1:+?account=$1}" >> expired.log; }
both() {
  { echo '[src]'; keys $SRC; echo '[dst]'; keys $DST; } > keys.new && mv keys.new keys
  export AWS_SHARED_CREDENTIALS_FILE=$PWD/keys
}
# The profile of the source has this line, and the one of the destination is a role.
profile_of_source() {
  printf '[profile src]\n%s\n[profile dst]\nrole_arn = arn:aws:iam::%s:role/R\nsource_profile = base\n' "$1" $DST > config.own
  printf '[profile base]\naws_access_key_id = AKIA%sSIMS\naws_secret_access_key = x\n' $SRC >> config.own
  export AWS_CONFIG_FILE=$PWD/config.own
}
"#;

const PROFILES: &str = "--source-profile src --dest-profile dst";

fn copy(more: &str) -> String {
    format!(
        "timeout 120 shuffle-aws-vaults copy {ACCOUNTS} --vault v1 --poll-interval 0.1 \
         --summary-output s.json {more}"
    )
}

fn run(rig: &Rig, script: &str) -> Done {
    rig.run(&format!("{PRELUDE}\n{script}"))
}

/// Ends all credentials once `calls` were seen, renews them by `renew`, and answers the command's code.
fn expired_at(command: &str, calls: &str, renew: &str) -> String {
    format!("{command} & pid=$!; until_calls {calls}; expire; {renew}; wait $pid")
}

impl Done {
    fn errors(&self, code: &str) -> u64 {
        self.ledger["errors"][code].as_u64().unwrap_or(0)
    }

    fn renewals(&self, side: &str) -> usize {
        let line = format!("the {side} credentials were renewed");
        self.stderr.matches(&line).count()
    }

    /// The source's credentials were renewed once for all workers, each of which may have been refused.
    fn assert_renewed_once(&self) {
        assert_eq!(self.renewals("source"), 1, "{}", self.stderr);
        let refused = self.errors("ExpiredTokenException");
        assert!(refused <= WORKERS + 1, "{refused}: {}", self.stderr);
    }

    /// Everything copied once, nothing failed.
    fn assert_whole(&self, rig: &Rig, points: u64) {
        assert_eq!(self.code, 0, "{}", self.stderr);
        self.assert_copied_once(points);
        let summary = json(&rig.path("s.json"));
        assert_eq!(summary["completed"], points, "{}", self.stderr);
        assert_eq!(summary["failed"], 0, "{}", self.stderr);
    }
}

/// More jobs than workers, so that starts go on for a while.
const SIM: &str = "--vault v1=80 --resources 80 --job-seconds 1-1.5";
const WORKERS: u64 = 20;

#[test]
fn a_rewritten_profile_file_is_read_once_for_all_workers() {
    let rig = Rig::new(SIM);
    let command = copy(&format!("{PROFILES} --workers {WORKERS}"));
    let script = expired_at(&command, "StartCopyJob 30", "both");
    let done = run(&rig, &format!("both; {script}"));
    done.assert_whole(&rig, 80);
    assert_eq!(done.renewals("source"), 1, "{}", done.stderr);
    assert_eq!(done.renewals("destination"), 0, "{}", done.stderr);
    // Each worker's call and a poll may be under way; renewals that come before the new file, too.
    let rejected = done.errors("ExpiredTokenException");
    assert!(
        (1..=WORKERS + 4).contains(&rejected),
        "{rejected}: {}",
        done.stderr
    );
    assert_eq!(
        done.calls("StartCopyJob") - 80,
        rejected_starts(&done),
        "{}",
        done.stderr
    );
}

fn rejected_starts(done: &Done) -> u64 {
    let log = done.ledger["call_log"].as_array().unwrap();
    let rejected = |call: &&serde_json::Value| {
        call["operation"] == "StartCopyJob" && call["error_code"] == "ExpiredTokenException"
    };
    log.iter().filter(rejected).count().try_into().unwrap()
}

#[test]
fn a_role_is_assumed_once_for_all_workers() {
    let rig = Rig::new(SIM);
    let role = "--source-role-arn arn:aws:iam::123456789012:role/Mover";
    let command = copy(&format!("{role} --workers {WORKERS}"));
    let done = run(&rig, &expired_at(&command, "StartCopyJob 30", "true"));
    done.assert_whole(&rig, 80);
    // One for each side at the beginning, one for the renewal.
    assert_eq!(done.calls("AssumeRole"), 3, "{}", done.stderr);
    done.assert_renewed_once();
}

#[test]
fn roles_of_short_life_are_renewed_before_they_expire_and_no_oftener() {
    let rig = Rig::new("--vault v1=60 --resources 10 --job-seconds 1 --credential-lifetime 4");
    let done = run(
        &rig,
        &copy("--source-role-arn arn:aws:iam::123456789012:role/Mover --workers 20"),
    );
    done.assert_whole(&rig, 60);
    let seconds = json(&rig.path("s.json"))["duration_seconds"].as_f64().unwrap();
    let assumed = done.calls("AssumeRole");
    // Expiration is told in whole seconds: of four, between two and three are used.
    #[allow(clippy::cast_precision_loss, reason = "a handful")]
    let most = 2.0 + seconds / 2.0 + 1.0;
    #[allow(clippy::cast_precision_loss, reason = "a handful")]
    let few = (assumed as f64) <= most;
    assert!(assumed >= 3 && few, "{assumed} in {seconds} s: {}", done.stderr);
    assert_eq!(done.errors("ExpiredTokenException"), 0, "{}", done.stderr);
}

#[test]
fn listing_goes_on_after_an_expiry() {
    let slow = "--vault v1=5000 --resources 5000 --latency-ms 300 --job-seconds 0.1";
    let rig = Rig::new(slow);
    let list = "shuffle-aws-vaults list --source-account $SRC --source-profile src --vault v1 --output ndjson | wc -l";
    let done = run(
        &rig,
        &format!(
            "both; {}",
            expired_at(list, "ListRecoveryPointsByBackupVault 2", "both")
        ),
    );
    assert_eq!((done.code, done.stdout.trim()), (0, "5000"), "{}", done.stderr);
    assert_eq!(done.renewals("source"), 1, "{}", done.stderr);
}

/// In the middle of reading the source vault, and of the destination, which comes after it.
#[test]
fn planning_goes_on_after_an_expiry() {
    let sim = "--vault v1=3000 --vault v2=30 --latency-ms 300 --job-seconds 0.1";
    let rig = Rig::new(sim);
    let plan = format!(
        "shuffle-aws-vaults copy {ACCOUNTS} {PROFILES} --dry-run --vault v1 --vault v2 --output json"
    );
    let done = run(
        &rig,
        &format!(
            "both; {}",
            expired_at(&plan, "ListRecoveryPointsByBackupVault 2", "both")
        ),
    );
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(
        (done.renewals("source"), done.renewals("destination")),
        (1, 1),
        "{}",
        done.stderr
    );
}

#[test]
fn polling_goes_on_after_an_expiry() {
    let rig = Rig::new("--vault v1=30 --resources 30 --job-seconds 4");
    let command = copy(&format!("{PROFILES} --workers 30"));
    let script = expired_at(&command, "ListCopyJobs 8", "both");
    let done = run(&rig, &format!("both; {script}"));
    done.assert_whole(&rig, 30);
    assert_eq!(
        done.calls("StartCopyJob"),
        30,
        "all had been started: {}",
        done.stderr
    );
    assert_eq!(done.renewals("source"), 1, "{}", done.stderr);
}

#[test]
fn the_sides_expire_at_different_moments_of_a_verification() {
    let rig = Rig::new("--vault v1=2000 --resources 2000 --latency-ms 300 --job-seconds 0.1");
    let verify =
        format!("shuffle-aws-vaults verify {ACCOUNTS} {PROFILES} --vault v1 --output json > verified.json");
    let script = format!(
        "both; {verify} & pid=$!; until_calls ListRecoveryPointsByBackupVault 1; expire $SRC; both; \
         until_calls DescribeBackupVault 2; expire $DST; both; wait $pid; echo $?"
    );
    let done = run(&rig, &script);
    // Nothing was copied, so that all is missing.
    assert_eq!(done.stdout, "1\n", "{}", done.stderr);
    let verified = json(&rig.path("verified.json"));
    assert_eq!(verified["vaults"][0]["source"], 2000, "{}", done.stderr);
    assert_eq!(done.renewals("source"), 1, "{}", done.stderr);
    assert!(done.renewals("destination") <= 1, "{}", done.stderr);
}
