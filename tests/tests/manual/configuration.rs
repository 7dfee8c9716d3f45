//! arbiter.toml(5): keys, their values and defaults, hooks, limits, examples.

use super::{assert_same, quoted, set};
use proto::spec::{HookEvent, Resource};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use tests::manual::{Entry, Page, file, literals};
use tests::{Output, PATIENCE, Site};

/// The names that the reader has for its tables of keys, and where each is described.
const TABLES: [(&str, &str); 11] = [
    ("TOP", "Top level"),
    ("CONTROL", "The table `[control]`"),
    ("LOG", "The table `[log]`"),
    ("LISTENER", "The table `[[listener]]`"),
    ("PROCESS", "Keys of workers and companions"),
    ("WORKERS", "The table `[workers]`"),
    ("COMPANION", "The table `[companion.NAME]`"),
    ("FLAPPING", "`flapping`"),
    ("HEALTH", "`health`"),
    ("COMPANION_LOG", "`log`"),
    ("LISTEN", "`listen`"),
];

/// Tables of keys that are described in running text.
const TOLD: [(&str, &str, &str); 3] = [
    ("READY", "arbiter.toml.5", "Readiness"),
    ("HOOK", "arbiter.toml.5", "The table `[hooks]`"),
    ("LOADED", "arbiterctl.1", "Companions"),
];

/// Keys whose value is one of a few words: in which table, and where that is described.
const CHOICES: [(&str, &str, &str); 8] = [
    ("", "Top level", "on_boot_failure"),
    ("[log]", "The table `[log]`", "level"),
    ("[log]", "The table `[log]`", "format"),
    ("[workers]", "The table `[workers]`", "heartbeat"),
    ("[companion.a]", "The table `[companion.NAME]`", "restart"),
    ("[companion.a]", "The table `[companion.NAME]`", "stdin"),
    ("[companion.a]", "Readiness", "ready"),
    ("[workers]", "Readiness", "ready"),
];

fn page() -> Page {
    Page::read("arbiter.toml.5")
}

/// The reader's own lists of keys, by their names.
fn real_keys() -> BTreeMap<String, String> {
    let source = file("arbiter/src/config/keys.rs");
    let constants = source.split("const ").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once(": ")?;
        let value = rest.split_once('=')?.1.split_once(";\n")?.0;
        (name == name.to_uppercase()).then(|| (name.to_owned(), value.to_owned()))
    });
    constants.collect()
}

/// What a printed configuration says: table, key, value.
fn settings(printed: &str) -> Vec<(String, String, String)> {
    let mut table = String::new();
    let mut settings = Vec::new();
    for line in printed.lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with('[') {
            line.clone_into(&mut table);
        } else if let Some((key, value)) = line.split_once(" = ") {
            settings.push((table.clone(), key.to_owned(), value.to_owned()));
        }
    }
    settings
}

fn check(site: &Site, text: &str, path: &str) -> Output {
    site.write("checked.toml", text);
    let mut command = site.command("arbiter");
    command.env("PATH", path).args(["-c", &site.expand("@site@/checked.toml"), "--check-config"]);
    Output::of(command, PATIENCE)
}

#[test]
fn every_key_is_described_in_its_table_and_no_other() {
    let real = real_keys();
    for (name, heading) in TABLES {
        let keys = real.get(name).unwrap_or_else(|| panic!("the reader has no {name}"));
        assert_same(heading, &page().section(heading).names(), &quoted(keys));
    }
    for (name, source, heading) in TOLD {
        let section = Page::read(source).chapter(heading);
        for key in quoted(&real[name]) {
            assert!(section.has_word(&key), "{heading}: {key} is not in the manual");
        }
    }
    let known = TABLES.iter().map(|(name, _)| *name).chain(TOLD.iter().map(|(name, ..)| *name));
    assert_same("tables", &set(known), &real.into_keys().collect());
}

#[test]
fn every_hook_and_limit_is_named() {
    let hooks = page().section("The table `[hooks]`");
    assert_same("[hooks]", &hooks.names(), &set(HookEvent::ALL.iter().map(|(_, name)| *name)));
    let limits = page().section("Keys of workers and companions").entry("limits").body;
    for (_, name) in &Resource::ALL {
        assert!(limits.contains(&format!("`{name}`")), "the limit {name} is not in the manual");
    }
}

/// What each hook is told, from the place where it is put together.
fn fields_of_hooks() -> BTreeMap<String, BTreeSet<String>> {
    let source = file("arbiter/src/hooks/occasion.rs");
    let (_, source) = source.split_once("fn fields(").expect("hooks are told something");
    let source = source.split("\n    }\n").next().unwrap_or_default();
    let arms = source.split("Self::").skip(1).map(|arm| {
        let name = arm.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let snake =
            name.chars().flat_map(|c| [c.is_uppercase().then_some('_'), Some(c.to_ascii_lowercase())]);
        let names = arm.split("(\"").skip(1).filter_map(|rest| rest.split('"').next());
        // How a process ended, where that is told.
        let end = ["pid", "code", "signal"].into_iter().filter(|_| arm.contains("end("));
        let fields = names.filter(|name| !name.is_empty()).chain(end).map(str::to_uppercase).collect();
        (snake.flatten().skip(1).collect(), fields)
    });
    arms.collect()
}

#[test]
fn what_a_hook_is_told_is_named() {
    let hooks = page().section("The table `[hooks]`");
    let real = fields_of_hooks();
    assert_eq!(real.len(), HookEvent::ALL.len(), "{real:?}");
    for (name, fields) in real {
        let named =
            literals(&hooks.entry(&name).body).into_iter().filter(|word| *word == word.to_uppercase());
        assert_eq!(named.collect::<BTreeSet<_>>(), fields, "{name}");
    }
}

#[test]
fn the_words_that_a_key_takes_are_all_named() {
    let site = Site::new("");
    for (table, heading, key) in CHOICES {
        let command = if table.is_empty() || table == "[log]" { "" } else { "command = \"true\"" };
        let said =
            check(&site, &format!("{table}\n{command}\n{key} = \"nonsense\"\n"), "/bin:/usr/bin").stderr;
        let (_, words) = said.split_once("is none of ").unwrap_or_else(|| panic!("{key}: {said}"));
        let section = page().section(heading);
        let described = match heading {
            "Readiness" => section.names().into_iter().collect::<Vec<_>>().join(" "),
            _ => {
                let Entry { term, body } = section.entry(key);
                format!("{term} {body}")
            }
        };
        for word in quoted(words.lines().next().unwrap_or_default()) {
            assert!(described.contains(&format!("\"{word}\"")), "{key} = \"{word}\" is not in the manual");
        }
    }
}

/// A configuration in which every table is there and every default shows.
const LEAST: &str = r#"
    [[listener]]
    address = ":0"
    [workers]
    command = "true"
    [companion.a]
    command = "true"
    log = {}
    flapping = {}
    health = { exec = "true" }
"#;

/// Each key that is printed, with its value and the section that it is described in; an inline table by its keys.
fn printed_keys(printed: &str) -> Vec<(String, String, Page)> {
    let process = page().section("Keys of workers and companions");
    let mut keys = Vec::new();
    for (table, key, value) in settings(printed) {
        let heading = match table.as_str() {
            "" => "Top level".to_owned(),
            "[companion.a]" => "The table `[companion.NAME]`".to_owned(),
            table => format!("The table `{table}`"),
        };
        let inner = value.strip_prefix("{ ").and_then(|inner| inner.strip_suffix(" }"));
        if let Some(inner) = inner {
            let section = page().section(&format!("`{key}`"));
            let pairs = inner.split(", ").filter_map(|pair| pair.split_once(" = "));
            keys.extend(pairs.map(|(key, value)| (key.to_owned(), value.to_owned(), section.clone())));
        } else if matches!(table.as_str(), "[workers]" | "[companion.a]") && process.names().contains(&key) {
            keys.push((key, value, process.clone()));
        } else {
            keys.push((key, value, page().section(&heading)));
        }
    }
    keys
}

/// Whether what follows "Default: " says that it is `value`.
fn says_default(said: &str, key: &str, value: &str) -> bool {
    let begins = |form: &str| {
        let rest = said.strip_prefix(form);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
    };
    match value {
        "\"\"" | "[]" | "{}" if begins("none") || begins("nobody") => true,
        _ if key == "quick_stop_signal" => said.contains("`stop_signal`"),
        // The first of the listeners' names.
        "\"http\"" => begins("`http`"),
        _ => begins(value) || begins(&format!("`{value}`")) || said.contains(&format!(", else {value}.")),
    }
}

#[test]
fn every_default_is_the_one_that_is_printed() {
    let site = Site::new("");
    site.write("least.toml", LEAST);
    let mut command = site.command("arbiter");
    command.args(["-c", &site.expand("@site@/least.toml"), "--print-config"]);
    let printed = Output::of(command, PATIENCE);
    assert_eq!(printed.code, 0, "{}", printed.stderr);
    // What has no default, and what depends on where arbiter is started or is set above.
    let others = ["command", "exec", "address", "chdir", "cwd", "stdout"];
    let keys: Vec<_> = printed_keys(&printed.stdout)
        .into_iter()
        .filter(|(key, ..)| !others.contains(&key.as_str()))
        .collect();
    assert!(keys.len() > 70, "only {} defaults were looked at", keys.len());
    for (key, value, section) in keys {
        let body = section.entry(&key).body;
        let said = body.split_once("Default: ").map_or("", |(_, said)| said);
        assert!(says_default(said, &key, &value), "{key} is {value}, and the manual says {said:?}: {body}");
    }
}

#[test]
fn the_examples_are_good_configurations() {
    let site = Site::new("");
    let examples = page().examples("toml");
    assert!(examples.len() >= 3, "examples are overlooked");
    for example in examples {
        // Their programs need not be installed.
        std::fs::create_dir_all(site.path("bin")).expect("the site can be written to");
        for command in example.lines().filter_map(|line| line.strip_prefix("command = [\"")) {
            let name = format!("bin/{}", command.split('"').next().unwrap_or_default());
            site.write(&name, "#!/bin/sh\n");
            std::fs::set_permissions(site.path(&name), PermissionsExt::from_mode(0o755))
                .expect("it is there");
        }
        let mut text = example.replace("\"www-data\"", "\"nobody\"");
        let _ = write!(text, "\n[control]\nsocket = \"\"\n");
        let checked = check(&site, &text, &format!("{}:/bin:/usr/bin", site.expand("@site@/bin")));
        assert_eq!((checked.code, checked.stderr.as_str()), (0, ""), "{text}");
    }
}
