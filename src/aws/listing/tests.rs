use proptest::prelude::*;

use super::model::{AWS, Aws, Bounds, Listing, Member, Rules};

const DAY: i64 = 86_400_000;

/// In which order AWS gives a list.
#[derive(Debug, Clone, Copy)]
enum Order {
    Made,
    Oldest,
    Newest,
    ByKey,
}

/// Ages in milliseconds: on one second, within minutes, over years, in nightly bursts.
fn ages() -> impl Strategy<Value = Vec<i64>> {
    prop_oneof![
        prop::collection::vec(0..1_000_i64, 0..400),
        prop::collection::vec(0..8_000_i64, 0..400),
        prop::collection::vec(0..600_000_i64, 0..400),
        prop::collection::vec(0..2_000 * DAY, 0..400),
        prop::collection::vec((0..90_i64, 0..40_000_i64), 0..400)
            .prop_map(|bursts| bursts.iter().map(|(day, ms)| day * DAY + ms).collect()),
        // A few that are old, and a crowd on one second.
        (
            prop::collection::vec(0..2_000 * DAY, 0..40),
            prop::collection::vec(5_000_000..5_001_000_i64, 0..300)
        )
            .prop_map(|(few, crowd)| [few, crowd].concat()),
    ]
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![
        Just(Order::Made),
        Just(Order::Oldest),
        Just(Order::Newest),
        Just(Order::ByKey)
    ]
}

fn in_order(order: Order, ages: &[i64]) -> Vec<Member> {
    let mut members: Vec<Member> = ages
        .iter()
        .enumerate()
        .map(|(n, age)| Member::new(n, *age))
        .collect();
    match order {
        Order::Made => {}
        Order::Oldest => members.sort_by_key(|member| member.created),
        Order::Newest => members.sort_by_key(|member| std::cmp::Reverse(member.created)),
        Order::ByKey => members.sort_by_key(|member| {
            use std::hash::{DefaultHasher, Hash as _, Hasher as _};
            let mut hasher = DefaultHasher::new();
            member.key.hash(&mut hasher);
            hasher.finish()
        }),
    }
    members
}

fn rules() -> impl Strategy<Value = Rules> {
    let page = prop_oneof![Just(1_usize), 2..12_usize];
    (page, any::<bool>(), any::<bool>()).prop_map(|(page, is_inclusive, in_seconds)| Rules {
        page,
        is_inclusive,
        in_seconds,
        ..AWS
    })
}

/// Fails unless what was there all the time was handed on once, and nothing twice.
fn check(aws: &Aws, listing: &Listing) -> Result<(), TestCaseError> {
    for member in &aws.members {
        let given = listing.given.get(&member.key).copied().unwrap_or(0);
        let always = member.listed == (0..usize::MAX);
        prop_assert!(given == 1 || given == 0 && !always, "{member:?}: {given} times");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever the order, the dates and the bounds: all once, and at a price that is known.
    #[test]
    fn every_member_comes_once(
        ages in ages(), order in order(), rules in rules(), workers in 1..20_usize, seed in any::<u64>(),
    ) {
        let aws = Aws { members: in_order(order, &ages), rules };
        let listing = aws.list(workers, Some(seed));
        check(&aws, &listing)?;
        let serial = aws.list(1, None).calls;
        let near = listing.near.div_ceil(rules.page);
        let most = if workers == 1 || serial <= 3 { serial } else { serial + serial / 20 + 4 * workers + 8 + near };
        prop_assert!(listing.calls <= most, "{} calls instead of {serial}, {near} for edges", listing.calls);
    }

    /// Members that come and go meanwhile come once at most, and the others once.
    #[test]
    fn changes_meanwhile_hide_and_double_nothing(
        ages in ages(), order in order(), rules in rules(), workers in 1..20_usize, seed in any::<u64>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..200_usize, 0..200_usize), 0..100),
        dateless in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let mut members = in_order(order, &ages);
        if members.is_empty() {
            return Ok(());
        }
        for (member, from, length) in changes {
            member.get_mut(&mut members).listed = from..from + length;
        }
        for member in dateless {
            member.get_mut(&mut members).created = None;
        }
        let aws = Aws { members, rules };
        check(&aws, &aws.list(workers, Some(seed)))?;
    }

    /// An AWS that does not do what its documents say costs time, and no member.
    #[test]
    fn windows_that_do_not_hold_what_they_should_are_given_up(
        ages in ages(), order in order(), rules in rules(), workers in 2..20_usize, seed in any::<u64>(),
        kind in 0..4,
    ) {
        let rules = match kind {
            0 => Rules { bounds: Bounds::FilteredLate, ..rules },
            1 => Rules { bounds: Bounds::Ignored, ..rules },
            2 => Rules { bounds: Bounds::Refused, ..rules },
            _ => Rules { throttles: 0.3, ..rules },
        };
        let aws = Aws { members: in_order(order, &ages), rules };
        check(&aws, &aws.list(workers, Some(seed)))?;
    }

    /// Nothing is lost even if the bounds are of another date than the one that is told.
    #[test]
    fn windows_of_other_dates_lose_nothing(
        ages in ages(), order in order(), rules in rules(), workers in 2..20_usize, seed in any::<u64>(),
        hidden in -200_000..200_000_i64,
    ) {
        let rules = Rules { hidden, ..rules };
        let aws = Aws { members: in_order(order, &ages), rules };
        prop_assert_eq!(aws.list(workers, Some(seed)).given.len(), ages.len());
    }
}

/// A thousand pages, read by 12 workers, each round of calls taking the same time.
fn thousand_pages(order: Order, age: &dyn Fn(i64) -> i64) -> Listing {
    let ages: Vec<i64> = (0..50_000).map(age).collect();
    let rules = Rules { page: 50, ..AWS };
    let members = in_order(order, &ages);
    Aws { members, rules }.list(12, None)
}

#[test]
fn a_long_list_takes_a_small_part_of_the_time_and_few_calls_more() {
    const HOUR: i64 = DAY / 24;
    let scattered = |n: i64| (n * 7_919) % 50_000 * HOUR / 6;
    let nightly = |n: i64| (n * 7_919) % 700 * DAY + (n * 31) % HOUR;
    let cycles = |n: i64| n % 2_900 * 3 * HOUR + (n * 31) % HOUR;
    // Half of all within the last twentieth of the time, and so on.
    let growing = |n: i64| n.pow(4) / 31_250_000;
    let ages: [&dyn Fn(i64) -> i64; 4] = [&scattered, &nightly, &cycles, &growing];
    let wanted = [("scattered", 8), ("nightly", 8), ("cycles", 4), ("growing", 3)];
    for (age, (name, times)) in ages.into_iter().zip(wanted) {
        for order in [Order::Made, Order::Oldest, Order::Newest, Order::ByKey] {
            let listing = thousand_pages(order, age);
            let told = format!(
                "{name} {order:?}: {} rounds, {} calls",
                listing.rounds, listing.calls
            );
            println!("{told}");
            assert!(listing.rounds <= 1000 / times, "{told}");
            assert!(listing.calls <= 1100, "{told}");
        }
    }
}
