//! How long a run will take, before it begins. Pure.
//!
//! AWS bounds copy jobs by type and by resource, the operator by options; the tightest of these bounds sets
//! the pace. At best all its slots are always full and every job is a fast one. What is likely adds what
//! the loop costs: a job's end is seen by the next poll, half an interval later on average; points of one
//! resource follow each other, and the last rounds leave slots empty. Starting costs next to nothing: the
//! pace of starts doubles each second, and a window that looks for AWS's limit finds it within minutes.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use super::assumptions::{self, QUOTAS, Quota};
use super::job_times::JobTimes;
use super::scheduler::Limits;
use crate::state::{Items, Standing};

/// Points that wait, by type, and by the queues of their resources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mix(BTreeMap<String, Queues>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Queues {
    points: usize,
    /// Resources by the number of their points.
    lengths: BTreeMap<usize, usize>,
}

/// The bounds of a run.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Jobs in flight. That AWS runs more than one for a resource, only the best case believes.
    pub limits: Limits,
    /// Time between polls.
    pub poll_interval: Duration,
}

/// What sets the pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundKind {
    /// `--max-in-flight`.
    MaxInFlight,
    /// `--limit`.
    Limit,
    /// AWS's quota.
    Quota,
    /// The longest queue of one resource.
    Resource,
    /// Nothing: all points are copied at once.
    Job,
}

/// The bound that sets the pace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Which it is.
    pub kind: BoundKind,
    /// Of what: a type, or the types of a quota in words.
    pub name: String,
    /// Points under it.
    pub points: usize,
    /// Jobs at once.
    pub at_once: usize,
}

/// What is expected of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeForecast {
    /// The type.
    pub resource_type: String,
    /// Its points.
    pub points: usize,
    /// Points of its resource that has most.
    pub longest_queue: usize,
    /// A fast job.
    pub best_job: Duration,
    /// A job as they are likely to be.
    pub likely_job: Duration,
    /// The jobs that this was learned from; none if it is assumed.
    pub former_jobs: u64,
}

/// How long a run will take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// If all goes as well as it can.
    pub best: Duration,
    /// If all goes as it mostly does.
    pub likely: Duration,
    /// Polls until then.
    pub polls: u64,
    /// What sets the pace; nothing if there is nothing to copy.
    pub bound: Option<Bound>,
    /// Each type.
    pub types: Vec<TypeForecast>,
    /// AWS's quotas that are assumed, as `--limit` has left them.
    pub quotas: Vec<(&'static Quota, usize)>,
}

impl Mix {
    /// What waits in the ledgers of a run. A resource may have points in several vaults.
    pub fn of<'a>(ledgers: impl IntoIterator<Item = &'a Items>) -> Self {
        let hasher = RandomState::new();
        // Eight bytes for a point, sorted, are less than a table of a million resources.
        let mut resources: HashMap<Arc<str>, Vec<u64>> = HashMap::new();
        for row in ledgers.into_iter().flat_map(Items::rows) {
            if row.standing() == Standing::Pending {
                let resource = hasher.hash_one(row.resource_arn().as_str());
                resources.entry(row.resource_type()).or_default().push(resource);
            }
        }
        let queues = resources.into_iter().map(|(kind, mut resources)| {
            resources.sort_unstable();
            let mut queues = Queues {
                points: resources.len(),
                ..Queues::default()
            };
            for queue in resources.chunk_by(|a, b| a == b) {
                *queues.lengths.entry(queue.len()).or_default() += 1;
            }
            (kind.to_string(), queues)
        });
        Self(queues.collect())
    }
}

impl Queues {
    fn longest(&self) -> usize {
        self.lengths.last_key_value().map_or(0, |(length, _)| *length)
    }

    /// Time until the last job has ended if resources take turns, with one job each: while more resources
    /// have points than there are slots, the slots set the pace, then the jobs of a resource do.
    fn rounds(&self, at_once: usize, job: u64) -> u64 {
        let mut resources: usize = self.lengths.values().sum();
        let (mut time, mut done) = (0_u64, 0);
        for (length, of_this_length) in &self.lengths {
            let round = share(wide(resources).saturating_mul(job), at_once).max(job);
            time = time.saturating_add(wide(length - done).saturating_mul(round));
            done = *length;
            resources -= of_this_length;
        }
        time
    }
}

/// Types that share slots.
struct Pool<'a> {
    kind: BoundKind,
    name: &'a str,
    at_once: usize,
    types: Vec<&'a TypeForecast>,
}

impl Forecast {
    /// What is to be expected of a mix within bounds, by what is known of former jobs.
    pub fn of(mix: &Mix, bounds: &Bounds, known: &JobTimes) -> Self {
        let types: Vec<TypeForecast> = mix
            .0
            .iter()
            .map(|(kind, queues)| type_forecast(kind, queues, known))
            .collect();
        let quotas: Vec<(&Quota, usize)> = QUOTAS
            .iter()
            .filter(|quota| types.iter().any(|t| quota.types.contains(&&*t.resource_type)))
            .map(|quota| (quota, quota.raised_by(&bounds.limits.per_type)))
            .collect();
        let poll = milliseconds(bounds.poll_interval);
        let (mut best, mut likely, mut bound) = (0, 0, None);
        for pool in pools(&types, &quotas, &bounds.limits) {
            best = best.max(pool.best(bounds.limits.per_resource, poll));
            let time = pool.likely(mix, poll);
            if time > likely {
                (likely, bound) = (time, Some(pool.bound(poll)));
            }
        }
        Self {
            best: Duration::from_millis(best),
            likely: Duration::from_millis(likely),
            polls: likely / poll.max(1),
            bound,
            types,
            quotas,
        }
    }
}

fn type_forecast(kind: &str, queues: &Queues, known: &JobTimes) -> TypeForecast {
    let measured = known.of(kind);
    // Sizes differ: what nobody has measured may well be twice as fast.
    let assumed = assumptions::job_time(kind);
    TypeForecast {
        resource_type: kind.to_owned(),
        points: queues.points,
        longest_queue: queues.longest(),
        best_job: measured.map_or(assumed / 2, |jobs| jobs.fast),
        likely_job: measured.map_or(assumed, |jobs| jobs.mean),
        former_jobs: measured.map_or(0, |jobs| jobs.jobs),
    }
}

fn pools<'a>(
    types: &'a [TypeForecast],
    quotas: &[(&'static Quota, usize)],
    limits: &'a Limits,
) -> Vec<Pool<'a>> {
    let mut pools = vec![Pool {
        kind: BoundKind::MaxInFlight,
        name: "",
        at_once: limits.in_flight,
        types: types.iter().collect(),
    }];
    for t in types {
        if let Some((name, limit)) = limits.per_type.get_key_value(&t.resource_type) {
            pools.push(Pool {
                kind: BoundKind::Limit,
                name,
                at_once: *limit,
                types: vec![t],
            });
        }
    }
    pools.extend(quotas.iter().map(|(quota, at_once)| {
        Pool {
            kind: BoundKind::Quota,
            name: quota.name,
            at_once: *at_once,
            types: types
                .iter()
                .filter(|t| quota.types.contains(&&*t.resource_type))
                .collect(),
        }
    }));
    pools
}

/// A job as far as its slot is concerned: seen at its end by the next poll, and never before one.
fn slot_time(t: &TypeForecast, poll: u64) -> u64 {
    (milliseconds(t.likely_job) + poll / 2).max(poll)
}

impl Pool<'_> {
    fn best(&self, per_resource: usize, poll: u64) -> u64 {
        let job = |t: &TypeForecast| milliseconds(t.best_job).max(poll);
        let queues = self
            .types
            .iter()
            .map(|t| wide(t.longest_queue.div_ceil(per_resource.max(1))).saturating_mul(job(t)));
        self.by_slots(job).max(queues.max().unwrap_or(0))
    }

    /// Time in which the slots, always full, do the work.
    fn by_slots(&self, job: impl Fn(&TypeForecast) -> u64) -> u64 {
        let work = self.types.iter().map(|t| wide(t.points).saturating_mul(job(t)));
        share(work.fold(0, u64::saturating_add), self.at_once)
    }

    fn points(&self) -> usize {
        self.types.iter().map(|t| t.points).sum()
    }

    fn likely(&self, mix: &Mix, poll: u64) -> u64 {
        let job = |t: &TypeForecast| slot_time(t, poll);
        let rounds = self
            .types
            .iter()
            .filter_map(|t| Some(mix.0.get(&t.resource_type)?.rounds(self.at_once, job(t))));
        let time = self.by_slots(job).max(rounds.max().unwrap_or(0));
        // In the last round some slots have nothing left to do.
        let longest_job = self.types.iter().map(|t| job(t)).max().unwrap_or(0);
        let has_rounds = self.points() > 1 && self.at_once > 1;
        time.saturating_add(if has_rounds { longest_job / 2 } else { 0 })
    }

    /// What it is bound by: its slots, or the longest queue of a resource if that alone takes longer.
    fn bound(&self, poll: u64) -> Bound {
        let points = self.points();
        let queue = |t: &TypeForecast| wide(t.longest_queue).saturating_mul(slot_time(t, poll));
        let longest = self.types.iter().max_by_key(|t| queue(t));
        let by_slots = self.by_slots(|t| slot_time(t, poll));
        match longest.filter(|t| queue(t) >= by_slots) {
            Some(t) if t.longest_queue > 1 => Bound {
                kind: BoundKind::Resource,
                name: t.resource_type.clone(),
                points: t.longest_queue,
                at_once: 1,
            },
            Some(t) => Bound {
                kind: BoundKind::Job,
                name: t.resource_type.clone(),
                points,
                at_once: points,
            },
            None => Bound {
                kind: self.kind,
                name: self.name.to_owned(),
                points,
                at_once: self.at_once,
            },
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn share(work: u64, at_once: usize) -> u64 {
    work.div_ceil(wide(at_once.max(1)))
}

#[cfg(test)]
mod tests;
