//! The command line program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    irsa_migrate::cli::main(std::env::args_os())
}
