//! Who has connected and was not accepted yet, when arbiter stops.

use std::net::TcpStream;
use tests::{Arbiter, PATIENCE, Site, What, http, processes, signal};

/// How many wait.
const WAITING: usize = 64;

fn config(count: u32, reuse_port: bool) -> String {
    format!(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        reuse_port = {reuse_port}
        [workers]
        command = ["@worker@", "--at-end", "@site@/slot-{{slot}}"]
        ready = "started"
        start_seconds = 0
        count = {count}
        "#
    )
}

/// Clients that have connected, and the address.
fn crowd(arbiter: &Arbiter<'_>) -> (Vec<TcpStream>, String) {
    let address = arbiter.status().address("http");
    let connect = |_| {
        let stream = TcpStream::connect(&address).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream
    };
    ((0..WAITING).map(connect).collect(), address)
}

/// Asks arbiter to stop and waits until the workers have been asked to leave.
fn ask(site: &Site, arbiter: &Arbiter<'_>, workers: usize) {
    arbiter.signal(signal::TERM);
    site.wait_for("the workers to be asked", || {
        (site.events().iter().filter(|event| event.what == What::Asked).count() == workers).then_some(())
    });
}

#[track_caller]
fn assert_all_answered(clients: Vec<TcpStream>) {
    for client in clients {
        let answer = http::exchange(client, "/");
        assert!(answer.is_ok(), "{answer:?}");
    }
}

#[test]
fn who_waits_at_a_stop_is_served_and_who_comes_later_is_refused() {
    let site = Site::new(&config(1, false));
    let arbiter = site.start();
    let listening = processes::descriptors(arbiter.status().worker_pids()[0])[&3].clone();
    let (clients, address) = crowd(&arbiter);
    ask(&site, &arbiter, 1);
    let open = processes::descriptors(arbiter.pid());
    assert!(open.values().all(|what| *what != listening), "arbiter's own copy is closed: {open:?}");
    site.write("slot-1", "serve");
    assert_all_answered(clients);
    assert_eq!(arbiter.wait_exit(), 0);
    assert_eq!(TcpStream::connect(&address).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_worker_that_leaves_early_takes_nobody_along() {
    let site = Site::new(&config(2, false));
    let arbiter = site.start();
    let pids = arbiter.status().worker_pids();
    let (clients, _) = crowd(&arbiter);
    ask(&site, &arbiter, 2);
    site.write("slot-1", "leave");
    site.wait_for("the first worker to be gone", || (!processes::is_alive(pids[0])).then_some(()));
    site.write("slot-2", "serve");
    assert_all_answered(clients);
    assert_eq!(arbiter.wait_exit(), 0);
}

#[test]
fn every_slot_serves_who_waits_on_its_own_socket() {
    let site = Site::new(&config(2, true));
    let arbiter = site.start();
    let (clients, _) = crowd(&arbiter);
    ask(&site, &arbiter, 2);
    site.write("slot-1", "serve");
    site.write("slot-2", "serve");
    assert_all_answered(clients);
    assert_eq!(arbiter.wait_exit(), 0);
}
