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

use std::fmt::Write as _;

use common::{Rig, side_by_side};

/// A block's commands, each with the lines that it shows.
type Block = Vec<(String, Vec<String>)>;

fn blocks(guide: &str) -> Vec<Block> {
    let fenced = guide
        .split("```console\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    fenced
        .map(|text| {
            let mut block = Block::new();
            for line in text.lines() {
                match line.strip_prefix("$ ") {
                    Some(command) => block.push((command.to_owned(), Vec::new())),
                    None => block.last_mut().unwrap().1.push(line.to_owned()),
                }
            }
            block
        })
        .collect()
}

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
        let rig = rig(&block);
        let mut script = String::from("exec 2>&1; export SHUFFLE_AWS_VAULTS_POLL_INTERVAL=0.05\n");
        for (number, (command, _)) in block.iter().enumerate() {
            // The program ends with 1 by itself where the guide says so with `!`.
            let _ = writeln!(script, "{{ {command}\n}} || exit $((100 + {number})); echo @@@");
        }
        let done = rig.run(&script);
        assert_eq!(done.code, 0, "{script}\n{}", done.stdout);
        for ((command, lines), shown) in block.iter().zip(done.stdout.split("@@@\n")) {
            for line in lines {
                assert!(
                    shown.contains(line.as_str()),
                    "{command}\nshows no {line:?}:\n{shown}"
                );
            }
        }
    });
}
