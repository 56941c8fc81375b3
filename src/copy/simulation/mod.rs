//! Whole lives of a run in virtual time: faults, crashes, stops and resumes from a seed, against a
//! small model of AWS Backup, with the real engine, ledger and journal.
//!
//! Each seed is one migration. `SHUFFLE_AWS_VAULTS_SEEDS=FROM-TO cargo test --release simulation`
//! lives through that many; a failure names its seed, and `=SEED` alone lives through it again, step
//! for step.

mod aws;
mod decisions;
mod disk;
mod due;
mod judge;
mod life;
mod process;
mod scenario;
mod traffic;
mod watch;

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher as _;

use life::Life;
use scenario::Scenario;

/// Seeds of the short form.
const SHORT: std::ops::RangeInclusive<u64> = 1..=1_500;

fn seeds() -> std::ops::RangeInclusive<u64> {
    let Ok(text) = std::env::var("SHUFFLE_AWS_VAULTS_SEEDS") else {
        return SHORT;
    };
    let number = |text: &str| text.parse().expect("SHUFFLE_AWS_VAULTS_SEEDS is SEED or FROM-TO");
    match text.split_once('-') {
        Some((from, to)) => number(from)..=number(to),
        None => number(&text)..=number(&text),
    }
}

#[test]
fn nothing_is_copied_twice_lost_or_left_whatever_happens() {
    let mut totals = life::Totals::default();
    let began = std::time::Instant::now();
    let seeds = seeds();
    let count = seeds.clone().count();
    for seed in seeds {
        let life = Life::new(Scenario::of(seed)).live();
        assert!(
            life.violations.is_empty(),
            "{}seed {seed}: {:#?}\nagain, with all that happened: SHUFFLE_AWS_VAULTS_SEEDS={seed} cargo test simulation",
            if count == 1 { &life.log } else { "" },
            life.violations,
        );
        totals.add(&life.totals);
    }
    println!(
        "{count} seeds in {:.1} s: {totals:?}",
        began.elapsed().as_secs_f64()
    );
    // A campaign in which nothing went wrong shows nothing.
    if count >= 1_000 {
        assert!(
            totals.crashes > count && totals.lost_answers > count && totals.faults > count,
            "{totals:?}"
        );
    }
}

#[test]
fn a_seed_is_lived_through_the_same_way_each_time() {
    for seed in SHORT.step_by(50) {
        let log_of = || {
            let mut hasher = DefaultHasher::new();
            let life = Life::new(Scenario::of(seed)).live();
            hasher.write(life.log.as_bytes());
            (hasher.finish(), life.log.len())
        };
        assert_eq!(log_of(), log_of(), "seed {seed}");
    }
}

/// The checks themselves: without the look at AWS's list, or without the grace before it, points
/// are copied twice once tokens are not honoured, and the model says so.
#[test]
fn the_model_catches_a_run_that_does_not_look_before_it_sends_again() {
    let caught = (1..=300).any(|seed| {
        let mut scenario = Scenario::of(seed);
        scenario.replay = false;
        scenario.list_lag = std::time::Duration::from_mins(10);
        !Life::new(scenario).live().violations.is_empty()
    });
    assert!(caught);
}
