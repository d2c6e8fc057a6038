//! The `cosell` binary: the command line and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    cosell::cli::main()
}
