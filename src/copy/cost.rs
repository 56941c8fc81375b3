//! What copies cost at most, by prices that the operator gives: none are built in, as they differ by Region,
//! type and contract, and change.
//!
//! Every point is counted at its full size. AWS bills only what is new for types whose copies are incremental,
//! so that this is an upper bound. Sizes are those that AWS Backup lists; for EBS it is the volume's.

use std::collections::BTreeMap;

use super::plan::Tally;

/// Bytes of a GiB, the unit of AWS's prices.
const GIB: f64 = 1_073_741_824.0;

/// The prices of one resource type.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Price {
    /// Of a GiB kept for a month at the destination.
    pub storage_per_gib_month: f64,
    /// Of a GiB brought to another Region.
    pub transfer_per_gib: f64,
}

/// A price table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prices {
    /// By resource type.
    pub by_type: BTreeMap<String, Price>,
    /// Of all other types.
    pub other: Option<Price>,
    /// Such as `USD`; empty if the table does not tell.
    pub currency: String,
}

/// What the copies of one type cost at most.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeCost {
    /// The type.
    pub resource_type: String,
    /// Its points.
    pub tally: Tally,
    /// For each month.
    pub storage_per_month: f64,
    /// Once.
    pub transfer: f64,
}

/// What the copies of a plan cost at most.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cost {
    /// As in the table.
    pub currency: String,
    /// The types that have a price.
    pub types: Vec<TypeCost>,
    /// Types and points that have none.
    pub unpriced: Vec<(String, usize)>,
    /// Points of which AWS gives no size.
    pub points_without_size: usize,
}

impl Cost {
    /// Of points by type; `between_regions` if they are brought to another Region.
    pub fn of(to_copy: &BTreeMap<String, Tally>, prices: &Prices, between_regions: bool) -> Self {
        let mut cost = Self {
            currency: prices.currency.clone(),
            ..Self::default()
        };
        for (kind, tally) in to_copy {
            let Some(price) = prices.by_type.get(kind).copied().or(prices.other) else {
                cost.unpriced.push((kind.clone(), tally.points));
                continue;
            };
            cost.points_without_size += tally.without_size;
            #[expect(clippy::cast_precision_loss, reason = "prices are not exact to the byte")]
            let gib = tally.bytes as f64 / GIB;
            cost.types.push(TypeCost {
                resource_type: kind.clone(),
                tally: *tally,
                storage_per_month: gib * price.storage_per_gib_month,
                transfer: if between_regions {
                    gib * price.transfer_per_gib
                } else {
                    0.0
                },
            });
        }
        cost
    }

    /// Of all types, for each month.
    pub fn storage_per_month(&self) -> f64 {
        self.types.iter().map(|t| t.storage_per_month).sum()
    }

    /// Of all types, once.
    pub fn transfer(&self) -> f64 {
        self.types.iter().map(|t| t.transfer).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_costs_by_its_size_and_what_has_no_price_is_told() {
        let gib = |points, n: u64, without_size| Tally {
            points,
            bytes: n << 30,
            without_size,
        };
        let to_copy = BTreeMap::from([
            ("EBS".to_owned(), gib(2, 100, 0)),
            ("EFS".to_owned(), gib(3, 10, 1)),
        ]);
        let mut prices = Prices {
            by_type: BTreeMap::from([(
                "EBS".to_owned(),
                Price {
                    storage_per_gib_month: 0.05,
                    transfer_per_gib: 0.02,
                },
            )]),
            ..Prices::default()
        };
        let cost = Cost::of(&to_copy, &prices, true);
        assert!((cost.storage_per_month() - 5.0).abs() < 1e-9, "{cost:?}");
        assert!((cost.transfer() - 2.0).abs() < 1e-9, "{cost:?}");
        assert_eq!(cost.unpriced, [("EFS".to_owned(), 3)]);
        assert_eq!(
            cost.points_without_size, 0,
            "of a type without a price nothing is counted anyway"
        );
        prices.other = Some(Price {
            storage_per_gib_month: 1.0,
            ..Price::default()
        });
        let cost = Cost::of(&to_copy, &prices, false);
        assert!((cost.storage_per_month() - 15.0).abs() < 1e-9, "{cost:?}");
        assert!(
            cost.transfer().abs() < 1e-9 && cost.unpriced.is_empty(),
            "{cost:?}"
        );
        assert_eq!(cost.points_without_size, 1);
    }
}
