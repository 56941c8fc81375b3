//! What is assumed where nobody has measured: AWS's default quotas, and the time that a copy job takes. Data,
//! shown with every forecast; `--limit`, former jobs and AWS's refusals say better.

use std::collections::BTreeMap;
use std::time::Duration;

use super::eligibility::FULLY_MANAGED;

/// A number of copy jobs that AWS runs at once, of some types together.
#[derive(Debug, PartialEq, Eq)]
pub struct Quota {
    /// The types in words.
    pub name: &'static str,
    /// Jobs at once.
    pub at_once: usize,
    /// The types, as AWS writes them.
    pub types: &'static [&'static str],
}

impl Quota {
    /// The one that a type is under, if any is known.
    pub fn of(resource_type: &str) -> Option<&'static Self> {
        QUOTAS.iter().find(|quota| quota.types.contains(&resource_type))
    }

    /// Jobs at once if the operator's limit of one of its types says that it was raised.
    pub fn raised_by(&self, per_type: &BTreeMap<String, usize>) -> usize {
        let limits = self.types.iter().filter_map(|kind| per_type.get(*kind));
        limits.copied().fold(self.at_once, usize::max)
    }
}

/// AWS's defaults, from the Developer Guide ("AWS Backup quotas") and, where another service makes the copy,
/// from that service's guide on copies to one Region.
pub const QUOTAS: &[Quota] = &[
    Quota {
        name: "fully managed types",
        at_once: 100,
        types: FULLY_MANAGED,
    },
    Quota {
        name: "EBS and EC2",
        at_once: 20,
        types: &["EBS", "EC2"],
    },
    Quota {
        name: "RDS, Aurora, DocumentDB and Neptune",
        at_once: 20,
        types: &["RDS", "Aurora", "DocumentDB", "Neptune"],
    },
    Quota {
        name: "FSx",
        at_once: 5,
        types: &["FSx"],
    },
];

/// What AWS Backup stores itself is copied within its own storage; a copy of a snapshot waits for another
/// service's, of a database's longer than of a volume's. AWS promises no time, and sizes decide: these are
/// middle-sized points after the first of their resource.
const MINUTES: &[(&[&str], u64)] = &[
    (&["EFS", "S3", "DynamoDB"], 5),
    (&["EBS", "EC2"], 10),
    (&["RDS", "Aurora", "DocumentDB", "Neptune"], 15),
];
const MINUTES_OF_OTHERS: u64 = 10;

/// The time that a copy job of a type is assumed to take.
pub fn job_time(resource_type: &str) -> Duration {
    let row = MINUTES.iter().find(|(types, _)| types.contains(&resource_type));
    Duration::from_mins(row.map_or(MINUTES_OF_OTHERS, |(_, minutes)| *minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_one_quota_at_most() {
        let mut all: Vec<&str> = QUOTAS.iter().flat_map(|quota| quota.types).copied().collect();
        let types = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), types);
    }

    #[test]
    fn a_type_that_nobody_has_heard_of_has_a_time_too() {
        assert_eq!(job_time("EFS"), Duration::from_mins(5));
        assert_eq!(job_time("Aurora"), Duration::from_mins(15));
        assert_eq!(job_time("new"), Duration::from_mins(10));
    }
}
