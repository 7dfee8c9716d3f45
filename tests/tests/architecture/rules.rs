//! The rules. Each gives the places where it is broken.

use crate::code::{code, names_std, words};
use crate::project::{Package, Project};
use toml_edit::Item;

/// One rule of the house.
pub(crate) struct Rule {
    /// What it says, for whoever breaks it.
    pub(crate) sentence: &'static str,
    /// Where it is broken.
    pub(crate) check: fn(&Project) -> Vec<String>,
}

/// All of them.
pub(crate) const RULES: [Rule; 13] = [
    Rule {
        sentence: "system calls live in `sys`: nobody else depends on nix, libc, signal-hook or rustix (the demo and the tests may)",
        check: system_calls,
    },
    Rule {
        sentence: "bincode is a dependency of `proto` alone, so that the wire format has one door",
        check: bincode_dependency,
    },
    Rule { sentence: "bincode is named in proto/src/codec.rs alone", check: bincode_source },
    Rule {
        sentence: "`supervise` depends on serde alone (and for its simulator and tests on fastrand and serde_json)",
        check: supervise_dependencies,
    },
    Rule {
        sentence: "`supervise` is pure: no clock, process, file, socket or thread is named in it",
        check: supervise_source,
    },
    Rule {
        sentence: "programs are not libraries: nobody imports arbiter, companion-manager or arbiterctl",
        check: programs,
    },
    Rule {
        sentence: "imports go one way: supervise, proto, sys, then the daemons; arbiterctl knows proto, and sys for the terminal",
        check: directions,
    },
    Rule { sentence: "unsafe code lives in `sys` (the demo may have one block)", check: unsafe_code },
    Rule {
        sentence: "what fails because a test wants it to is compiled for debugging alone",
        check: fail_points,
    },
    Rule { sentence: "a source file has at most 600 lines: split it", check: lengths },
    Rule {
        sentence: "version, edition, rust-version and license come from the workspace",
        check: workspace_keys,
    },
    Rule { sentence: "every crate but `sys` takes the workspace's lints", check: lints },
    Rule { sentence: "the oldest Rust is named in the workspace's manifest alone", check: oldest_rust },
];

const LONGEST: usize = 600;
const PROGRAMS: [&str; 3] = ["arbiter", "companion-manager", "arbiterctl"];

/// Who may import which of our crates.
fn may_import(package: &str) -> &'static [&'static str] {
    match package {
        "proto" => &["supervise"],
        "sys" => &["supervise", "proto"],
        "arbiter" | "companion-manager" => &["supervise", "proto", "sys"],
        "arbiterctl" => &["proto", "sys"],
        // They run the programs as processes; what they need of the system is in sys.
        "tests" => &["proto", "sys"],
        // And these ask with the same clients.
        "benches" => &["proto", "sys", "tests"],
        _ => &[],
    }
}

/// Each crate's dependencies that `wrong` says may not be.
fn wrong_dependencies(project: &Project, wrong: impl Fn(&Package, &str) -> bool) -> Vec<String> {
    let mut places = Vec::new();
    for package in project.packages() {
        for dependency in package.dependencies() {
            if wrong(&package, &dependency) {
                places.push(format!("{} ({dependency})", package.manifest_path()));
            }
        }
    }
    places
}

fn system_calls(project: &Project) -> Vec<String> {
    wrong_dependencies(project, |package, dependency| {
        ["nix", "libc", "signal-hook", "rustix"].contains(&dependency)
            && !["sys", "demo-worker", "tests"].contains(&package.name.as_str())
    })
}

fn bincode_dependency(project: &Project) -> Vec<String> {
    wrong_dependencies(project, |package, dependency| dependency == "bincode" && package.name != "proto")
}

fn bincode_source(project: &Project) -> Vec<String> {
    project
        .files_ending(".rs")
        .filter(|&(path, _)| path != "proto/src/codec.rs")
        .filter(|(_, text)| words(&code(text)).any(|word| word == "bincode"))
        .map(|(path, _)| path.to_owned())
        .collect()
}

fn supervise_dependencies(project: &Project) -> Vec<String> {
    wrong_dependencies(project, |package, dependency| {
        package.name == "supervise" && !["serde", "fastrand", "serde_json", "supervise"].contains(&dependency)
    })
}

fn supervise_source(project: &Project) -> Vec<String> {
    let mut places = Vec::new();
    for (path, text) in project.sources("supervise/src") {
        let code = code(text);
        let clock = words(&code).find(|word| ["Instant", "SystemTime"].contains(word));
        let module = ["process", "fs", "net", "thread"].into_iter().find(|module| names_std(&code, module));
        places.extend(clock.or(module).map(|named| format!("{path} ({named})")));
    }
    places
}

fn programs(project: &Project) -> Vec<String> {
    wrong_dependencies(project, |package, dependency| {
        PROGRAMS.contains(&dependency) && package.name != dependency
    })
}

fn directions(project: &Project) -> Vec<String> {
    let ours: Vec<String> = project.packages().into_iter().map(|package| package.name).collect();
    wrong_dependencies(project, |package, dependency| {
        ours.iter().any(|own| own == dependency)
            && package.name != dependency
            && !may_import(&package.name).contains(&dependency)
    })
}

fn unsafe_code(project: &Project) -> Vec<String> {
    let allowed = |path: &str| if path.starts_with("examples/demo/") { 1 } else { 0 };
    project
        .files_ending(".rs")
        .filter(|(path, _)| !path.starts_with("sys/"))
        .filter(|(path, text)| words(&code(text)).filter(|&word| word == "unsafe").count() > allowed(path))
        .map(|(path, _)| path.to_owned())
        .collect()
}

/// The variables that tell a program to fail are named behind an attribute that leaves them out of released ones.
fn fail_points(project: &Project) -> Vec<String> {
    let unguarded = |text: &str| {
        let named = text.find("\"ARBITER_FAIL");
        named.is_some_and(|at| !text[..at].contains("#[cfg(debug_assertions)]"))
    };
    let programs =
        project.files_ending(".rs").filter(|(path, _)| path.contains("/src/") && !path.starts_with("tests/"));
    programs.filter(|(_, text)| unguarded(text)).map(|(path, _)| path.to_owned()).collect()
}

fn lengths(project: &Project) -> Vec<String> {
    let sources = project.files_ending(".rs").chain(project.files_ending(".py"));
    sources
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|&(_, lines)| lines > LONGEST)
        .map(|(path, lines)| format!("{path} ({lines} lines)"))
        .collect()
}

fn is_true(item: Option<&Item>) -> bool {
    item.and_then(Item::as_bool) == Some(true)
}

fn workspace_keys(project: &Project) -> Vec<String> {
    let mut places = Vec::new();
    for package in project.packages() {
        for key in ["version", "edition", "rust-version", "license"] {
            let inherited = package.manifest["package"].get(key).and_then(|item| item.get("workspace"));
            if !is_true(inherited) {
                places.push(format!("{} ({key})", package.manifest_path()));
            }
        }
    }
    places
}

fn lints(project: &Project) -> Vec<String> {
    project
        .packages()
        .iter()
        .filter(|package| package.name != "sys")
        .filter(|package| !is_true(package.manifest.get("lints").and_then(|lints| lints.get("workspace"))))
        .map(Package::manifest_path)
        .collect()
}

fn oldest_rust(project: &Project) -> Vec<String> {
    let stated =
        project.manifest()["workspace"].get("package").and_then(|keys| keys.get("rust-version")).is_some();
    let nowhere = (!stated).then(|| "Cargo.toml (nothing)".to_owned());
    let key =
        |line: &str| line.split('=').next().is_some_and(|key| ["msrv", "rust-version"].contains(&key.trim()));
    let also = project.files_ending(".toml").filter(|&(path, text)| {
        path.ends_with("rust-toolchain.toml") || (path != "Cargo.toml" && text.lines().any(key))
    });
    let toolchains = project.files_ending("rust-toolchain");
    nowhere.into_iter().chain(also.chain(toolchains).map(|(path, _)| path.to_owned())).collect()
}
