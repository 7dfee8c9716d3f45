//! Ordinary servers as workers, none of which knows arbiter: two of Python's, Node's, and one in Rust. All
//! pass one scenario.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tests::traffic::{Exchange, Fate, Plan, Traffic, tally};
use tests::{Arbiter, Output, Site, Status, http, processes, program, signal};

/// Clients of each kind, closing and keeping.
const CLIENTS: usize = 2;
/// Shorter than the slow import: had an old worker been stopped before the new one served, a request
/// would have waited for the import.
const LATE: Duration = Duration::from_millis(1500);
/// How long the slow import takes.
const IMPORT_SECONDS: &str = "2";

/// What uvicorn and gunicorn serve, Node's server, and where the Python ones are installed.
fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// A program of the Python servers' environment.
fn python_program(name: &str) -> String {
    let environment = std::env::var_os("PEERS_VENV").map_or_else(|| directory().join(".venv"), PathBuf::from);
    let path = environment.join("bin").join(name);
    assert!(path.exists(), "{name} is not installed: run scripts/install-test-deps");
    path.display().to_string()
}

/// A site with two workers that this command starts.
fn site(command: &[&str]) -> Site {
    // Where asgi.py finds `drain`.
    let shop = directory().join("../../examples/webshop");
    let quoted: Vec<String> = command.iter().map(|word| format!("{word:?}")).collect();
    Site::new(&format!(
        r#"
        env = {{ PYTHONDONTWRITEBYTECODE = "1", PYTHONPATH = "{}", IMPORT_SECONDS = "{IMPORT_SECONDS}" }}
        [[listener]]
        address = "127.0.0.1:0"
        [workers]
        command = [{}]
        cwd = "{}"
        count = 2
        "#,
        shop.display(),
        quoted.join(", "),
        directory().display()
    ))
}

fn is_whole(status: &Status) -> bool {
    let workers = status.workers();
    let all_ready = workers.iter().all(|worker| worker.ready && worker.state == "RUNNING");
    status.state() == "running" && workers.len() == 2 && all_ready
}

/// The whole scenario.
#[track_caller]
fn serves_without_a_lost_request(command: &[&str]) {
    let site = site(command);
    let arbiter = site.start();
    let traffic = clients(&arbiter);
    for generation in 2..=4 {
        becomes(&site, &arbiter, &traffic, &["reload"], generation);
    }
    becomes(&site, &arbiter, &traffic, &["restart", "workers"], 5);
    let exchanges = traffic.finish();
    assert_eq!(lost(&exchanges), Vec::<String>::new(), "{:?}\n{}", tally(&exchanges), site.tail());
    let generations: BTreeSet<&str> =
        exchanges.iter().filter_map(|exchange| exchange.body.split_whitespace().last()).collect();
    assert_eq!(generations, BTreeSet::from(["1", "2", "3", "4", "5"]));

    loses_at_most_what_a_killed_worker_had(&site, &arbiter);
    finishes_a_slow_request_at_term(&site, &arbiter);
    hands_over_to_a_second_master(&site, &site.start());
}

fn clients(arbiter: &Arbiter<'_>) -> Traffic {
    let address = arbiter.status().address("http").parse().expect("the address is bound");
    let pause = Duration::from_millis(3);
    Traffic::start(Plan { address, closing: CLIENTS, keeping: CLIENTS, pause, limit: LATE })
}

/// Lets arbiterctl bring a generation, and waits until it is alone and has answered.
fn becomes(site: &Site, arbiter: &Arbiter<'_>, traffic: &Traffic, words: &[&str], generation: u64) {
    has_answers(site, traffic);
    arbiter.done(words);
    arbiter.wait_for_status(&format!("generation {generation} alone"), |status| {
        is_whole(status) && status.workers().iter().all(|worker| worker.generation == generation)
    });
    has_answers(site, traffic);
}

/// Waits for some more answers.
fn has_answers(site: &Site, traffic: &Traffic) {
    let enough = traffic.count() + 8 * CLIENTS;
    site.wait_for("more answers", || (traffic.count() >= enough).then_some(()));
}

/// What was lost, in words.
fn lost(exchanges: &[Exchange]) -> Vec<String> {
    let lost = exchanges.iter().filter(|exchange| exchange.fate != Fate::Good);
    lost.map(|exchange| format!("{:?} after {:?}", exchange.fate, exchange.took)).collect()
}

fn loses_at_most_what_a_killed_worker_had(site: &Site, arbiter: &Arbiter<'_>) {
    let traffic = clients(arbiter);
    has_answers(site, &traffic);
    let victim = arbiter.status().worker_pids()[0];
    processes::signal(victim, signal::KILL);
    site.wait_for("the killed worker's group to be gone", || {
        let members = site.processes().into_iter().filter_map(|(pid, _)| sys::procfs::stat(pid));
        members.into_iter().all(|process| process.pgrp != victim).then_some(())
    });
    let gone = Instant::now();
    arbiter.wait_for_status("two workers without the killed one", |status| {
        is_whole(status) && !status.worker_pids().contains(&victim)
    });
    has_answers(site, &traffic);
    let exchanges = traffic.finish();
    let (before, after): (Vec<_>, Vec<_>) = exchanges.into_iter().partition(|one| one.begun < gone);
    assert!(lost(&before).len() <= 2 * CLIENTS, "{:?}", tally(&before));
    assert_eq!(lost(&after), Vec::<String>::new(), "{:?}", tally(&after));
}

fn finishes_a_slow_request_at_term(site: &Site, arbiter: &Arbiter<'_>) {
    let stream = TcpStream::connect(arbiter.status().address("http")).expect("it listens");
    let own = stream.try_clone().expect("a descriptor is to be had");
    let slow = std::thread::spawn(move || http::exchange(own, "/slow"));
    site.wait_for("the slow request to be read", || http::is_read(&stream).then_some(()));
    assert_eq!(arbiter.stop(), 0, "{}", site.tail());
    let answer = slow.join().expect("the client does not panic");
    assert!(answer.as_ref().is_ok_and(|body| body.starts_with("hello")), "{answer:?}\n{}", site.tail());
}

fn hands_over_to_a_second_master(site: &Site, first: &Arbiter<'_>) {
    let traffic = clients(first);
    has_answers(site, &traffic);
    let begun = site.log().matches("running, 2 workers ready").count();
    first.signal(signal::USR2);
    site.wait_for("the second arbiter to run", || {
        (site.log().matches("running, 2 workers ready").count() > begun).then_some(())
    });
    assert_eq!(first.stop(), 0, "{}", site.tail());
    let second = site.wait_for("the second arbiter to be in charge", || {
        let status = first.try_status()?;
        (status.pid() != first.pid() && is_whole(&status)).then(|| status.pid())
    });
    has_answers(site, &traffic);
    let exchanges = traffic.finish();
    assert_eq!(lost(&exchanges), Vec::<String>::new(), "{:?}\n{}", tally(&exchanges), site.tail());
    processes::signal(second, signal::TERM);
    site.wait_for("the second arbiter to end", || (!processes::is_alive(second)).then_some(()));
}

#[test]
fn uvicorn_whose_import_is_slow_serves_without_a_lost_request() {
    serves_without_a_lost_request(&[
        &python_program("uvicorn"),
        "asgi:app",
        "--fd",
        "{http}",
        "--loop",
        "asyncio",
    ]);
}

#[test]
fn gunicorn_with_its_own_master_serves_without_a_lost_request() {
    // It says READY=1 before its worker exists; with --preload that is after the import.
    serves_without_a_lost_request(&[&python_program("gunicorn"), "--workers", "1", "--preload", "wsgi:app"]);
}

#[test]
fn node_serves_without_a_lost_request() {
    let version = Output::of(std::process::Command::new("node"), Duration::from_secs(20));
    assert_eq!(version.code, 0, "node is not installed: run scripts/install-test-deps");
    serves_without_a_lost_request(&["node", "server.js", "{http}"]);
}

#[test]
fn a_server_in_rust_serves_without_a_lost_request() {
    let worker = program("demo-worker").display().to_string();
    serves_without_a_lost_request(&[&worker]);
}
