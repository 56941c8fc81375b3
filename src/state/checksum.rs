//! The checksum of a document: its last member, over every byte before its value. A flipped bit in
//! an ARN is still valid JSON, and would lose one recovery point and make up another.

/// Name of the member, as it stands in the file.
const MEMBER: &[u8] = b",\"crc32\":";
/// Length of what follows it: eight digits in quotes, a brace, a newline.
pub(super) const TAIL: usize = 12;

/// Whether a text that says that it has a checksum is as it was written.
pub(super) fn is_whole(text: &[u8]) -> bool {
    let Some((covered, tail)) = text
        .len()
        .checked_sub(TAIL)
        .and_then(|at| text.split_at_checked(at))
    else {
        return false;
    };
    let digits = tail.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"}\n"));
    let wanted = digits
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| u32::from_str_radix(digits, 16).ok());
    covered.ends_with(MEMBER) && wanted == Some(crc32fast::hash(covered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_whole_only_as_it_was_written() {
        let covered = b"{\"items\":[],\"crc32\":";
        let text = |sum: u32| {
            let mut text = covered.to_vec();
            text.extend_from_slice(format!("\"{sum:08x}\"}}\n").as_bytes());
            text
        };
        let whole = text(crc32fast::hash(covered));
        assert!(is_whole(&whole));
        assert!(!is_whole(&text(crc32fast::hash(covered) ^ 1)));
        for place in 0..covered.len() {
            let mut flipped = whole.clone();
            flipped[place] ^= 1;
            assert!(!is_whole(&flipped), "byte {place}");
        }
        for length in 0..whole.len() {
            assert!(!is_whole(&whole[..length]), "{length} bytes");
        }
        // The right sum of what has another last member.
        let other = b"{\"items\":[],\"crc16\":";
        let mut text = other.to_vec();
        text.extend_from_slice(format!("\"{:08x}\"}}\n", crc32fast::hash(other)).as_bytes());
        assert!(!is_whole(&text));
    }
}
