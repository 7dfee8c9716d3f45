//! When workers and companions count as ready, and who waits for it.

use tests::{Site, http};

#[test]
fn a_worker_with_ready_notify_is_ready_when_it_says_so() {
    let site = Site::new(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [workers]
        command = ["@worker@", "--ready-when", "@site@/go"]
        ready = "notify"
        "#,
    );
    let arbiter = site.launch();
    let status =
        arbiter.wait_for_status("a worker to have started", |status| !status.worker_pids().is_empty());
    assert_eq!(status.workers()[0].state, "STARTING");
    assert_eq!(status.state(), "starting");
    site.write("go", "");
    let status = arbiter.wait_until_running();
    assert_eq!(status.ready_workers().len(), 1);
}

#[test]
fn a_server_that_knows_nothing_of_arbiter_is_ready_when_it_waits_on_its_listener() {
    let site = Site::new(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [workers]
        command = ["python3", "@site@/server.py"]
        count = 2
        start_timeout = 3600
        "#,
    );
    site.write(
        "server.py",
        r#"
import os, socket
listener = socket.socket(fileno=3)
while True:
    connection, _ = listener.accept()
    connection.recv(65536)
    body = b"1 %d 1" % os.getpid()
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    connection.close()
"#,
    );
    let arbiter = site.start();
    assert!(http::who(&arbiter.status().address("http")).is_ok());
}

#[test]
fn a_worker_that_never_waits_on_its_listener_is_taken_as_ready_at_its_start_timeout_and_warned_of() {
    let site = Site::new(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [workers]
        command = ["sleep", "1000"]
        start_timeout = 0.4
        "#,
    );
    let arbiter = site.start();
    assert_eq!(arbiter.status().ready_workers().len(), 1);
    assert!(site.log().contains("workers.ready"), "{}", site.log());
}

#[test]
fn a_worker_with_ready_started_is_ready_after_start_seconds() {
    let site = Site::new(
        r#"
        [workers]
        command = ["sleep", "1000"]
        ready = "started"
        start_seconds = 0.3
        "#,
    );
    let arbiter = site.start();
    let worker = &arbiter.status().0["workers"]["processes"][0];
    assert!(worker["uptime_seconds"].as_f64().unwrap() >= 0.3, "{worker}");
}

#[test]
fn a_worker_that_is_not_ready_in_time_is_aborted_and_tried_again() {
    let site = Site::new(
        r#"
        [workers]
        command = ["@worker@", "--ready-when", "@site@/go"]
        ready = "notify"
        start_timeout = 0.3
        abort_timeout = 0.1
        "#,
    );
    let arbiter = site.launch();
    site.wait_for_start("arbiter", 2);
    site.write("go", "");
    let status = arbiter.wait_until_running();
    let last = &status.0["workers"]["processes"][0]["last_exit"];
    assert_eq!(last["signal"], "SIGABRT", "{last}");
}

#[test]
fn workers_wait_for_the_companions_they_require() {
    let site = Site::new(
        r#"
        [workers]
        command = ["@worker@", "--ready-after", "0"]
        requires = ["redis"]
        [companion.redis]
        command = ["@companion@", "--ready-when", "@site@/go"]
        ready = "notify"
        "#,
    );
    let arbiter = site.launch();
    site.wait_for_start("redis", 1);
    let status = arbiter.wait_for_status("the worker to wait for redis", |status| {
        status.workers().first().is_some_and(|worker| worker.reason == "waiting for redis to be ready")
    });
    let worker = &status.workers()[0];
    assert_eq!((worker.pid, worker.state.as_str()), (None, "STARTING"));
    assert!(site.started("arbiter").is_empty());
    site.write("go", "");
    arbiter.wait_until_running();
    assert_eq!(arbiter.status().companion("redis").state, "RUNNING");
}

#[test]
fn a_stop_while_workers_still_wait_for_a_companion_ends_everything() {
    let site = Site::new(
        r#"
        [workers]
        command = ["@worker@"]
        requires = ["redis"]
        [companion.redis]
        command = ["@companion@"]
        ready = "notify"
        "#,
    );
    let arbiter = site.launch();
    site.wait_for_start("redis", 1);
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn a_companion_with_ready_exit_is_done_before_what_comes_after_it_starts() {
    let site = Site::new(
        r#"
        [companion.migrate]
        command = ["@companion@", "--exit-after", "0.2"]
        ready = "exit"
        [companion.web]
        command = ["@companion@"]
        ready = "started"
        start_seconds = 0
        after = ["migrate"]
        "#,
    );
    let arbiter = site.launch();
    let status = arbiter.wait_for_companion("web", "RUNNING");
    assert_eq!(status.companion("migrate").state, "EXITED");
    let order: Vec<_> = site.events().into_iter().map(|event| (event.what, event.name)).collect();
    use tests::What::{Leaves, Started};
    let expected = [(Started, "migrate"), (Leaves, "migrate"), (Started, "web")];
    assert_eq!(order, expected.map(|(what, name)| (what, name.to_owned())));
}
