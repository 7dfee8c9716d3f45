//! What values become.

use super::{Place, specs_of};
use proto::spec::{AddressSpec, Flapping, Output, Ready, RestartPolicy};
use std::time::Duration;

#[test]
fn an_empty_file_has_all_defaults_and_nothing_to_run() {
    let (master, companions) = specs_of("");
    assert_eq!((master.name.as_str(), master.workers, master.listeners), ("arbiter", None, vec![]));
    assert_eq!((master.pidfile, master.control.mode, master.control.explicit), (None, 0o600, false));
    assert!(!master.has_companions && companions.companions.is_empty());
    assert_eq!(master.warnings, Vec::<String>::new());
}

#[test]
fn workers_have_the_defaults_of_the_manual() {
    let workers = specs_of("[workers]\ncommand = './server'").0.workers.unwrap();
    let seconds = Duration::from_secs;
    assert_eq!((workers.count, workers.ready, workers.start_seconds), (1, Ready::Auto, seconds(1)));
    assert_eq!((workers.start_timeout, workers.timeout), (seconds(60), seconds(30)));
    assert_eq!((workers.stop.signal, workers.stop.timeout, workers.stop.group), (15, seconds(30), false));
    assert_eq!((workers.quick_stop_signal, workers.abort_signal, workers.abort_timeout), (15, 6, seconds(1)));
    assert_eq!((workers.reopen_signal, workers.reload_batch), (None, 0));
    assert_eq!(workers.halt_exit_codes, [3, 4]);
    let quick = specs_of("[workers]\ncommand = './server'\nstop_signal = 'INT'").0.workers.unwrap();
    assert_eq!(quick.quick_stop_signal, 2);
}

#[test]
fn companions_have_the_defaults_of_the_manual() {
    let companion = specs_of("[companion.a]\ncommand = './server'").1.companions.remove(0);
    let seconds = Duration::from_secs;
    assert_eq!((companion.name.as_str(), companion.session.as_str()), ("a", "default"));
    assert_eq!((companion.count, companion.autostart, companion.critical), (1, true, false));
    assert_eq!((companion.restart, companion.success_exit_codes), (RestartPolicy::Always, vec![0]));
    assert_eq!((companion.restart_delay, companion.restart_delay_max), (seconds(1), seconds(60)));
    assert_eq!((companion.flapping, companion.health, companion.watchdog), (None, None, Duration::ZERO));
    assert_eq!(
        (companion.stop.timeout, companion.stdout, companion.stderr),
        (seconds(60), Output::Inherit, None)
    );
}

#[test]
fn defaults_that_depend_on_other_keys_follow_them() {
    let companion = |rest: &str| {
        let text = format!("[companion.a]\ncommand = './server'\n{rest}");
        specs_of(&text).1.companions.remove(0)
    };
    assert_eq!(companion("ready = 'exit'").restart, RestartPolicy::OnFailure);
    assert_eq!(companion("ready = 'exit'\nrestart = 'always'").restart, RestartPolicy::Always);
    assert_eq!(companion("restart_delay = 90").restart_delay_max, Duration::from_secs(90));
    assert_eq!(companion("log = {}").stdout, Output::Capture);
    let seconds = Duration::from_secs;
    let usual = Flapping { attempts: 5, window: seconds(60), retry_in: seconds(300), max_retry: 5 };
    assert_eq!(companion("critical = true").flapping, Some(usual));
    assert_eq!(companion("flapping = { attempts = 2 }").flapping, Some(Flapping { attempts: 2, ..usual }));
}

#[test]
fn variables_of_the_table_win_and_what_it_unsets_is_gone() {
    let text = "env = { A = '1', B = '2', C = '3' }\nunset_env = ['X']\n[workers]\ncommand = './server'\n\
                env = { B = '4' }\nunset_env = ['C', 'X', 'Y']";
    let process = specs_of(text).0.workers.unwrap().process;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(process.env, [pair("A", "1"), pair("B", "4")]);
    assert_eq!(process.unset_env, ["C", "X", "Y"]);
}

#[test]
fn a_file_of_variables_comes_between_and_its_content_is_part_of_the_specification() {
    let place = super::Place::with(
        "env = { A = '1', B = '2', C = '3' }\n[companion.a]\ncommand = './server'\nenv_file = '-some.env'\n\
         env = { B = '4' }\nunset_env = ['C']",
    );
    let read = || place.specs(&["-c", "a.toml"]).1.companions.remove(0);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let without = read();
    let missing = without.process;
    assert_eq!(missing.top_env, [pair("A", "1")]);
    assert_eq!(missing.env, [pair("B", "4")]);
    let file = missing.env_file.unwrap();
    assert!(file.optional);
    assert_eq!(file.path, place.path().join("some.env").to_str().unwrap());
    let digest = |content: &str| {
        place.write("some.env", content);
        read().env_digest
    };
    let first = digest("X=1\n");
    assert_eq!(digest("# the same\nX=0\nX='1'"), first);
    assert_ne!(digest("X=2\n"), first);
    assert_eq!(digest(""), without.env_digest);
    assert_ne!(first, without.env_digest);
}

#[test]
fn an_environment_that_is_written_otherwise_is_the_same_one() {
    let mut place = super::Place::with("");
    place.env.extend([("B", "5"), ("ARBITER_STREAM_B", "5"), ("HOME", "/root")]);
    place.write("some.env", "A=1\n");
    let digest = |top: &str, own: &str| {
        place.write("a.toml", &format!("{top}\n[companion.a]\ncommand = './server'\n{own}\n"));
        place.specs(&["-c", "a.toml"]).1.companions.remove(0).env_digest
    };
    let (plain, set) = (digest("", ""), digest("env = { A = '1' }", ""));
    assert_ne!(set, plain);
    assert_eq!(digest("unset_env = ['SURELY_NOT_SET']", ""), plain);
    assert_eq!(digest("env = { B = '5' }", ""), plain, "it is inherited");
    assert_ne!(digest("env = { ARBITER_STREAM_B = '5' }", ""), plain, "that is not");
    assert_eq!(digest("", "env = { A = '1' }"), set);
    assert_eq!(digest("", "env_file = 'some.env'"), set);
    assert_ne!(digest("", "env = { A = '2' }\nenv_file = 'some.env'"), set);

    let own = |keys: &str| digest("", &format!("user = 'www-data'\n{keys}"));
    let [plain, unset] = ["", "unset_env = ['HOME']"].map(own);
    let [same, other] = ["/home/www-data", "/root"].map(|home| own(&format!("env = {{ HOME = '{home}' }}")));
    assert_eq!([unset, same], [plain, plain], "a user brings a HOME of its own");
    assert_ne!(other, plain);
}

#[test]
fn a_user_brings_its_own_groups_and_a_group_alone_keeps_the_user() {
    let identity = |top: &str, table: &str| {
        let text = format!("{top}\n[workers]\ncommand = './server'\n{table}");
        specs_of(&text).0.workers.unwrap().process.identity
    };
    let www = identity("user = 'www-data'", "").unwrap();
    assert_eq!((www.uid, www.gid, &www.groups[..]), (33, 33, &[33, 4711][..]));
    assert_eq!(www.login, Some(("www-data".into(), "/home/www-data".into(), "/bin/sh".into())));
    assert_eq!(identity("", "user = 33").unwrap(), www);
    assert_eq!(identity("user = 'www-data'\ngroup = 'root'", "user = 70").unwrap().gid, 70);
    assert_eq!(identity("user = 'postgres'", "group = 'www-data'").unwrap().gid, 33);
    let alone = identity("group = 'postgres'", "").unwrap();
    assert_eq!((alone.uid, alone.gid, alone.login), (sys::process::effective_uid(), 70, None));
    let number = identity("user = 4242\ngroup = 17", "").unwrap();
    assert_eq!((number.uid, number.gid, &number.groups[..], number.login), (4242, 17, &[17][..], None));
    assert_eq!(identity("", ""), None);
}

#[test]
fn paths_are_absolute_and_links_in_them_are_kept() {
    let place = Place::with(
        "chdir = 'now'\npidfile = './a.pid'\n[log]\nfile = 'a.log'\n[workers]\ncommand = '../server'\ncwd = '.'\n\
         [companion.a]\ncommand = '../server'\ncwd = '{env.PATH}'\nstdout = '{env.HOME}/x-{slot}.log'\nstderr = 'e.log'\n\
         [companion.b]\ncommand = '/bin/sh'\ncwd = 'sub-{slot}'\n",
    );
    std::fs::create_dir(place.path().join("release")).unwrap();
    std::os::unix::fs::symlink("release", place.path().join("now")).unwrap();
    let (master, companions) = place.specs(&["-c", "a.toml"]);
    let now = place.path().join("now").to_str().unwrap().to_owned();
    assert_eq!(master.pidfile, Some(format!("{now}/a.pid")));
    assert_eq!(master.log.target, proto::spec::LogTarget::File(format!("{now}/a.log")));
    assert_eq!(master.workers.unwrap().process.cwd, now);
    let [a, b] = &companions.companions[..] else { panic!("two companions") };
    assert_eq!(a.process.cwd, "{env.PATH}");
    assert_eq!(a.stdout, Output::File("{env.HOME}/x-{slot}.log".into()));
    assert_eq!(a.stderr, Some(Output::File(format!("{now}/e.log"))));
    assert_eq!(b.process.cwd, format!("{now}/sub-{{slot}}"));
}

#[test]
fn addresses_become_what_is_bound() {
    let text = "[[listener]]\naddress = ':80'\n[[listener]]\naddress = '[::1]:81'\n[[listener]]\nname = 'http2'\n\
                address = 'localhost:82'\n[[listener]]\naddress = 'unix:@x'\n[[listener]]\naddress = 'unix:///tmp/x'";
    let listeners = specs_of(text).0.listeners;
    let names: Vec<&str> = listeners.iter().map(|listener| listener.name.as_str()).collect();
    assert_eq!(names, ["http", "http3", "http2", "http4", "http5"]);
    let tcp = |text: &str| AddressSpec::Tcp(text.parse().unwrap());
    assert_eq!(listeners[0].address, tcp("0.0.0.0:80"));
    assert_eq!(listeners[1].address, tcp("[::1]:81"));
    assert_eq!(listeners[2].address, tcp("127.0.0.1:82"));
    assert_eq!(listeners[3].address, AddressSpec::Abstract("x".into()));
    assert_eq!(listeners[4].address, AddressSpec::Unix("/tmp/x".into()));
    assert_eq!((listeners[0].backlog, listeners[4].mode), (2048, 0o666));
}

#[test]
fn companions_come_in_the_order_of_full_names_with_what_the_workers_need() {
    let text = "[workers]\ncommand = './server'\nrequires = ['web.cache']\n\
                [companion.cache]\nsession = 'web'\ncommand = './server'\nafter = ['disk']\nstop_timeout = 3\n\
                [companion.disk]\ncommand = './server'\nstop_timeout = 4\n\
                [companion.\"batch.x\"]\ncommand = './server'\nstop_timeout = 6\n";
    let (master, companions) = specs_of(text);
    let names: Vec<&str> = companions.companions.iter().map(|companion| companion.name.as_str()).collect();
    assert_eq!(names, ["batch.x", "disk", "web.cache"]);
    assert_eq!(companions.required, ["disk", "web.cache"]);
    assert_eq!(master.workers.unwrap().requires, ["web.cache"]);
    assert_eq!(master.companions_stop_within, Duration::from_secs(7));
    assert!(master.has_companions);
}

#[test]
fn limits_are_pairs_and_infinity_is_the_highest_number() {
    let text =
        "[workers]\ncommand = './server'\nlimits = { nofile = '1024:infinity', as = '1GiB', core = 0 }";
    let limits = specs_of(text).0.workers.unwrap().process.limits;
    let pairs: Vec<(u64, u64)> = limits.iter().map(|limit| (limit.soft, limit.hard)).collect();
    assert_eq!(pairs, [(1 << 30, 1 << 30), (0, 0), (1024, u64::MAX)]);
}

#[test]
fn the_number_of_processors_counts_at_least_one() {
    let workers = specs_of("[workers]\ncommand = './server'\ncount = 'cpus'").0.workers.unwrap();
    let expected = std::thread::available_parallelism().unwrap().get();
    assert_eq!(usize::try_from(workers.count), Ok(expected));
}

#[test]
fn checks_may_have_placeholders_where_commands_do() {
    let checks = [
        "{ tcp = '127.0.0.1:600{slot}' }",
        "{ tcp = 'unix:/run/{name}-{slot}.sock' }",
        "{ http = 'http://127.0.0.1:{env.PORT}/{name}' }",
    ];
    for check in checks {
        let (master, _) = specs_of(&format!("[workers]\ncommand = './server'\nready = {check}"));
        let ready = master.workers.expect("there are workers").ready;
        let written = ready.check().expect("it is a check").shown(|_| None);
        assert!(check.contains(&written), "{written} is kept for the start to fill in");
    }
}
