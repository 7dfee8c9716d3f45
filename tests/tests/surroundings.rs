//! arbiter among others: its own supervisor, its log, and processes that nobody owns.

use std::os::unix::net::UnixDatagram;
use tests::{Site, processes, signal};

const PLAIN: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@"]
    count = 2
"#;

#[test]
fn arbiter_tells_its_own_supervisor_when_it_is_ready_reloads_and_stops() {
    let site = Site::new(PLAIN);
    let socket = UnixDatagram::bind(site.path("outer")).unwrap();
    socket.set_read_timeout(Some(tests::PATIENCE)).unwrap();
    let heard = |wanted: &str| {
        let mut text = String::new();
        while !text.lines().any(|line| line == wanted) {
            let mut buffer = [0; 4096];
            let length =
                socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{wanted}: {error}\n{}", site.tail()));
            text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        }
        text
    };
    let mut command = site.command("arbiter");
    command.args(["-c", "arbiter.toml"]).env("NOTIFY_SOCKET", site.path("outer"));
    let arbiter = site.launch_command(command);
    heard("READY=1");
    assert_eq!(arbiter.status().ready_workers().len(), 2);
    arbiter.signal(signal::HUP);
    let reloading = heard("RELOADING=1");
    assert!(reloading.lines().any(|line| line.starts_with("MONOTONIC_USEC=")), "{reloading}");
    heard("READY=1");
    arbiter.signal(signal::TERM);
    heard("STOPPING=1");
    assert_eq!(arbiter.wait_exit(), 0);
    std::fs::remove_file(site.path("outer")).unwrap();
}

#[test]
fn a_daemonised_grandchild_is_shown_as_a_stray_and_ended_last() {
    let site = Site::new(
        r#"
        [companion.launcher]
        # It stays until the other has left its group: what is in there ends with it.
        command = ["sh", "-c", "setsid --fork @companion@ --as-child; until grep -q child announcements; do sleep 0.01; done"]
        cwd = "@site@"
        restart = "never"
        "#,
    );
    let arbiter = site.start();
    let stray = site.wait_for_start("launcher-child", 1);
    let status = arbiter.wait_for_status("the stray to be shown", |status| {
        status.0["strays"].as_array().is_some_and(|strays| strays.iter().any(|one| one["pid"] == stray))
    });
    assert!(status.companion("launcher").pids() != [stray]);
    arbiter.wait_for_companion("launcher", "EXITED");
    assert!(processes::is_alive(stray), "it is left alone");
    assert_eq!(arbiter.stop(), 0);
    let leaves = site.events().into_iter().filter(|event| event.what == tests::What::Leaves);
    assert_eq!(leaves.map(|event| event.pid).collect::<Vec<_>>(), [stray], "it was asked, not killed");
}

#[test]
fn zombies_of_strangers_are_reaped() {
    let site = Site::new(
        r#"
        [companion.parent]
        command = ["@companion@", "--fork-child"]
        ready = "started"
        start_seconds = 0
        restart = "never"
        "#,
    );
    let arbiter = site.start();
    let child = site.wait_for_start("parent-child", 1);
    let parent = site.wait_for_start("parent", 1);
    processes::signal(parent, signal::KILL);
    arbiter.wait_for_companion("parent", "EXITED");
    site.wait_for("the child to be gone and reaped", || sys::procfs::stat(child).is_none().then_some(()));
}

#[test]
fn usr1_and_hup_open_the_log_anew() {
    let log = format!("[log]\nfile = \"@site@/own.log\"\n{PLAIN}");
    let site = Site::new(&log);
    let arbiter = site.start();
    assert!(std::fs::read_to_string(site.path("own.log")).unwrap().contains("starts"));
    for (number, name) in [(signal::USR1, "first"), (signal::HUP, "second")] {
        std::fs::rename(site.path("own.log"), site.path(name)).unwrap();
        arbiter.signal(number);
        site.wait_for("a new log", || site.path("own.log").exists().then_some(()));
        arbiter.wait_until_running();
    }
    processes::signal(arbiter.status().worker_pids()[0], signal::KILL);
    site.wait_for("news in the new log", || {
        std::fs::read_to_string(site.path("own.log")).unwrap_or_default().contains("SIGKILL").then_some(())
    });
}

#[test]
fn json_lines_are_json_and_name_worker_and_pid() {
    let site = Site::new(&format!("[log]\nformat = \"json\"\n{PLAIN}"));
    let arbiter = site.start();
    processes::signal(arbiter.status().worker_pids()[0], signal::KILL);
    site.wait_for("the death in the log", || site.log().contains("SIGKILL").then_some(()));
    for line in site.log().lines() {
        let value: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for key in ["time", "level", "message"] {
            assert!(value[key].is_string(), "{key} in {line}");
        }
    }
}
