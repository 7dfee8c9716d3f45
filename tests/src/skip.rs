//! Scenarios that a machine or a user cannot have.

/// Says why a scenario, or a part of it, is left out here.
#[expect(
    clippy::print_stderr,
    reason = "the test runner shows it with --nocapture, and nobody else reads it"
)]
pub fn not_tested(why: &str) {
    eprintln!("not tested: {why}");
}

/// Whether this is root's test run, who may become somebody else.
#[must_use]
pub fn is_root() -> bool {
    let root = sys::process::effective_uid() == 0;
    if !root {
        not_tested("only root can become somebody else");
    }
    root
}
