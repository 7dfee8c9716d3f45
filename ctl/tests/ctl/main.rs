//! `arbiterctl` as a process, against a manager that is played by a thread.

mod acting;
mod errors;
#[expect(clippy::unwrap_used, reason = "the fake is part of the tests: what goes wrong in it fails them")]
mod fake_manager;
mod lost;
mod questions;
