//! Files that are given by mistake in place of a CSV file, known by their first bytes.

/// What a file is, and how to make a CSV file of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Foreign {
    pub(super) kind: &'static str,
    pub(super) remedy: &'static str,
}

/// Bytes of a file's beginning that [`recognise`] looks at.
pub(super) const LOOKED_AT: usize = 64;

const EXPORT: &str = "export the table as CSV in UTF-8 with its own program, and give that file";
const UTF8: &str =
    "save it as UTF-8 (in a spreadsheet: \"CSV UTF-8\"), or convert it: iconv -f UTF-16 -t UTF-8";

const UNPACK: &str = "unpack it, and give the CSV file that is in it; or unpack it into --metadata-csv -";
const UTF16_LE: &str = "in UTF-16 (little endian)";
const UTF16_BE: &str = "in UTF-16 (big endian)";

/// First bytes, what they tell, and what to do. The first that fits counts.
const KINDS: &[(&[u8], &str, &str)] = &[
    (b"\xff\xfe", UTF16_LE, UTF8),
    (b"\xfe\xff", UTF16_BE, UTF8),
    (
        b"\x1f\x8b",
        "compressed by gzip",
        "unpack it: gzip -dc FILE | shuffle-aws-vaults ... --metadata-csv -",
    ),
    (b"BZh", "compressed by bzip2", UNPACK),
    (b"\xfd7zXZ\0", "compressed by xz", UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"PK\x03\x04", "a zip archive", UNPACK),
    (b"PK\x05\x06", "an empty zip archive", UNPACK),
    (b"PAR1", "a Parquet file", EXPORT),
    (b"PARE", "an encrypted Parquet file", EXPORT),
    (b"ORC", "an ORC file", EXPORT),
    (b"Obj\x01", "an Avro file", EXPORT),
    (b"ARROW1", "an Arrow file", EXPORT),
    (b"SQLite format 3\0", "an SQLite database", EXPORT),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old Excel workbook (xls)",
        EXPORT,
    ),
    (b"%PDF-", "a PDF file", EXPORT),
    (b"\x7fELF", "a program", "give the CSV file with the metadata"),
];

/// Names that an Office Open XML file begins with, behind the 30 bytes of the zip archive's header.
const WORKBOOK_PARTS: [&[u8]; 4] = [b"[Content_Types]", b"_rels/", b"xl/", b"docProps/"];

/// Tells what a file is by its first [`LOOKED_AT`] bytes; `None` if it may be text in UTF-8.
pub(super) fn recognise(head: &[u8]) -> Option<Foreign> {
    let name = head.get(30..).unwrap_or_default();
    if head.starts_with(b"PK\x03\x04") && WORKBOOK_PARTS.iter().any(|part| name.starts_with(part)) {
        return Some(Foreign {
            kind: "an Excel workbook (xlsx)",
            remedy: EXPORT,
        });
    }
    // Without a byte order mark UTF-16 still shows: every other byte of ASCII text is NUL.
    let without_mark = match head {
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => Some(UTF16_LE),
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => Some(UTF16_BE),
        _ => None,
    };
    if let Some(kind) = without_mark {
        return Some(Foreign { kind, remedy: UTF8 });
    }
    let (magic, kind, remedy) = KINDS.iter().find(|(magic, ..)| head.starts_with(magic))?;
    // `PAR1` may be the name of a column.
    if magic.is_ascii() && is_text(head) {
        return None;
    }
    Some(Foreign { kind, remedy })
}

fn is_text(head: &[u8]) -> bool {
    let utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    utf8 && !head.iter().any(|byte| *byte < b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(head: &[u8]) -> Option<&'static str> {
        recognise(head).map(|f| f.kind)
    }

    #[test]
    fn other_kinds_of_files_are_told_by_their_first_bytes() {
        let zip = |name: &str| [b"PK\x03\x04".as_slice(), &[7; 26], name.as_bytes()].concat();
        for (head, wanted) in [
            (b"\xff\xfer\0e\0".to_vec(), UTF16_LE),
            (b"\xfe\xff\0r\0e".to_vec(), UTF16_BE),
            (b"r\0e\0s\0".to_vec(), UTF16_LE),
            (b"\0r\0e\0s".to_vec(), UTF16_BE),
            (b"\x1f\x8b\x08\0".to_vec(), "compressed by gzip"),
            (b"BZh91AY&SY\xe5\xff".to_vec(), "compressed by bzip2"),
            (b"\xfd7zXZ\0\0".to_vec(), "compressed by xz"),
            (b"\x28\xb5\x2f\xfd\x04".to_vec(), "compressed by zstd"),
            (zip("metadata.csv"), "a zip archive"),
            (zip("[Content_Types].xml"), "an Excel workbook (xlsx)"),
            (zip("xl/workbook.xml"), "an Excel workbook (xlsx)"),
            (b"PAR1\x15\x04".to_vec(), "a Parquet file"),
            (
                b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(),
                "an old Excel workbook (xls)",
            ),
            (b"\x7fELF\x02".to_vec(), "a program"),
        ] {
            assert_eq!(kind(&head), Some(wanted), "{head:?}");
        }
    }

    #[test]
    fn text_is_left_alone() {
        for head in [
            "",
            "r",
            "resourceArn,APMID\n",
            "\u{feff}resourceArn",
            "PK,resourceArn",
            "PAR1,ORC,b\nresourceArn",
            "ä,b",
        ] {
            assert_eq!(kind(head.as_bytes()), None, "{head}");
        }
        // NULs are the reader's matter: it names their line.
        assert_eq!(kind(b"\0\0\0\0"), None);
        assert_eq!(kind(b"a,b\nc\0\n"), None);
    }
}
