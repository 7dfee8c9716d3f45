//! arbiter is killed, with or without its manager: the next start ends what is left, and then runs clean.

use std::time::{Duration, Instant};
use tests::http::Load;
use tests::{Arbiter, Site, Status, What, http, processes, signal};

const BUSY: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [[listener]]
    name = "local"
    address = "unix:@site@/app.sock"
    [workers]
    command = ["@worker@", "--ignore-term"]
    count = 4
    [companion.polite]
    command = ["@companion@", "--fork-child"]
    ready = "started"
    start_seconds = 0
    [companion.deaf]
    command = ["@companion@", "--ignore-term", "--fork-child", "--child-ignores-term"]
    ready = "started"
    start_seconds = 0
    stop_timeout = 3600
    [companion.plain]
    command = ["@companion@"]
    ready = "started"
    start_seconds = 0
"#;

/// Starts it and waits until everything runs.
fn start(site: &Site) -> (Arbiter<'_>, Status) {
    let arbiter = site.start();
    let status = wait_for_all(&arbiter);
    site.wait_for_start("polite-child", 1);
    site.wait_for_start("deaf-child", 1);
    (arbiter, status)
}

fn wait_for_all(arbiter: &Arbiter<'_>) -> Status {
    arbiter.wait_for_status("everything to run", |status| {
        status.ready_workers().len() == 4
            && ["polite", "deaf", "plain"].iter().all(|name| status.companion(name).state == "RUNNING")
    })
}

/// Starts another one on the address the first one had, waits until it runs everything, and looks for doubles.
fn start_again<'s>(site: &'s Site, before: &Status) -> Arbiter<'s> {
    let bind = format!("http={}", before.address("http"));
    let local = format!("local=unix:{}/app.sock", site.directory());
    let second = site.launch_with(&["-c", "arbiter.toml", "-b", &bind, "-b", &local]);
    let status = wait_for_all(&second);
    assert_eq!(status.address("http"), before.address("http"));
    assert!(http::who(&status.address("http")).is_ok());
    assert!(http::get_unix(&site.path("app.sock"), "/").is_ok());
    site.wait_for("everything to run exactly once", || {
        let live = site.processes();
        let of = |program: &str| live.iter().filter(|(_, line)| line.contains(program)).count();
        // Two of the three companions have a child.
        (of("fake-worker") == 4 && of("fake-companion") == 5 && of("arbiter: companion manager") == 1)
            .then_some(())
    });
    let masters = site.processes().into_iter().filter(|(_, line)| line.starts_with("arbiter: master"));
    assert_eq!(masters.map(|(pid, _)| pid).collect::<Vec<_>>(), [second.pid()]);
    second
}

/// Stops it at once, and looks for what it leaves.
fn end(site: &Site, arbiter: &Arbiter<'_>) {
    arbiter.done(&["shutdown", "--force"]);
    assert_eq!(arbiter.wait_exit(), 0);
    let left: Vec<_> = std::fs::read_dir(site.path("run"))
        .expect("it is there")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!site.path("app.sock").exists());
}

#[test]
fn a_start_at_once_after_a_kill_under_load_runs_everything_exactly_once() {
    let site = Site::new(BUSY);
    let (first, status) = start(&site);
    let load = Load::start(&status.address("http"), 4);
    for _ in 0..50 {
        http::who(&status.address("http")).expect("it is served");
    }
    let begun = Instant::now();
    first.kill();
    drop(load);
    let second = start_again(&site, &status);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // The old manager was left the time to end its companions in good order.
    let leavers = site.events().into_iter().filter(|event| event.what == What::Leaves);
    assert!(leavers.filter(|event| event.name.starts_with("polite")).count() >= 2);
    assert!(site.log().contains(&format!("arbiter {} was killed and left", first.pid())));
    end(&site, &second);
}

#[test]
fn workers_are_gone_within_half_a_second_and_companions_within_five() {
    let site = Site::new(BUSY);
    let (first, status) = start(&site);
    let begun = Instant::now();
    first.kill();
    let workers = status.worker_pids();
    site.wait_for("the workers to be gone", || {
        workers.iter().all(|pid| !processes::is_alive(*pid)).then_some(())
    });
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    site.wait_for("everything to be gone", || site.processes().is_empty().then_some(()));
    assert!(begun.elapsed() < Duration::from_secs(6), "five, and a loaded machine: {:?}", begun.elapsed());
}

#[test]
fn arbiter_and_the_manager_killed_together_leave_nothing_to_the_next_start() {
    let site = Site::new(BUSY);
    let (first, status) = start(&site);
    processes::signal(status.manager().unwrap(), signal::STOP);
    first.kill();
    processes::signal(status.manager().unwrap(), signal::KILL);
    let second = start_again(&site, &status);
    let polite = status.pid_of("polite");
    let asked = |event: &tests::Event| event.what == What::Asked && event.pid == polite;
    assert!(site.events().iter().any(asked), "companions are asked first");
    end(&site, &second);
}

#[test]
fn a_manager_that_was_stopped_when_arbiter_was_killed_is_woken_to_end_its_companions() {
    let site = Site::new(BUSY);
    let (first, status) = start(&site);
    processes::signal(status.manager().unwrap(), signal::STOP);
    first.kill();
    let second = start_again(&site, &status);
    assert!(!processes::is_alive(status.manager().unwrap()));
    assert!(!processes::is_alive(status.pid_of("deaf")));
    end(&site, &second);
}

#[test]
fn what_the_list_names_is_left_alone_when_the_number_has_come_to_mean_somebody_else() {
    let site = Site::new(BUSY);
    let (first, status) = start(&site);
    first.kill();
    site.wait_for("everything to be gone", || site.processes().is_empty().then_some(()));
    // The list now names a stranger, who has the number of a killed worker.
    let mut stranger = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let number = i32::try_from(stranger.id()).unwrap();
    let list = site.path("run/control.sock.running");
    let mut bytes = std::fs::read(&list).unwrap();
    let worker = status.worker_pids()[0].to_le_bytes();
    let place = bytes.windows(4).rposition(|window| window == worker).expect("the worker is listed");
    bytes[place..place + 4].copy_from_slice(&number.to_le_bytes());
    std::fs::write(&list, bytes).unwrap();
    let second = start_again(&site, &status);
    assert!(processes::is_alive(number), "its start time is another");
    assert!(!site.log().contains("was killed and left"));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    end(&site, &second);
}
