//! What `copy --dry-run` expects of a run, held against what the simulator then takes.

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

use common::{ACCOUNTS, Rig, json, side_by_side};

/// Simulated seconds to a real one.
const SCALE: f64 = 60.0;

/// A run that is forecast from former jobs of 45 to 135 simulated seconds.
struct Case {
    /// What there is: the vault `first` makes the former jobs, `second` is forecast.
    sim: &'static str,
    options: &'static str,
    bounded_by: &'static str,
}

const CASES: [Case; 3] = [
    Case {
        sim: "--types EFS,S3 --resources 60 --vault first=30 --vault second=120",
        options: "--max-in-flight 10",
        bounded_by: "max_in_flight",
    },
    Case {
        sim: "--types EFS --resources 1 --vault first=8 --vault second=10",
        options: "--max-in-flight 10",
        bounded_by: "resource",
    },
    Case {
        sim: "--types EFS,S3 --resources 60 --vault first=30 --vault second=60",
        options: "--max-in-flight 30 --limit S3=3",
        bounded_by: "limit",
    },
];

/// The margins leave room for a machine that is busy, and none for a formula that is wrong by two.
#[test]
fn a_run_takes_what_the_dry_run_expected() {
    side_by_side(CASES, |case| {
        let rig = Rig::new(&format!("{} --job-seconds 45-135 --time-scale {SCALE}", case.sim));
        let copy = format!("shuffle-aws-vaults copy {ACCOUNTS} --dest-vault both --progress none");
        let second = format!("{copy} --vault second {}", case.options);
        // The program's own seconds are real ones: a poll each 0.2 of them is one each 12 simulated ones.
        let script = format!(
            "{copy} --vault first --max-in-flight 30 --poll-interval 0.2 &&
             {second} --poll-interval 12 --dry-run --output json > plan.json &&
             {second} --poll-interval 0.2 --summary-output s.json"
        );
        let done = rig.run(&script);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let forecast = json(&rig.path("plan.json"))["forecast"].clone();
        let seconds = |member: &str| forecast[member].as_f64().unwrap();
        let took = json(&rig.path("s.json"))["duration_seconds"].as_f64().unwrap() * SCALE;
        let (best, likely) = (seconds("best_seconds"), seconds("likely_seconds"));
        println!("{}: best {best}, likely {likely}, took {took}", case.bounded_by);
        let found = format!("{forecast:#}\ntook {took} s");
        assert_eq!(forecast["bounded_by"]["kind"], case.bounded_by, "{found}");
        assert!(best <= took, "{found}");
        assert!((0.65..=1.5).contains(&(took / likely)), "{found}");
        for kind in forecast["job_times"].as_array().unwrap() {
            assert_eq!(kind["assumed"], false, "{found}");
        }
    });
}

#[test]
fn what_is_assumed_is_said_to_be() {
    let rig = Rig::new("--vault v1=40 --vault v2=10 --types EBS,EFS");
    let copy = format!("shuffle-aws-vaults copy {ACCOUNTS} --vault v1 --dry-run");
    let done = rig.run(&format!(
        "{copy}; {copy} --vault v2; {copy} --output json > p.json"
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    for line in [
        "  Expected: 15m 0s at best, likely 36m 7s; about 112 calls\n",
        "    Bounded by --max-in-flight: 40 points, 10 at a time\n",
        "    A copy job takes: EBS 10m 0s (assumed); EFS 5m 0s (assumed)\n",
        "    Assumed: AWS runs 100 of fully managed types, 20 of EBS and EC2 at a time (--limit",
        "All 2 vaults\n  To copy: 50 recovery points, 6.9 TiB\n    EBS: ",
        "  Expected: 19m 0s at best, likely 44m 22s; about 138 calls\n",
    ] {
        assert!(done.stdout.contains(line), "{line}{}", done.stdout);
    }
    let plan = json(&rig.path("p.json"));
    let vault = &plan["vaults"][0];
    assert_eq!(plan["forecast"], vault["forecast"]);
    let times = plan["forecast"]["job_times"].as_array().unwrap();
    assert!(
        times
            .iter()
            .all(|t| t["assumed"] == true && t["former_jobs"] == 0)
    );
    let likely = plan["forecast"]["likely_seconds"].as_f64().unwrap();
    assert_eq!(vault["expected_seconds"].as_f64(), Some(likely.floor()));
    assert_eq!(
        vault["assumed_job_seconds"], 450,
        "the mean of what is to be copied"
    );
}
