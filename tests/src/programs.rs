//! The programs under test, built once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The packages whose programs scenarios start; each package has one program of its name.
const PACKAGES: [&str; 3] = ["arbiter", "companion-manager", "arbiterctl"];
/// A worker of the examples that scenarios start, too. It is no part of what is installed.
const EXAMPLE: &str = "demo-worker";
/// Names a directory whose programs are tested as they are, instead of building them: an installed package,
/// or another version.
const GIVEN: &str = "ARBITER_TEST_PROGRAMS";

/// The path of a program: one of ours, a fake of this crate, or the examples' worker.
///
/// # Panics
/// The programs cannot be built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    static OURS: OnceLock<PathBuf> = OnceLock::new();
    static EXAMPLES: OnceLock<PathBuf> = OnceLock::new();
    match name {
        _ if PACKAGES.contains(&name) => OURS.get_or_init(ours).join(name),
        EXAMPLE => EXAMPLES.get_or_init(|| build(&[EXAMPLE])).join(name),
        _ => built().join(name),
    }
}

/// Copies a program. `cp` does it: what another thread forks here meanwhile would keep the copy open for writing until
/// it has become its program, and so long nobody could execute the copy.
///
/// # Panics
/// The disk is full.
pub fn copy_program(program: &Path, to: &Path) {
    let status = Command::new("cp").args([program, to]).status().expect("cp can be started");
    assert!(status.success(), "{} cannot be copied to {}", program.display(), to.display());
}

/// Where cargo has put the running test's package: TARGET/PROFILE.
fn built() -> PathBuf {
    let own = std::env::current_exe().expect("a test has a path");
    // TARGET/PROFILE/deps/TEST
    own.parent().and_then(Path::parent).expect("tests lie two directories deep").to_owned()
}

/// Where the programs under test are: given, or built.
fn ours() -> PathBuf {
    std::env::var_os(GIVEN).map_or_else(|| build(&PACKAGES), PathBuf::from)
}

/// Builds packages where and how the running test was built; the programs' directory.
fn build(packages: &[&str]) -> PathBuf {
    let directory = built();
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let target = directory.parent().expect("a profile's directory lies in the target directory");
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--profile", profile])
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .env("CARGO_TARGET_DIR", target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the programs under test cannot be built:\n{said}");
    directory
}
