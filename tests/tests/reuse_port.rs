//! `reuse_port = true`: a socket for each slot, held by arbiter.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use tests::http::{self, Load};
use tests::{Arbiter, Site, processes, signal};

fn config(reuse_port: bool, rest: &str) -> String {
    format!(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        reuse_port = {reuse_port}
        [workers]
        command = ["@worker@", "--exit-if", "@site@/broken-{{slot}}"]
        count = 2
        {rest}
        "#
    )
}

/// With workers that accept nobody before they are asked to leave.
fn mute(config: &str) -> String {
    config.replace("\"--exit-if\"", "\"--at-end\", \"@site@/end\", \"--exit-if\"")
}

/// The socket that a worker inherited, as `/proc` names it.
fn socket_of(pid: i32) -> String {
    processes::descriptors(pid).get(&3).expect("a worker has a listener").clone()
}

/// The sockets of the ready workers, by slot.
fn sockets(arbiter: &Arbiter<'_>, count: usize) -> BTreeMap<u64, String> {
    let status = arbiter.wait_for_status(&format!("{count} workers and no other"), |status| {
        status.ready_workers().len() == count && status.workers().len() == count
    });
    let workers = status.ready_workers().into_iter();
    workers.map(|worker| (worker.slot, socket_of(worker.pid.expect("it is ready")))).collect()
}

fn holds(pid: i32, socket: &str) -> bool {
    processes::descriptors(pid).values().any(|what| what == socket)
}

#[test]
fn a_slot_keeps_its_socket_from_worker_to_worker() {
    let site = Site::new(&config(true, ""));
    let arbiter = site.start();
    let status = arbiter.status();
    let address = status.address("http");
    assert_eq!(status.0["listeners"].as_array().map(Vec::len), Some(1));
    let first = sockets(&arbiter, 2);
    assert_ne!(first[&1], first[&2]);
    assert!(!site.log().contains("has no effect"), "{}", site.log());

    let load = Load::start(&address, 2);
    arbiter.done(&["restart", "worker", "2"]);
    assert_eq!(sockets(&arbiter, 2), first);
    arbiter.done(&["reload"]);
    assert_eq!(sockets(&arbiter, 2), first);
    load.goes_on();
    let served: BTreeSet<_> = load.finish().into_iter().map(|who| who.slot).collect();
    assert_eq!(served, BTreeSet::from([1, 2]));
    assert_eq!(arbiter.status().address("http"), address);
}

#[test]
fn the_sockets_follow_the_number_of_workers() {
    let site = Site::new(&config(true, ""));
    let arbiter = site.start();
    let address = arbiter.status().address("http");
    let first = sockets(&arbiter, 2);
    arbiter.done(&["scale", "workers", "4"]);
    let four = sockets(&arbiter, 4);
    assert_eq!(four.values().collect::<BTreeSet<_>>().len(), 4);
    assert!(first.iter().all(|(slot, socket)| four[slot] == *socket));
    let served = || -> BTreeSet<u64> { (0..64).map(|_| http::who(&address).unwrap().slot).collect() };
    // Each slot is missed with a probability of 3 in 4 to the power of 64.
    assert_eq!(served().len(), 4);

    arbiter.done(&["scale", "workers", "1"]);
    let one = sockets(&arbiter, 1);
    let (slot, socket) = one.first_key_value().unwrap();
    assert_eq!(four[slot], *socket);
    site.wait_for("the other sockets to be closed", || {
        four.values().all(|any| holds(arbiter.pid(), any) == (any == socket)).then_some(())
    });
    assert_eq!(served(), BTreeSet::from([*slot]));
    arbiter.done(&["scale", "workers", "3"]);
    assert_eq!(sockets(&arbiter, 3)[slot], *socket);
    assert_eq!(served().len(), 3);
}

#[test]
fn what_waits_on_a_slots_socket_is_served_by_the_next_worker() {
    let site = Site::new(&config(true, ""));
    let arbiter = site.start();
    let status = arbiter.status();
    let address = status.address("http");
    let pids = status.worker_pids();
    pids.iter().for_each(|pid| processes::signal(*pid, signal::STOP));
    let waiting: Vec<TcpStream> = (0..32).map(|_| TcpStream::connect(&address).unwrap()).collect();
    pids.iter().for_each(|pid| processes::signal(*pid, signal::KILL));
    for stream in waiting {
        stream.set_read_timeout(Some(tests::PATIENCE)).unwrap();
        let answer = http::exchange(stream, "/").unwrap();
        assert!(pids.iter().all(|pid| !answer.contains(&format!(" {pid} "))), "{answer}");
    }
}

#[test]
fn nobody_is_sent_to_a_slot_in_which_no_worker_serves() {
    let site = Site::new(&config(true, ""));
    let arbiter = site.start();
    let status = arbiter.status();
    site.write("broken-2", "1");
    processes::signal(status.worker_pids()[1], signal::KILL);
    arbiter.wait_for_status("slot 2 to back off", |status| status.workers()[1].state == "BACKOFF");
    let address = status.address("http");
    // Of these a half would wait for the worker that does not come.
    let served: BTreeSet<u64> = (0..64).map(|_| http::who(&address).unwrap().slot).collect();
    assert_eq!(served, BTreeSet::from([1]));
    site.remove("broken-2");
    arbiter.wait_for_status("both slots to serve", |status| status.ready_workers().len() == 2);
    let served: BTreeSet<u64> = (0..64).map(|_| http::who(&address).unwrap().slot).collect();
    assert_eq!(served, BTreeSet::from([1, 2]));
}

#[test]
fn it_is_switched_on_and_off_by_a_reload_without_a_failed_request() {
    let site = Site::new(&config(false, ""));
    let arbiter = site.start();
    let address = arbiter.status().address("http");
    let shared = sockets(&arbiter, 2);
    assert_eq!(shared[&1], shared[&2]);
    let load = Load::start(&address, 2);
    for _ in 0..2 {
        site.configure(&config(true, ""));
        arbiter.done(&["reload"]);
        let own = sockets(&arbiter, 2);
        assert_ne!(own[&1], own[&2]);
        assert!(own.values().any(|socket| *socket == shared[&1]), "the old one serves on: {own:?}");
        site.configure(&config(false, ""));
        arbiter.done(&["reload"]);
        assert_eq!(sockets(&arbiter, 2), shared);
    }
    load.finish();
    assert_eq!(arbiter.status().address("http"), address);
}

#[test]
fn nobody_waits_for_new_workers_that_do_not_come_when_it_is_switched_on() {
    let site = Site::new(&config(false, ""));
    let arbiter = site.start();
    let before = arbiter.status();
    let address = before.address("http");
    let load = Load::start(&address, 2);
    site.write("end", "leave");
    site.configure(&mute(&config(true, "ready = \"notify\"\nstart_timeout = 1")));
    arbiter.ctl(&["reload"]).failed_with(1);
    // Somebody on a socket of the new workers would have been cut off with it.
    load.finish();
    let after = arbiter.wait_for_status("the old workers alone", |status| status.workers().len() == 2);
    assert_eq!(after.worker_pids(), before.worker_pids());
    arbiter.done(&["restart", "workers"]);
    let shared = sockets(&arbiter, 2);
    assert_eq!(shared[&1], shared[&2]);
}

#[test]
fn nobody_is_left_with_a_slot_that_shrinks_away_slowly() {
    let site = Site::new(&config(true, ""));
    let arbiter = site.start();
    let address = arbiter.status().address("http");
    // Enough that each slot has one under way, but for a probability of 1 in 2 to the power of 15.
    let slow: Vec<_> = (0..16)
        .map(|_| {
            let address = address.clone();
            std::thread::spawn(move || http::get(&address, "/sleep/2"))
        })
        .collect();
    site.wait_for("both workers to be busy", || {
        let busy = |pid: &i32| processes::status_line(*pid, "Threads") != "1";
        arbiter.status().worker_pids().iter().all(busy).then_some(())
    });
    arbiter.done(&["--no-wait", "scale", "workers", "1"]);
    let status = arbiter.wait_for_status("one to leave", |status| {
        status.ready_workers().len() == 1 && status.workers().iter().any(|worker| worker.state == "STOPPING")
    });
    let slot = status.ready_workers()[0].slot;
    let served: BTreeSet<u64> = (0..64).map(|_| http::who(&address).unwrap().slot).collect();
    assert_eq!(served, BTreeSet::from([slot]));
    assert!(arbiter.status().workers().len() == 2, "the other one was still there");
    slow.into_iter().for_each(|client| drop(client.join().unwrap().unwrap()));
}

#[test]
fn nobody_is_left_with_an_old_workers_socket_when_it_is_switched_off() {
    let site = Site::new(&mute(&config(true, "ready = \"started\"\nstart_seconds = 0")));
    let arbiter = site.start();
    let address = arbiter.status().address("http");
    let client = TcpStream::connect(&address).unwrap();
    site.configure(&config(false, ""));
    arbiter.done(&["reload"]);
    let old = arbiter.status().workers().into_iter().filter(|worker| worker.state == "STOPPING").count();
    assert_eq!(old, 2, "they hold their sockets on");
    let served: BTreeSet<u64> = (0..64).map(|_| http::who(&address).unwrap().generation).collect();
    assert_eq!(served, BTreeSet::from([2]));
    site.write("end", "serve");
    client.set_read_timeout(Some(tests::PATIENCE)).unwrap();
    assert!(http::exchange(client, "/").is_ok(), "who waited before is served, by whichever worker");
}
