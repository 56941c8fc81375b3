//! Console examples of the documents: commands, and lines of what they show.

use std::fmt::Write as _;

use super::Rig;

/// A block's commands, each with the lines that it shows.
pub type Block = Vec<(String, Vec<String>)>;

/// The blocks of a document.
pub fn blocks(document: &str) -> Vec<Block> {
    let fenced = document
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

/// Runs a block, and fails unless each command succeeds and shows its lines.
pub fn works_as_shown(rig: &Rig, block: &Block, prelude: &str) {
    let mut script = format!("exec 2>&1; export SHUFFLE_AWS_VAULTS_POLL_INTERVAL=0.05\n{prelude}\n");
    for (number, (command, _)) in block.iter().enumerate() {
        // The program ends with 1 by itself where the document says so with `!`.
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
}
