//! Whether every recovery point of a source vault is in the destination. Pure: two lists in, one
//! answer out.
//!
//! AWS keeps creation date, resource ARN and retention on a copy (AWS Backup Developer Guide, "Backup
//! and tag copy") and gives it an ARN of its own, so that these three are what tells. Sizes are hints.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::TimeDelta;
use serde::Serialize;

use crate::copy::eligibility::SkipReason;
use crate::copy::retention::{self, Retention};
use crate::domain::{RecoveryPoint, RecoveryPointArn, RecoveryPointStatus, in_milliseconds};
use crate::state::{ItemState, Items};

/// A recovery point in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportedPoint {
    /// Its ARN.
    pub recovery_point_arn: String,
    /// Its resource.
    pub resource_arn: String,
    /// Its type.
    pub resource_type: String,
    /// RFC 3339, UTC.
    pub creation_date: String,
    /// What else there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The result for one vault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VaultVerification {
    /// Source vault.
    pub backup_vault_name: String,
    /// Destination vault.
    pub destination_backup_vault_arn: String,
    /// Points in the source vault.
    pub source: usize,
    /// Points that have their copy.
    pub matched: usize,
    /// Points that have none, though they should.
    pub missing: Vec<ReportedPoint>,
    /// As missing, but of several points that are alike in all that tells, some have a copy.
    pub ambiguous: Vec<ReportedPoint>,
    /// Points that cannot be copied or are not wanted, by reason.
    pub not_copyable: BTreeMap<String, usize>,
    /// Points of the destination vault that answer to no point of the source.
    pub extra: usize,
    /// Copies whose size or status is not that of the source, or whose retention is not what it was to be.
    pub mismatched: Vec<ReportedPoint>,
    /// Those of them whose retention it is.
    pub other_retention: usize,
}

impl VaultVerification {
    /// Whether every wanted point has its copy.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.ambiguous.is_empty()
    }
}

/// What became of one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PointResult {
    /// It has its copy.
    Matched,
    /// So it has, whose size, status or retention is another.
    Mismatched,
    /// It has none, though it should.
    Missing,
    /// As missing, but of several points that are alike in all that tells, some have a copy.
    Ambiguous,
    /// It cannot be copied or is not wanted.
    NotCopyable,
    /// A point of the destination vault that answers to none of the source.
    Extra,
}

/// One point, as it is found.
#[derive(Debug)]
pub struct Finding<'a> {
    /// What became of it.
    pub result: PointResult,
    /// The point of the source vault.
    pub point: Option<&'a RecoveryPoint>,
    /// The point of the destination vault.
    pub copy: Option<&'a RecoveryPoint>,
    /// What else there is to say: the differences, or why it has no copy.
    pub note: Option<&'a str>,
}

/// What a verification rests on.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// Points of the source vault.
    pub source: &'a [RecoveryPoint],
    /// Points of the destination vault.
    pub destination: &'a [RecoveryPoint],
    /// What a state file tells of the source points.
    pub recorded: &'a Items,
    /// ARN of the source vault.
    pub source_vault_arn: &'a str,
    /// Retention that the copies were to have.
    pub retention: Retention,
}

/// Compares. `skip` says which source points have no copy by design, once for each, in their order; `each` is told of every point of the
/// source, and of those of the destination that answer to none, as they are found.
pub fn compare(
    what: &Comparison<'_>,
    mut skip: impl FnMut(&RecoveryPoint) -> Option<SkipReason>,
    each: impl FnMut(&Finding<'_>),
) -> VaultVerification {
    let mut report = Report {
        vault: VaultVerification {
            source: what.source.len(),
            ..VaultVerification::default()
        },
        each,
        retention: what.retention,
    };
    let by_arn: HashMap<&RecoveryPointArn, &RecoveryPoint> = what
        .destination
        .iter()
        .map(|p| (&p.recovery_point_arn, p))
        .collect();
    let mut taken: HashSet<&RecoveryPointArn> = HashSet::new();
    let mut open: Vec<&RecoveryPoint> = Vec::new();
    for point in what.source {
        match skip(point) {
            // Its copy, if it has one, came with the copy of its composite.
            Some(reason) => report.not_copyable(point, reason),
            None => match recorded_copy(what, point)
                .and_then(|arn| by_arn.get(&arn))
                .filter(|copy| is_copy_of(copy, point))
            {
                Some(copy) if taken.insert(&copy.recovery_point_arn) => report.matched(point, copy),
                _ => open.push(point),
            },
        }
    }
    by_likeness(&mut report, what, &open, &mut taken);
    let is_extra =
        |p: &&RecoveryPoint| p.parent_recovery_point_arn.is_none() && !taken.contains(&p.recovery_point_arn);
    for copy in what.destination.iter().filter(is_extra) {
        report.extra(copy);
    }
    report.vault
}

/// The copy that the state tells of.
fn recorded_copy(what: &Comparison<'_>, point: &RecoveryPoint) -> Option<RecoveryPointArn> {
    let number = what.recorded.find(&point.recovery_point_arn)?;
    match what.recorded.row(number)?.state() {
        ItemState::Completed {
            destination_recovery_point_arn,
            ..
        } => destination_recovery_point_arn,
        _ => None,
    }
}

/// What is found, as a whole and point by point.
struct Report<F> {
    vault: VaultVerification,
    each: F,
    retention: Retention,
}

impl<F: FnMut(&Finding<'_>)> Report<F> {
    fn tell(
        &mut self,
        result: PointResult,
        point: Option<&RecoveryPoint>,
        copy: Option<&RecoveryPoint>,
        note: Option<&str>,
    ) {
        (self.each)(&Finding {
            result,
            point,
            copy,
            note,
        });
    }

    fn not_copyable(&mut self, point: &RecoveryPoint, reason: SkipReason) {
        let reason = reason.as_str();
        *self.vault.not_copyable.entry(reason.to_owned()).or_default() += 1;
        self.tell(PointResult::NotCopyable, Some(point), None, Some(reason));
    }

    fn matched(&mut self, point: &RecoveryPoint, copy: &RecoveryPoint) {
        self.vault.matched += 1;
        let mut notes = differences(point, copy);
        if let Some(asked) = self.retention.lifecycle(point.lifecycle.as_ref())
            && let Some(note) = retention::difference(&asked, &copy.lifecycle.clone().unwrap_or_default())
        {
            self.vault.other_retention += 1;
            notes.push(note);
        }
        if notes.is_empty() {
            self.tell(PointResult::Matched, Some(point), Some(copy), None);
        } else {
            let note = notes.join("; ");
            self.tell(PointResult::Mismatched, Some(point), Some(copy), Some(&note));
            self.vault.mismatched.push(reported(point, Some(note)));
        }
    }

    fn ambiguous(&mut self, point: &RecoveryPoint, note: String) {
        self.tell(PointResult::Ambiguous, Some(point), None, Some(&note));
        self.vault.ambiguous.push(reported(point, Some(note)));
    }

    /// A copy that cannot be used is told of.
    fn missing(&mut self, point: &RecoveryPoint, unusable: Option<&RecoveryPoint>) {
        let note = unusable.map(|copy| format!("its copy is {}", copy.status.as_str()));
        self.tell(PointResult::Missing, Some(point), None, note.as_deref());
        self.vault.missing.push(reported(point, note));
    }

    fn extra(&mut self, copy: &RecoveryPoint) {
        self.vault.extra += 1;
        self.tell(PointResult::Extra, None, Some(copy), None);
    }
}

/// Whether a point that is like another is there as much as that one: not still being made or on its
/// way out, and not a part of what is whole at the source.
fn is_copy_of(copy: &RecoveryPoint, point: &RecoveryPoint) -> bool {
    match copy.status {
        RecoveryPointStatus::Creating | RecoveryPointStatus::Deleting => false,
        RecoveryPointStatus::Partial => point.status == RecoveryPointStatus::Partial,
        _ => true,
    }
}

/// What a copy has in common with its source: resource, date to the second, place in a composite.
type Likeness<'a> = (&'a str, Option<&'a str>);

fn likeness(point: &RecoveryPoint) -> Likeness<'_> {
    (
        point.resource_arn.as_str(),
        point.composite_member_identifier.as_deref(),
    )
}

fn by_likeness<'a, F: FnMut(&Finding<'_>)>(
    report: &mut Report<F>,
    what: &Comparison<'a>,
    open: &[&'a RecoveryPoint],
    taken: &mut HashSet<&'a RecoveryPointArn>,
) {
    let mut candidates: HashMap<Likeness<'_>, Vec<&RecoveryPoint>> = HashMap::new();
    for copy in what.destination {
        let elsewhere = copy
            .source_backup_vault_arn
            .as_deref()
            .is_some_and(|arn| arn != what.source_vault_arn);
        if !elsewhere && !taken.contains(&copy.recovery_point_arn) {
            candidates.entry(likeness(copy)).or_default().push(copy);
        }
    }
    // The same moment first, so that a neighbour within the second takes no other's copy.
    let mut left: Vec<&RecoveryPoint> = open.to_vec();
    left.retain(|point| !take(report, point, &mut candidates, taken, 0));
    left.retain(|point| !take(report, point, &mut candidates, taken, 1000));
    // Points of one resource and one moment cannot be told apart: where there are copies for some of
    // them only, it is not known which are missing.
    let identity = |p: &&'a RecoveryPoint| (likeness(p), p.creation_date);
    let count = |points: &[&'a RecoveryPoint]| {
        let mut counts: HashMap<_, usize> = HashMap::new();
        for point in points {
            *counts.entry(identity(point)).or_default() += 1;
        }
        counts
    };
    let (all, lost) = (count(open), count(&left));
    for point in &left {
        let of = |counts: &HashMap<_, usize>| counts.get(&identity(point)).copied().unwrap_or(0);
        let (twins, lost) = (of(&all), of(&lost));
        if lost < twins {
            let note = format!("{twins} such points, {} copies", twins - lost);
            report.ambiguous(point, note);
        } else {
            let copies = candidates.get(&likeness(point)).into_iter().flatten();
            let mut unusable = copies.filter(|copy| is_near(copy, point, 1000) && !is_copy_of(copy, point));
            report.missing(point, unusable.next().copied());
        }
    }
}

fn take<'a, F: FnMut(&Finding<'_>)>(
    report: &mut Report<F>,
    point: &'a RecoveryPoint,
    candidates: &mut HashMap<Likeness<'a>, Vec<&'a RecoveryPoint>>,
    taken: &mut HashSet<&'a RecoveryPointArn>,
    milliseconds: i64,
) -> bool {
    let Some(copies) = candidates.get_mut(&likeness(point)) else {
        return false;
    };
    let is_match = |copy: &&RecoveryPoint| is_near(copy, point, milliseconds) && is_copy_of(copy, point);
    let Some(place) = copies.iter().position(is_match) else {
        return false;
    };
    let copy = copies.swap_remove(place);
    taken.insert(&copy.recovery_point_arn);
    report.matched(point, copy);
    true
}

fn is_near(copy: &RecoveryPoint, point: &RecoveryPoint, milliseconds: i64) -> bool {
    (copy.creation_date - point.creation_date).abs() <= TimeDelta::milliseconds(milliseconds)
}

/// What of a copy is not as it is at the source.
fn differences(point: &RecoveryPoint, copy: &RecoveryPoint) -> Vec<String> {
    let mut notes = Vec::new();
    let status = copy.status.as_str();
    if status != point.status.as_str() && !["COMPLETED", "AVAILABLE"].contains(&status) {
        notes.push(format!("the copy's status is {status}"));
    }
    if let (Some(ours), Some(theirs)) = (point.backup_size_bytes, copy.backup_size_bytes)
        && ours != theirs
    {
        notes.push(format!("{ours} bytes, the copy {theirs}"));
    }
    notes
}

fn reported(point: &RecoveryPoint, note: Option<String>) -> ReportedPoint {
    ReportedPoint {
        recovery_point_arn: point.recovery_point_arn.to_string(),
        resource_arn: point.resource_arn.to_string(),
        resource_type: point.resource_type.clone(),
        creation_date: in_milliseconds(point.creation_date),
        note,
    }
}

#[cfg(test)]
mod tests;
