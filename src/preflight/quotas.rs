//! Quotas of the destination, against what is to be copied.

use std::collections::BTreeMap;

use super::Finding;
use crate::copy::plan::Tally;

const CHECK: &str = "quota";

/// Recovery points that a vault holds by default (AWS Backup Developer Guide, "AWS Backup quotas"; Service Quotas
/// L-514878B6). AWS raises it on request.
const POINTS_PER_VAULT: usize = 1_000_000;

/// A default quota of a Region, of the service that holds the copies. AWS raises them on request, so that an
/// account's own may be another: data, and no rule.
struct RegionQuota {
    resource_type: &'static str,
    what: &'static str,
    at_most: usize,
}

const REGION_QUOTAS: &[RegionQuota] = &[
    RegionQuota {
        resource_type: "EBS",
        what: "EBS snapshots",
        at_most: 100_000,
    },
    RegionQuota {
        resource_type: "EC2",
        what: "AMIs",
        at_most: 50_000,
    },
];

/// Points of a destination vault when all is done.
pub fn vault_quota(vault: &str, there: usize, to_copy: usize) -> Finding {
    let all = there + to_copy;
    let finding = if all > POINTS_PER_VAULT {
        Finding::warning(
            CHECK,
            format!(
                "{all} recovery points with those that are there ({there}); a vault holds {POINTS_PER_VAULT} by default"
            ),
            "ask AWS for a higher quota of recovery points per vault (Service Quotas, L-514878B6), or use several vaults",
        )
    } else {
        Finding::ok(
            CHECK,
            format!("{all} recovery points when all is done; a vault holds {POINTS_PER_VAULT} by default"),
        )
    };
    finding.of(vault)
}

/// Copies that other services hold, in the destination Region. What is there already is not counted: AWS Backup
/// does not say.
pub fn region_quotas(region: &str, to_copy: &BTreeMap<String, Tally>) -> Vec<Finding> {
    let of = |quota: &RegionQuota| {
        let points = to_copy.get(quota.resource_type)?.points;
        let (what, most) = (quota.what, quota.at_most);
        let finding = if points > most {
            Finding::warning(
                CHECK,
                format!(
                    "{points} {what} are to be made in a Region that holds {most} by default, with those there already"
                ),
                format!("ask AWS for a higher quota of {what} in {region} (Service Quotas)"),
            )
        } else {
            Finding::ok(
                CHECK,
                format!("{points} {what} to be made; a Region holds {most} by default"),
            )
        };
        Some(finding.of(region))
    };
    REGION_QUOTAS.iter().filter_map(of).collect()
}
