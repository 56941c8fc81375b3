//! One item of a state document: the same JSON as that of [`Item`], read without the detours of a
//! general reader, which a million items would feel.

use super::format::Item;
use super::items::{ItemRow, Items};

/// Writes an item.
///
/// # Errors
/// If it cannot be JSON.
pub(super) fn write(row: &ItemRow<'_>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    serde_json::to_writer(out, &row.item())
}

/// Reads an item and adds it; `None` if it is none.
pub(super) fn read(json: &[u8], items: &mut Items) -> Option<()> {
    let item: Item = serde_json::from_slice(json).ok()?;
    items.add(&item);
    Some(())
}
