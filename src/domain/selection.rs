//! Which recovery points an operator wants, by the metadata of their resources.

use std::collections::BTreeSet;

use thiserror::Error;

/// Why a list of values cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the list `{0}` holds no value: give at least one, separated by commas")]
pub struct EmptyList(pub String);

/// A list of values as the command line gives it: `A,B , ,C`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueList {
    values: BTreeSet<String>,
    /// Number of empty elements that were passed over.
    pub empty_elements: usize,
}

impl ValueList {
    /// Reads comma-separated values: trimmed, empty elements passed over and counted.
    ///
    /// # Errors
    /// If no value is left: an empty whitelist would select nothing, silently.
    pub fn parse(text: &str) -> Result<Self, EmptyList> {
        let mut values = BTreeSet::new();
        let mut empty_elements = 0;
        for value in text.split(',').map(str::trim) {
            if value.is_empty() {
                empty_elements += 1;
            } else {
                values.insert(value.to_owned());
            }
        }
        if values.is_empty() {
            return Err(EmptyList(text.to_owned()));
        }
        Ok(Self {
            values,
            empty_elements,
        })
    }

    /// Exact and case-sensitive.
    pub fn contains(&self, value: &str) -> bool {
        self.values.contains(value)
    }

    /// The values in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(String::as_str)
    }
}

/// The allowed and excluded values of a column of the metadata file. Deny beats allow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnFilter {
    /// The column.
    pub column: String,
    /// Only these, if given.
    pub allowed: Option<ValueList>,
    /// Never these, if given.
    pub excluded: Option<ValueList>,
}

/// What a filter says of one recovery point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Wanted.
    Selected,
    /// Not wanted.
    Filtered,
    /// The CSV file has no row for its resource, or no value in a column that decides.
    NoMetadata,
}

impl ColumnFilter {
    /// Decides by the value of a point's resource; `None` where the CSV file has none.
    pub fn decide(&self, value: Option<&str>) -> Decision {
        let Some(value) = value.map(str::trim).filter(|a| !a.is_empty()) else {
            return Decision::NoMetadata;
        };
        if self.excluded.as_ref().is_some_and(|list| list.contains(value)) {
            return Decision::Filtered;
        }
        match &self.allowed {
            Some(list) if !list.contains(value) => Decision::Filtered,
            _ => Decision::Selected,
        }
    }
}

impl ValueList {
    /// Takes in the values of another list.
    pub fn extend(&mut self, other: Self) {
        self.values.extend(other.values);
        self.empty_elements += other.empty_elements;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_are_trimmed_and_empty_elements_counted() {
        let list = ValueList::parse(" A, ,B,,A ").unwrap();
        assert_eq!(list.iter().collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(list.empty_elements, 2);
        assert!(ValueList::parse(" , ").is_err());
    }

    #[test]
    fn deny_beats_allow_and_case_counts() {
        let filter = ColumnFilter {
            column: "APMID".to_owned(),
            allowed: Some(ValueList::parse("A,B").unwrap()),
            excluded: Some(ValueList::parse("B").unwrap()),
        };
        assert_eq!(filter.decide(Some("A")), Decision::Selected);
        assert_eq!(filter.decide(Some("B")), Decision::Filtered);
        assert_eq!(filter.decide(Some("a")), Decision::Filtered);
        assert_eq!(filter.decide(None), Decision::NoMetadata);
        assert_eq!(filter.decide(Some("  ")), Decision::NoMetadata);
    }

    proptest! {
        #[test]
        fn an_excluded_value_is_never_selected(allowed in "[AB](,[AB]){0,3}", excluded in "[AB]", value in "[ABC]") {
            let filter = ColumnFilter {
                column: "APMID".to_owned(),
                allowed: Some(ValueList::parse(&allowed).unwrap()),
                excluded: Some(ValueList::parse(&excluded).unwrap()),
            };
            let wanted = allowed.split(',').any(|a| a == value) && value != excluded;
            prop_assert_eq!(filter.decide(Some(&value)) == Decision::Selected, wanted);
        }
    }
}
