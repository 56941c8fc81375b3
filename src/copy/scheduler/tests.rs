use super::*;
use crate::copy::window::MAX_IN_FLIGHT;
use proptest::prelude::*;

fn id(index: u32) -> ItemId {
    ItemId { vault: 0, index }
}

fn scheduler(window: usize, per_resource: usize, per_type: &[(&str, usize)]) -> Scheduler {
    Scheduler::new(Limits {
        in_flight: window,
        found_from: None,
        per_resource,
        per_type: per_type
            .iter()
            .map(|(name, n)| ((*name).to_owned(), *n))
            .collect(),
    })
}

#[test]
fn goes_round_robin_over_resources_and_oldest_first_within_one() {
    let mut s = scheduler(10, 10, &[]);
    for (index, resource) in [(0, "a"), (1, "a"), (2, "a"), (3, "b")] {
        s.add_pending(id(index), resource, "EBS");
    }
    let order: Vec<u32> = std::iter::from_fn(|| s.take_start(Duration::ZERO))
        .map(|i| i.index)
        .collect();
    assert_eq!(order, [0, 3, 1, 2]);
}

#[test]
fn a_crowded_resource_does_not_block_the_others() {
    let mut s = scheduler(2, 1, &[]);
    for index in 0..100 {
        s.add_pending(id(index), "crowded", "EBS");
    }
    s.add_pending(id(100), "other", "EBS");
    assert_eq!(s.take_start(Duration::ZERO), Some(id(0)));
    assert_eq!(s.take_start(Duration::ZERO), Some(id(100)));
    assert_eq!(s.take_start(Duration::ZERO), None);
    s.finished(id(0));
    assert_eq!(s.take_start(Duration::ZERO), Some(id(1)));
}

#[test]
fn a_full_type_does_not_block_the_others() {
    let mut s = scheduler(10, 1, &[("FSx", 1)]);
    s.add_pending(id(0), "f1", "FSx");
    s.add_pending(id(1), "f2", "FSx");
    s.add_pending(id(2), "e1", "EFS");
    let taken: Vec<_> = std::iter::from_fn(|| s.take_start(Duration::ZERO)).collect();
    assert_eq!(taken, [id(0), id(2)]);
    s.finished(id(0));
    assert_eq!(s.take_start(Duration::ZERO), Some(id(1)));
}

#[test]
fn after_a_quota_refusal_it_waits_for_a_job_to_end_or_for_the_time() {
    let mut s = scheduler(10, 1, &[]);
    for index in 0..4 {
        s.add_pending(id(index), &format!("r{index}"), "EFS");
    }
    assert_eq!(s.take_start(Duration::ZERO), Some(id(0)));
    assert_eq!(s.take_start(Duration::ZERO), Some(id(1)));
    s.quota_reached(id(1), Duration::from_mins(1));
    s.requeue(id(1), Duration::ZERO);
    assert_eq!(s.take_start(Duration::from_secs(59)), None);
    s.finished(id(0));
    assert_eq!(
        s.take_start(Duration::from_secs(59)),
        Some(id(2)),
        "the turn of the next resource"
    );
    s.quota_reached(id(2), Duration::from_mins(1));
    assert_eq!(s.next_wake(), Some(Duration::from_mins(1)));
    assert!(s.take_start(Duration::from_mins(1)).is_some());
}

/// AWS takes so many jobs at a time, each runs for five minutes, and ends are seen every half minute.
struct Quota {
    s: Scheduler,
    now: Duration,
    /// When each job ends.
    jobs: Vec<(Duration, ItemId)>,
    refused: usize,
}

impl Quota {
    /// Of a type of which nothing is known.
    fn new(start: usize) -> Self {
        let mut s = Scheduler::new(Limits {
            in_flight: MAX_IN_FLIGHT,
            found_from: Some(start),
            per_resource: 1,
            per_type: BTreeMap::new(),
        });
        for index in 0..20_000 {
            s.add_pending(id(index), &format!("r{index}"), "new");
        }
        Self {
            s,
            now: Duration::ZERO,
            jobs: Vec::new(),
            refused: 0,
        }
    }

    /// Answers how many were running at AWS, on average over the last of so many minutes.
    fn run(&mut self, minutes: u64, limit: usize) -> f64 {
        let mut running_sum = 0;
        for second in 0..minutes * 60 {
            self.now += Duration::from_secs(1);
            let now = self.now;
            if second % 30 == 0 {
                let (ended, rest) = self.jobs.iter().partition(|(end, _)| *end <= now);
                self.jobs = rest;
                let ended: Vec<(Duration, ItemId)> = ended;
                for (_, id) in ended {
                    self.s.finished(id);
                }
            }
            for _ in 0..10 {
                let Some(id) = self.s.take_start(now) else { break };
                if self.jobs.iter().filter(|(end, _)| *end > now).count() < limit {
                    self.jobs.push((now + Duration::from_mins(5), id));
                } else {
                    self.refused += 1;
                    self.s.quota_reached(id, now + Duration::from_mins(1));
                    self.s.requeue(id, now);
                }
            }
            if second >= (minutes - 1) * 60 {
                running_sum += self.jobs.iter().filter(|(end, _)| *end > now).count();
            }
        }
        f64::from(u32::try_from(running_sum).unwrap()) / 60.0
    }
}

#[test]
fn an_unknown_limit_is_found_in_minutes_and_followed_when_it_changes() {
    let mut aws = Quota::new(10);
    for (minutes, limit, least) in [(6, 100, 90.0), (60, 100, 90.0), (6, 40, 36.0), (20, 200, 180.0)] {
        aws.refused = 0;
        let running = aws.run(minutes, limit);
        let most = f64::from(u32::try_from(limit).unwrap());
        assert!(
            (least..=most).contains(&running),
            "{running} of {limit} after {minutes} minutes"
        );
        let refused = u64::try_from(aws.refused).unwrap();
        assert!(
            refused <= minutes * 3 + 20,
            "{refused} refusals in {minutes} minutes"
        );
    }
}

proptest! {
    /// Random ends, requeues and refusals: bounds hold at every step, every item is started
    /// until it ends, and nothing is started twice at the same time.
    #[test]
    fn bounds_hold_and_every_item_ends(
        resources in proptest::collection::vec((0u8..6, 0u8..3), 1..60),
        moves in proptest::collection::vec((0u8..4, any::<prop::sample::Index>()), 0..200),
        window in 1usize..8,
        per_resource in 1usize..3,
    ) {
        let mut s = scheduler(window, per_resource, &[("T0", 2)]);
        let name = |index: u32| {
            let (r, t) = resources[index as usize];
            (format!("r{r}-{t}"), format!("T{t}"))
        };
        for index in 0..u32::try_from(resources.len()).unwrap() {
            let (r, t) = name(index);
            s.add_pending(id(index), &r, &t);
        }
        let mut now = Duration::ZERO;
        let mut running: Vec<ItemId> = Vec::new();
        let mut ended = std::collections::HashSet::new();
        let finish_all = moves.iter().copied().map(Some).chain(std::iter::repeat_n(None, 20_000));
        for step in finish_all {
            now += Duration::from_secs(1);
            while let Some(next) = s.take_start(now) {
                prop_assert!(!running.contains(&next) && !ended.contains(&next));
                running.push(next);
            }
            prop_assert!(running.len() <= window);
            prop_assert_eq!(running.len(), s.in_flight());
            for item in &running {
                let (r, t) = name(item.index);
                let same = |want: &dyn Fn(&(String, String)) -> bool| running.iter().filter(|i| want(&name(i.index))).count();
                prop_assert!(same(&|n| n.0 == r) <= per_resource);
                prop_assert!(t != "T0" || same(&|n| n.1 == "T0") <= 2);
            }
            if running.is_empty() {
                if s.pending() == 0 { break; }
                continue;
            }
            match step {
                Some((0, at)) => { let i = running.remove(at.index(running.len())); s.requeue(i, now + Duration::from_secs(3)); }
                Some((1, at)) => { let i = running.remove(at.index(running.len())); s.quota_reached(i, now + Duration::from_secs(5)); s.requeue(i, now); }
                Some((_, at)) => { let i = running.remove(at.index(running.len())); s.finished(i); ended.insert(i); }
                None => { let i = running.remove(0); s.finished(i); ended.insert(i); }
            }
        }
        prop_assert_eq!(ended.len(), resources.len());
        prop_assert_eq!(s.in_flight(), 0);
    }
}

#[test]
fn goes_round_robin_over_types() {
    let mut s = scheduler(10, 10, &[]);
    let points = [
        ("a1", "A"),
        ("a2", "A"),
        ("a3", "A"),
        ("b1", "B"),
        ("c1", "C"),
        ("c2", "C"),
    ];
    for (index, (resource, kind)) in (0..).zip(points) {
        s.add_pending(id(index), resource, kind);
    }
    assert_eq!((s.pending(), s.in_flight()), (6, 0));
    let order: Vec<u32> = std::iter::from_fn(|| s.take_start(Duration::ZERO))
        .map(|i| i.index)
        .collect();
    assert_eq!(order, [0, 3, 4, 1, 5, 2]);
    assert_eq!((s.pending(), s.in_flight()), (0, 6));
}

#[test]
fn what_is_queued_again_comes_first_of_its_resource_once_its_time_has_come() {
    let mut s = scheduler(10, 1, &[]);
    for index in 0..3 {
        s.add_pending(id(index), "r", "EFS");
    }
    let at = Duration::from_secs(5);
    assert_eq!(s.take_start(Duration::ZERO), Some(id(0)));
    s.requeue(id(0), at);
    assert_eq!((s.pending(), s.in_flight()), (3, 0));
    assert_eq!(s.next_wake(), Some(at));
    assert_eq!(s.take_start(at), Some(id(0)));
    assert_eq!(s.next_wake(), None);
    s.requeue(id(0), at * 2);
    assert_eq!(
        s.take_start(at),
        Some(id(1)),
        "it does not keep the others waiting"
    );
    s.finished(id(1));
    assert_eq!(s.take_start(at * 2), Some(id(0)));
}

#[test]
fn the_sooner_of_two_waits_is_told() {
    let mut s = scheduler(10, 1, &[]);
    s.add_pending(id(0), "r", "EFS");
    s.add_pending(id(1), "q", "EFS");
    assert_eq!(s.take_start(Duration::ZERO), Some(id(0)));
    s.requeue(id(0), Duration::from_secs(9));
    s.quota_reached(id(0), Duration::from_secs(4));
    assert_eq!(s.next_wake(), Some(Duration::from_secs(4)));
    assert_eq!(s.take_start(Duration::from_secs(3)), None);
    assert_eq!(s.take_start(Duration::from_secs(4)), Some(id(1)));
    assert_eq!(s.next_wake(), Some(Duration::from_secs(9)));
}

#[test]
fn what_is_under_way_already_takes_its_slots() {
    let mut s = scheduler(3, 1, &[("FSx", 1)]);
    s.add_in_flight(id(0), "f1", "FSx");
    s.add_in_flight(id(1), "e1", "EFS");
    for (index, resource, kind) in [
        (2, "f2", "FSx"),
        (3, "e1", "EFS"),
        (4, "e2", "EFS"),
        (5, "e3", "EFS"),
    ] {
        s.add_pending(id(index), resource, kind);
    }
    assert_eq!(s.take_start(Duration::ZERO), Some(id(4)));
    assert_eq!(s.take_start(Duration::ZERO), None);
    s.finished(id(0));
    assert_eq!(s.take_start(Duration::ZERO), Some(id(2)));
    s.finished(id(1));
    let rest: Vec<_> = std::iter::from_fn(|| s.take_start(Duration::ZERO)).collect();
    assert_eq!(rest, [id(5)]);
}

/// Looks for AWS's limits from so many jobs on.
fn finding(start: usize, per_type: &[(&str, usize)]) -> Scheduler {
    let mut s = scheduler(MAX_IN_FLIGHT, 1, per_type);
    s.limits.found_from = Some(start);
    s
}

#[test]
fn the_window_follows_refusals_and_grows_only_where_it_holds_something_up() {
    let mut s = finding(4, &[]);
    for index in 0..6 {
        s.add_pending(id(index), &format!("r{index}"), "EFS");
    }
    let later = Duration::from_secs(31);
    let taken: Vec<_> = std::iter::from_fn(|| s.take_start(Duration::ZERO)).collect();
    assert_eq!(taken.len(), 4);
    let more = std::iter::from_fn(|| s.take_start(later)).count();
    assert_eq!((more, s.pending()), (2, 0), "it has doubled");
    // AWS takes all but the last two of those: the window is what it took.
    for index in [5, 4] {
        s.quota_reached(id(index), later + Duration::from_secs(1));
        s.requeue(id(index), later);
    }
    let soon = later + Duration::from_secs(2);
    assert_eq!(s.take_start(soon), None);
    s.finished(id(0));
    assert!(s.take_start(soon).is_some());
    assert_eq!(s.take_start(soon), None);
    // With nothing left that could be started, it stays as it is.
    let mut s = finding(1, &[]);
    s.add_pending(id(0), "r", "EFS");
    s.add_pending(id(1), "r", "EFS");
    assert!(s.take_start(Duration::ZERO).is_some());
    assert_eq!(s.take_start(later), None);
    s.add_pending(id(2), "q", "EFS");
    s.add_pending(id(3), "p", "EFS");
    let more = std::iter::from_fn(|| s.take_start(later)).count();
    assert_eq!(more, 1, "it has not grown before");
}

/// Adds points, each of a resource of its own.
fn add(s: &mut Scheduler, indices: std::ops::Range<u32>, kind: &str) {
    for index in indices {
        s.add_pending(id(index), &format!("r{index}"), kind);
    }
}

#[test]
fn where_aws_takes_no_more_of_one_quota_the_types_of_others_go_on() {
    let mut s = scheduler(100, 1, &[]);
    add(&mut s, 0..10, "EBS");
    add(&mut s, 10..20, "EC2");
    add(&mut s, 20..30, "EFS");
    let taken: Vec<_> = (0..3).filter_map(|_| s.take_start(Duration::ZERO)).collect();
    assert_eq!(taken, [id(0), id(10), id(20)]);
    // EC2 is under the quota of EBS.
    s.quota_reached(id(10), Duration::from_mins(1));
    s.requeue(id(10), Duration::ZERO);
    let more: Vec<u32> = std::iter::from_fn(|| s.take_start(Duration::ZERO))
        .map(|i| i.index)
        .collect();
    assert_eq!(more, (21..30).collect::<Vec<_>>());
    s.finished(id(20));
    assert_eq!(
        s.take_start(Duration::ZERO),
        None,
        "the end of another quota's job makes no room"
    );
    s.finished(id(0));
    assert!(s.take_start(Duration::ZERO).is_some());
    assert_eq!(s.take_start(Duration::ZERO), None);
}

#[test]
fn each_quota_is_found_for_itself_from_what_aws_documents() {
    let mut s = finding(10, &[("RDS", 80)]);
    add(&mut s, 0..500, "EBS");
    add(&mut s, 500..1000, "FSx");
    add(&mut s, 1000..1500, "RDS");
    let mut taken = [0; 3];
    let mut sizes = Vec::new();
    for period in 0..5 {
        let now = Duration::from_secs(30) * period;
        for item in std::iter::from_fn(|| s.take_start(now)) {
            taken[item.index as usize / 500] += 1;
        }
        sizes.push(taken);
    }
    // EBS: 20 are documented. FSx: 5. RDS: the operator says 80, and no more are asked for.
    assert_eq!(
        sizes,
        [[10, 5, 10], [20, 5, 20], [21, 6, 40], [23, 7, 80], [26, 8, 80]]
    );
}
