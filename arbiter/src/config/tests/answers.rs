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
fn what_this_version_cannot_do_says_so_with_status_1() {
    for (argv, flag) in [(&["--init"][..], "--init"), (&["--import", "gunicorn.conf.py"], "--import")] {
        let (_, stderr, code) = Place::new().printed(argv);
        assert!(stderr.contains(&format!("{flag} is not implemented in this version")), "{stderr}");
        assert_eq!(code, 1);
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
fn a_check_warns_of_what_is_doubtful_or_not_there_yet() {
    let place = Place::with(
        "[[listener]]\nname = 'http'\naddress = ':0'\n[workers]\ncommand = './server {htp} {slot} {unrelated} {}'\n\
         memory_max = '1GiB'\n[companion.a]\ncommand = './server {http}'\n",
    );
    let (stdout, stderr, code) = place.printed(&["-c", "a.toml", "--check-config"]);
    assert_eq!((stdout.as_str(), code), ("a.toml: ok\n", 0));
    let expected = "\
warning: a.toml:5:11: {htp} stays as it is: there is no listener \"htp\" (did you mean {http}?)
warning: a.toml:8:11: {http} stays as it is: companions are not given the listener \"http\" (use `listen` and {listen} for a socket of its own)
warning: workers.memory_max has no effect in this version of arbiter
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
    let without_program = expected.split_once("a.toml:3").unwrap().1;
    // With an env_file, PATH is not known before it is read.
    assert_eq!((stderr.as_str(), code), (format!("a.toml:3{without_program}").as_str(), 2));
    let (master, companions) = place.specs(&["-c", "a.toml"]);
    assert_eq!((master.warnings.len(), companions.companions.len()), (2, 1));
    let place = Place::with("[companion.a]\ncommand = 'not-there'\n");
    let (_, stderr, _) = place.printed(&["-c", "a.toml", "--check-config"]);
    assert_eq!(stderr, expected.split_once("a.toml:3").unwrap().0);
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
