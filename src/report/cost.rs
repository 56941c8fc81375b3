//! What a plan costs at most: in words and as JSON.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::text::sanitize;
use crate::copy::cost::{Cost, TypeCost};

/// To the cent of the table's currency; what is less is not nothing.
fn rounded(amount: f64) -> f64 {
    (amount * 100.0).ceil() / 100.0
}

/// The members of a cost.
pub(super) fn object(cost: &Cost) -> Value {
    let of_type = |t: &TypeCost| {
        json!({
            "resource_type": t.resource_type,
            "points": t.tally.points,
            "bytes": t.tally.bytes,
            "storage_per_month": rounded(t.storage_per_month),
            "transfer": rounded(t.transfer),
        })
    };
    let unpriced = cost
        .unpriced
        .iter()
        .map(|(kind, points)| json!({"resource_type": kind, "points": points}));
    json!({
        "currency": cost.currency,
        "storage_per_month": rounded(cost.storage_per_month()),
        "transfer": rounded(cost.transfer()),
        "by_resource_type": cost.types.iter().map(of_type).collect::<Vec<_>>(),
        "unpriced": unpriced.collect::<Vec<_>>(),
        "points_without_size": cost.points_without_size,
    })
}

/// The lines of a cost.
pub(super) fn text(cost: &Cost, out: &mut dyn Write) -> io::Result<()> {
    let money = |amount: f64| {
        format!("{:.2} {}", rounded(amount), sanitize(&cost.currency))
            .trim_end()
            .to_owned()
    };
    writeln!(
        out,
        "  Cost at most: {} a month for storage, {} once for transfer between Regions",
        money(cost.storage_per_month()),
        money(cost.transfer())
    )?;
    writeln!(out, "    By your price table, with every point at its full size")?;
    if !cost.unpriced.is_empty() {
        let types: Vec<String> = cost
            .unpriced
            .iter()
            .map(|(kind, points)| format!("{} ({points} points)", sanitize(kind)))
            .collect();
        writeln!(
            out,
            "    Not counted, as the table has no price: {}",
            types.join(", ")
        )?;
    }
    if cost.points_without_size > 0 {
        writeln!(
            out,
            "    Not counted, as AWS gives no size: {} points",
            cost.points_without_size
        )?;
    }
    Ok(())
}
