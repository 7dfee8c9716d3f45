//! The `arbiter` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    arbiter::start::main(std::env::args_os().skip(1).collect())
}
