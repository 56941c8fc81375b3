use super::*;
use crate::state::Item;

const VAULT: &str = "arn:aws:backup:us-east-1:123456789012:backup-vault:v1";

fn point(arn: &str, resource: &str, second: i64, from: Option<&str>) -> RecoveryPoint {
    RecoveryPoint {
        creation_date: DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap(),
        source_backup_vault_arn: from.map(str::to_owned),
        ..RecoveryPoint::for_test(arn, resource)
    }
}

fn job(source: &str, state: CopyJobState, copy: Option<&str>) -> CopyJob {
    CopyJob {
        destination_recovery_point_arn: copy.map(RecoveryPointArn::from_aws),
        ..CopyJob::for_test("job", source, state)
    }
}

/// What is at the destination.
#[derive(Debug, Default)]
pub(in crate::copy) struct Destination {
    /// Points of the destination vault; `None` where they cannot be read.
    pub(in crate::copy) points: Option<Vec<RecoveryPoint>>,
    pub(in crate::copy) jobs: Vec<CopyJob>,
}

impl Destination {
    pub(in crate::copy) fn findings(&self, items: &Items, vault: &str) -> Findings {
        let mut evidence = Evidence::of(items, vault, Utc::now());
        for job in &self.jobs {
            evidence.job(job);
        }
        if let Some(points) = &self.points {
            for point in points {
                evidence.point(point);
            }
            evidence.vault_was_read();
        }
        evidence.conclude()
    }
}

fn waiting(points: &[&RecoveryPoint]) -> Items {
    Items::new(points.iter().map(|point| Item {
        resource_arn: point.resource_arn.clone(),
        creation_date: point.creation_date,
        ..Item::for_test(point.recovery_point_arn.as_str())
    }))
}

fn known(
    points: &[&RecoveryPoint],
    destination: &Destination,
    vault: &str,
) -> HashMap<RecoveryPointArn, Known> {
    let items = waiting(points);
    let known = destination.findings(&items, vault).known.into_iter();
    known
        .map(|(number, known)| (items.row(number).unwrap().recovery_point_arn(), known))
        .collect()
}

#[test]
fn one_copy_answers_for_one_source_point_only() {
    let (a, b) = (point("a", "r", 0, None), point("b", "r", 0, None));
    let destination = Destination {
        points: Some(vec![point("copy", "r", 0, Some(VAULT))]),
        jobs: Vec::new(),
    };
    assert_eq!(known(&[&a, &b], &destination, VAULT).len(), 1);
}

#[test]
fn a_point_does_not_take_the_copy_of_a_neighbour() {
    let (a, b) = (point("a", "r", 0, None), point("b", "r", 1, None));
    let destination = Destination {
        points: Some(vec![point("copy", "r", 1, Some(VAULT))]),
        jobs: Vec::new(),
    };
    let found = known(&[&a, &b], &destination, VAULT);
    assert!(found.contains_key(&b.recovery_point_arn) && !found.contains_key(&a.recovery_point_arn));
}

#[test]
fn dates_and_source_vaults_must_agree() {
    let a = point("a", "r", 0, None);
    for (copy, found) in [
        (point("c", "r", 1, Some(VAULT)), true),
        (point("c", "r", 2, Some(VAULT)), false),
        (
            point(
                "c",
                "r",
                0,
                Some("arn:aws:backup:us-east-1:123456789012:backup-vault:v2"),
            ),
            false,
        ),
        (point("c", "r", 0, None), true),
        (point("c", "other", 0, Some(VAULT)), false),
    ] {
        let destination = Destination {
            points: Some(vec![copy]),
            jobs: Vec::new(),
        };
        assert_eq!(
            known(&[&a], &destination, VAULT).contains_key(&a.recovery_point_arn),
            found
        );
    }
}

#[test]
fn a_completed_job_counts_only_while_its_copy_is_there() {
    let a = point("a", "r", 0, None);
    let jobs = vec![job("a", CopyJobState::Completed, Some("copy"))];
    let gone = Destination {
        points: Some(Vec::new()),
        jobs: jobs.clone(),
    };
    assert!(known(&[&a], &gone, VAULT).is_empty());
    let unreadable = Destination {
        points: None,
        jobs: jobs.clone(),
    };
    assert_eq!(known(&[&a], &unreadable, VAULT).len(), 1);
    let there = Destination {
        points: Some(vec![point("copy", "r", 0, Some(VAULT))]),
        jobs,
    };
    assert_eq!(known(&[&a], &there, VAULT).len(), 1);
}

#[test]
fn jobs_under_way_are_found_and_failed_ones_are_not() {
    let (a, b) = (point("a", "r", 0, None), point("b", "r", 9, None));
    let destination = Destination {
        points: Some(Vec::new()),
        jobs: vec![
            job("a", CopyJobState::Created, None),
            job("b", CopyJobState::Failed, None),
        ],
    };
    let found = known(&[&a, &b], &destination, VAULT);
    assert_eq!(
        found.get(&a.recovery_point_arn),
        Some(&Known::UnderWay {
            copy_job_id: CopyJobId::from_aws("job"),
            since: None
        })
    );
    assert!(!found.contains_key(&b.recovery_point_arn));
}

#[test]
fn a_copy_that_a_job_names_is_no_other_points() {
    let (a, b) = (point("a", "r", 0, None), point("b", "r", 0, None));
    let destination = Destination {
        points: Some(vec![point("copy", "r", 0, Some(VAULT))]),
        jobs: vec![job("a", CopyJobState::Completed, Some("copy"))],
    };
    let found = known(&[&a, &b], &destination, VAULT);
    assert_eq!(found.get(&a.recovery_point_arn), Some(&Known::Copied));
    assert!(!found.contains_key(&b.recovery_point_arn));
}

#[test]
fn a_copy_that_cannot_be_used_is_none() {
    let a = point("a", "r", 0, None);
    for (status, found) in [
        (RecoveryPointStatus::Completed, true),
        (RecoveryPointStatus::Available, true),
        (RecoveryPointStatus::Partial, true),
        (RecoveryPointStatus::Deleting, false),
        (RecoveryPointStatus::Expired, false),
        (RecoveryPointStatus::Creating, false),
    ] {
        let copy = RecoveryPoint {
            status,
            ..point("copy", "r", 0, Some(VAULT))
        };
        for jobs in [Vec::new(), vec![job("a", CopyJobState::Completed, Some("copy"))]] {
            let destination = Destination {
                points: Some(vec![copy.clone()]),
                jobs,
            };
            let there = known(&[&a], &destination, VAULT);
            assert_eq!(
                there.contains_key(&a.recovery_point_arn),
                found,
                "{destination:?}"
            );
        }
    }
}

#[test]
fn a_completed_job_that_names_no_copy_counts_only_where_the_vault_cannot_be_read() {
    let a = point("a", "r", 0, None);
    for (points, found) in [(Some(Vec::new()), false), (None, true)] {
        let destination = Destination {
            points,
            jobs: vec![job("a", CopyJobState::Completed, None)],
        };
        assert_eq!(known(&[&a], &destination, VAULT).len(), usize::from(found));
    }
}

#[test]
fn what_is_there_wins_over_what_is_under_way_and_jobs_of_others_are_nobodys() {
    let a = point("a", "r", 0, None);
    let jobs = [
        job("a", CopyJobState::Completed, Some("copy")),
        job("a", CopyJobState::Running, None),
        job("stranger", CopyJobState::Running, None),
        job("a", CopyJobState::Failed, None),
    ];
    for turn in 0..4 {
        let mut jobs = jobs.to_vec();
        jobs.rotate_left(turn);
        let destination = Destination { points: None, jobs };
        let findings = destination.findings(&waiting(&[&a]), VAULT);
        assert_eq!(findings.known, BTreeMap::from([(0, Known::Copied)]));
        assert_eq!(findings.ended_jobs, BTreeMap::from([(0, 2)]));
    }
}

#[test]
fn each_of_many_points_finds_the_copy_that_is_nearest() {
    let points: Vec<RecoveryPoint> = (0..5)
        .map(|second| point(&format!("p{second}"), "r", second, None))
        .collect();
    for missing in 0..6 {
        let copies = (0..5)
            .rev()
            .filter(|second| *second != missing)
            .map(|second| point(&format!("c{second}"), "r", second, Some(VAULT)));
        let destination = Destination {
            points: Some(copies.collect()),
            jobs: Vec::new(),
        };
        let found = known(&points.iter().collect::<Vec<_>>(), &destination, VAULT);
        for second in 0..5 {
            let arn = RecoveryPointArn::from_aws(&format!("p{second}"));
            assert_eq!(
                found.contains_key(&arn),
                second != missing,
                "{second} without {missing}"
            );
        }
    }
}

#[test]
fn a_vault_of_which_only_a_part_could_be_read_proves_nothing() {
    let a = point("a", "r", 0, None);
    let items = waiting(&[&a]);
    let mut evidence = Evidence::of(&items, VAULT, Utc::now());
    evidence.point(&point("copy", "r", 0, Some(VAULT)));
    assert_eq!(evidence.conclude(), Findings::default());
}
