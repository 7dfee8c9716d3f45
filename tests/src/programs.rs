//! The programs under test, built once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The packages whose programs scenarios start; each package has one program of its name.
const PACKAGES: [&str; 3] = ["arbiter", "companion-manager", "arbiterctl"];
/// Names a directory whose programs are tested as they are, instead of building them: an installed package,
/// or another version.
const GIVEN: &str = "ARBITER_TEST_PROGRAMS";

/// The path of a program: one of ours, or a fake of this crate.
///
/// # Panics
/// The programs cannot be built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    static OURS: OnceLock<PathBuf> = OnceLock::new();
    if PACKAGES.contains(&name) { OURS.get_or_init(ours).join(name) } else { built().join(name) }
}

/// Where cargo has put the running test's package: TARGET/PROFILE.
fn built() -> PathBuf {
    let own = std::env::current_exe().expect("a test has a path");
    // TARGET/PROFILE/deps/TEST
    own.parent().and_then(Path::parent).expect("tests lie two directories deep").to_owned()
}

/// Where the programs under test are: given, or built where and how the running test was built.
fn ours() -> PathBuf {
    if let Some(directory) = std::env::var_os(GIVEN) {
        return directory.into();
    }
    let directory = built();
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let target = directory.parent().expect("a profile's directory lies in the target directory");
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--profile", profile])
        .args(PACKAGES.iter().flat_map(|package| ["--package", package]))
        .env("CARGO_TARGET_DIR", target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the programs under test cannot be built:\n{said}");
    directory
}
