//! `--prices`: a price table in CSV.

use std::path::Path;

use super::small_csv;
use crate::copy::cost::{Price, Prices};
use crate::error::AppError;

const COLUMNS: [&str; 4] = [
    "resource_type",
    "storage_per_gib_month",
    "transfer_per_gib",
    "currency",
];
/// Stands for every type that has no line.
const OTHERS: &str = "*";

/// Reads a table.
///
/// # Errors
/// If it cannot be read, lacks a column, or has a price that is none.
pub(super) fn read(file: &Path) -> Result<Prices, AppError> {
    let bytes = std::fs::read(file);
    let bytes = bytes.map_err(|error| AppError::io(format!("read --prices {}", file.display()), error))?;
    parse(&bytes).map_err(|what| {
        AppError::usage(
            format!("--prices {}: {what}", file.display()),
            format!(
                "a CSV file with the columns {} (the last two may be left out), such as EBS,0.05,0.02,USD; the type {OTHERS} \
                 stands for all others",
                COLUMNS.join(", ")
            ),
        )
    })
}

fn parse(bytes: &[u8]) -> Result<Prices, String> {
    let (text, mut reader) = small_csv::read(bytes, false);
    let mut prices = Prices::default();
    let mut columns: Option<[Option<usize>; 4]> = None;
    for record in reader.records() {
        let record = record.map_err(|error| small_csv::problem(text, &error))?;
        let Some(at) = columns else {
            columns = Some(header(&record)?);
            continue;
        };
        let line = small_csv::line_of(text, &record);
        let [kind, storage, transfer, currency] =
            at.map(|at| at.and_then(|at| record.get(at)).unwrap_or_default());
        let price = Price {
            storage_per_gib_month: number(storage, line)?,
            transfer_per_gib: if at[2].is_some() {
                number(transfer, line)?
            } else {
                0.0
            },
        };
        if !currency.is_empty() {
            if !prices.currency.is_empty() && prices.currency != currency {
                return Err(format!(
                    "line {line}: the currency {currency} differs from {}",
                    prices.currency
                ));
            }
            currency.clone_into(&mut prices.currency);
        }
        let before = match kind {
            "" => return Err(format!("line {line}: there is no resource type")),
            OTHERS => prices.other.replace(price),
            _ => prices.by_type.insert(kind.to_owned(), price),
        };
        if before.is_some() {
            return Err(format!("line {line}: {kind} has a price already"));
        }
    }
    if prices.by_type.is_empty() && prices.other.is_none() {
        return Err("it has no prices".to_owned());
    }
    Ok(prices)
}

fn header(record: &csv::StringRecord) -> Result<[Option<usize>; 4], String> {
    let columns = COLUMNS.map(|name| record.iter().position(|column| column == name));
    for (name, place) in COLUMNS.iter().zip(columns).take(2) {
        if place.is_none() {
            return Err(format!("its first line has no column {name}"));
        }
    }
    match record.iter().find(|column| !COLUMNS.contains(column)) {
        Some(unknown) => Err(format!("the column `{unknown}` is not known")),
        None => Ok(columns),
    }
}

fn number(text: &str, line: usize) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(price) if price.is_finite() && price >= 0.0 => Ok(price),
        _ => Err(format!("line {line}: `{text}` is no price")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read() {
        let text = "\u{feff}resource_type,storage_per_gib_month,transfer_per_gib,currency\n# EBS\nEBS, 0.05 ,0.02,USD\n*,0.1,0,\n";
        let prices = parse(text.as_bytes()).unwrap();
        assert_eq!(prices.currency, "USD");
        assert_eq!(
            prices.by_type["EBS"],
            Price {
                storage_per_gib_month: 0.05,
                transfer_per_gib: 0.02
            }
        );
        assert!(prices.other.is_some());
        let prices = parse(b"storage_per_gib_month,resource_type\n0.5,S3\n").unwrap();
        assert!((prices.by_type["S3"].storage_per_gib_month - 0.5).abs() < 1e-9);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let header = "resource_type,storage_per_gib_month,transfer_per_gib,currency\n";
        for (rows, wanted) in [
            ("", "it has no prices"),
            ("EBS,x,0,USD\n", "line 2: `x` is no price"),
            ("EBS,-1,0,USD\n", "line 2: `-1` is no price"),
            ("EBS,NaN,0,USD\n", "line 2: `NaN` is no price"),
            ("EBS,1,,USD\n", "line 2: `` is no price"),
            ("EBS,1,0,USD\n\nEFS,1,0,EUR\n", "line 4: the currency EUR differs"),
            ("EBS,1,0,USD\nEBS,1,0,USD\n", "line 3: EBS has a price already"),
            (",1,0,USD\n", "line 2: there is no resource type"),
            ("EBS,1\n", "line 2: 2 values instead of the 4 of the first line"),
        ] {
            let problem = parse(format!("{header}{rows}").as_bytes()).unwrap_err();
            assert!(problem.starts_with(wanted), "{problem}");
        }
        for (text, wanted) in [
            (
                "resource_type,price\nEBS,1\n",
                "its first line has no column storage_per_gib_month",
            ),
            (
                "resource_type,storage_per_gib_month,x\nEBS,1,1\n",
                "the column `x` is not known",
            ),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err(), wanted);
        }
    }

    proptest::proptest! {
        /// A file that is none is refused, and nothing worse.
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z0-9_=,.#*'\"\\[\\]\\{\\}\n\r\t \\\\\u{0}ä-]{0,60}") {
            let _ = parse(text.as_bytes());
        }
    }
}
