//! Signals, environment variables, and the pages themselves.

use super::{assert_same, set};
use std::collections::BTreeSet;
use std::path::Path;
use tests::manual::{Page, file, root};

const PAGES: [&str; 5] =
    ["arbiter.8", "arbiterctl.1", "arbiter.toml.5", "companion-manager.8", "arbiter-protocol.7"];
const PROGRAMS: [&str; 5] = ["arbiter", "companion-manager", "ctl", "proto", "sys"];
/// What our programs tell only each other, and what tests tell them.
const INTERNAL: [&str; 5] = [
    "ARBITER_HANDOVER",
    "ARBITER_UPGRADE",
    "ARBITER_UPGRADE_FAILED",
    "ARBITER_FAIL_ARRIVAL",
    "ARBITER_FAIL_POINTS",
];
/// How a program asks its environment, or names what it asks for.
const ASKING: [&str; 8] = ["var", "var_os", "variable", "absolute", "set", "number", "text", "OsStr::new"];

/// What reads the words of other programs, which are in their manuals.
const FOREIGN: &str = "config/import";

/// Everything below `path`, or the file itself, without tests and without [`FOREIGN`].
fn source(path: &Path) -> String {
    if !path.is_dir() {
        let text = std::fs::read_to_string(path).expect("a source");
        return text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
    }
    let entries = std::fs::read_dir(path).expect("a folder").flatten().map(|entry| entry.path());
    let is_test =
        |path: &Path| path.file_stem().is_some_and(|name| name.to_string_lossy().ends_with("tests"));
    entries.filter(|path| !is_test(path) && !path.ends_with(FOREIGN)).map(|path| source(&path)).collect()
}

fn program(folder: &str) -> String {
    source(&root().join(folder).join("src"))
}

/// Whether a text could name a variable.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// The texts in quotes that could name variables; not in comments, and not what is asked for while building.
fn capitals(source: &str) -> BTreeSet<String> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    set(code
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .filter(|text| is_name(text) && !text.starts_with("CARGO_")))
}

/// The variables that a source asks for.
fn asked(source: &str) -> BTreeSet<String> {
    let calls = ASKING.iter().map(|call| format!("{call}(\""));
    let names = calls.chain(["const VARIABLE: &str = \"".to_owned()]).flat_map(|before| {
        let behind = source.split(&before).skip(1);
        behind.filter_map(|rest| rest.split('"').next()).collect::<Vec<_>>()
    });
    set(names.filter(|name| is_name(name) && !INTERNAL.contains(name)))
}

#[test]
fn every_variable_that_is_read_is_described() {
    let arbiter = asked(&program("arbiter")).into_iter().chain(asked(&source(&root().join("sys/src/log"))));
    let documented = Page::read("arbiter.8").section("Environment").names();
    assert_same("arbiter's environment", &documented, &arbiter.collect());
    let documented = Page::read("arbiterctl.1").section("Environment").names();
    assert_same("arbiterctl's environment", &documented, &asked(&program("ctl")));
}

#[test]
fn every_variable_that_a_child_is_given_is_described() {
    let words = file("sys/src/launch/words.rs");
    let (_, own) = words.split_once("fn own_pid").expect("what is set at the spawn");
    let (own, _) = own.split_once("fn sockets").expect("ends");
    let named = asked(&file("proto/src/spec/companion.rs"));
    assert_eq!(named.len(), 2, "a companion's socket and a stream: {named:?}");
    let given = capitals(own).into_iter().chain(named.into_iter().map(|beginning| beginning + "NAME"));
    let page = Page::read("arbiter.toml.5");
    assert_same("a child's environment", &page.section("Environment").names(), &given.collect());
    // What is taken away, and what belongs to a user.
    let (_, others) = words.split_once("const OWN_VARIABLES").expect("what is taken away");
    for name in capitals(others) {
        assert!(page.has_word(&name), "{name} is not in the manual");
    }
}

#[test]
fn what_a_child_may_say_of_itself_is_described() {
    let notices = file("arbiter/src/shell/notices.rs");
    let (_, heard) = notices.split_once("fn hear_worker").expect("workers are heard");
    let heard = heard.split("\n    }\n").next().unwrap_or_default();
    let mut words = capitals(heard);
    words.extend(capitals(&source(&root().join("sys/src/notify.rs"))));
    assert!(words.contains("WATCHDOG") && words.contains("ERRNO"), "{words:?}");
    // Nobody looks for these: the one changes nothing, and every descriptor is closed once its message was heard.
    words.extend(set(["RELOADING", "BARRIER"]));
    let documented = Page::read("arbiter.8").section("What a child is given").names();
    let names = documented.iter().filter_map(|term| term.split_once('=')).map(|(name, _)| name);
    assert_same("what a child says", &set(names), &words);
}

/// Whatever has such a name is known to the manual: also what is said over sockets.
#[test]
fn no_word_in_capitals_is_left_out() {
    let pages: Vec<Page> = PAGES.into_iter().map(Page::read).collect();
    let words = capitals(&PROGRAMS.map(program).concat());
    assert!(words.contains("EXTEND_TIMEOUT_USEC"), "{words:?}");
    // What ends with it begins the names of others.
    let is_meant =
        |word: &&String| word.contains('_') && !word.ends_with('_') && !INTERNAL.contains(&word.as_str());
    for word in words.iter().filter(is_meant) {
        assert!(pages.iter().any(|page| page.has_word(word)), "{word} is not in the manual");
    }
}

#[test]
fn every_signal_that_arbiter_acts_upon_is_described() {
    let source = file("arbiter/src/shell/signals.rs");
    let (_, list) = source.split_once("const HANDLED").expect("there is a list");
    let list = list.split_once('=').and_then(|(_, list)| list.split(']').next()).unwrap_or_default();
    let names = list.split(|c: char| !c.is_ascii_alphanumeric()).filter_map(|word| word.strip_prefix("SIG"));
    assert_same("signals", &Page::read("arbiter.8").section("Signals").names(), &set(names));
}

#[test]
fn every_page_is_looked_at() {
    let manual = std::fs::read_dir(root().join("man")).expect("there is a manual").flatten();
    let sources = manual.filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.strip_suffix(".md").filter(|name| *name != "README").map(str::to_owned)
    });
    assert_same("pages", &set(PAGES), &sources.collect());
}
