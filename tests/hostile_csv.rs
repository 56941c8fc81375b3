//! Metadata files that are broken, foreign, endless or hostile, through the program: each has a
//! stated answer, and nothing of AWS is changed. What one row can be is tested in `src/metadata/`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_in_result,
    reason = "a test may fail"
)]

mod common;

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use common::{ACCOUNTS, Done, Rig};
use serde_json::{Value, json};

const FILTER: &str =
    "shuffle-aws-vaults filter --source-account 123456789012 --vault v1 --allowed-apmids APP001";
const LIST: &str = "shuffle-aws-vaults list --source-account 123456789012 --vault v1";
/// Virtual memory for the program alone, in KiB: less than the inputs below would take.
const BOUND: &str = "ulimit -v 600000;";

/// Two points of one resource, and two of another.
fn rig() -> Rig {
    Rig::new("--vault v1=4 --resources 2 --types DynamoDB")
}

fn arn(n: usize) -> String {
    format!("arn:aws:dynamodb:us-east-1:123456789012:table/table-v1-{n:05}")
}

/// The error and its help, without the log lines before it.
fn message(done: &Done) -> &str {
    let at = done.stderr.find("ERROR: ").unwrap_or_default();
    done.stderr.split_at(at).1.trim_end()
}

/// Filters by a file of these bytes: it is refused with this message, and nothing is on stdout.
fn refused(bytes: &[u8], wanted: &str) {
    let rig = rig();
    std::fs::write(rig.path("m.csv"), bytes).unwrap();
    let done = rig.run(&format!("{FILTER} --metadata-csv m.csv"));
    assert_eq!((done.code, message(&done), done.stdout.as_str()), (1, wanted, ""));
}

#[test]
fn utf_16_is_named() {
    let utf16 = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        "\u{feff}resourceArn,APMID\na,1\n"
            .encode_utf16()
            .flat_map(order)
            .collect()
    };
    let wanted = |order: &str| {
        format!(
            "ERROR: the CSV file m.csv is in UTF-16 ({order} endian), not text in UTF-8\n  \
             Help: save it as UTF-8 (in a spreadsheet: \"CSV UTF-8\"), or convert it: iconv -f UTF-16 -t UTF-8"
        )
    };
    refused(&utf16(u16::to_le_bytes), &wanted("little"));
    refused(&utf16(u16::to_be_bytes), &wanted("big"));
}

#[test]
fn a_byte_order_mark_of_utf_8_and_crlf_are_no_part_of_the_values() {
    let rig = rig();
    rig.write(
        "m.csv",
        &format!("\u{feff}resourceArn,APMID\r\n{},APP001\r\n", arn(0)),
    );
    let done = rig.run(&format!("{FILTER} --metadata-csv m.csv --output json"));
    let answer: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(answer["summary"]["included"], 2, "{}", done.stderr);
    assert_eq!(answer["summary"]["no_metadata"], 2, "{}", done.stderr);
}

#[test]
fn other_kinds_of_files_are_named() {
    let workbook = [b"PK\x03\x04".as_slice(), &[20; 26], b"[Content_Types].xml"].concat();
    let export = "export the table as CSV in UTF-8 with its own program, and give that file";
    let unpack = "unpack it, and give the CSV file that is in it; or unpack it into --metadata-csv -";
    for (bytes, kind, help) in [
        (
            b"\x1f\x8b\x08\0\0\0\0\0".as_slice(),
            "compressed by gzip",
            "unpack it: gzip -dc FILE | shuffle-aws-vaults ... --metadata-csv -",
        ),
        (b"PK\x03\x04\x14\0\0\0\x08\0", "a zip archive", unpack),
        (&workbook, "an Excel workbook (xlsx)", export),
        (b"PAR1\x15\x04\x15\x10", "a Parquet file", export),
    ] {
        let wanted = format!("ERROR: the CSV file m.csv is {kind}, not text in UTF-8\n  Help: {help}");
        refused(bytes, &wanted);
    }
}

#[test]
fn broken_lines_are_named() {
    let help = "Help: mend that line; the file must be CSV in UTF-8";
    for (bytes, line, problem) in [
        (
            b"resourceArn,APMID\r\na,1\r\nb,\"APP\r\nc,3\r\n".as_slice(),
            3,
            "the quotation mark that opens here is closed nowhere",
        ),
        (
            b"resourceArn,APMID\n\"a\nb\",1\n",
            2,
            "the resource ARN has a line break in it; is a quotation mark missing?",
        ),
        (
            b"resourceArn,APMID\n\na,1\0\n",
            3,
            "there is a NUL character in it; is this a text file?",
        ),
        (b"resourceArn,APMID\ra,\xfc\r", 2, "it is not UTF-8 (byte 0xfc)"),
        (
            b"\x01\x02\x03 this is no text \xff\xfe",
            1,
            "it is not UTF-8 (byte 0xff)",
        ),
    ] {
        let wanted = format!("ERROR: the CSV file m.csv is broken at line {line}: {problem}\n  {help}");
        refused(bytes, &wanted);
    }
}

#[test]
fn a_forgotten_quotation_mark_in_a_great_file_does_not_swallow_it() {
    let rig = rig();
    let mut text = "resourceArn,APMID\n".to_owned();
    for n in 0..200_000 {
        let quote = if n == 50_000 { "\"" } else { "" };
        writeln!(text, "{},{quote}APP001", arn(n)).unwrap();
    }
    rig.write("m.csv", &text);
    let done = rig.run(&format!("{FILTER} --metadata-csv m.csv"));
    let wanted = "ERROR: the CSV file m.csv is broken at line 50002: \
                  the quotation mark that opens here is not closed within 4 MiB";
    assert_eq!((done.code, message(&done).lines().next().unwrap()), (1, wanted));
}

#[test]
fn headers_that_do_not_name_the_resource_or_name_something_twice_are_refused() {
    let help = "the first line must name the columns, one of them resourceArn, separated by commas";
    for (text, what, help) in [
        ("", "is empty", help),
        ("APMID,Owner\nx,y\n", "has APMID, Owner", help),
        (
            "resourceArn;APMID\na;1\n",
            "has resourceArn;APMID",
            "separate the columns by commas, not by semicolons or tabs; one must be resourceArn",
        ),
    ] {
        let wanted = format!("ERROR: CSV file missing 'resourceArn' column: m.csv {what}\n  Help: {help}");
        refused(text.as_bytes(), &wanted);
    }
    refused(
        b"resourceArn,APMID,Owner,APMID\na,1,x,2\n",
        "ERROR: the CSV file m.csv has the column `APMID` twice: columns 2 and 4\n  \
         Help: rename or remove one of the two",
    );
}

#[test]
fn what_is_passed_over_is_told_with_the_file_and_the_line() {
    let rig = rig();
    let (a, b) = (arn(0), arn(1));
    rig.write(
        "m.csv",
        &format!(" RESOURCEARN ,APMID\n{a},APP001\n{b},APP002\nragged\n{b},APP001\n,APP001\n"),
    );
    let done = rig.run(&format!("{FILTER} --metadata-csv m.csv --output json"));
    let answer: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        answer["summary"]["included"], 4,
        "the last row counts: {}",
        done.stderr
    );
    for warning in [
        "WARNING: m.csv: the column `RESOURCEARN` is taken for resourceArn\n",
        "WARNING: m.csv: line 4 has 1 fields instead of 2; skipped\n",
        "WARNING: m.csv: 1 rows have no resource ARN; skipped\n",
        "WARNING: m.csv: 1 rows name a resource that an earlier row names (1 with other values); the last one counts\n",
    ] {
        assert!(done.stderr.contains(warning), "{warning}{}", done.stderr);
    }
}

#[test]
fn a_header_alone_is_told_and_selects_nothing() {
    let rig = rig();
    rig.write("m.csv", "resourceArn,APMID\n");
    let done = rig.run(&format!("{FILTER} --metadata-csv m.csv --output json"));
    assert!(
        done.stderr.contains("m.csv: it has a header and no rows"),
        "{}",
        done.stderr
    );
    let answer: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(answer["summary"]["included"], 0);
}

#[test]
fn what_is_no_readable_file_is_told() {
    let rig = rig();
    std::fs::create_dir(rig.path("directory")).unwrap();
    let secret = rig.write("secret.csv", "resourceArn,APMID\n");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).unwrap();
    let help = "Help: check the file's permissions, and that it is a file";
    // Root reads everything unless it gives that up.
    let humble = if std::fs::read(&secret).is_ok() {
        "setpriv --bounding-set -dac_override,-dac_read_search "
    } else {
        ""
    };
    for (file, what) in [
        ("directory", "cannot read the CSV file directory: is a directory"),
        (
            "secret.csv",
            "cannot read the CSV file secret.csv: Permission denied (os error 13)",
        ),
    ] {
        let done = rig.run(&format!("{humble}{FILTER} --metadata-csv {file}"));
        assert_eq!(
            (done.code, message(&done)),
            (1, format!("ERROR: {what}\n  {help}").as_str())
        );
    }
}

#[test]
fn control_characters_in_a_path_do_not_reach_the_terminal() {
    let rig = rig();
    let done = rig.run(&format!("{FILTER} --metadata-csv $'no\\e]0;x\\a\\nfile'"));
    let wanted = "ERROR: CSV file not found: no\\u{1b}]0;x\\u{7}\\nfile\n  Help: check the path given with --metadata-csv";
    assert_eq!((done.code, message(&done)), (1, wanted));
    rig.write("e\u{1b}[2J.csv", "resourceArn,APMID\nragged\n");
    let done = rig.run(&format!("{LIST} --metadata-csv $'e\\e[2J.csv'"));
    assert!(
        done.stderr.contains("e\\u{1b}[2J.csv: line 2 has"),
        "{}",
        done.stderr
    );
    let done = rig.run(&format!("{LIST} --dry-run --metadata-csv $'e\\e[2J.csv'"));
    assert!(
        done.stdout.contains("metadata from e\\u{1b}[2J.csv\n"),
        "{}",
        done.stdout
    );
}

#[test]
fn a_line_of_a_gigabyte_is_refused_in_bounded_memory() {
    let rig = rig();
    // The writers end by themselves once the reader has gone.
    for (writer, line) in [
        ("head -c 1000000000 /dev/zero | tr '\\0' a", 1),
        (
            "{ echo resourceArn,APMID; head -c 1000000000 /dev/zero | tr '\\0' ,; }",
            2,
        ),
    ] {
        let wanted = format!("is broken at line {line}: the row that begins here is longer than 4 MiB");
        let piped = format!("{writer} | ({BOUND} {FILTER} --metadata-csv -)");
        let fifo = format!("mkfifo f{line}; {writer} > f{line} & {BOUND} {FILTER} --metadata-csv f{line}");
        for (script, name) in [(piped, "(standard input)".to_owned()), (fifo, format!("f{line}"))] {
            let done = rig.run(&script);
            assert_eq!(done.code, 1, "{}", done.stderr);
            let wanted = format!("ERROR: the CSV file {name} {wanted}");
            assert_eq!(message(&done).lines().next(), Some(wanted.as_str()));
        }
    }
}

#[test]
fn devices_without_an_end_are_refused_in_bounded_memory() {
    let rig = rig();
    let done = rig.run(&format!("{BOUND} {FILTER} --metadata-csv /dev/zero"));
    let wanted = "ERROR: the CSV file /dev/zero is broken at line 1: there is a NUL character in it; is this a text file?";
    assert_eq!((done.code, message(&done).lines().next()), (1, Some(wanted)));
    let done = rig.run(&format!("{BOUND} {FILTER} --metadata-csv /dev/urandom"));
    let wanted = "ERROR: the CSV file /dev/urandom is ";
    assert!(
        done.code == 1 && message(&done).starts_with(wanted),
        "{}",
        done.stderr
    );
    let done = rig.run(&format!("{BOUND} {FILTER} --metadata-csv /dev/null"));
    assert!(message(&done).contains("/dev/null is empty"), "{}", done.stderr);
}

#[test]
fn standard_input_and_pipes_serve_as_files_do() {
    let rig = rig();
    let rows = format!("resourceArn,APMID\\n{},APP001\\n", arn(1));
    for script in [
        format!("printf '{rows}' | {FILTER} --metadata-csv - --output json"),
        format!("mkfifo f; printf '{rows}' > f & {FILTER} --metadata-csv f --output json"),
        format!("{FILTER} --metadata-csv <(printf '{rows}') --output json"),
    ] {
        let done = rig.run(&script);
        let answer: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(answer["summary"]["included"], 2, "{script}: {}", done.stderr);
    }
}

#[test]
fn a_pipe_that_nobody_writes_to_can_be_interrupted() {
    let rig = rig();
    let waits = |command: &str, signal: &str| {
        // Until the program has opened the pipe's way in: the writer's end opens then, and stays silent.
        rig.run(&format!(
            "rm -f f; mkfifo f; {command} --metadata-csv f & program=$!; exec 3>f; sleep 0.2; \
             kill -{signal} $program; wait $program"
        ))
    };
    // Bash starts what is in the background with SIGINT ignored; `copy` listens for it all the same.
    let copy = format!("shuffle-aws-vaults copy {ACCOUNTS} --vault v1 --allowed-apmids APP001");
    for signal in ["INT", "TERM"] {
        let done = waits(&copy, signal);
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert_eq!(
            message(&done),
            "ERROR: interrupted before anything was started\n  Help: run the command again"
        );
        assert_eq!(done.calls("StartCopyJob"), 0);
    }
    assert_eq!(waits(FILTER, "TERM").code, 128 + 15);
    // And while the pipe has nobody at its other end, so that not even opening it comes to an end. The
    // last thing before is the look at the destination vault, which is not there.
    let done = rig.run(&format!(
        "rm -f f; mkfifo f; {copy} --metadata-csv f -v 2> log & program=$!; \
         for _ in $(seq 600); do grep -q ResourceNotFoundException log && break; sleep 0.1; done; \
         sleep 0.3; kill -INT $program; wait $program; code=$?; cat log >&2; exit $code"
    ));
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(message(&done).contains("interrupted before"), "{}", done.stderr);
}

#[test]
fn a_broken_file_stops_a_copy_before_anything_is_done() {
    let rig = rig();
    rig.write(
        "m.csv",
        &format!("resourceArn,APMID\n{},APP001\n\"{},x\n", arn(0), arn(1)),
    );
    let done = rig.run(&format!(
        "shuffle-aws-vaults copy {ACCOUNTS} --vault v1 --allowed-apmids APP001 --metadata-csv m.csv --yes"
    ));
    assert_eq!(done.code, 1);
    assert!(
        message(&done).contains("m.csv is broken at line 3"),
        "{}",
        done.stderr
    );
    for operation in ["StartCopyJob", "CreateBackupVault", "PutBackupVaultAccessPolicy"] {
        assert_eq!(done.calls(operation), 0, "{operation}");
    }
    assert!(
        rig.states()
            .iter()
            .all(|path| path.extension().is_none_or(|e| e != "json"))
    );
}

#[test]
fn formulas_and_line_breaks_are_handed_on_as_they_are() {
    let rig = rig();
    let (formula, lines) = ("=HYPERLINK(\"https://example.com\",\"x\")", "one\ntwo, three");
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    rig.write(
        "m.csv",
        &format!(
            "resourceArn,APMID,Note\n{},{},{}\n",
            arn(0),
            quoted(formula),
            quoted(lines)
        ),
    );
    let done = rig.run(&format!("{LIST} --metadata-csv m.csv --output csv"));
    let mut reader = csv::Reader::from_reader(done.stdout.as_bytes());
    let columns = reader.headers().unwrap().clone();
    let at = |name: &str| columns.iter().position(|c| c == name).unwrap();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 4);
    let row = rows.iter().find(|row| row[at("resource_arn")] == arn(0)).unwrap();
    assert_eq!((&row[at("APMID")], &row[at("Note")]), (formula, lines));
    let done = rig.run(&format!("{LIST} --metadata-csv m.csv --output ndjson"));
    let points = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let metadata: Vec<Value> = points.map(|point| point["metadata"].clone()).collect();
    assert!(
        metadata.contains(&json!({"APMID": formula, "Note": lines})),
        "{metadata:?}"
    );
}
