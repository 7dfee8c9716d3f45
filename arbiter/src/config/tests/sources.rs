//! Flags, the environment and included files.

use super::{Input, Machine, Place, resolve_with, specs_of};
use proto::spec::{AddressSpec, Resolution};
use std::path::Path;
use std::time::Duration;

#[test]
fn flags_beat_the_file_and_bind_replaces_all_its_listeners() {
    let place = Place::with(
        "name = 'file'\n[log]\nlevel = 'error'\nformat = 'text'\n[[listener]]\nname = 'old'\naddress = ':81'\n\
         [workers]\ncommand = 'not-there'\ncount = 0\ntimeout = 1\ngraceful_timeout = 2\ncwd = ''",
    );
    let argv = "-c a.toml -b 127.0.0.1:0 -b admin=unix:@x=y -w 3 -p a.pid -t 1m --graceful-timeout 0.5 --name flag \
                --control-socket c.sock --log-level warn --log-format json -- ./server {http} {admin}";
    let (master, _) = place.specs(&argv.split_whitespace().collect::<Vec<_>>());
    let workers = master.workers.unwrap();
    let names: Vec<&str> = master.listeners.iter().map(|listener| listener.name.as_str()).collect();
    assert_eq!(names, ["http", "admin"]);
    assert_eq!(master.listeners[1].address, AddressSpec::Abstract("x=y".into()));
    assert_eq!(workers.process.command, ["./server", "{http}", "{admin}"]);
    assert_eq!((workers.count, workers.timeout), (3, Duration::from_secs(60)));
    assert_eq!(workers.stop.timeout, Duration::from_millis(500));
    let within = |name: &str| Some(place.path().join(name).to_str().unwrap().to_owned());
    assert_eq!(
        (master.name.as_str(), master.pidfile, master.control.socket),
        ("flag", within("a.pid"), within("c.sock"))
    );
    assert!(master.control.explicit);
    assert_eq!(master.log.level, proto::spec::LogLevel::Warn);
    assert_eq!(master.log.format, proto::spec::LogFormat::Json);
    assert_eq!(master.warnings, Vec::<String>::new());
}

#[test]
fn an_error_in_a_flag_names_the_flag_and_comes_first() {
    let place = Place::with("naem = 'x'");
    let argv = "-c a.toml -w 0 -t soon -b 80 -b a=:1 -b a=:2 --log-level loud -- ./server";
    let (_, stderr, code) = place.printed(&argv.split_whitespace().collect::<Vec<_>>());
    let expected = "\
arbiter: -w 0: 0 is out of range: it has to be 1 to 10000
arbiter: -t soon: \"soon\" is not a duration
    help: write seconds as 0.5, or \"500ms\", \"1m 30s\"
arbiter: --log-level loud: \"loud\" is none of \"error\", \"warn\", \"info\", \"debug\", \"trace\"
arbiter: -b 80: \"80\" is not an address
    help: did you mean \":80\"?
arbiter: -b a=:2: a listener named \"a\" is there already, at -b a=:1
    help: choose another name
a.toml:1:1: unknown key \"naem\" in the top level
    naem = 'x'
    ^^^^
    help: did you mean \"name\"?
";
    assert_eq!((stderr.as_str(), code), (expected, 2));
}

#[test]
fn a_flag_for_workers_needs_workers() {
    let (_, stderr, code) = Place::with("").printed(&["-c", "a.toml", "-w", "2"]);
    let expected =
        "arbiter: -w 2: [workers] has no command\n    help: add command = [\"program\", \"argument\"]\n";
    assert_eq!((stderr.as_str(), code), (expected, 2));
}

#[test]
fn the_environment_gives_the_count_only_where_nothing_else_does() {
    let mut place = Place::with("[workers]\ncommand = './server'");
    place.env.push(("WEB_CONCURRENCY", "7"));
    let count = |place: &Place, argv: &[&str]| place.specs(argv).0.workers.unwrap().count;
    assert_eq!(count(&place, &["-c", "a.toml"]), 7);
    assert_eq!(count(&place, &["-c", "a.toml", "-w", "2"]), 2);
    place.write("b.toml", "[workers]\ncommand = './server'\ncount = 3");
    assert_eq!(count(&place, &["-c", "b.toml"]), 3);
    place.env.push(("WEB_CONCURRENCY", "many"));
    assert_eq!(count(&place, &["-c", "b.toml"]), 3);
    let (_, stderr, _) = place.printed(&["-c", "a.toml"]);
    assert_eq!(
        stderr,
        "arbiter: WEB_CONCURRENCY=many: \"many\" is neither a number of workers nor \"cpus\"\n"
    );
    place.env.push(("WEB_CONCURRENCY", ""));
    assert_eq!(count(&place, &["-c", "a.toml"]), 1);
}

#[test]
fn included_files_add_tables_in_the_order_of_their_names() {
    let place =
        Place::with("include = ['conf.d/*.toml', 'none/*.toml', 'conf.d/20.toml']\n[workers]\ncount = 2");
    place.write(
        "conf.d/20.toml",
        "[[listener]]\nname = 'second'\naddress = ':0'\n[workers]\ncommand = './server'",
    );
    place.write(
        "conf.d/10.toml",
        "[[listener]]\nname = 'first'\naddress = ':0'\n[companion.a]\ncommand = './server'",
    );
    place.write("conf.d/.hidden.toml", "wrong");
    place.write("conf.d/30.txt", "wrong");
    let (master, companions) = place.specs(&["-c", "a.toml"]);
    let names: Vec<&str> = master.listeners.iter().map(|listener| listener.name.as_str()).collect();
    assert_eq!((names, master.workers.unwrap().count), (vec!["first", "second"], 2));
    assert_eq!(companions.companions.len(), 1);
}

#[test]
fn what_two_files_set_is_told_with_both_places() {
    let place = Place::with(
        "include = ['b.toml']\nname = 'x'\n[workers]\ncommand = './server'\n[companion.a]\ncommand = './server'\n",
    );
    place.write(
        "b.toml",
        "name = 'y'\ninclude = []\n[workers]\ncommand = './server'\n[companion.a]\ncommand = './server'\n",
    );
    let (_, stderr, code) = place.printed(&["-c", "a.toml"]);
    let expected = "\
b.toml:1:1: \"name\" is set twice, first at a.toml:2:1
    name = 'y'
    ^^^^
    help: remove one of them
b.toml:2:1: an included file cannot include others
    include = []
    ^^^^^^^
    help: list them in a.toml
b.toml:4:1: \"workers.command\" is set twice, first at a.toml:4:1
    command = './server'
    ^^^^^^^
    help: remove one of them
b.toml:5:12: \"companion.a\" is set twice, first at a.toml:5:12
    [companion.a]
               ^
    help: remove one of them
";
    assert_eq!((stderr.as_str(), code), (expected, 2));
}

#[test]
fn a_broken_included_file_is_the_only_error() {
    let place = Place::with("include = ['b.toml']\n[workers]\ncommand = './server'\nrequires = ['a']");
    place.write("b.toml", "[companion.a");
    let (_, stderr, _) = place.printed(&["-c", "a.toml"]);
    assert_eq!(
        stderr,
        "b.toml:1:13: this is not TOML: unclosed table, expected `]`\n    [companion.a\n                ^\n"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let (_, stderr, code) = Place::new().printed(&["-c", "none.toml"]);
    let expected = "arbiter: the configuration \"none.toml\" cannot be read: No such file or directory (os error 2)\n    \
                    help: check the path and its permissions\n";
    assert_eq!((stderr.as_str(), code), (expected, 2));
    let place = Place::new();
    std::fs::write(place.path().join("a.toml"), b"name = 'a'\n# \xff\n").unwrap();
    let (_, stderr, _) = place.printed(&["-c", "a.toml"]);
    assert!(stderr.starts_with("a.toml:2:3: this is not TOML: the text is not UTF-8\n"), "{stderr}");
}

#[test]
fn the_default_socket_follows_the_environment() {
    let own = sys::process::effective_uid();
    let socket = |env: &[(&'static str, &'static str)]| {
        let mut place = Place::with("");
        place.env.extend(env);
        place.specs(&["-c", "a.toml"]).0.control.socket.unwrap()
    };
    assert_eq!(socket(&[("RUNTIME_DIRECTORY", "/run/shop:/run/other")]), "/run/shop/control.sock");
    let plain = socket(&[("RUNTIME_DIRECTORY", "")]);
    let private = socket(&[("XDG_RUNTIME_DIR", "/run/user/7")]);
    if own == 0 {
        assert_eq!(
            (plain.as_str(), private.as_str()),
            ("/run/arbiter/control.sock", "/run/arbiter/control.sock")
        );
    } else {
        assert_eq!(plain, format!("/tmp/arbiter-{own}/control.sock"));
        assert_eq!(private, "/run/user/7/arbiter/control.sock");
    }
    let (master, _) = specs_of("[control]\nsocket = ''");
    assert_eq!((master.control.socket, master.control.explicit), (None, false));
}

#[test]
fn the_first_directory_may_have_gone_where_nothing_is_relative_to_it() {
    let place = Place::with("chdir = '/'\n[workers]\ncommand = 'sh'");
    let file = place.path().join("a.toml");
    let input = |file: &Path| Input {
        argv: vec!["-c".into(), file.into()],
        env: [("PATH".into(), "/bin:/usr/bin".into())].into(),
        cwd: place.path().join("gone"),
        loaded: Vec::new(),
    };
    let Resolution::Run { master, .. } = resolve_with(&input(&file), &Machine, 0) else {
        panic!("nothing needs it")
    };
    assert_eq!(master.workers.unwrap().process.cwd, "/");

    let gone = format!(
        "arbiter: the directory arbiter was started in, \"{}/gone\", is not there any more\n",
        place.path().display()
    );
    let fails = |file: &Path, reason: &str| {
        let Resolution::Print { stderr, code, .. } = resolve_with(&input(file), &Machine, 0) else {
            panic!("it is needed")
        };
        assert_eq!(code, 2);
        assert!(stderr.starts_with(&gone) && stderr.contains(reason), "{stderr}");
    };
    fails("../a.toml".as_ref(), "the configuration \"../a.toml\" cannot be read");
    for (text, reason) in [
        ("[workers]\ncommand = 'sh'", "/gone\" does not exist"),
        ("chdir = 'now'\n[workers]\ncommand = 'sh'", "/gone/now\" does not exist"),
        ("pidfile = 'a.pid'", "/gone\" does not exist"),
    ] {
        place.write("a.toml", text);
        fails(&file, reason);
    }
}
