//! `arbiterctl`: asks a running arbiter and tells it what to do.

use std::process::ExitCode;

fn main() -> ExitCode {
    arbiterctl::run(std::env::args_os())
}
