//! What copy jobs and the destination's recovery points tell of the points of a ledger. Pure.
//!
//! Evidence, best first: a copy job that names the point and whose copy is still listed; else a
//! destination point with the same source vault, resource and creation date, which AWS keeps on
//! copies. Dates match within a second, one to one: two source points never share one copy, and a
//! copy that a job names, or that another point of the ledger has, is nobody else's.
//!
//! There may be a million jobs and points, so they are taken in one by one, jobs first, and no more
//! is kept of each than what is needed to decide.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::eligibility::SkipReason;
use crate::domain::{
    CopyJob, CopyJobId, CopyJobState, Fingerprint, Fingerprints, RecoveryPoint, RecoveryPointArn,
    RecoveryPointStatus,
};
use crate::state::{ItemRow, ItemState, Items, Standing};

/// After this long AWS lists every job that it still lists at all.
const LONG_AGO: TimeDelta = TimeDelta::days(1);

/// What is known of one source point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It is there.
    Copied,
    /// A job copies it at this moment.
    UnderWay {
        /// The job.
        copy_job_id: CopyJobId,
        /// When AWS made it.
        since: Option<DateTime<Utc>>,
    },
}

/// What is known of a ledger's points, by their places in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Points that need no new job. They wait in the ledger, or were under way for so long that AWS
    /// knows their jobs no more.
    pub known: BTreeMap<u32, Known>,
    /// Copy jobs of points that wait that have ended, whatever their end. The next attempt's number is
    /// greater, because AWS answers a token that it has seen with the old job.
    pub ended_jobs: BTreeMap<u32, u32>,
}

/// A destination point that may be the copy of a source point that no job names.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    copy: Fingerprint,
    creation_date: DateTime<Utc>,
    is_partial: bool,
}

/// Evidence on the points of one ledger.
#[derive(Debug)]
pub struct Evidence<'a> {
    items: &'a Items,
    source_vault_arn: &'a str,
    now: DateTime<Utc>,
    fingerprints: Fingerprints,
    /// Copies whose point is known.
    used: HashSet<Fingerprint>,
    /// Copied points a copy of which a job names.
    named: HashSet<u32>,
    /// Points a job of which made a part of a copy.
    partial: HashSet<u32>,
    /// Points under way of which AWS still lists a job.
    listed: HashSet<u32>,
    /// Copies that completed jobs of waiting points have made.
    made: HashMap<Fingerprint, u32>,
    /// Waiting points of which a job is completed.
    completed: HashSet<u32>,
    /// Those of them whose copy is there.
    there: HashSet<u32>,
    under_way: HashMap<u32, (CopyJobId, Option<DateTime<Utc>>)>,
    ended_jobs: BTreeMap<u32, u32>,
    candidates: HashMap<u32, Vec<Candidate>>,
    is_readable: bool,
}

impl<'a> Evidence<'a> {
    /// Nothing but what the ledger of the vault `source_vault_arn` says itself.
    pub fn of(items: &'a Items, source_vault_arn: &'a str, now: DateTime<Utc>) -> Self {
        let mut evidence = Self {
            items,
            source_vault_arn,
            now,
            fingerprints: Fingerprints::default(),
            used: HashSet::new(),
            named: HashSet::new(),
            partial: HashSet::new(),
            listed: HashSet::new(),
            made: HashMap::new(),
            completed: HashSet::new(),
            there: HashSet::new(),
            under_way: HashMap::new(),
            ended_jobs: BTreeMap::new(),
            candidates: HashMap::new(),
            is_readable: false,
        };
        for row in items.rows().filter(|row| row.standing() == Standing::Completed) {
            if let Some(copy) = copy_of(&row) {
                let copy = evidence.fingerprint(&copy);
                evidence.used.insert(copy);
            }
        }
        evidence
    }

    fn fingerprint(&self, arn: &RecoveryPointArn) -> Fingerprint {
        self.fingerprints.of(arn.as_str())
    }

    /// A copy job into the destination vault.
    pub fn job(&mut self, job: &CopyJob) {
        let Some(source) = &job.source_recovery_point_arn else {
            return;
        };
        let copy = job.destination_recovery_point_arn.as_ref();
        let copy = copy.map(|copy| self.fingerprint(copy));
        self.used.extend(copy);
        let Some(row) = self.items.find(source).and_then(|number| self.items.row(number)) else {
            return;
        };
        let number = row.number();
        if job.state == CopyJobState::Partial {
            self.partial.insert(number);
        }
        match row.standing() {
            Standing::Starting | Standing::InFlight => {
                self.listed.insert(number);
            }
            Standing::Completed | Standing::Skipped if copy.is_some() => {
                self.named.insert(number);
            }
            Standing::Pending => self.job_of_waiting(number, job, copy),
            _ => {}
        }
    }

    fn job_of_waiting(&mut self, number: u32, job: &CopyJob, copy: Option<Fingerprint>) {
        if job.state.is_terminal() {
            *self.ended_jobs.entry(number).or_default() += 1;
        }
        match job.state {
            CopyJobState::Completed => {
                self.completed.insert(number);
                if let Some(copy) = copy {
                    self.made.insert(copy, number);
                }
            }
            CopyJobState::Failed | CopyJobState::Partial => {}
            _ => {
                self.under_way
                    .entry(number)
                    .or_insert_with(|| (job.copy_job_id.clone(), job.creation_date));
            }
        }
    }

    /// All points of the destination vault have been taken in.
    pub fn vault_was_read(&mut self) {
        self.is_readable = true;
    }

    /// A point of the destination vault.
    pub fn point(&mut self, point: &RecoveryPoint) {
        use RecoveryPointStatus as S;
        if !matches!(point.status, S::Completed | S::Available | S::Partial) {
            return;
        }
        let copy = self.fingerprint(&point.recovery_point_arn);
        self.there.extend(self.made.get(&copy));
        let from = point.source_backup_vault_arn.as_deref();
        let is_from_here = from.is_none_or(|arn| arn == self.source_vault_arn);
        if self.used.contains(&copy) || !is_from_here {
            return;
        }
        if let Some(resource) = self.items.resource_number(&point.resource_arn) {
            self.candidates.entry(resource).or_default().push(Candidate {
                copy,
                creation_date: point.creation_date,
                is_partial: point.status == S::Partial,
            });
        }
    }

    /// What all of it says.
    pub fn conclude(mut self) -> Findings {
        let copied = if self.is_readable {
            std::mem::take(&mut self.there)
        } else {
            std::mem::take(&mut self.completed)
        };
        let mut known: BTreeMap<u32, Known> = std::mem::take(&mut self.under_way)
            .into_iter()
            .map(|(number, (copy_job_id, since))| (number, Known::UnderWay { copy_job_id, since }))
            .collect();
        known.extend(copied.into_iter().map(|number| (number, Known::Copied)));
        if self.is_readable && !self.candidates.is_empty() {
            self.match_points(&mut known);
        }
        Findings {
            known,
            ended_jobs: self.ended_jobs,
        }
    }

    /// The second kind of evidence, for points of which no job is known. Those that are known to have
    /// a copy choose first: two backup plans make points of one resource at one moment. Then those that
    /// were under way, as a copy is more likely theirs than that of a point that waits.
    fn match_points(&self, known: &mut BTreeMap<u32, Known>) {
        let mut others = Vec::new();
        let mut started = Vec::new();
        let mut waiting = Vec::new();
        let rows = self.items.rows();
        for row in rows.filter(|row| self.candidates.contains_key(&row.resource_number())) {
            match row.standing() {
                Standing::Completed if copy_of(&row).is_none() => others.push(row),
                Standing::Skipped if is_already_copied(&row) => others.push(row),
                Standing::Starting | Standing::InFlight if self.is_forgotten(&row) => started.push(row),
                Standing::Pending => waiting.push(row),
                _ => {}
            }
        }
        others.retain(|row| !self.named.contains(&row.number()));
        let mut taken = HashSet::new();
        self.match_group(&others, &mut taken, known);
        started.extend(waiting);
        self.match_group(&started, &mut taken, known);
        for other in others {
            known.remove(&other.number());
        }
    }

    fn match_group(
        &self,
        wanted: &[ItemRow<'_>],
        taken: &mut HashSet<Fingerprint>,
        known: &mut BTreeMap<u32, Known>,
    ) {
        // Nearest pairs first, so that no point takes the copy of a neighbour a second away.
        let mut pairs: Vec<(TimeDelta, usize, u32, Fingerprint)> = Vec::new();
        for (place, row) in wanted.iter().enumerate() {
            if known.contains_key(&row.number()) {
                continue;
            }
            for copy in self.candidates.get(&row.resource_number()).into_iter().flatten() {
                // Where AWS said that a job made a part only, that part is no copy.
                if copy.is_partial && self.partial.contains(&row.number()) {
                    continue;
                }
                let distance = (copy.creation_date - row.creation_date()).abs();
                if distance <= TimeDelta::seconds(1) {
                    pairs.push((distance, place, row.number(), copy.copy));
                }
            }
        }
        pairs.sort_by_key(|(distance, place, ..)| (*distance, *place));
        for (_, _, number, copy) in pairs {
            if !known.contains_key(&number) && taken.insert(copy) {
                known.insert(number, Known::Copied);
            }
        }
    }

    /// Whether a point has been under way for so long that AWS may know its job no more. One that it
    /// still lists is left to the loop.
    fn is_forgotten(&self, row: &ItemRow<'_>) -> bool {
        let since = match row.state() {
            ItemState::InFlight { since, .. } => Some(since),
            ItemState::Starting { since, sent, .. } => sent.or(since),
            _ => None,
        };
        since.is_some_and(|since| since < self.now - LONG_AGO) && !self.listed.contains(&row.number())
    }
}

fn copy_of(row: &ItemRow<'_>) -> Option<RecoveryPointArn> {
    match row.state() {
        ItemState::Completed {
            destination_recovery_point_arn,
            ..
        } => destination_recovery_point_arn,
        _ => None,
    }
}

fn is_already_copied(row: &ItemRow<'_>) -> bool {
    *row.skip_reason() == *SkipReason::AlreadyCopied.as_str()
}

#[cfg(test)]
pub(super) mod tests;
