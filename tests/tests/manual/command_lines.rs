//! Options and verbs, as the programs' own `--help` tells them, and exit statuses.

use super::{assert_same, set};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use tests::manual::{Entry, Page, file, literals};
use tests::{Output, PATIENCE, Site};

/// The exit status of arbiterctl where nothing listens: what it was told made sense.
const NOTHING_LISTENS: i32 = 5;

/// What a program says of itself.
struct Help {
    commands: Vec<String>,
    options: BTreeSet<String>,
}

/// Asks for the help of a program, or of one of its verbs.
fn help(site: &Site, program: &str, verb: &[&str]) -> Help {
    let mut command = site.command(program);
    command.args(verb).arg("--help");
    let output = Output::of(command, PATIENCE);
    assert_eq!(output.code, 0, "{program} {verb:?}: {}", output.stderr);
    let below = |title: &'static str| {
        let lines = output.stdout.lines().skip_while(move |line| *line != title).skip(1);
        lines.take_while(|line| line.is_empty() || line.starts_with(' ')).map(str::trim)
    };
    let commands = below("Commands:").filter_map(|line| line.split_whitespace().next()).map(str::to_owned);
    let names = |line: &str| {
        let words = line.split([' ', ',']).take_while(|word| word.is_empty() || word.starts_with('-'));
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let options = below("Options:").filter(|line| line.starts_with('-')).flat_map(names);
    Help { commands: commands.collect(), options: options.collect() }
}

/// Every complete verb with its own options.
fn verbs(site: &Site) -> BTreeMap<String, BTreeSet<String>> {
    let global = help(site, "arbiterctl", &[]);
    let mut verbs = BTreeMap::new();
    let mut open: Vec<String> = global.commands.clone();
    while let Some(verb) = open.pop() {
        let words: Vec<&str> = verb.split(' ').collect();
        let Help { commands, options } = help(site, "arbiterctl", &words);
        open.extend(commands.iter().map(|command| format!("{verb} {command}")));
        // A verb with verbs of its own may be one without them, too.
        if commands.is_empty() || site.ctl(&words).code == NOTHING_LISTENS {
            verbs.insert(verb, options.difference(&global.options).cloned().collect());
        }
    }
    verbs
}

fn is_option(word: &String) -> bool {
    word.starts_with('-') && word != "--"
}

#[test]
fn every_option_of_arbiter_is_described() {
    let documented = Page::read("arbiter.8").section("Options").names();
    let documented = documented.into_iter().filter(is_option).collect();
    assert_same("arbiter's options", &documented, &help(&Site::new(""), "arbiter", &[]).options);
}

#[test]
fn every_option_of_arbiterctl_is_described() {
    let documented = Page::read("arbiterctl.1").section("Options").names();
    assert_same("arbiterctl's options", &documented, &help(&Site::new(""), "arbiterctl", &[]).options);
}

#[test]
fn every_verb_is_described_with_its_options() {
    let verb = |Entry { term, .. }: &Entry| {
        let literals = literals(term);
        (literals[0].clone(), literals.into_iter().filter(is_option).collect::<BTreeSet<_>>())
    };
    let documented: BTreeMap<_, _> =
        Page::read("arbiterctl.1").chapter("Verbs").entries().iter().map(verb).collect();
    let real = verbs(&Site::new(""));
    assert_same("verbs", &documented.keys().cloned().collect(), &real.keys().cloned().collect());
    for (verb, options) in &real {
        if !(options.is_empty() && documented[verb].is_empty()) {
            assert_same(verb, &documented[verb], options);
        }
    }
}

#[test]
fn the_examples_of_arbiterctl_make_sense() {
    let site = Site::new("");
    let examples = Page::read("arbiterctl.1").examples("sh").concat();
    let own = examples.lines().filter(|line| line.starts_with("arbiterctl "));
    let mut seen = 0;
    for line in own {
        let line = line.split(" |").next().unwrap_or_default();
        let arbiterctl = site.command("arbiterctl").get_program().to_owned();
        let mut command = site.marked(Command::new("sh"));
        command.env("ARBITER_SOCKET", site.socket()).arg("-c").arg(line.replacen("arbiterctl", "\"$0\"", 1));
        command.arg(arbiterctl);
        let output = Output::of(command, PATIENCE);
        assert_eq!(output.code, NOTHING_LISTENS, "{line}: {}", output.stderr);
        seen += 1;
    }
    assert!(seen >= 6, "only {seen} examples were found");
}

/// The numbers of the constants in these sources that are called so.
fn exit_codes(sources: &[&str], is_one: fn(&str) -> bool) -> BTreeSet<String> {
    let text: String = sources.iter().map(|path| file(path)).collect();
    let constants = text.split("const ").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once(": u8 = ")?;
        is_one(name).then(|| rest.split(';').next().unwrap_or_default())
    });
    set(constants)
}

#[test]
fn every_exit_status_is_described() {
    let documented = Page::read("arbiterctl.1").section("Exit status").names();
    assert_same("arbiterctl's", &documented, &exit_codes(&["ctl/src/exit_code.rs"], |_| true));

    let sources = ["arbiter/src/config/exit.rs", "arbiter/src/master/stop.rs", "arbiter/src/start.rs"];
    let mut real = exit_codes(&sources, |name| {
        name.starts_with("EXIT_") || ["BAD_CONFIGURATION", "FAILED"].contains(&name)
    });
    // The defaults of halt_exit_codes.
    real.extend(set(["0", "3", "4"]));
    let documented = Page::read("arbiter.8").section("Exit status").names();
    let documented = documented.into_iter().filter(|name| name.parse::<u8>().is_ok()).collect();
    assert_same("arbiter's", &documented, &real);
}
