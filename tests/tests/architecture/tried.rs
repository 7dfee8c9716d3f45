//! Each rule fails on a project that breaks it.

use crate::project::Project;
use crate::rules::RULES;

const WORKSPACE: &str = r#"
    [workspace]
    members = ["proto", "supervise", "sys", "arbiter", "companion-manager", "ctl", "tests", "examples/demo"]
    [workspace.package]
    rust-version = "1.85"
"#;

/// A crate's manifest with these lines at its end.
fn manifest(name: &str, more: &str) -> String {
    format!(
        "[package]\nname = \"{name}\"\nversion.workspace = true\nedition.workspace = true\n\
         rust-version.workspace = true\nlicense.workspace = true\n[lints]\nworkspace = true\n{more}\n"
    )
}

/// Crates by folder and name, with what they rightly depend on.
const CRATES: [(&str, &str, &str); 8] = [
    ("proto", "proto", "[dependencies]\nbincode = \"1\"\nsupervise.workspace = true"),
    ("supervise", "supervise", "[dependencies]\nserde = \"1\"\n[dev-dependencies]\nsupervise.path = \".\""),
    ("sys", "sys", "[dependencies]\nnix = \"0.31\"\nlibc = \"0.2\"\nproto.workspace = true"),
    ("arbiter", "arbiter", "[dependencies]\nsys.workspace = true\nsupervise.workspace = true"),
    ("companion-manager", "companion-manager", "[dependencies]\nproto.workspace = true"),
    ("ctl", "arbiterctl", "[dependencies]\nproto.workspace = true"),
    ("tests", "tests", "[dependencies]\nproto.workspace = true\nsys.workspace = true"),
    ("examples/demo", "demo-worker", "[dependencies]\nrustix = \"1\""),
];

/// A small project that keeps every rule.
fn sound() -> Project {
    let mut project = Project::of(&[
        ("Cargo.toml", WORKSPACE),
        ("clippy.toml", "allow-unwrap-in-tests = true"),
        ("proto/src/codec.rs", "use bincode::Options;"),
        ("supervise/src/lib.rs", "//! Neither std::fs nor Instant.\nuse std::{fmt, time::Duration};"),
        ("sys/src/lib.rs", "unsafe { syscall() }"),
        ("arbiter/src/main.rs", "// unsafe, bincode\nfn main() { say(\"unsafe bincode\") }"),
        ("examples/demo/src/main.rs", "fn main() { unsafe { adopt() } }"),
    ]);
    for (folder, name, dependencies) in CRATES {
        project = project.with(&format!("{folder}/Cargo.toml"), &manifest(name, dependencies));
    }
    project
}

/// The places where the rule with this beginning is broken.
fn broken(rule: &str, project: &Project) -> Vec<String> {
    let mut rules = RULES.iter().filter(|candidate| candidate.sentence.starts_with(rule));
    let found = rules.next().unwrap_or_else(|| panic!("no rule begins with {rule}"));
    assert!(rules.next().is_none(), "two rules begin with {rule}");
    (found.check)(project)
}

/// The sound project with another manifest of one crate breaks a rule there.
#[track_caller]
fn assert_refused(rule: &str, folder: &str, name: &str, lines: &str) {
    let path = format!("{folder}/Cargo.toml");
    let places = broken(rule, &sound().with(&path, &manifest(name, lines)));
    assert!(places.iter().any(|place| place.starts_with(&path)), "{lines} in {path} gave {places:?}");
}

/// The sound project with one source more or another breaks a rule there.
#[track_caller]
fn assert_source_refused(rule: &str, path: &str, text: &str) {
    let places = broken(rule, &sound().with(path, text));
    assert!(places.iter().any(|place| place.starts_with(path)), "{text} in {path} gave {places:?}");
}

#[test]
fn a_sound_project_breaks_no_rule() {
    for rule in &RULES {
        assert_eq!((rule.check)(&sound()), Vec::<String>::new(), "{}", rule.sentence);
    }
}

#[test]
fn a_system_call_outside_sys_is_found() {
    for dependency in ["nix", "libc", "signal-hook", "rustix"] {
        let lines = format!("[dependencies]\n{dependency} = \"1\"");
        assert_refused("system calls", "arbiter", "arbiter", &lines);
        assert_refused("system calls", "ctl", "arbiterctl", &lines.replace("dep", "dev-dep"));
    }
    let renamed = "[dependencies]\nunix = { package = \"nix\", version = \"1\" }";
    assert_refused("system calls", "proto", "proto", renamed);
    let platform = "[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"";
    assert_refused("system calls", "supervise", "supervise", platform);
    assert_refused("system calls", "arbiter", "arbiter", "[dependencies.nix]\nworkspace = true");
}

#[test]
fn bincode_outside_the_codec_is_found() {
    assert_refused("bincode is a dependency", "sys", "sys", "[dependencies]\nbincode.workspace = true");
    assert_source_refused("bincode is named", "proto/src/hello.rs", "fn f() -> bincode::Result<()> {}");
    assert_source_refused("bincode is named", "arbiter/src/state.rs", "use bincode as b;");
}

#[test]
fn an_impure_supervise_is_found() {
    let rule = "`supervise` depends";
    assert_refused(rule, "supervise", "supervise", "[dependencies]\ntracing.workspace = true");
    assert_refused(rule, "supervise", "supervise", "[dev-dependencies]\ntempfile = \"3\"");
    let rule = "`supervise` is pure";
    for text in [
        "use std::time::{Duration, Instant};",
        "std::time::SystemTime::now()",
        "use std::process::Command;",
        "use std::{fmt, fs};",
        "std::net::TcpStream::connect(x)",
        "std::thread::sleep(x)",
    ] {
        assert_source_refused(rule, "supervise/src/unit/drive.rs", text);
    }
}

#[test]
fn an_imported_program_is_found() {
    let rule = "programs are not libraries";
    assert_refused(rule, "arbiter", "arbiter", "[dependencies]\ncompanion-manager.path = \"../x\"");
    assert_refused(rule, "companion-manager", "companion-manager", "[dependencies]\narbiter.path = \"../x\"");
    assert_refused(rule, "tests", "tests", "[dependencies]\narbiterctl.path = \"../ctl\"");
}

#[test]
fn an_import_in_the_wrong_direction_is_found() {
    let rule = "imports go one way";
    assert_refused(rule, "supervise", "supervise", "[dependencies]\nproto.workspace = true");
    assert_refused(rule, "proto", "proto", "[dependencies]\nsys.workspace = true");
    assert_refused(rule, "sys", "sys", "[dev-dependencies]\narbiter.path = \"../arbiter\"");
    assert_refused(rule, "ctl", "arbiterctl", "[dependencies]\nsupervise.workspace = true");
    assert_refused(rule, "examples/demo", "demo-worker", "[dependencies]\nproto.workspace = true");
}

#[test]
fn unsafe_code_outside_sys_is_found() {
    let rule = "unsafe code lives";
    assert_source_refused(rule, "arbiter/src/run.rs", "fn f() { unsafe { g() } }");
    assert_source_refused(rule, "examples/demo/src/main.rs", "unsafe { f() } unsafe { g() }");
}

#[test]
fn a_fail_point_in_released_programs_is_found() {
    let rule = "what fails because a test wants it to";
    let source = "fn f() { env(\"ARBITER_FAIL_X\") }";
    assert_source_refused(rule, "sys/src/fail.rs", source);
    let guarded = format!("#[cfg(debug_assertions)]\n{source}");
    assert_eq!(broken(rule, &sound().with("sys/src/fail.rs", &guarded)), Vec::<String>::new());
}

#[test]
fn a_file_that_is_too_long_is_found() {
    let rule = "a source file";
    assert_source_refused(rule, "proto/src/long.rs", &"\n".repeat(601));
    assert_source_refused(rule, "examples/long.py", &"\n".repeat(601));
    assert_eq!(broken(rule, &sound().with("proto/src/long.rs", &"\n".repeat(600))), Vec::<String>::new());
}

#[test]
fn a_crate_with_its_own_version_is_found() {
    for key in ["version", "edition", "rust-version", "license"] {
        let own =
            manifest("sys", "").replace(&format!("\n{key}.workspace = true"), &format!("\n{key} = \"1\""));
        let places = broken("version, edition", &sound().with("sys/Cargo.toml", &own));
        assert_eq!(places, [format!("sys/Cargo.toml ({key})")]);
        let none = manifest("sys", "").replace(&format!("\n{key}.workspace = true"), "");
        assert_eq!(
            broken("version, edition", &sound().with("sys/Cargo.toml", &none)).len(),
            1,
            "without {key}"
        );
    }
}

#[test]
fn a_crate_with_its_own_lints_is_found() {
    let own =
        manifest("proto", "").replace("[lints]\nworkspace = true", "[lints.rust]\nunsafe_code = \"allow\"");
    let places = broken("every crate", &sound().with("proto/Cargo.toml", &own));
    assert_eq!(places, ["proto/Cargo.toml"]);
}

#[test]
fn an_oldest_rust_that_is_named_twice_or_nowhere_is_found() {
    let rule = "the oldest Rust";
    assert_source_refused(rule, "clippy.toml", "msrv = \"1.85\"");
    assert_source_refused(rule, "rust-toolchain.toml", "[toolchain]\nchannel = \"1.85\"");
    assert_source_refused(rule, "rust-toolchain", "1.85");
    let own = manifest("sys", "").replace("rust-version.workspace = true", "rust-version = \"1.80\"");
    assert_source_refused(rule, "sys/Cargo.toml", &own);
    assert_source_refused(rule, "Cargo.toml", &WORKSPACE.replace("rust-version", "x"));
}
