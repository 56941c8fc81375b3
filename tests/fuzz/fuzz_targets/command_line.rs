//! See `command_line` in `targets.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shuffle_aws_vaults_fuzz::command_line(bytes));
