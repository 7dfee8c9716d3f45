//! Keys that are right by themselves and wrong together.

use super::{Place, errors_of};

const A: &str = "[companion.a]\ncommand = './server'\n";
const W: &str = "[workers]\ncommand = './server'\n";

/// A file (`@W` and `@A` stand for the tables above), and how its one error begins.
const CASES: &[(&str, &str)] = &[
    ("@Wheartbeat = 'required'\ntimeout = 0", "3:13: a heartbeat is required, but timeout = 0 turns it off"),
    ("@Wmax_lifetime_jitter = 1", "3:23: max_lifetime_jitter has no effect while max_lifetime is 0"),
    ("@Wready = 'listening'", "3:9: \"listening\" needs a listener, and there is none"),
    ("@Wstart_seconds = 9\nstart_timeout = 8", "3:17: start_seconds is longer than start_timeout"),
    ("@Wrequires = ['b']\n@A", "3:13: there is no companion \"b\""),
    (
        "@Wrequires = ['a']\n@Aautostart = false",
        "3:13: \"a\" is required by the workers, but has autostart = false (at a.toml:4:12)",
    ),
    (
        "@Wrequires = ['a']\n@Acount = 0",
        "3:13: \"a\" is required by the workers, but has count = 0 (at a.toml:4:12)",
    ),
    (
        "@Wrequires = ['a']\n@Aafter = ['b']\n[companion.b]\ncommand = './server'\nautostart = false",
        "3:13: \"a\" is required by the workers and comes after \"b\", which has autostart = false",
    ),
    (
        "@Aready = 'exit'\nsuccess_exit_codes = []",
        "4:22: without a code of success, ready = \"exit\" can never become ready",
    ),
    ("@Arestart_delay = 0.05", "3:17: this has to be at least 0.1"),
    ("@Arestart_delay = 5\nrestart_delay_max = 4", "4:21: restart_delay_max is shorter than restart_delay"),
    (
        "@Acritical = true\nflapping = { max_retry = -1 }",
        "4:26: a critical companion has to be given up some time",
    ),
    (
        "@Arestart_delay = 20\nflapping = { attempts = 4 }",
        "4:12: 4 ends never come within 60 s, because restart_delay spreads them over 120 s",
    ),
    (
        "@Acritical = true\nrestart_delay = 20",
        "4:17: 5 ends never come within 60 s, because restart_delay spreads them over 180 s",
    ),
    ("@Astdout = 'inherit'\nlog = {}", "3:10: `log` has no effect"),
    ("@Astdout = 'captrue'", "3:10: \"captrue\" is no word that is known here"),
    ("@Astdout = 'stdout'", "3:10: \"stdout\" is not a place where this can go"),
    ("@Astdout = 'none/a.log'", "3:10: the directory \"DIR/none\" does not exist"),
    (
        "@Alog = { file = 'x.log' }\n[companion.b]\ncommand = './server'\nlog = { file = 'x.log', keep = 2 }",
        "4:12: DIR/x.log is the log of \"a\" too, which keeps it in another way",
    ),
    (
        "@Alog = { file = '{name}.log' }\n[companion.b]\ncommand = './server'\nstderr = 'a.log'",
        "4:12: DIR/a.log is rotated, and \"a\" has it open, too",
    ),
    (
        "@Astdout = 'x.log'\nstderr = 'capture'\nlog = { file = 'x.log' }",
        "1:12: DIR/x.log is rotated, and \"a\" has it open, too",
    ),
    (
        "@Astreams = ['x-y', 'x_y']",
        "3:19: streams \"x-y\" and \"x_y\" would both be told as ARBITER_STREAM_X_Y",
    ),
    ("@Aafter = ['a']", "3:10: these companions wait for one another: a after a"),
    (
        "@Aafter = ['b']\n[companion.b]\ncommand = './server'\nafter = ['a']",
        "6:10: these companions wait for one another: a after b after a",
    ),
    (
        "@Aafter = ['redis']\n[companion.\"s.redis\"]\ncommand = './server'",
        "3:10: there is no companion \"redis\"",
    ),
    (
        "@Asession = 's'\n[companion.\"s.a\"]\ncommand = './server'",
        "4:12: a companion named \"s.a\" is there already, at a.toml:1:12",
    ),
    (
        "[companion.\"s.a\"]\ncommand = './server'\nsession = 't'",
        "3:11: session = \"t\" contradicts the name \"s.a\"",
    ),
    ("[companion.manager]\ncommand = './server'", "1:12: a companion cannot be named \"manager\""),
    ("[companion.1a]\ncommand = './server'", "1:12: \"1a\" cannot name a companion"),
    ("[companion.\"a.b.c\"]\ncommand = './server'", "1:12: \"a.b.c\" cannot name a companion"),
    ("@Ahealth = { interval = 1 }", "3:10: this has no check"),
    (
        "@Ahealth = { tcp = '1.1.1.1:1', http = 'http://1.1.1.1' }",
        "3:38: tcp and http: only one check is possible",
    ),
    ("@Aready = { http = 'https://127.0.0.1/' }", "3:18: \"https://127.0.0.1/\" is not an http:// address"),
    ("@Aready = { http = 'http://example.org/' }", "3:18: \"http://example.org/\" cannot be asked"),
    ("@Aready = { tcp = 'redis:6379' }", "3:17: \"redis:6379\" cannot be connected to"),
    (
        "@Alisten = ':0'\n[companion.A]\ncommand = './server'\nlisten = ':0'",
        "1:12: companions \"a\" and \"A\" (at a.toml:4:12) would both be told as ARBITER_COMPANION_A",
    ),
    (
        "[control]\nallow_users = ['www-data']",
        "2:15: mode \"0600\" keeps out whom allow_users and allow_groups let in",
    ),
];

#[test]
fn contradictions_are_reported_at_the_key_that_breaks_the_rule() {
    for (text, expected) in CASES {
        let text = text.replace("@W", W).replace("@A", A);
        let errors = Place::with(&text).printed(&["-c", "a.toml", "--check-config"]).1;
        assert!(errors.starts_with(&format!("a.toml:{expected}")), "{text}\n{errors}\n{expected}");
        let count = errors.lines().filter(|line| line.starts_with("a.toml:")).count();
        assert_eq!(count, 1, "{text}\n{errors}");
    }
}

#[test]
fn files_that_arbiter_makes_are_kept_apart() {
    let keys = [
        "pidfile = 'x'",
        "log = { file = './x' }",
        "control = { socket = 'x' }",
        "listener = [{ address = 'unix:x' }]",
        "companion.a = { command = './server', listen = 'unix:x' }",
    ];
    let cases = [
        (0, 1, "1:11: DIR/x is the log, too (at a.toml:2:16)"),
        (0, 2, "1:11: DIR/x is the control socket, too (at a.toml:2:22)"),
        (0, 3, "1:11: DIR/x is a listener, too (at a.toml:2:25)"),
        (0, 4, "1:11: DIR/x is a listener, too (at a.toml:2:48)"),
        (1, 2, "1:16: DIR/x is the control socket, too (at a.toml:2:22)"),
        (1, 3, "1:16: DIR/x is a listener, too (at a.toml:2:25)"),
        (2, 3, "1:22: DIR/x is a listener, too (at a.toml:2:25)"),
        (2, 4, "1:22: DIR/x is a listener, too (at a.toml:2:48)"),
    ];
    for (first, second, expected) in cases {
        let errors = errors_of(&format!("{}\n{}", keys[first], keys[second]));
        assert!(errors.starts_with(&format!("a.toml:{expected}\n")), "{errors}\n{expected}");
    }
    let apart = "pidfile = 'a'\nlog = { file = 'b' }\ncontrol = { socket = 'c' }\nlistener = [{ address = 'unix:d' }]";
    assert_eq!(super::checked(apart).2, 0);
    assert_eq!(super::checked("pidfile = ''\ncontrol = { socket = '' }").2, 0);
}

#[test]
fn cycles_that_share_nothing_are_all_told() {
    let companions = [("a", "b"), ("b", "a"), ("c", "c"), ("d", "c"), ("e", "f"), ("f", "e")];
    let table = |(name, after)| format!("[companion.{name}]\ncommand = './server'\nafter = ['{after}']\n");
    let errors = errors_of(&companions.map(table).concat());
    let lines: Vec<&str> = errors.lines().filter(|line| line.starts_with("a.toml:")).collect();
    let expected = [
        "a.toml:6:10: these companions wait for one another: a after b after a",
        "a.toml:9:10: these companions wait for one another: c after c",
        "a.toml:18:10: these companions wait for one another: e after f after e",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_session_without_quotes_is_explained() {
    let errors = errors_of("[companion.batch.redis]\ncommand = './server'");
    assert!(errors.contains("unknown key \"redis\" in [companion.batch]"), "{errors}");
    assert!(errors.contains("help: a session is written in quotes: [companion.\"batch.redis\"]"), "{errors}");
}

#[test]
fn a_companion_has_no_more_streams_than_can_be_handed_on() {
    let streams = |count| (0..count).map(|number| format!("'s{number}'")).collect::<Vec<_>>().join(",");
    let text = |count| format!("{A}streams = [{}]", streams(count));
    assert!(errors_of(&text(65)).contains("a companion has at most 64 streams"));
    assert_eq!(super::specs_of(&text(64)).1.companions[0].streams.len(), 64);
}

#[test]
fn listeners_that_cannot_live_together_are_found() {
    let both = |first: &str, second: &str| {
        let text = format!("[[listener]]\naddress = {first}\n[[listener]]\naddress = {second}");
        Place::with(&text).printed(&["-c", "a.toml", "--check-config"])
    };
    let clashing = [
        ("'127.0.0.1:80'", "'127.0.0.1:80'"),
        ("'127.0.0.1:80'", "':80'"),
        ("':80'", "'127.0.0.1:80'"),
        ("'[::]:80'", "'127.0.0.1:80'"),
        ("'[::]:80'", "'[::1]:80'"),
        ("'[::]:80'\nv6only = true", "'[::1]:80'"),
        ("'unix:a'", "'unix:./a'"),
        ("'unix:@a'", "'unix:@a'"),
    ];
    for (first, second) in clashing {
        let (_, errors, code) = both(first, second);
        assert_eq!(code, 2, "{first} {second}");
        assert!(errors.contains(", at a.toml:2:11\n"), "{errors}");
    }
    let living = [
        ("'127.0.0.1:80'", "'127.0.0.2:80'"),
        ("':0'", "':0'"),
        ("'[::]:80'\nv6only = true", "'0.0.0.0:80'"),
        ("'unix:a'", "'unix:b'"),
        ("'unix:@a'", "'unix:a'"),
    ];
    for (first, second) in living {
        assert_eq!(both(first, second).2, 0, "{first} {second}");
    }
    let text = format!("[[listener]]\naddress = ':80'\n{A}listen = '127.0.0.1:80'");
    assert!(
        errors_of(&text).starts_with("a.toml:5:10: \"127.0.0.1:80\" is taken by \":80\", at a.toml:2:11\n")
    );
}

#[test]
fn keys_of_socket_files_are_refused_elsewhere() {
    let cases = [
        ("':0'\nmode = '0600'", "a.toml:3:8: \"mode\" is for socket files"),
        ("':0'\ngroup = 'root'", "a.toml:3:9: \"group\" is for socket files"),
        ("'unix:@a'\nuser = 'root'", "a.toml:3:8: \"user\" is for socket files"),
        ("'127.0.0.1:0'\nv6only = true", "a.toml:3:10: v6only is for IPv6 addresses"),
        ("'unix:a'\nreuse_port = true", "a.toml:3:14: reuse_port is for TCP"),
        ("':0'\nname = 'slot'", "a.toml:3:8: \"slot\" is taken"),
        ("':0'\nname = 'a b'", "a.toml:3:8: \"a b\" cannot name a listener"),
    ];
    for (rest, expected) in cases {
        let errors = errors_of(&format!("[[listener]]\naddress = {rest}"));
        assert!(errors.starts_with(expected), "{errors}");
    }
}
