//! What workers are given and how they are served.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use tests::{Site, http, processes};

/// The environment of whichever worker answers.
fn environment(address: &str) -> BTreeMap<String, String> {
    let text = http::get(address, "/env").expect("a worker answers");
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    text.lines().filter_map(pair).collect()
}

#[test]
fn workers_share_one_tcp_socket_and_all_of_them_serve() {
    let site = Site::new(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [workers]
        command = ["@worker@"]
        count = 3
        "#,
    );
    let arbiter = site.start();
    let status = arbiter.status();
    assert_eq!(status.ready_workers().len(), 3);
    let address = status.address("http");
    let mut slots = BTreeSet::new();
    site.wait_for("every worker to have answered", || {
        slots.insert(http::who(&address).unwrap().slot);
        (slots.len() == 3).then_some(())
    });
    let pids = status.worker_pids();
    let socket = |pid: &i32| processes::descriptors(*pid)[&3].clone();
    assert!(pids.iter().all(|pid| socket(pid) == socket(&pids[0])), "one socket, not one each");
}

#[test]
fn a_listener_on_ipv6_serves() {
    if TcpListener::bind("[::1]:0").is_err() {
        tests::not_tested("this machine has no IPv6");
        return;
    }
    let site = Site::new(
        r#"
        [[listener]]
        address = "[::1]:0"
        v6only = true
        [workers]
        command = ["@worker@"]
        "#,
    );
    let arbiter = site.start();
    let address = arbiter.status().address("http");
    assert!(address.starts_with("[::1]:"), "{address}");
    assert_eq!(http::who(&address).unwrap().slot, 1);
}

#[test]
fn a_unix_listener_has_its_mode_and_goes_with_arbiter() {
    let site = Site::new(
        r#"
        [[listener]]
        address = "unix:@site@/app.sock"
        mode = "0620"
        [workers]
        command = ["@worker@"]
        "#,
    );
    let arbiter = site.start();
    let metadata = std::fs::metadata(site.path("app.sock")).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o620);
    assert!(http::get_unix(&site.path("app.sock"), "/").unwrap().starts_with("1 "));
    assert_eq!(arbiter.stop(), 0);
    assert!(!site.path("app.sock").exists());
}

#[test]
fn a_worker_gets_its_listeners_by_number_and_name() {
    let site = Site::new(
        r#"
        [[listener]]
        name = "web"
        address = "127.0.0.1:0"
        [[listener]]
        name = "admin"
        address = "unix:@site@/admin.sock"
        [workers]
        command = ["@worker@", "{web}", "{admin}"]
        "#,
    );
    let arbiter = site.start();
    let status = arbiter.status();
    let address = status.address("web");
    let pid = status.worker_pids()[0];
    let environment = environment(&address);
    assert_eq!(environment["LISTEN_FDS"], "2");
    assert_eq!(environment["LISTEN_FDNAMES"], "web:admin");
    assert_eq!(environment["LISTEN_PID"], pid.to_string());
    let arguments = http::get(&address, "/args").unwrap();
    assert_eq!(arguments.lines().skip(1).collect::<Vec<_>>(), ["3", "4"]);
    assert!(http::get_unix(&site.path("admin.sock"), "/").is_ok());
}

#[test]
fn names_in_braces_are_replaced_and_other_braces_stay() {
    let site = Site::new(
        r#"
        name = "shop"
        [[listener]]
        address = "127.0.0.1:0"
        [workers]
        command = ["@worker@", "{name}", "{slot}/{generation}", "{env.ARBITER_TEST_SITE}", "{\"json\": {}}"]
        "#,
    );
    let arbiter = site.start();
    let address = arbiter.status().address("http");
    let arguments = http::get(&address, "/args").unwrap();
    let arguments: Vec<_> = arguments.lines().skip(1).collect();
    assert_eq!(arguments[..2], ["shop", "1/1"]);
    assert!(arguments[2].ends_with(site.directory()));
    assert_eq!(arguments[3], "{\"json\": {}}");
}

#[test]
fn a_worker_is_told_who_it_is() {
    let site = Site::new(
        r#"
        name = "shop"
        env = { COLOUR = "green", SHAPE = "round" }
        unset_env = ["HOME"]
        [[listener]]
        address = "127.0.0.1:0"
        [workers]
        command = ["@worker@"]
        env = { COLOUR = "blue" }
        "#,
    );
    let arbiter = site.start();
    let environment = environment(&arbiter.status().address("http"));
    assert_eq!(environment["ARBITER_PID"], arbiter.pid().to_string());
    assert_eq!(environment["ARBITER_SLOT"], "1");
    assert_eq!(environment["ARBITER_GENERATION"], "1");
    assert_eq!(environment["ARBITER_NAME"], "shop");
    assert_eq!(environment["ARBITER_SOCKET"], site.socket().to_string_lossy());
    assert!(environment["SERVER_SOFTWARE"].starts_with("arbiter/"));
    assert_eq!((&*environment["COLOUR"], &*environment["SHAPE"]), ("blue", "round"));
    assert!(!environment.contains_key("HOME"));
    assert!(environment.contains_key("NOTIFY_SOCKET"));
}

#[test]
fn what_arbiter_was_given_by_its_own_supervisor_does_not_reach_a_child() {
    let site = Site::new("");
    let mut command = site.command("arbiter");
    command.args(["-b", "127.0.0.1:0", "--", &site.expand("@worker@")]);
    command.env("WATCHDOG_USEC", "7000000").env("WATCHDOG_PID", "1").env("LISTEN_FDNAMES", "old");
    command.env("NOTIFY_SOCKET", site.path("outer.sock"));
    let arbiter = site.launch_command(command);
    let address = arbiter.wait_until_running().address("http");
    let environment = environment(&address);
    assert_eq!(environment["LISTEN_FDNAMES"], "http");
    assert_ne!(environment["NOTIFY_SOCKET"], site.path("outer.sock").to_string_lossy());
    assert_eq!(environment["WATCHDOG_USEC"], "30000000", "its own, from arbiter");
    assert_ne!(environment["WATCHDOG_PID"], "1");
}

#[test]
fn without_a_file_flags_and_a_command_are_enough() {
    let site = Site::new("this file is not read");
    let arbiter = site.launch_with(&["-b", "127.0.0.1:0", "-w", "2", "--name", "flags", "--", "@worker@"]);
    let status = arbiter.wait_until_running();
    assert_eq!(status.ready_workers().len(), 2);
    assert_eq!(status.0["arbiter"]["name"], "flags");
    assert_eq!(status.0["arbiter"]["config"], serde_json::Value::Null);
    assert!(http::who(&status.address("http")).is_ok());
}

#[test]
fn a_flag_beats_the_file() {
    let site = Site::new(
        r#"
        [[listener]]
        address = "127.0.0.1:1"
        [workers]
        command = ["@worker@"]
        count = 4
        "#,
    );
    let arbiter = site.launch_with(&["-c", "arbiter.toml", "-b", "own=127.0.0.1:0", "-w", "1"]);
    let status = arbiter.wait_until_running();
    assert_eq!((status.target(), status.ready_workers().len()), (1, 1));
    assert!(http::who(&status.address("own")).is_ok());
    arbiter.done(&["reload"]);
    assert_eq!(arbiter.status().target(), 1, "at a reload too");
}

#[test]
fn an_arbiter_without_workers_and_listeners_supervises_companions_only() {
    let site =
        Site::new("[companion.clock]\ncommand = [\"@companion@\"]\nready = \"started\"\nstart_seconds = 0");
    let arbiter = site.start();
    let status = arbiter.wait_for_companion("clock", "RUNNING");
    assert_eq!((status.target(), status.workers().len()), (0, 0));
}

#[test]
fn the_pidfile_names_arbiter_and_goes_with_it() {
    let site = Site::new(
        r#"
        pidfile = "@site@/arbiter.pid"
        [workers]
        command = ["@worker@", "--ready-after", "0"]
        "#,
    );
    let arbiter = site.start();
    let text = std::fs::read_to_string(site.path("arbiter.pid")).unwrap();
    assert_eq!(text.trim(), arbiter.pid().to_string());
    let second = site.run(&["-c", "arbiter.toml", "--control-socket", ""]);
    assert_eq!(second.code, 1, "{second:?}");
    assert!(second.stderr.contains("arbiter.pid"), "{second:?}");
    assert_eq!(arbiter.stop(), 0);
    assert!(!site.path("arbiter.pid").exists());
}

#[test]
fn the_number_of_workers_comes_from_web_concurrency_where_nothing_else_says_it() {
    let site =
        Site::new("[workers]\ncommand = [\"@worker@\", \"--ready-after\", \"0\"]\nready = \"notify\"\n");
    let mut command = site.command("arbiter");
    command.args(["-c", "arbiter.toml"]).env("WEB_CONCURRENCY", "3");
    let arbiter = site.launch_command(command);
    assert_eq!(arbiter.wait_until_running().ready_workers().len(), 3);
}

#[test]
fn without_a_control_socket_signals_are_enough() {
    let site = Site::new(
        r#"
        [control]
        socket = ""
        [workers]
        command = ["@worker@", "--ready-after", "0"]
        ready = "notify"
        "#,
    );
    let arbiter = site.launch();
    let first = site.wait_for_start("arbiter", 1);
    assert!(!site.socket().exists());
    assert!(!processes::environment(first).contains_key("ARBITER_SOCKET"));
    arbiter.signal(tests::signal::HUP);
    site.wait_for_start("arbiter", 2);
    site.wait_for("the old worker to be gone", || (!processes::is_alive(first)).then_some(()));
    assert_eq!(arbiter.stop(), 0);
}
