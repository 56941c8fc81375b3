use std::iter;

use super::*;
use crate::domain::ResourceArn;
use crate::metadata::Row;

fn read(text: impl AsRef<[u8]>) -> Result<MetadataTable, MetadataError> {
    MetadataTable::read(text.as_ref(), Path::new("m.csv"), &Keep::All)
}

fn row<'a>(table: &'a MetadataTable, arn: &str) -> Option<Row<'a>> {
    table.rows(iter::once(&ResourceArn::from_aws(arn))).pop()?
}

fn apmid<'a>(table: &'a MetadataTable, arn: &str) -> Option<&'a str> {
    row(table, arn)?.get("APMID")
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
fn only_what_is_asked_for_is_kept() {
    let text = "Owner,APMID,resourceArn,Note\nx,1,a,n\ny,2,b,n\nz,1,a,n\nz,3,b\n";
    for (keep, wanted) in [
        (Keep::Only(Vec::new()), &[("resourceArn", "a")][..]),
        (
            Keep::Only(vec!["APMID".to_owned(), "no such".to_owned()]),
            &[("APMID", "1"), ("resourceArn", "a")],
        ),
        (
            Keep::All,
            &[
                ("Owner", "z"),
                ("APMID", "1"),
                ("resourceArn", "a"),
                ("Note", "n"),
            ],
        ),
    ] {
        let table = MetadataTable::read(text.as_bytes(), Path::new("m.csv"), &keep).unwrap();
        let row = row(&table, "a").unwrap();
        assert_eq!(row.iter().collect::<Vec<_>>(), wanted);
        assert_eq!(
            table.columns(),
            wanted.iter().map(|(name, _)| *name).collect::<Vec<_>>()
        );
        assert_eq!(table.len(), 2);
        // Rows are judged by all of their fields, contradictions by those that are kept.
        let other = usize::from(keep == Keep::All);
        assert_eq!(
            table.warnings(),
            [
                "line 5 has 3 fields instead of 4; skipped".to_owned(),
                format!(
                    "1 rows name a resource that an earlier row names ({other} with other values); \
                     the last one counts"
                ),
            ]
        );
    }
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
    let row = row(&table, "a").unwrap();
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
    let row = row(&table, "a").unwrap();
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
    let row = row(&table, "a").unwrap();
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
