//! Sockets that systemd opens and passes. A scenario is systemd here: it holds the sockets before, while and
//! after arbiter runs.

#[path = "activation/activated.rs"]
mod activated;

use activated::Activated;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;
use tests::{Site, Status, http, processes, signal};

/// How long somebody who connected early waits for an answer.
const PATIENCE: Option<Duration> = Some(tests::PATIENCE);

fn tcp() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    (listener, address)
}

/// The environment of the one worker, as told over a connection to `address`.
fn environment(address: &str) -> Vec<String> {
    http::get(address, "/env").expect("the worker answers").lines().map(str::to_owned).collect()
}

fn has(environment: &[String], variable: &str) -> bool {
    environment.iter().any(|line| line == variable)
}

fn is_generation(status: &Status, generation: u64) -> bool {
    status.state() == "running" && status.workers().iter().all(|worker| worker.generation == generation)
}

#[test]
fn passed_sockets_serve_from_before_the_start_to_after_the_end() {
    // The other way round than they are passed, and at addresses that are never opened.
    let site = Site::new(
        r#"
        [[listener]]
        name = "admin"
        address = "unix:@site@/configured.sock"
        [[listener]]
        name = "http"
        address = "127.0.0.1:0"
        [workers]
        command = ["@worker@", "{admin}", "{http}"]
        "#,
    );
    let (web, address) = tcp();
    let path = site.path("passed.sock");
    let admin = UnixListener::bind(&path).unwrap();
    let early = TcpStream::connect(&address).unwrap();
    let early_admin = UnixStream::connect(&path).unwrap();

    let arbiter = Activated::start(&site, &[("http", web.as_fd()), ("admin", admin.as_fd())]);
    early.set_read_timeout(PATIENCE).unwrap();
    early_admin.set_read_timeout(PATIENCE).unwrap();
    assert_eq!(http::exchange(early, "/args").unwrap().lines().skip(1).collect::<Vec<_>>(), ["3", "4"]);
    let seen = http::exchange(early_admin, "/env").unwrap();
    assert!(seen.contains("LISTEN_FDS=2\n") && seen.contains("LISTEN_FDNAMES=admin:http\n"), "{seen}");
    let status = arbiter.wait_until("running", |status| is_generation(status, 1));
    let admin_address = format!("unix:{}", path.display());
    assert_eq!((status.address("http"), status.address("admin")), (address.clone(), admin_address.clone()));
    assert!(!site.path("configured.sock").exists());

    let load = http::Load::start(&address, 2);
    arbiter.signal(signal::HUP);
    let status = arbiter.wait_until("generation 2", |status| is_generation(status, 2));
    load.finish();
    assert_eq!(http::who(&address).unwrap().generation, 2);
    assert!(http::get_unix(&path, "/").is_ok());
    assert_eq!((status.address("http"), status.address("admin")), (address.clone(), admin_address));

    arbiter.stop();
    // Nobody accepts now, but what comes waits for the next one.
    let late = TcpStream::connect(&address).unwrap();
    let late_admin = UnixStream::connect(&path).unwrap();
    let arbiter = Activated::start(&site, &[("http", web.as_fd()), ("admin", admin.as_fd())]);
    for answer in [http::exchange(late, "/"), http::exchange(late_admin, "/")] {
        assert!(answer.is_ok(), "{answer:?}");
    }
    arbiter.stop();
    site.remove("passed.sock");
}

#[test]
fn a_socket_that_nobody_configured_is_a_listener_by_systemds_name() {
    const NONE: &str = "[workers]\ncommand = [\"@worker@\", \"{web.socket}\", \"{web.socket2}\"]\n";
    let site = Site::new(NONE);
    let ((first, address), (second, address2)) = (tcp(), tcp());
    let arbiter = Activated::start(&site, &[("web.socket", first.as_fd()), ("web.socket", second.as_fd())]);
    let status = arbiter.wait_until("running", |status| is_generation(status, 1));
    assert_eq!((status.address("web.socket"), status.address("web.socket2")), (address.clone(), address2));
    assert!(has(&environment(&address), "LISTEN_FDNAMES=web.socket:web.socket2"));
    assert_eq!(http::get(&address, "/args").unwrap().lines().skip(1).collect::<Vec<_>>(), ["3", "4"]);

    // Now somebody configures one: the first socket in order serves it, the other is left.
    site.configure(
        r#"
        [[listener]]
        name = "shop"
        address = "unix:@site@/never.sock"
        [workers]
        command = ["@worker@"]
        "#,
    );
    arbiter.signal(signal::HUP);
    let status = arbiter.wait_until("generation 2", |status| is_generation(status, 2));
    assert_eq!(status.address("shop"), address);
    assert!(has(&environment(&address), "LISTEN_FDNAMES=shop:web.socket2"));
    site.configure(NONE);
    arbiter.signal(signal::HUP);
    arbiter.wait_until("generation 3", |status| is_generation(status, 3));
    assert!(has(&environment(&address), "LISTEN_FDNAMES=web.socket:web.socket2"));
    arbiter.stop();
}

#[test]
fn workers_without_a_configured_listener_are_ready_when_they_wait_on_a_passed_one() {
    // By time alone this worker would never be ready.
    let site = Site::new("[workers]\ncommand = [\"@worker@\"]\nstart_seconds = 1000\nstart_timeout = 2000\n");
    let (web, address) = tcp();
    let arbiter = Activated::start(&site, &[("web", web.as_fd())]);
    for generation in [1, 2] {
        arbiter.wait_until("running", |status| is_generation(status, generation));
        assert_eq!(http::who(&address).unwrap().generation, generation);
        if generation == 1 {
            arbiter.signal(signal::HUP);
        }
    }
    arbiter.stop();
}

#[test]
fn sockets_that_were_meant_for_another_process_are_not_taken() {
    let site = Site::new(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [workers]
        command = ["@worker@"]
        "#,
    );
    let (web, address) = tcp();
    let arbiter = Activated::start_as(&site, &[("http", web.as_fd())], Some(1));
    let status = arbiter.wait_until("running", |status| is_generation(status, 1));
    assert_ne!(status.address("http"), address);
    assert!(has(&environment(&status.address("http")), "LISTEN_FDS=1"));
    arbiter.stop();
}

#[test]
fn companions_get_none_of_the_passed_sockets() {
    let site = Site::new(
        "[workers]\ncommand = [\"@worker@\"]\nrequires = [\"side\"]\n[companion.side]\ncommand = [\"@companion@\"]\n",
    );
    let (web, _) = tcp();
    let arbiter = Activated::start(&site, &[("web", web.as_fd())]);
    let status = arbiter.wait_until("running", |status| is_generation(status, 1));
    let pid = status.pid_of("side");
    assert!(processes::environment(pid).keys().all(|name| !name.starts_with("LISTEN_")));
    let manager = status.manager().expect("a manager runs");
    let passed = std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&web)));
    let passed = passed.unwrap().to_string_lossy().into_owned();
    for pid in [pid, manager] {
        let open = processes::descriptors(pid);
        assert!(open.values().all(|what| *what != passed), "{open:?}");
    }
    arbiter.stop();
}

#[test]
fn what_is_passed_and_does_not_listen_is_refused_by_its_name() {
    let site = Site::new("[workers]\ncommand = [\"@worker@\"]\n");
    let (_web, address) = tcp();
    let connection = TcpStream::connect(&address).unwrap();
    let arbiter = Activated::start(&site, &[("chat", connection.as_fd())]);
    assert_eq!(arbiter.wait_end(), "exited with status 1");
    let log = site.log();
    assert!(log.contains("cannot use \"chat\"") && log.contains("not a listening stream socket"), "{log}");
}

#[test]
fn a_passed_socket_is_shared_even_where_one_for_each_slot_is_asked_for() {
    let site = Site::new(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        reuse_port = true
        [workers]
        command = ["@worker@"]
        count = 2
        "#,
    );
    let (web, address) = tcp();
    let arbiter = Activated::start(&site, &[("http", web.as_fd())]);
    let status = arbiter.wait_until("running", |status| is_generation(status, 1));
    assert_eq!(status.address("http"), address);
    let sockets = status.worker_pids().into_iter().map(|pid| processes::descriptors(pid)[&3].clone());
    assert_eq!(sockets.collect::<std::collections::BTreeSet<_>>().len(), 1);
    assert!(site.log().contains("reuse_port of the listener http has no effect"), "{}", site.log());
    assert!(http::who(&address).is_ok());
    arbiter.stop();
}

#[test]
fn what_was_passed_goes_on_to_a_second_arbiter_and_stays_where_it_is() {
    let site = Site::new(
        r#"
        pidfile = "@site@/arbiter.pid"
        [[listener]]
        name = "http"
        address = "unix:@site@/configured.sock"
        [[listener]]
        name = "own"
        address = "unix:@site@/own.sock"
        [workers]
        command = ["@worker@"]
        "#,
    );
    let path = site.path("passed.sock");
    let passed = UnixListener::bind(&path).unwrap();
    let arbiter = Activated::start(&site, &[("http", passed.as_fd())]);
    arbiter.wait_until("it to run", |status| status.state() == "running");
    assert!(http::get_unix(&path, "/").is_ok());
    arbiter.signal(signal::USR2);
    site.wait_for("the second one to run", || {
        (site.log().matches("running, 1 workers ready").count() == 2).then_some(())
    });
    let second = std::fs::read_to_string(site.path("arbiter.pid.2")).unwrap().trim().parse().unwrap();
    arbiter.stop();
    let status = site.wait_for("the second one to be in charge", || {
        let output = site.ctl(&["--json", "status"]);
        let status = (output.code == 0).then(|| Status::parse(&output.stdout))?;
        (status.pid() == second).then_some(status)
    });
    assert_eq!(status.address("http"), format!("unix:{}", path.display()));
    assert!(http::get_unix(&path, "/").is_ok() && http::get_unix(&site.path("own.sock"), "/").is_ok());
    assert!(!site.path("configured.sock").exists());
    let reload = site.ctl(&["reload"]);
    assert_eq!(reload.code, 0, "{reload:?}");
    assert!(http::get_unix(&path, "/").is_ok());
    processes::signal(second, signal::TERM);
    site.wait_for("it to end", || (!processes::is_alive(second)).then_some(()));
    assert!(path.exists() && !site.path("own.sock").exists(), "the passed one is somebody else's");
    std::fs::remove_file(&path).unwrap();
}
