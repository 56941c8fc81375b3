//! `shuffle-aws-vaults`: see the library's `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    shuffle_aws_vaults::cli::main()
}
