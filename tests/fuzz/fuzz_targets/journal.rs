//! See `journal` in `targets.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shuffle_aws_vaults_fuzz::journal(bytes));
