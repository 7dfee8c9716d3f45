//! States, events and JSON of arbiterctl(1). The protocol's description, which is compared with the code, has the same
//! ones.

use super::{assert_same, set};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tests::manual::{Page, file, literals, table_rows};

/// The variants of a choice of the protocol, with the names of their fields.
fn variants(choice: &str) -> BTreeMap<String, BTreeSet<String>> {
    let text = file("proto/PROTOCOL.md");
    let (_, rest) = text.split_once(&format!("\n## {choice}\n")).expect("the protocol has it");
    let section = rest.split("\n#").next().unwrap_or_default();
    let fields =
        |cell: &str| set(cell.split(", ").filter_map(|field| field.split_once(": ").map(|(name, _)| name)));
    let variant = |row: Vec<String>| (row[1].trim_matches('`').to_owned(), fields(&row[2]));
    table_rows(section).into_iter().map(variant).collect()
}

fn page() -> Page {
    Page::read("arbiterctl.1")
}

fn first_cells(section: &Page) -> BTreeSet<String> {
    section.rows().into_iter().map(|row| row[0].trim_matches('`').to_owned()).collect()
}

#[test]
fn every_state_is_described() {
    let states: BTreeSet<String> = variants("State").keys().map(|name| name.to_uppercase()).collect();
    let section = page().section("States");
    assert_same("states", &first_cells(&section), &states);
    let of_workers = first_cells(&Page::read("arbiter.8").section("Worker states"));
    assert!(of_workers.len() >= 4 && of_workers.is_subset(&states), "{of_workers:?}");
    for name in variants("ArbiterState").into_keys() {
        assert!(section.has_word(&name.to_lowercase()), "arbiter can be {name}: not in the manual");
    }
}

#[test]
fn every_event_is_described_with_its_fields() {
    let real: BTreeMap<String, BTreeSet<String>> =
        variants("EventKind").into_iter().map(|(name, fields)| (name.to_lowercase(), fields)).collect();
    let row =
        |row: Vec<String>| (row[0].trim_matches('`').to_owned(), literals(&row[1]).into_iter().collect());
    let documented: BTreeMap<String, BTreeSet<String>> =
        page().section("Events").rows().into_iter().map(row).collect();
    assert_same("events", &documented.keys().cloned().collect(), &real.keys().cloned().collect());
    assert_eq!(documented, real);
}

/// The names of all fields, with those they are in.
fn paths(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = format!("{at}.{name}");
                paths(value, &path, found);
                found.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(item, at, found)),
        _ => {}
    }
}

#[test]
fn the_status_in_json_has_the_fields_that_are_shown() {
    // What arbiterctl's own tests compare its answer with.
    let source = file("ctl/src/json/sample.rs");
    let real = source.split("r#\"").nth(1).and_then(|rest| rest.split("\"#").next()).expect("a sample");
    let [shown] = &page().section("JSON").examples("json")[..] else { panic!("there is not one example") };
    let fields = |text: &str| {
        let mut found = BTreeSet::new();
        paths(&serde_json::from_str(text).expect("it is JSON"), "", &mut found);
        found.retain(|path| !path.starts_with(".strays."));
        found
    };
    assert_same("status --json", &fields(shown), &fields(real));
}

/// Each name of a field in the other answers.
#[test]
fn the_other_answers_in_json_have_the_fields_that_are_named() {
    let source = file("ctl/src/json/answers.rs");
    let of_fields = source.lines().filter_map(|line| {
        let (name, rest) = line.trim().trim_start_matches("pub(super) ").split_once(": ")?;
        let is_field = rest.ends_with(',') && line.starts_with("    ") && !line.starts_with("     ");
        (is_field && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')).then_some(name)
    });
    let section = page().section("JSON");
    let names: BTreeSet<String> = set(of_fields);
    assert!(names.len() > 25, "fields are overlooked: {names:?}");
    for name in names {
        assert!(section.has_word(&name), "--json has the field {name}, which is not in the manual");
    }
}
