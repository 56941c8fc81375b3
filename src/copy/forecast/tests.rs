use super::*;
use chrono::{DateTime, TimeDelta};

use crate::domain::{CopyJob, CopyJobState};

const MINUTE: Duration = Duration::from_mins(1);

/// So many resources of a type, each with so many points.
fn mix(types: &[(&str, &[(usize, usize)])]) -> Mix {
    let queues = types.iter().map(|(kind, queues)| {
        let lengths: BTreeMap<usize, usize> = queues
            .iter()
            .map(|(resources, length)| (*length, *resources))
            .collect();
        let points = lengths.iter().map(|(length, resources)| length * resources).sum();
        ((*kind).to_owned(), Queues { points, lengths })
    });
    Mix(queues.collect())
}

fn bounds(in_flight: usize) -> Bounds {
    Bounds {
        limits: Limits {
            in_flight,
            found_from: None,
            per_resource: 1,
            per_type: BTreeMap::new(),
        },
        poll_interval: Duration::ZERO,
    }
}

/// Jobs that all take so long.
fn known(types: &[(&str, Duration)]) -> JobTimes {
    let mut times = JobTimes::default();
    for (kind, time) in types {
        times.add(&CopyJob {
            resource_type: Some((*kind).into()),
            creation_date: Some(DateTime::UNIX_EPOCH),
            completion_date: Some(DateTime::UNIX_EPOCH + TimeDelta::from_std(*time).unwrap()),
            ..CopyJob::for_test("j", "p", CopyJobState::Completed)
        });
    }
    times
}

fn forecast(types: &[(&str, &[(usize, usize)])], bounds: &Bounds) -> Forecast {
    let jobs: Vec<_> = types.iter().map(|(kind, _)| (*kind, 4 * MINUTE)).collect();
    Forecast::of(&mix(types), bounds, &known(&jobs))
}

/// Within the 2 % to which fast jobs are known.
fn about(found: Duration, wanted: Duration) {
    let ratio = found.as_secs_f64() / wanted.as_secs_f64();
    assert!((0.98..=1.02).contains(&ratio), "{found:?} {wanted:?}");
}

fn kind_of(forecast: &Forecast) -> (BoundKind, usize) {
    let bound = forecast.bound.as_ref().unwrap();
    (bound.kind, bound.at_once)
}

#[test]
fn slots_that_are_always_full_set_the_pace() {
    let found = forecast(&[("EFS", &[(1000, 1)])], &bounds(10));
    about(found.best, 400 * MINUTE);
    about(found.likely, 402 * MINUTE);
    assert_eq!(kind_of(&found), (BoundKind::MaxInFlight, 10));
    assert_eq!(found.types[0].former_jobs, 1);
}

#[test]
fn nothing_to_copy_takes_no_time() {
    let found = Forecast::of(&Mix::default(), &bounds(10), &JobTimes::default());
    assert_eq!(
        (found.best, found.likely, found.bound),
        (Duration::ZERO, Duration::ZERO, None)
    );
    assert!(found.types.is_empty() && found.quotas.is_empty());
}

#[test]
fn one_resource_is_copied_one_point_after_the_other() {
    let found = forecast(&[("EFS", &[(1, 100), (10, 1)])], &bounds(10));
    about(found.best, 400 * MINUTE);
    assert_eq!(kind_of(&found), (BoundKind::Resource, 1));
    // The best case believes that AWS takes as many of a resource as it is sent.
    let wider = Bounds {
        limits: Limits {
            per_resource: 4,
            ..bounds(10).limits
        },
        ..bounds(10)
    };
    let found = forecast(&[("EFS", &[(1, 100), (10, 1)])], &wider);
    about(found.best, 100 * MINUTE);
    assert!(found.likely >= 400 * MINUTE);
}

#[test]
fn resources_take_turns_so_that_a_long_queue_waits_for_short_ones() {
    // 99 resources have one point, one has 50: the first round takes ten jobs' time, the others one each.
    let found = forecast(&[("EFS", &[(99, 1), (1, 50)])], &bounds(10));
    about(found.best, 200 * MINUTE);
    about(found.likely, (4 * (10 + 49) + 2) * MINUTE);
}

#[test]
fn awss_quotas_bound_types_together() {
    let found = forecast(&[("EBS", &[(600, 1)]), ("EC2", &[(600, 1)])], &bounds(1000));
    about(found.best, 240 * MINUTE);
    let bound = found.bound.clone().unwrap();
    assert_eq!((&*bound.name, bound.points), ("EBS and EC2", 1200));
    assert_eq!(kind_of(&found), (BoundKind::Quota, 20));
    assert_eq!(found.quotas.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [20]);
}

#[test]
fn a_limit_bounds_its_type_and_raises_a_quota() {
    let limited = |n| Bounds {
        limits: Limits {
            per_type: BTreeMap::from([("EBS".to_owned(), n)]),
            ..bounds(1000).limits
        },
        ..bounds(1000)
    };
    let types: &[(&str, &[(usize, usize)])] = &[("EBS", &[(1200, 1)])];
    let found = forecast(types, &limited(5));
    about(found.best, 960 * MINUTE);
    assert_eq!(kind_of(&found), (BoundKind::Limit, 5));
    let found = forecast(types, &limited(100));
    about(found.best, 48 * MINUTE);
    assert_eq!(found.quotas[0].1, 100);
}

#[test]
fn the_slowest_type_is_what_the_run_waits_for() {
    let found = forecast(&[("EFS", &[(100, 1)]), ("FSx", &[(100, 1)])], &bounds(1000));
    about(found.best, 80 * MINUTE);
    assert_eq!(kind_of(&found), (BoundKind::Quota, 5));
}

#[test]
fn what_starts_at_once_takes_one_job_and_its_variation() {
    let found = forecast(&[("EFS", &[(5, 1)])], &bounds(10));
    about(found.best, 4 * MINUTE);
    about(found.likely, 6 * MINUTE);
    assert_eq!(kind_of(&found), (BoundKind::Job, 5));
    let found = forecast(&[("EFS", &[(1, 1)])], &bounds(10));
    about(found.likely, 4 * MINUTE);
}

#[test]
fn a_poll_sees_an_end_half_an_interval_late_and_never_before_one() {
    let polled = |interval| Bounds {
        poll_interval: interval,
        ..bounds(1)
    };
    let types: &[(&str, &[(usize, usize)])] = &[("EFS", &[(10, 1)])];
    let found = forecast(types, &polled(2 * MINUTE));
    about(found.best, 40 * MINUTE);
    about(found.likely, 50 * MINUTE);
    assert_eq!(found.polls, 25);
    let found = forecast(types, &polled(60 * MINUTE));
    about(found.best, 600 * MINUTE);
    about(found.likely, 600 * MINUTE);
}

#[test]
fn without_former_jobs_the_times_are_assumed() {
    let types = mix(&[("EBS", &[(20, 1)]), ("EFS", &[(10, 1)])]);
    let found = Forecast::of(&types, &bounds(10), &known(&[("EFS", MINUTE)]));
    let [ebs, efs] = &found.types[..] else {
        panic!("{found:?}")
    };
    assert_eq!((ebs.former_jobs, ebs.likely_job), (0, 10 * MINUTE));
    assert_eq!(ebs.best_job, 5 * MINUTE);
    assert_eq!((efs.former_jobs, efs.likely_job), (1, MINUTE));
    about(found.best, 11 * MINUTE);
}

#[test]
fn the_best_case_is_never_worse_than_the_likely_one() {
    for in_flight in [1, 3, 50, 1000] {
        for queues in [&[(1, 1)][..], &[(7, 3), (2, 90)], &[(500, 2), (1, 1)]] {
            for poll in [Duration::ZERO, MINUTE / 2, 20 * MINUTE] {
                let wanted = Bounds {
                    poll_interval: poll,
                    ..bounds(in_flight)
                };
                let found = forecast(&[("EFS", queues), ("EBS", queues), ("new", queues)], &wanted);
                assert!(found.best <= found.likely, "{found:?}");
            }
        }
    }
}

#[test]
fn a_mix_counts_what_waits_and_a_resource_once_whatever_its_vault() {
    use crate::state::{Item, ItemState};
    let item = |number: i64, resource: &str, state: ItemState| Item {
        recovery_point_arn: crate::domain::RecoveryPointArn::from_aws(&format!("p{number}")),
        resource_arn: crate::domain::ResourceArn::from_aws(resource),
        resource_type: "EFS".into(),
        creation_date: DateTime::UNIX_EPOCH,
        backup_size_bytes: None,
        lifecycle: None,
        attempt: 0,
        state,
    };
    let daily = Items::new([
        item(1, "r1", ItemState::Pending),
        item(2, "r1", ItemState::Pending),
        item(3, "r2", ItemState::Pending),
        item(
            4,
            "r1",
            ItemState::Skipped {
                reason: "cold".into(),
            },
        ),
    ]);
    let monthly = Items::new([item(5, "r1", ItemState::Pending)]);
    assert_eq!(Mix::of([&daily, &monthly]), mix(&[("EFS", &[(1, 3), (1, 1)])]));
}
