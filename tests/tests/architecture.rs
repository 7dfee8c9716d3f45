//! Who may import whom, and the other rules of the house that a machine can hold.
//!
//! `rules` has the rules, `project` reads manifests and sources. Every rule is tried on a made-up project that
//! breaks it, so that none of them can pass for want of looking.

#[path = "architecture/code.rs"]
mod code;
#[path = "architecture/project.rs"]
mod project;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/tried.rs"]
mod tried;

use project::Project;
use rules::RULES;
use std::path::Path;

#[test]
fn the_project_keeps_its_own_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a crate of a workspace");
    let project = Project::read(root);
    assert!(project.packages().len() >= 8, "crates are overlooked: {:?}", project.packages());
    let broken: Vec<String> = RULES
        .iter()
        .flat_map(|rule| {
            (rule.check)(&project).into_iter().map(|place| format!("{place}: {}", rule.sentence))
        })
        .collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}
