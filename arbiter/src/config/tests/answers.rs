//! What is answered without anything being started.

use super::Place;
use proto::spec::Resolution;

const SERVER: &str = "[workers]\ncommand = './server'\n";

#[test]
fn help_and_version_go_to_standard_output() {
    let place = Place::new();
    let (stdout, stderr, code) = place.printed(&["--help"]);
    assert!(stdout.contains("--check-config") && stdout.contains("[NAME=]ADDRESS"), "{stdout}");
    assert_eq!((stderr.as_str(), code), ("", 0));
    let (stdout, _, code) = place.printed(&["--version"]);
    assert_eq!((stdout, code), (format!("arbiter {}\n", env!("CARGO_PKG_VERSION")), 0));
}

#[test]
fn bad_usage_is_told_on_standard_error_with_status_2() {
    let place = Place::new();
    for argv in [&["--chek-config"][..], &["-c"], &["./server"], &["--check-config=yes"]] {
        let (stdout, stderr, code) = place.printed(argv);
        assert_eq!((stdout.as_str(), code), ("", 2), "{argv:?}");
        assert!(stderr.contains("--help"), "{stderr}");
    }
}

#[test]
fn a_good_configuration_is_ok() {
    let place = Place::with(SERVER);
    assert_eq!(place.printed(&["-c", "a.toml", "--check-config"]), ("a.toml: ok\n".into(), String::new(), 0));
    let answer = place.printed(&["--check-config", "-b", ":0", "--", "./server"]);
    assert_eq!(answer, ("command line: ok\n".into(), String::new(), 0));
}

#[test]
fn a_check_warns_of_what_is_doubtful() {
    let place = Place::with(
        "[[listener]]\nname = 'http'\naddress = ':0'\n[workers]\ncommand = './server {htp} {slot} {unrelated} {}'\n\
         memory_max = '1GiB'\n[companion.a]\ncommand = './server {http}'\n",
    );
    let (stdout, stderr, code) = place.printed(&["-c", "a.toml", "--check-config"]);
    assert_eq!((stdout.as_str(), code), ("a.toml: ok\n", 0));
    let expected = "\
warning: a.toml:5:11: {htp} stays as it is: there is no listener \"htp\" (did you mean {http}?)
warning: a.toml:8:11: {http} stays as it is: companions are not given the listener \"http\" (use `listen` and {listen} for a socket of its own)
";
    assert_eq!(stderr, expected);
}

#[test]
fn what_a_companion_lacks_fails_a_check_and_warns_at_a_start() {
    let place =
        Place::with("[companion.a]\ncommand = 'not-there'\nenv_file = '/not/there'\ncwd = 'nowhere'\n");
    let (_, stderr, code) = place.printed(&["-c", "a.toml", "--check-config"]);
    let expected = "\
a.toml:2:11: the program \"not-there\" is not found in PATH (/bin:/usr/bin)
    command = 'not-there'
              ^^^^^^^^^^^
    help: install it, give its whole path, or set PATH in `env`
a.toml:3:12: the env_file \"/not/there\" cannot be read: No such file or directory (os error 2)
    env_file = '/not/there'
               ^^^^^^^^^^^^
    help: create it, or begin the path with \"-\" if it may be missing
a.toml:4:7: the directory \"DIR/nowhere\" does not exist
    cwd = 'nowhere'
          ^^^^^^^^^
    help: create it, or choose another
";
    assert_eq!((stderr.as_str(), code), (expected, 2));
    let (master, companions) = place.specs(&["-c", "a.toml"]);
    assert_eq!((master.warnings.len(), companions.companions.len()), (3, 1));
}

#[test]
fn a_program_is_looked_for_with_what_an_env_file_sets() {
    let checked = |env_file: &str, content: &str, command: &str| {
        let place = Place::with(&format!("[workers]\ncommand = '{command}'\nenv_file = '{env_file}'\n"));
        let content = content.replace("DIR", place.path().to_str().unwrap());
        place.write("variables", &content);
        place.printed(&["-c", "a.toml", "--check-config"]).1
    };
    let not_found = "a.toml:2:11: the program \"server\" is not found in PATH (/bin:/usr/bin)";
    assert!(checked("variables", "A=1\n", "server").starts_with(not_found));
    assert!(checked("-none", "", "server").starts_with(not_found));
    assert_eq!(checked("variables", "PATH=DIR\n", "server"), "");
    let not_set = "a.toml:2:11: {env.A}: the environment variable A is not set";
    assert!(checked("variables", "B=1\n", "./server {env.A}").starts_with(not_set));
    assert!(checked("-none", "", "./server {env.A}").starts_with(not_set));
    assert_eq!(checked("variables", "A=1\n", "./server {env.A}"), "");
    // What nothing is known of may set anything.
    assert_eq!(checked("/dev/null", "", "server {env.A}"), "");
    assert!(checked("none", "", "./server {env.A}").starts_with("a.toml:3:12: the env_file"));
}

#[test]
fn the_program_of_a_check_is_looked_for_as_that_of_the_process_it_asks() {
    let place = Place::with(
        "[workers]\ncommand = './server'\nready = { exec = 'not-there' }\n[companion.a]\ncommand = './server'\n\
         ready = { exec = ['./server', '{env.A}'] }\nhealth = { exec = './a.toml' }\n\
         [companion.b]\ncommand = './server'\nready = { exec = 'server' }\nenv = { PATH = 'DIR' }\n",
    );
    let text = std::fs::read_to_string(place.path().join("a.toml")).unwrap();
    place.write("a.toml", &text.replace("DIR", place.path().to_str().unwrap()));
    let (_, stderr, code) = place.printed(&["-c", "a.toml", "--check-config"]);
    let lines: Vec<&str> = stderr.lines().filter(|line| line.starts_with("a.toml:")).collect();
    let expected = [
        "a.toml:3:18: the program \"not-there\" is not found in PATH (/bin:/usr/bin)",
        "a.toml:6:18: {env.A}: the environment variable A is not set",
        "a.toml:7:19: \"DIR/a.toml\" is not a program that may be executed",
    ];
    assert_eq!((&lines[..], code), (&expected[..], 2));
    assert_eq!(place.specs(&["-c", "a.toml"]).0.warnings.len(), 3);
}

#[test]
fn the_effective_configuration_is_kept_where_it_will_be_logged() {
    let place = Place::with(SERVER);
    let printed = place.printed(&["-c", "a.toml", "--log-level", "debug", "--print-config"]).0;
    let (master, _) = place.specs(&["-c", "a.toml", "--log-level", "debug"]);
    assert_eq!(master.effective.unwrap().replace(place.path().to_str().unwrap(), "DIR"), printed);
    assert_eq!(place.specs(&["-c", "a.toml"]).0.effective, None);
}

#[test]
fn without_a_file_and_a_command_both_ways_are_named() {
    let system = std::path::Path::new("/etc/arbiter/arbiter.toml");
    assert!(!system.exists(), "this test needs a machine without {}", system.display());
    let (_, stderr, code) = Place::new().printed(&["-b", ":0"]);
    assert!(stderr.contains("-c FILE") && stderr.contains("-- COMMAND"), "{stderr}");
    assert_eq!(code, 2);
}

#[test]
fn the_file_beside_is_found_and_fixed_as_an_absolute_path() {
    let place = Place::new();
    place.write("arbiter.toml", SERVER);
    let expected = place.path().join("arbiter.toml").to_str().unwrap().to_owned();
    assert_eq!(place.specs(&[]).0.config, Some(expected));
    assert_eq!(place.printed(&["--check-config"]).0, "DIR/arbiter.toml: ok\n");
    // A command needs no file, and so reads none, however wrong it is.
    place.write("arbiter.toml", "wrong");
    assert_eq!(place.specs(&["--", "./server"]).0.config, None);
    assert!(matches!(place.run(&[]), Resolution::Print { code: 2, .. }));
}
