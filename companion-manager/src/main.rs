//! Started by arbiter only: see the library.

fn main() -> std::process::ExitCode {
    companion_manager::run::main()
}
