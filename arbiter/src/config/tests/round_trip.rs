//! Every key is known, and what is printed is read as the same.

use super::Place;
use crate::config::keys;
use proto::spec::{CompanionsSpec, MasterSpec};

pub(super) const FULL: &str = include_str!("full.toml");

/// Without what depends on which file was read: its name, and the places in warnings.
fn bare(specs: (MasterSpec, CompanionsSpec)) -> (MasterSpec, CompanionsSpec) {
    let (master, mut companions) = specs;
    // Each table is printed with its own of these.
    let shared = &mut companions.shared;
    (shared.umask, shared.user, shared.group) = (None, None, None);
    (MasterSpec { config: None, warnings: Vec::new(), ..master }, companions)
}

/// Prints, reads what was printed, and compares.
pub(super) fn assert_round_trip(place: &Place, argv: &[&str]) {
    let printed = |argv: &[&str]| {
        let (stdout, stderr, code) = place.printed(&[&["--print-config"], argv].concat());
        assert_eq!((stderr.as_str(), code), ("", 0));
        stdout.replace("DIR", place.path().to_str().unwrap())
    };
    let text = printed(argv);
    place.write("printed.toml", &text);
    let again = ["-c", "printed.toml"];
    assert_eq!(bare(place.specs(&again)), bare(place.specs(argv)), "{text}");
    assert_eq!(printed(&again), text);
}

#[test]
fn the_full_example_is_read_and_what_is_printed_resolves_to_the_same() {
    assert_round_trip(&Place::with(FULL), &["-c", "a.toml"]);
}

#[test]
fn defaults_flags_and_doubtful_values_survive_being_printed() {
    let files = [
        "",
        "[workers]\ncommand = './server'",
        "group = 'postgres'\n[workers]\ncommand = './server'\n[companion.a]\ncommand = './server'",
        "user = 4242\ngroup = 17\n[workers]\ncommand = './server'",
        "env = { A = '1', B = '2' }\n[workers]\ncommand = './server'\nunset_env = ['A']\nenv = { B = '3' }\n\
         [hooks]\non_exit = './server'",
        "env = { A = '1', B = '2', C = '3' }\nunset_env = ['A', 'X']\n[workers]\ncommand = './server'\n\
         env_file = 'a.toml'\nunset_env = ['C', 'Y']\nenv = { B = '3' }\n[companion.a]\ncommand = './server'",
        "[companion.a]\ncommand = ['./server', '\"\\', \"\\u0001\\n{slot}\"]\ncritical = true\nready = 'exit'",
        "[companion.a]\ncommand = './server'\nlog = {}\nstderr = 'null'\n[companion.b]\ncommand = './server'\nstderr = 'capture'",
        "[workers]\ncommand = './server'\nstop_signal = 40\nreopen_signal = 'USR1'\nready = { tcp = '[::1]:80' }\n\
         start_seconds = '1.5s'\nquick_stop_signal = 'INT'",
    ];
    for file in files {
        assert_round_trip(&Place::with(file), &["-c", "a.toml"]);
    }
    let place = Place::new();
    assert_round_trip(
        &place,
        &["-b", ":0", "-b", "admin=unix:@admin", "-w", "3", "-t", "1m", "--", "./server", "a b"],
    );
    assert_round_trip(&place, &["--log-level", "debug", "--control-socket", "", "--", "./server"]);
}

#[test]
fn the_example_uses_every_key_there_is() {
    let word = |key: &str| {
        let set = |line: &str| {
            line.trim_start().starts_with(&format!("{key} =")) || line.contains(&format!(" {key} = "))
        };
        let table =
            |line: &str| line.starts_with(&format!("[{key}")) || line.starts_with(&format!("[[{key}"));
        FULL.lines().any(|line| set(line) || table(line))
    };
    let tables = [
        keys::TOP,
        keys::CONTROL,
        keys::LOG,
        keys::LISTENER,
        keys::WORKERS,
        keys::COMPANION,
        keys::FLAPPING,
        keys::COMPANION_LOG,
        keys::LISTEN,
        keys::HOOK,
    ];
    let missing: Vec<&str> = tables.iter().flat_map(|keys| keys.iter()).filter(|key| !word(key)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn a_missing_line_or_a_value_of_another_type_is_answered_and_what_is_good_round_trips() {
    let place = Place::new();
    let lines: Vec<&str> = FULL.lines().collect();
    let values =
        ["", "0", "-1", "1.5", "true", "''", "'x'", "[]", "['x', 1]", "{}", "{ x = 1 }", "1979-05-27"];
    for (index, line) in lines.iter().enumerate() {
        let Some((key, _)) = line.split_once(" = ") else { continue };
        for value in values {
            let changed = if value.is_empty() { String::new() } else { format!("{key} = {value}") };
            let mut text = lines.clone();
            text[index] = &changed;
            place.write("a.toml", &text.join("\n"));
            let (stdout, stderr, code) = place.printed(&["-c", "a.toml", "--check-config"]);
            match code {
                0 => assert_round_trip(&place, &["-c", "a.toml"]),
                _ => assert!(
                    code == 2 && stdout.is_empty() && stderr.contains("a.toml:"),
                    "{changed}: {stderr}"
                ),
            }
        }
    }
}

#[test]
fn every_string_is_read_as_the_same() {
    for text in ["", "a", "\"\\", "a\nb\tc\r", "\u{1}\u{7f}\u{85}", "ä{http}$", "'"] {
        let mut writer = proto::written::Writer::default();
        writer.text("x", text);
        let document = toml_edit::Document::parse(writer.finish()).unwrap();
        assert_eq!(document.as_table().get("x").and_then(toml_edit::Item::as_str), Some(text));
    }
}
