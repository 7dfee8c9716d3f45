//! What is wrong with a single key, to the letter.

use super::errors_of;

/// The errors of one table each, without excerpts: the first lines and the advice.
fn words_of(text: &str) -> String {
    let errors = errors_of(text);
    let lines = errors.lines().filter(|line| line.starts_with("a.toml") || line.starts_with("    help: "));
    lines.map(|line| format!("{}\n", line.replace("    help: ", "  "))).collect()
}

#[test]
fn an_error_has_its_place_its_line_a_caret_and_advice() {
    let expected = "\
a.toml:1:1: unknown key \"naem\" in the top level
    naem = \"shop\"
    ^^^^
    help: did you mean \"name\"?
a.toml:4:9: -4 is out of range: it has to be 1 to 10000
    count = -4 # too few
            ^^
a.toml:5:3: unknown key \"timout\" in [workers]
      timout = 3
      ^^^^^^
    help: did you mean \"timeout\"?
a.toml:7:10: these companions wait for one another: redis after redis
    after = [\"redis\", 4]
             ^^^^^^^
    help: remove one `after`
a.toml:7:19: expected a string, found an integer
    after = [\"redis\", 4]
                      ^
    help: write \"4\" in quotes
";
    let text = "naem = \"shop\"\n[workers]\ncommand = \"./server\"\ncount = -4 # too few\n  timout = 3\n\
                [companion.redis]\nafter = [\"redis\", 4]\ncommand = './server'\n";
    assert_eq!(errors_of(text), expected);
}

#[test]
fn what_is_not_toml_is_told_in_the_same_form() {
    let expected = "\
a.toml:2:9: this is not TOML: unclosed table, expected `]`
    [workers
            ^
";
    assert_eq!(errors_of("name = 'a'\n[workers\n"), expected);
    let cases = [
        ("name = 'a'\nname = 'b'\n", "a.toml:2:1: \"name\" is set twice, first at a.toml:1:1\n"),
        ("[log]\n[control]\n[log]\n", "a.toml:3:2: \"log\" is set twice, first at a.toml:1:2\n"),
        (
            "[log]\nlevel = 'info'\n[workers]\ncount = 1\n\"count\" = 2\n",
            "a.toml:5:1: \"count\" is set twice, first at a.toml:4:1\n",
        ),
        (
            "log = { level = 'info', level = 'warn' }\n",
            "a.toml:1:25: \"level\" is set twice, first at a.toml:1:9\n",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(words_of(text), expected, "{text}");
    }
}

#[test]
fn every_table_refuses_what_it_does_not_know() {
    let cases = [
        ("control = { sokcet = '' }", "\"sokcet\" in [control]", "socket"),
        ("log = { levle = 'info' }", "\"levle\" in [log]", "level"),
        ("[[listener]]\naddress = ':0'\nback_log = 1", "\"back_log\" in [[listener]]", "backlog"),
        (
            "[companion.a]\ncommand = './server'\nautostrat = true",
            "\"autostrat\" in [companion.a]",
            "autostart",
        ),
        (
            "[companion.\"b.a\"]\ncommand = './server'\nflapping = { windw = 1 }",
            "\"windw\" in flapping",
            "window",
        ),
        ("[companion.a]\ncommand = './server'\nlog = { size = 1 }", "\"size\" in log", ""),
        (
            "[companion.a]\ncommand = './server'\nhealth = { tcp = '1.1.1.1:1', fails = 1 }",
            "\"fails\" in health",
            "",
        ),
        (
            "[companion.a]\ncommand = './server'\nready = { tcp = '1.1.1.1:1', intervall = 1 }",
            "\"intervall\" in ready",
            "interval",
        ),
        (
            "[companion.a]\ncommand = './server'\nlisten = { address = ':0', v6only = true }",
            "\"v6only\" in listen",
            "",
        ),
        ("hooks = { on_stop = './server' }", "\"on_stop\" in [hooks]", ""),
        (
            "[companion.a]\ncommand = './server'\nlimits = { nofiles = 1 }",
            "there is no limit \"nofiles\"",
            "nofile",
        ),
    ];
    for (text, what, near) in cases {
        let words = words_of(text);
        assert!(words.contains(what), "{text}\n{words}");
        let advice = format!("did you mean \"{near}\"?");
        assert_eq!(words.contains("did you mean"), !near.is_empty(), "{words}");
        assert!(near.is_empty() || words.contains(&advice), "{words}");
    }
}

/// A file, and what its one error says.
const VALUES: &[(&str, &str)] = &[
    ("name = ''", "1:8: this must not be empty"),
    ("name = \"a\\u0000\"", "1:8: a NUL character cannot be used here"),
    ("umask = 22", "1:9: expected octal digits in quotes, found an integer"),
    ("umask = '0999'", "1:9: \"0999\" is not an octal mode from \"0000\" to \"0777\""),
    ("pre_stop_delay = -1", "1:18: a duration cannot be negative"),
    ("pre_stop_delay = nan", "1:18: nan is not a duration"),
    ("pre_stop_delay = '366d'", "1:18: a duration can be a year at most"),
    ("user = 'nobody-such'", "1:8: there is no user \"nobody-such\""),
    ("group = 'nobody-such'", "1:9: there is no group \"nobody-such\""),
    ("workers = { command = './server', user = 4242 }", "1:42: the user 4242 has no account and so no group"),
    ("env = { 'A=B' = '' }", "1:9: \"A=B\" cannot name an environment variable"),
    ("unset_env = 'A'", "1:13: expected an array of strings, found a string"),
    ("chdir = 'nowhere'", "1:9: the directory \"DIR/nowhere\" does not exist"),
    ("pidfile = 'no/where/a.pid'", "1:11: the directory \"DIR/no/where\" does not exist"),
    ("log = { file = 'no/where.log' }", "1:16: the directory \"DIR/no\" does not exist"),
    ("control = { socket = 'no/c.sock' }", "1:22: the directory \"DIR/no\" does not exist"),
    ("pidfile = '.'", "1:11: \"DIR\" is a directory"),
    ("log = { file = '.' }", "1:16: \"DIR\" is a directory"),
    ("control = { socket = '.' }", "1:22: \"DIR\" is a directory"),
    ("control = 5", "1:11: expected a table, found an integer"),
    ("listener = 5", "1:12: expected tables, found an integer"),
    ("companion = 5", "expected tables, found an integer"),
    ("companion.a = 5", "1:11: expected a table, found an integer"),
    ("workers = {}", "1:11: [workers] has no command"),
    ("workers = { command = [] }", "1:23: the command is empty"),
    ("workers = { command = \"it's\" }", "1:23: a quote or backslash in this command has no end"),
    (
        "workers = { command = './server', count = 'cpu' }",
        "1:43: \"cpu\" is neither a number of workers nor \"cpus\"",
    ),
    ("workers = { command = './server', stop_signal = 'TREM' }", "1:49: there is no signal \"TREM\""),
    ("workers = { command = './server', halt_exit_codes = [3, 5] }", "1:57: 5 means something else"),
    ("workers = { command = './server', halt_exit_codes = [0] }", "1:54: 0 is out of range"),
    ("workers = { command = './server', ready = 'exit' }", "1:43: \"exit\" is none of"),
    ("workers = { command = './server', nice = 20 }", "1:42: 20 is out of range: it has to be -20 to 19"),
    ("workers = { command = './server', memory_max = '1 elephant' }", "1:48: \"1 elephant\" is not a size"),
    (
        "workers = { command = './server', limits = { core = '2:1' } }",
        "1:53: \"2:1\": the soft limit is above the hard one",
    ),
    (
        "workers = { command = './server', env_file = 'none' }",
        "1:46: the env_file \"DIR/none\" cannot be read",
    ),
    ("workers = { command = './server', cwd = 'none' }", "1:41: the directory \"DIR/none\" does not exist"),
    ("workers = { command = 'nowhere' }", "1:23: the program \"nowhere\" is not found in PATH"),
    ("workers = { command = './a.toml' }", "1:23: \"DIR/a.toml\" is not a program that may be executed"),
    (
        "workers = { command = './server {env.NOT_SET}' }",
        "1:23: {env.NOT_SET}: the environment variable NOT_SET is not set",
    ),
    ("hooks = { on_exit = 'nowhere' }", "1:21: the program \"nowhere\" is not found in PATH"),
    ("hooks = { on_exit = { timeout = 1 } }", "1:21: this hook has no command"),
    ("include = 5", "1:11: expected an array of strings"),
    ("include = ['[']", "1:12: \"[\" is not a pattern"),
    ("on_boot_failure = 1979-05-27", "1:19: expected one of \"halt\", \"retry\", found a date"),
];

#[test]
fn values_of_a_wrong_type_or_out_of_range_are_refused_where_they_stand() {
    for (text, expected) in VALUES {
        let errors = super::Place::with(text).printed(&["-c", "a.toml", "--check-config"]).1;
        assert!(errors.contains(expected), "{text}\n{errors}");
        assert_eq!(words(&errors), 1, "{text}\n{errors}");
    }
}

fn words(errors: &str) -> usize {
    errors.lines().filter(|line| line.starts_with("a.toml:")).count()
}

#[test]
fn everything_that_is_wrong_within_one_value_is_told() {
    let cases = [
        ("unset_env = ['', 5, 'A=B']", &["1:14", "1:18", "1:21"][..]),
        ("env = { 'A=B' = 5, C = 6 }", &["1:9", "1:17", "1:24"]),
        ("include = [1, '[', 2]", &["1:12", "1:20"]),
        ("control = { mode = '0666', allow_users = ['x', 'root', 'y'] }", &["1:43", "1:56"]),
        ("control = { mode = '0666', allow_groups = ['x', true] }", &["1:44", "1:49"]),
        ("workers = { command = ['./server', 1, 'a', 2] }", &["1:36", "1:44"]),
        ("workers = { command = './server', halt_exit_codes = [0, 3, 5, 300] }", &["1:54", "1:60", "1:63"]),
        ("workers = { command = './server', requires = [1, 'a', 2] }", &["1:47", "1:50", "1:55"]),
        ("workers = { command = './server {env.A} {env.B}' }", &["1:23", "1:23"]),
        ("workers = { command = './server', limits = { core = 'x:y' } }", &["1:53", "1:53"]),
        ("companion.a = { command = './server', success_exit_codes = [-1, 0, 256] }", &["1:61", "1:68"]),
        ("companion.a = { command = './server', streams = ['1', 's', 'S', 4] }", &["1:50", "1:60", "1:65"]),
        ("companion.a = { command = './server', after = [1, 'b', 2] }", &["1:48", "1:51", "1:56"]),
        ("hooks = { on_exit = ['./server', 1, 2] }", &["1:34", "1:37"]),
    ];
    for (text, places) in cases {
        let errors = errors_of(text);
        let lines: Vec<&str> = errors.lines().filter(|line| line.starts_with("a.toml:")).collect();
        assert_eq!(lines.len(), places.len(), "{text}\n{errors}");
        for (line, place) in lines.iter().zip(places) {
            assert!(line.starts_with(&format!("a.toml:{place}: ")), "{text}\n{line}\n{place}");
        }
    }
}

#[test]
fn a_companion_whose_name_is_wrong_is_read_on() {
    let expected = "\
a.toml:1:12: \"1a\" cannot name a companion
  a name is a letter followed by letters, digits, \"_\" and \"-\"
a.toml:3:9: 10001 is out of range: it has to be 0 to 10000
";
    assert_eq!(words_of("[companion.1a]\ncommand = './server'\ncount = 10001"), expected);
}

#[test]
fn addresses_are_explained() {
    let cases = [
        ("8000", "\"8000\" is not an address", "did you mean \":8000\"?"),
        ("127.0.0.1", "\"127.0.0.1\" has no port", "write \"127.0.0.1:8000\""),
        ("::1", "\"::1\" has no port", "write \"[::1]:8000\""),
        ("[::1]", "\"[::1]\" has no port", "write \"[::1]:8000\""),
        ("[::g]", "\"[::g]\" is not an IPv6 address", "write \"127.0.0.1:8000\""),
        ("[::1]:", "\"\" is not a port from 0 to 65535", "write"),
        ("*:80", "\"*\" is not a host", "did you mean \":80\"?"),
        ("localhost:http", "\"http\" is not a port from 0 to 65535", "write"),
        ("127.0.0.1:65536", "\"65536\" is not a port", "write"),
        ("[::g]:80", "\"[::g]\" is not an IPv6 address", "write"),
        ("unix:", "the socket has no path", "unix:/run/app.sock"),
        ("unix:@", "the abstract socket has no name", "unix:@name"),
        ("unix:no/where", "the directory \"DIR/no\" does not exist", "create it"),
        ("unix:.", "\"DIR\" is a directory", "name a file in it"),
    ];
    for (address, message, help) in cases {
        let errors = errors_of(&format!("[[listener]]\naddress = '{address}'"));
        assert!(errors.contains(&format!("a.toml:2:11: {message}")), "{address}\n{errors}");
        assert!(errors.contains(help), "{address}\n{errors}");
    }
    let long = errors_of(&format!("[[listener]]\naddress = 'unix:/tmp/{}'", "x".repeat(104)));
    assert!(long.contains("the socket's path has 109 bytes, and 107 at most are possible"), "{long}");
}
