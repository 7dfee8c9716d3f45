//! `listen` of a companion: a socket that is bound once and held for it, whatever becomes of its processes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tests::http::{self, Load};
use tests::{Arbiter, Site, processes, signal};

const SHOP: &str = r#"
    [workers]
    command = ["@worker@", "--no-listener", "--ready-after", "0"]
    ready = "notify"
    requires = ["data.store"]
    [companion."data.store"]
    command = ["@worker@", "--fd", "{listen}"]
    listen = "127.0.0.1:0"
    [companion.other]
    command = ["@companion@"]
    ready = "started"
    start_seconds = 0
"#;

fn environment(arbiter: &Arbiter<'_>, name: &str) -> BTreeMap<String, String> {
    let status = arbiter.wait_for_companion(name, "RUNNING");
    processes::environment(status.pid_of(name)).into_iter().collect()
}

#[test]
fn every_child_is_told_the_address_and_only_the_companion_has_the_socket() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let own = environment(&arbiter, "data.store");
    let address = &own["ARBITER_COMPANION_DATA_STORE"];
    assert!(!address.ends_with(":0"), "{address} is as bound");
    assert_eq!((own["LISTEN_FDS"].as_str(), own["LISTEN_FDNAMES"].as_str()), ("1", "data.store"));
    let status = arbiter.status();
    assert_eq!(own["LISTEN_PID"], status.pid_of("data.store").to_string());
    for pid in [status.worker_pids()[0], status.pid_of("other")] {
        let environment = processes::environment(pid);
        assert_eq!(environment["ARBITER_COMPANION_DATA_STORE"], *address);
        assert!(!environment.contains_key("LISTEN_FDS"));
        assert_eq!(sys::procfs::socket_inodes(pid).len(), 0, "it has the address, not the socket");
    }
    assert!(http::get(address, "/").unwrap().starts_with("1 "));
}

#[test]
fn nobody_is_refused_while_the_companion_restarts_and_the_manager_dies() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let address = environment(&arbiter, "data.store")["ARBITER_COMPANION_DATA_STORE"].clone();
    let load = Load::start(&address, 4);
    for _ in 0..2 {
        load.goes_on();
        arbiter.done(&["restart", "companion", "data.store"]);
        arbiter.kill_manager();
        arbiter.done(&["restart", "companion", "data.store"]);
        arbiter.done(&["reload"]);
    }
    let pids: std::collections::BTreeSet<_> = load.finish().into_iter().map(|who| who.pid).collect();
    assert!(pids.len() > 1, "more than one process has answered: {pids:?}");
    assert_eq!(environment(&arbiter, "data.store")["ARBITER_COMPANION_DATA_STORE"], address);
}

#[test]
fn whoever_comes_while_the_companion_is_down_is_answered_by_the_next_process() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let address = environment(&arbiter, "data.store")["ARBITER_COMPANION_DATA_STORE"].clone();
    arbiter.done(&["stop", "companion", "data.store"]);
    let client = std::net::TcpStream::connect(&address).expect("the socket is held");
    arbiter.kill_manager();
    arbiter.done(&["start", "companion", "data.store"]);
    let next = arbiter.status().pid_of("data.store");
    let answer = http::exchange(client, "/").unwrap();
    assert!(answer.contains(&next.to_string()), "{answer}");
}

#[test]
fn a_companion_that_listens_is_ready_when_it_waits_on_its_socket() {
    for ready in ["auto", "listening"] {
        let site = Site::new(&format!(
            r#"
            [companion.store]
            command = ["@worker@", "--ready-when", "@site@/open"]
            listen = "unix:@site@/store.sock"
            ready = "{ready}"
        "#
        ));
        let arbiter = site.start();
        site.wait_for_start("store", 1);
        assert_eq!(arbiter.status().companion("store").state, "STARTING");
        arbiter.kill_manager();
        assert_eq!(arbiter.status().companion("store").state, "STARTING", "{ready}");
        site.write("open", "");
        arbiter.wait_for_companion("store", "RUNNING");
    }
}

#[test]
fn a_socket_file_has_its_mode_and_goes_with_arbiter() {
    let site = Site::new(
        r#"
        [companion.store]
        command = ["@worker@"]
        listen = { address = "unix:@site@/store.sock", mode = "0600", backlog = 7 }
    "#,
    );
    let arbiter = site.start();
    arbiter.wait_for_companion("store", "RUNNING");
    let path = site.path("store.sock");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let told = &environment(&arbiter, "store")["ARBITER_COMPANION_STORE"];
    assert_eq!(*told, format!("unix:{}", path.display()));
    assert!(http::get_unix(&path, "/").is_ok());
    assert_eq!(arbiter.stop(), 0);
    assert!(!path.exists());
}

#[test]
fn a_reload_opens_the_new_address_before_the_old_one_is_closed_and_closes_what_is_gone() {
    for words in [&["reload"][..], &["reload", "companions"]] {
        let listening = |names: &[&str]| -> String {
            let table = |name: &&str| {
                format!("[companion.store]\ncommand = [\"@worker@\"]\nlisten = \"unix:@site@/{name}.sock\"\n")
            };
            let other = "[companion.other]\ncommand = [\"@worker@\"]\nlisten = \"unix:@site@/o.sock\"\n";
            names.iter().map(table).chain([other.to_owned()]).collect()
        };
        let site = Site::new(&listening(&["old"]));
        let arbiter = site.start();
        let before = arbiter.wait_for_companion("store", "RUNNING").pid_of("store");
        let other = arbiter.wait_for_companion("other", "RUNNING").pid_of("other");
        site.configure(&listening(&["new"]));
        let report = arbiter.done(&[&["--json"][..], words].concat()).json();
        assert_eq!(report["restarted"], serde_json::json!(["store"]), "{words:?}");
        assert!(http::get_unix(&site.path("new.sock"), "/").is_ok());
        assert!(!site.path("old.sock").exists());
        let status = arbiter.wait_for_companion("store", "RUNNING");
        assert_ne!(status.pid_of("store"), before);
        assert_eq!(status.pid_of("other"), other, "it keeps its process and its socket");
        site.configure(&listening(&[]));
        arbiter.done(words);
        assert!(!site.path("new.sock").exists());
        assert!(http::get_unix(&site.path("o.sock"), "/").is_ok());
    }
}

#[test]
fn a_new_address_that_is_taken_changes_nothing() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let shop =
        |address: &str| format!("[companion.store]\ncommand = [\"@worker@\"]\nlisten = \"{address}\"\n");
    for words in [&["reload"][..], &["reload", "companions"]] {
        let site = Site::new(&shop("unix:@site@/store.sock"));
        let arbiter = site.start();
        let before = arbiter.wait_for_companion("store", "RUNNING").pid_of("store");
        site.configure(&shop(&taken.local_addr().unwrap().to_string()));
        let output = arbiter.ctl(words);
        assert_eq!(output.code, 1, "{output:?}");
        assert!(output.stderr.contains("nothing was changed: cannot listen on"), "{output:?}");
        assert_eq!(arbiter.status().pid_of("store"), before);
        assert!(http::get_unix(&site.path("store.sock"), "/").is_ok());
    }
}

#[test]
fn the_workers_can_ask_their_companion_until_they_have_left() {
    let site = Site::new(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [workers]
        command = ["@worker@"]
        requires = ["store"]
        [companion.store]
        command = ["@worker@"]
        listen = "unix:@site@/store.sock"
    "#,
    );
    let arbiter = site.start();
    let address = arbiter.status().address("http");
    let slow = std::thread::spawn({
        let address = address.clone();
        move || http::get(&address, "/sleep/1")
    });
    site.wait_for("the request to be under way", || {
        let worker = arbiter.status().worker_pids()[0];
        (sys::procfs::socket_inodes(worker).len() > 1).then_some(())
    });
    arbiter.signal(signal::TERM);
    site.wait_for("newcomers to be refused", || http::get(&address, "/").is_err().then_some(()));
    assert!(http::get_unix(&site.path("store.sock"), "/").is_ok(), "the companion is there for it");
    assert!(slow.join().unwrap().is_ok());
    assert_eq!(arbiter.wait_exit(), 0);
}

#[test]
fn a_second_arbiter_takes_the_socket_over_with_all_others() {
    let site = Site::new(&SHOP.replace("127.0.0.1:0", "unix:@site@/store.sock"));
    let arbiter = site.start();
    arbiter.wait_for_companion("data.store", "RUNNING");
    let first = arbiter.pid();
    processes::signal(first, signal::USR2);
    site.wait_for("the second one to run", || {
        (site.log().matches("running, 1 workers ready").count() > 1).then_some(())
    });
    assert_eq!(arbiter.stop(), 0);
    let status = site.wait_for("the second one to be in charge", || {
        let names = |status: &tests::Status| status.companions().contains(&"data.store".to_owned());
        let status = arbiter.try_status().filter(names)?;
        (status.pid() != first && status.companion("data.store").state == "RUNNING").then_some(status)
    });
    assert!(http::get_unix(&site.path("store.sock"), "/").is_ok());
    processes::signal(status.pid(), signal::TERM);
    site.wait_for("it to end", || (!processes::is_alive(status.pid())).then_some(()));
    assert!(!site.path("store.sock").exists());
}

#[test]
fn a_companion_that_is_loaded_listens_too_until_it_is_unloaded() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let loaded = |address: &str| {
        site.write(
            "more.toml",
            &site.expand(&format!("[companion.more]\ncommand = [\"@worker@\"]\nlisten = \"{address}\"\n")),
        );
        arbiter.ctl(&["load", site.path("more.toml").to_str().expect("a plain name")])
    };
    let taken = environment(&arbiter, "data.store")["ARBITER_COMPANION_DATA_STORE"].clone();
    let refused = loaded(&taken);
    assert!(refused.failed_with(1).contains("nothing was changed: cannot listen on"), "{refused:?}");
    assert_eq!(loaded("unix:@site@/more.sock").code, 0);
    arbiter.wait_for_companion("more", "RUNNING");
    assert!(http::get_unix(&site.path("more.sock"), "/").is_ok());
    arbiter.done(&["reload"]);
    arbiter.kill_manager();
    assert!(http::get_unix(&site.path("more.sock"), "/").is_ok());
    arbiter.done(&["unload", "companion", "more"]);
    assert!(!site.path("more.sock").exists());
}
