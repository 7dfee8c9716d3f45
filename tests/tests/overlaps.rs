//! Reloads in which an old and a new address cannot be bound at the same time by themselves.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use sys::listener::{Address, Listener, Options};
use tests::http::{self, Load};
use tests::{Arbiter, Site};

fn config(address: &str, rest: &str) -> String {
    format!(
        r#"
        [[listener]]
        address = "{address}"
        {rest}
        [[listener]]
        name = "steady"
        address = "unix:@site@/steady.sock"
        [workers]
        command = ["@worker@"]
        count = 2
        "#
    )
}

/// The port that a listener was given.
fn port_of(arbiter: &Arbiter<'_>, listener: &str) -> String {
    let address = arbiter.status().address(listener);
    address.rsplit(':').next().unwrap_or_default().to_owned()
}

/// Whether this machine has IPv6.
fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

#[track_caller]
fn wait_for_generation(arbiter: &Arbiter<'_>, generation: u64) {
    arbiter.wait_for_status(&format!("generation {generation} alone"), |status| {
        let workers = status.workers();
        status.state() == "running"
            && workers.len() == 2
            && workers.iter().all(|worker| worker.ready && worker.generation == generation)
    });
}

#[test]
fn an_address_moves_between_one_and_all_interfaces_without_a_failed_request() {
    let site = Site::new(&config("127.0.0.1:0", ""));
    let arbiter = site.start();
    let port = port_of(&arbiter, "http");
    let mut addresses = vec![format!("127.0.0.1:{port}"), format!("0.0.0.0:{port}"), format!(":{port}")];
    if has_ipv6() {
        addresses.extend([format!("[::]:{port}"), format!("127.0.0.1:{port}")]);
        addresses.extend([format!("[::]:{port}"), format!("0.0.0.0:{port}")]);
    }
    addresses.push(format!("localhost:{port}"));
    let client = format!("127.0.0.1:{port}");
    let load = Load::start(&client, 2);
    for (generation, address) in (2..).zip(&addresses) {
        let line = if generation % 3 == 0 { "reuse_port = true" } else { "" };
        site.configure(&config(address, line));
        arbiter.done(&["reload"]);
        wait_for_generation(&arbiter, generation);
        assert_eq!(http::who(&client).unwrap().generation, generation, "{address}");
        let bound = arbiter.status().address("http");
        let expected = address.replace("localhost", "127.0.0.1");
        let expected = if expected.starts_with(':') { format!("0.0.0.0{expected}") } else { expected };
        assert_eq!(bound, expected);
        assert!(http::get_unix(&site.path("steady.sock"), "/").is_ok());
    }
    load.finish();
}

#[test]
fn who_comes_during_a_reload_that_fails_is_served_by_the_old_workers() {
    for line in ["", "reuse_port = true"] {
        fail_to_move(line);
    }
}

/// Reloads from all interfaces to one, with code that is broken.
fn fail_to_move(line: &str) {
    let site = Site::new(&config("0.0.0.0:0", line));
    let arbiter = site.start();
    let port = port_of(&arbiter, "http");
    let before = arbiter.status().worker_pids();
    let load = Load::start(&format!("127.0.0.1:{port}"), 2);
    for _ in 0..3 {
        // More exactly what the clients ask for than the old one: all of them would come to it.
        let unready = format!(
            "{}ready = \"notify\"\nstart_timeout = 0.3\n",
            config(&format!("127.0.0.1:{port}"), line)
        );
        site.configure(&unready);
        arbiter.ctl(&["reload"]).failed_with(1);
        assert_eq!(arbiter.status().address("http"), format!("0.0.0.0:{port}"));
    }
    let served = load.finish();
    assert!(served.iter().all(|who| who.generation == 1));
    assert_eq!(arbiter.status().worker_pids(), before);
}

#[test]
fn v6only_is_switched_at_a_reload() {
    if !has_ipv6() {
        return tests::not_tested("this machine has no IPv6");
    }
    let site = Site::new(&config("[::]:0", ""));
    let arbiter = site.start();
    let port = port_of(&arbiter, "http");
    let address = format!("[::]:{port}");
    let (four, six) = (format!("127.0.0.1:{port}"), format!("[::1]:{port}"));
    let load = Load::start(&six, 1);
    assert!(http::who(&four).is_ok(), "one socket is for both families");
    site.configure(&config(&address, "v6only = true"));
    arbiter.done(&["reload"]);
    wait_for_generation(&arbiter, 2);
    assert_eq!(http::who(&six).unwrap().generation, 2);
    assert!(http::who(&four).is_err());
    site.configure(&config(&address, ""));
    arbiter.done(&["reload"]);
    wait_for_generation(&arbiter, 3);
    assert_eq!(http::who(&four).unwrap().generation, 3);
    load.finish();
}

#[test]
fn an_address_of_somebody_else_is_refused_though_it_overlaps_with_an_own_one() {
    let other = TcpListener::bind("127.0.0.2:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let own = format!("127.0.0.1:{port}");
    let site = Site::new(&config(&own, ""));
    let arbiter = site.start();
    let before = arbiter.status();
    let load = Load::start(&own, 1);
    site.configure(&config(&format!("0.0.0.0:{port}"), ""));
    let line = arbiter.ctl(&["reload"]).failed_with(1).to_owned();
    assert!(line.contains(&format!("0.0.0.0:{port}")) && line.contains("another program"), "{line}");
    let after = arbiter.status();
    assert_eq!((after.address("http"), after.worker_pids()), (own.clone(), before.worker_pids()));
    load.finish();
    // And nobody else may share what was only to be shared for that moment.
    let shared = Options { reuse_port: true, ..Options::default() };
    assert!(Listener::bind(&Address::Tcp(own.parse().unwrap()), &shared).is_err());
}

#[test]
fn listeners_exchange_addresses_and_names_without_being_opened_anew() {
    let two = |first: &str, second: &str, third: &str| {
        format!(
            r#"
            [[listener]]
            name = "{first}"
            address = "127.0.0.1:{second}"
            [[listener]]
            name = "b"
            address = "127.0.0.1:{third}"
            [workers]
            command = ["@worker@"]
            "#
        )
    };
    let site = Site::new(&two("a", "0", "0"));
    let arbiter = site.start();
    let (one, other) = (port_of(&arbiter, "a"), port_of(&arbiter, "b"));
    let listening = || -> Vec<String> {
        let pid = arbiter.status().ready_workers()[0].pid.unwrap();
        let open = tests::processes::descriptors(pid);
        vec![open[&3].clone(), open[&4].clone()]
    };
    let before = listening();
    let loads = [&one, &other].map(|port| Load::start(&format!("127.0.0.1:{port}"), 1));
    site.configure(&two("a", &other, &one));
    arbiter.done(&["reload"]);
    assert_eq!(listening(), before.iter().rev().cloned().collect::<Vec<_>>());
    site.configure(&two("c", &one, &other));
    arbiter.done(&["reload"]);
    assert_eq!(listening(), before);
    assert_eq!(arbiter.status().address("c"), format!("127.0.0.1:{one}"));
    loads.into_iter().for_each(|load| drop(load.finish()));
}

#[test]
fn nobody_is_left_with_an_old_worker_that_holds_its_socket_on() {
    let holding = |address: &str, flags: &str, ready: &str| {
        format!(
            "[[listener]]\naddress = \"{address}\"\n[workers]\ncommand = [\"@worker@\"{flags}]\n{ready}\n"
        )
    };
    let mute = ", \"--at-end\", \"@site@/end\"";
    let site = Site::new(&holding("127.0.0.1:0", mute, "ready = \"started\"\nstart_seconds = 0"));
    let arbiter = site.start();
    let address = arbiter.status().address("http");
    let port = port_of(&arbiter, "http");
    site.configure(&holding(&format!("0.0.0.0:{port}"), "", ""));
    arbiter.done(&["reload"]);
    // The old socket says more exactly what the client asks for, but nobody will accept on it any more.
    let client = address.parse().unwrap();
    let tried = TcpStream::connect_timeout(&client, Duration::from_millis(200));
    assert_eq!(tried.unwrap_err().kind(), ErrorKind::TimedOut);
    let waiting = std::thread::spawn(move || http::who(&address));
    site.write("end", "leave");
    arbiter.wait_for_status("the old worker to be gone", |status| status.workers().len() == 1);
    assert_eq!(waiting.join().unwrap().unwrap().generation, 2);
}
