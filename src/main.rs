//! The `cacheseal` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    cacheseal::cli::run()
}
