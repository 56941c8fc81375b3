//! From a file's records to the table: which are taken, which are refused, and what is said of them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use csv::StringRecord;

use super::error::MetadataError;
use super::records::{Problem, Record, Records};
use super::table::MetadataTable;

/// Ragged rows that are named, and suspicious ones; the rest are counted.
const MOST_NAMED: usize = 5;
/// Rows between two lines of the log.
const LOG_EVERY: usize = 10_000;
/// Characters of the header that are shown.
const MOST_SHOWN: usize = 200;
const KEY: &str = "resourceArn";

/// A table that is being read, and what is to be said of its rows.
pub(super) struct Loading<'a> {
    path: &'a Path,
    table: MetadataTable,
    key: usize,
    count: usize,
    ragged: usize,
    suspicious: usize,
    unnamed: usize,
    doubled: usize,
    contradicting: usize,
}

impl<'a> Loading<'a> {
    /// The table, and how many bytes it was read from.
    pub(super) fn run(input: impl Read, path: &'a Path) -> Result<(MetadataTable, u64), MetadataError> {
        let failed = |problem| mistake(path, problem);
        let mut records = Records::new(input).map_err(failed)?;
        let columns = match records.next().map_err(failed)? {
            None => Vec::new(),
            Some(header) => header.values().map(Cow::into_owned).collect(),
        };
        let mut loading = Self::begin(columns, path)?;
        while let Some(record) = records.next().map_err(failed)? {
            loading.count += 1;
            if loading.count.is_multiple_of(LOG_EVERY) {
                tracing::debug!("{} rows of {} read", loading.count, path.display());
            }
            loading.take(record)?;
        }
        Ok((loading.finish(), records.consumed()))
    }

    fn begin(columns: Vec<String>, path: &'a Path) -> Result<Self, MetadataError> {
        refuse_doubled(&columns, path)?;
        let mut table = MetadataTable {
            columns,
            ..MetadataTable::default()
        };
        let key = key_column(&mut table, path)?;
        Ok(Self {
            path,
            table,
            key,
            count: 0,
            ragged: 0,
            suspicious: 0,
            unnamed: 0,
            doubled: 0,
            contradicting: 0,
        })
    }

    fn take(&mut self, record: Record<'_>) -> Result<(), MetadataError> {
        let line = record.line;
        let mut row = StringRecord::with_capacity(record.text.len(), self.table.columns.len());
        record.values().for_each(|value| row.push_field(&value));
        let arn = row.get(self.key).unwrap_or_default();
        if record.breaks > 0 {
            self.look_into(record, arn)?;
        }
        let (has, wants) = (row.len(), self.table.columns.len());
        if has != wants {
            self.ragged += 1;
            if self.ragged <= MOST_NAMED {
                let text = format!("line {line} has {has} fields instead of {wants}; skipped");
                self.table.warnings.push(text);
            }
        } else if arn.is_empty() {
            self.unnamed += 1;
        } else {
            match self.table.rows.get_mut(arn) {
                None => {
                    let arn = arn.into();
                    self.table.rows.insert(arn, row);
                }
                Some(earlier) => {
                    self.doubled += 1;
                    self.contradicting += usize::from(*earlier != row);
                    *earlier = row;
                }
            }
        }
        Ok(())
    }

    /// A row over several lines may be what a forgotten quotation mark makes of several rows.
    fn look_into(&mut self, record: Record<'_>, arn: &str) -> Result<(), MetadataError> {
        let line = record.line;
        if arn.contains(['\n', '\r']) {
            return Err(MetadataError::Broken {
                path: self.path.to_owned(),
                line,
                problem: "the resource ARN has a line break in it; is a quotation mark missing?".to_owned(),
            });
        }
        let mut lines = record.text.split(['\n', '\r']).skip(1);
        if lines.any(|line| line.trim_start_matches(['"', ' ']).starts_with("arn:")) {
            self.suspicious += 1;
            if self.suspicious <= MOST_NAMED {
                self.table.warnings.push(format!(
                    "the row at line {line} goes on for {} lines, of which one begins with an ARN; \
                     is a quotation mark missing?",
                    record.breaks
                ));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> MetadataTable {
        let further = |count: usize| count.saturating_sub(MOST_NAMED);
        let doubled = format!(
            "rows name a resource that an earlier row names ({} with other values); the last one counts",
            self.contradicting
        );
        for (count, text) in [
            (
                further(self.ragged),
                "further rows have a wrong number of fields; skipped",
            ),
            (
                further(self.suspicious),
                "further rows over several lines have one that begins with an ARN",
            ),
            (self.unnamed, "rows have no resource ARN; skipped"),
            (self.doubled, doubled.as_str()),
        ] {
            if count > 0 {
                self.table.warnings.push(format!("{count} {text}"));
            }
        }
        if self.count == 0 {
            let text = "it has a header and no rows".to_owned();
            self.table.warnings.push(text);
        }
        self.table
    }
}

/// Columns without a name are passed over, as a comma at the end of each line makes one.
fn refuse_doubled(columns: &[String], path: &Path) -> Result<(), MetadataError> {
    let mut seen = HashMap::new();
    for (place, name) in (1_usize..).zip(columns).filter(|(_, name)| !name.is_empty()) {
        if let Some(first) = seen.insert(name, place) {
            return Err(MetadataError::DoubledColumn {
                path: path.to_owned(),
                name: shown(name),
                first,
                second: place,
            });
        }
    }
    Ok(())
}

/// The place of the column with the resource: exactly named, or else in other letters.
fn key_column(table: &mut MetadataTable, path: &Path) -> Result<usize, MetadataError> {
    if let Some(place) = table.columns.iter().position(|c| c == KEY) {
        return Ok(place);
    }
    let alike = |(_, name): &(usize, &String)| name.eq_ignore_ascii_case(KEY);
    let mut found = table.columns.iter().enumerate().filter(alike);
    let Some((place, name)) = found.next() else {
        return Err(MetadataError::NoResourceArn {
            path: path.to_owned(),
            columns: match table.columns.as_slice() {
                [] => "is empty".to_owned(),
                columns => format!("has {}", shown(&columns.join(", "))),
            },
        });
    };
    if let Some((second, _)) = found.next() {
        return Err(MetadataError::DoubledColumn {
            path: path.to_owned(),
            name: KEY.to_owned(),
            first: place + 1,
            second: second + 1,
        });
    }
    let warning = format!("the column `{name}` is taken for resourceArn");
    table.warnings.push(warning);
    Ok(place)
}

fn shown(text: &str) -> String {
    text.chars().take(MOST_SHOWN).collect()
}

fn mistake(path: &Path, problem: Problem) -> MetadataError {
    let path: PathBuf = path.to_owned();
    match problem {
        Problem::Unreadable(source) => MetadataError::Unreadable { path, source },
        Problem::Foreign(foreign) => MetadataError::Foreign {
            path,
            kind: foreign.kind,
            remedy: foreign.remedy,
        },
        Problem::Broken { line, problem } => MetadataError::Broken { path, line, problem },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ResourceArn;

    fn read(text: impl AsRef<[u8]>) -> Result<MetadataTable, MetadataError> {
        MetadataTable::read(text.as_ref(), Path::new("m.csv"))
    }

    fn apmid<'a>(table: &'a MetadataTable, arn: &str) -> Option<&'a str> {
        table.row(&ResourceArn::from_aws(arn))?.get("APMID")
    }

    #[test]
    fn values_are_found_by_resource_with_bom_quotes_and_crlf() {
        let table = read("\u{feff}resourceArn , APMID\r\n\"a:1\", APP001 \r\nb,\r\n").unwrap();
        assert_eq!(apmid(&table, "a:1"), Some("APP001"));
        assert_eq!(apmid(&table, "b"), None);
        assert_eq!(apmid(&table, "c"), None);
        assert_eq!(table.len(), 2);
        assert!(table.warnings().is_empty());
    }

    #[test]
    fn blanks_around_quotes_are_no_part_of_the_value() {
        let table = read("\"resourceArn\" , \"APMID\"\n\"a\" , \"APP, \"\"1\"\" \" \n").unwrap();
        assert_eq!(apmid(&table, "a"), Some("APP, \"1\""));
    }

    #[test]
    fn a_lone_cr_ends_a_line_and_lines_are_counted_alike_for_all_ends() {
        for end in ["\n", "\r\n", "\r"] {
            let text = [
                "resourceArn,APMID",
                "",
                "a,1",
                "",
                "",
                "b,2,3",
                "\"c\",\"x",
                "y\"",
                "d",
            ]
            .join(end);
            let table = read(text).unwrap();
            assert_eq!(apmid(&table, "a"), Some("1"));
            assert_eq!(
                table.warnings(),
                [
                    "line 6 has 3 fields instead of 2; skipped",
                    "line 9 has 1 fields instead of 2; skipped"
                ]
            );
        }
    }

    #[test]
    fn of_ragged_rows_five_are_named_and_all_are_counted() {
        let table = read("resourceArn,APMID\na,1\n".to_owned() + &"r\n".repeat(8)).unwrap();
        assert_eq!(table.len(), 1);
        let named = (3..8).map(|line| format!("line {line} has 1 fields instead of 2; skipped"));
        let counted = "3 further rows have a wrong number of fields; skipped".to_owned();
        assert_eq!(table.warnings(), named.chain([counted]).collect::<Vec<_>>());
    }

    #[test]
    fn of_rows_for_one_resource_the_last_counts_and_contradictions_are_told() {
        let table = read("resourceArn,APMID\na,1\nb,1\na,2\nb,1\n").unwrap();
        assert_eq!((apmid(&table, "a"), apmid(&table, "b")), (Some("2"), Some("1")));
        assert_eq!(table.len(), 2);
        let wanted =
            "2 rows name a resource that an earlier row names (1 with other values); the last one counts";
        assert_eq!(table.warnings(), [wanted]);
    }

    #[test]
    fn the_key_column_is_found_in_any_case_with_a_warning() {
        let table = read("APMID, RESOURCEARN \n1,a\n").unwrap();
        assert_eq!(apmid(&table, "a"), Some("1"));
        assert_eq!(
            table.warnings(),
            ["the column `RESOURCEARN` is taken for resourceArn"]
        );
        let exact = read("ResourceARN,resourceArn,APMID\nx,a,1\n").unwrap();
        assert_eq!(apmid(&exact, "a"), Some("1"));
        assert!(exact.warnings().is_empty());
    }

    #[test]
    fn columns_without_a_name_are_passed_over() {
        let table = read("resourceArn,APMID,,\na,1,x,y\n").unwrap();
        let row = table.row(&ResourceArn::from_aws("a")).unwrap();
        assert_eq!(
            row.iter().collect::<Vec<_>>(),
            [("resourceArn", "a"), ("APMID", "1")]
        );
    }

    #[test]
    fn rows_without_a_resource_are_counted_and_a_bare_header_is_told() {
        let table = read("resourceArn,APMID\n,1\n  ,2\na,3\n").unwrap();
        assert_eq!(table.warnings(), ["2 rows have no resource ARN; skipped"]);
        let table = read("resourceArn,APMID\n").unwrap();
        assert!(table.is_empty());
        assert_eq!(table.warnings(), ["it has a header and no rows"]);
    }

    #[test]
    fn a_value_may_have_line_breaks_unless_they_look_like_swallowed_rows() {
        let table = read("resourceArn,Owner,APMID\na,\"One\nTwo\",1\nb,x,2\n").unwrap();
        let row = table.row(&ResourceArn::from_aws("a")).unwrap();
        assert_eq!(row.get("Owner"), Some("One\nTwo"));
        assert!(table.warnings().is_empty());
        let table = read("resourceArn,Owner\na,\"One\narn:b,Two\nc,\"\n").unwrap();
        let wanted = "the row at line 2 goes on for 2 lines, of which one begins with an ARN; is a quotation mark missing?";
        assert_eq!(table.warnings(), [wanted]);
    }

    #[test]
    fn ten_thousand_columns_are_read() {
        let names: Vec<String> = (0..10_000).map(|n| format!("c{n}")).collect();
        let values = vec!["v"; 10_000].join(",");
        let table = read(format!("resourceArn,APMID,{}\na,1,{values}\n", names.join(","))).unwrap();
        let row = table.row(&ResourceArn::from_aws("a")).unwrap();
        assert_eq!((row.get("c9999"), row.iter().count()), (Some("v"), 10_002));
    }

    #[test]
    fn formulas_are_text() {
        let table =
            read("resourceArn,APMID\na,=cmd|' /C calc'!A0\nb,\"=HYPERLINK(\"\"x\"\",\"\"y\"\")\"\n").unwrap();
        assert_eq!(apmid(&table, "a"), Some("=cmd|' /C calc'!A0"));
        assert_eq!(apmid(&table, "b"), Some("=HYPERLINK(\"x\",\"y\")"));
    }

    #[test]
    fn files_that_are_no_metadata_are_refused_with_the_line() {
        let broken = |at: &str| format!("the CSV file m.csv is broken at line {at}");
        for (text, wanted) in [
            (
                &b"APMID,Owner\n1,2\n"[..],
                "CSV file missing 'resourceArn' column: m.csv has APMID, Owner".to_owned(),
            ),
            (
                b"",
                "CSV file missing 'resourceArn' column: m.csv is empty".to_owned(),
            ),
            (
                b"\n\r\n",
                "CSV file missing 'resourceArn' column: m.csv is empty".to_owned(),
            ),
            (
                b"resourceArn,A,b,A\n",
                "the CSV file m.csv has the column `A` twice: columns 2 and 4".to_owned(),
            ),
            (
                b"ResourceArn,A,resourcearn\n",
                "the CSV file m.csv has the column `resourceArn` twice: columns 1 and 3".to_owned(),
            ),
            (
                b"resourceArn,APMID\na,1\nb,\xe4\n",
                broken("3: it is not UTF-8 (byte 0xe4)"),
            ),
            (
                b"resourceArn,APMID\na,\"x\ny\r\nz\xff\"\n",
                broken("4: it is not UTF-8 (byte 0xff)"),
            ),
            (
                b"resourceArn,APMID\r\na,1\0\r\n",
                broken("2: there is a NUL character in it; is this a text file?"),
            ),
            (
                b"resourceArn,APMID\n\"a,1\nb,2\",x\n",
                broken("2: the resource ARN has a line break in it; is a quotation mark missing?"),
            ),
            (
                b"resourceArn,APMID\na,1\nb,\"x\ny\",\"z\nc,2\n",
                broken("4: the quotation mark that opens here is closed nowhere"),
            ),
            (
                b"resourceArn,Owner\na,1\nb,\"Team\nc,x\nd,\"Other\"\n",
                broken(
                    "3: the quotation mark that opens here is closed in line 5 with text behind it; \
                     is one missing, or not doubled within the value?",
                ),
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn semicolons_in_the_header_are_told() {
        let hint = read("resourceArn;APMID\n").unwrap_err().hint().unwrap();
        assert!(hint.starts_with("separate the columns by commas"), "{hint}");
    }
}
