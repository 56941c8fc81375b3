//! Runs every console example of the user guide, and looks for the output that it shows.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_in_result,
    reason = "a test may fail"
)]

mod common;

use common::console::{Block, blocks, works_as_shown};
use common::{Rig, side_by_side};

/// The vaults that the block speaks of, and the metadata of one of them.
fn rig(block: &Block) -> Rig {
    let named = |vault: &&&str| block.iter().any(|(command, _)| command.contains(**vault));
    let vaults: Vec<String> = [
        "my-backup-vault",
        "production-backups",
        "aws/efs/automatic-backup-vault",
    ]
    .iter()
    .filter(named)
    .map(|vault| format!("--vault {vault}=20"))
    .collect();
    let vaults = if vaults.is_empty() {
        "--vault production-backups=20".to_owned()
    } else {
        vaults.join(" ")
    };
    let rig = Rig::new(&format!(
        "{vaults} --resources 4 --types DynamoDB --job-seconds 0.02-0.05"
    ));
    let apmids = ["APP001", "APP002", "APP003"];
    let rows: Vec<String> = (0..3)
        .map(|n| {
            format!(
                "arn:aws:dynamodb:us-east-1:123456789012:table/table-production-backups-{n:05},{}\n",
                apmids[n]
            )
        })
        .collect();
    rig.write("metadata.csv", &format!("resourceArn,APMID\n{}", rows.concat()));
    rig
}

#[test]
fn every_console_example_works_as_shown() {
    let guide = include_str!("../USER_GUIDE.md");
    let blocks = blocks(guide);
    assert!(blocks.len() >= 10, "{}", blocks.len());
    side_by_side(blocks, |block| {
        works_as_shown(&rig(&block), &block, "");
    });
}
