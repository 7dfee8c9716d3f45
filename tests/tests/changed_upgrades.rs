//! USR2 with another configuration than the first master runs with.

use std::fs;
use std::path::Path;
use tests::http::{self, Load};
use tests::{Arbiter, Site, Status, processes, signal};

/// Two workers with listeners and companions to fill in.
fn shop(top: &str, listeners: &str, more: &str) -> String {
    format!(
        "pidfile = \"@site@/arbiter.pid\"\n{top}\n{listeners}\n[workers]\ncommand = [\"@worker@\"]\ncount = 2\n{more}"
    )
}

fn listener(name: &str, address: &str) -> String {
    format!("[[listener]]\nname = \"{name}\"\naddress = \"{address}\"\n")
}

fn pid_in(site: &Site, name: &str) -> Option<i32> {
    fs::read_to_string(site.path(name)).ok()?.trim().parse().ok()
}

/// Starts a second arbiter and waits until its workers serve; its pid.
fn start_second(site: &Site, first: i32, pidfile: &str) -> i32 {
    let begun = site.log().matches("running, 2 workers ready").count();
    processes::signal(first, signal::USR2);
    site.wait_for("the second arbiter to run", || {
        (site.log().matches("running, 2 workers ready").count() > begun).then_some(())
    });
    pid_in(site, pidfile).expect("it has a pidfile")
}

/// The status that the master with this pid gives on the control socket at `socket`, once it is in charge.
fn in_charge(site: &Site, socket: &Path, pid: i32) -> Status {
    let socket = socket.to_str().expect("a plain path");
    site.wait_for("the other arbiter to be in charge", || {
        let mut command = site.command("arbiterctl");
        command.args(["--socket", socket, "--json", "status"]);
        let output = tests::Output::of(command, tests::PATIENCE);
        let status = (output.code == 0).then(|| Status::parse(&output.stdout))?;
        (status.pid() == pid && status.manager().is_some()).then_some(status)
    })
}

fn end(site: &Site, pid: i32) {
    processes::signal(pid, signal::TERM);
    site.wait_for("it to end", || (!processes::is_alive(pid)).then_some(()));
}

fn old(site_listeners: &[&str]) -> String {
    shop("", &site_listeners.concat(), "")
}

#[test]
fn listeners_come_go_and_move_and_the_files_go_with_whoever_has_them_last() {
    let kept = listener("http", "127.0.0.1:0");
    let gone = listener("gone", "unix:@site@/gone.sock");
    let moved = [listener("moved", "unix:@site@/old.sock"), listener("moved", "unix:@site@/new.sock")];
    let come = listener("come", "unix:@site@/come.sock");
    let site = Site::new(&old(&[&kept, &gone, &moved[0]]));
    let arbiter = site.start();
    let load = Load::start(&arbiter.status().address("http"), 2);
    site.configure(&old(&[&kept, &moved[1], &come]));
    let second = start_second(&site, arbiter.pid(), "arbiter.pid.2");
    for name in ["gone.sock", "old.sock", "new.sock", "come.sock"] {
        assert!(http::get_unix(&site.path(name), "/").is_ok(), "{name} is served while both live");
    }
    // Backing out leaves everything as it was.
    end(&site, second);
    site.wait_for("the first one to notice", || site.log().contains("this one goes on").then_some(()));
    for (name, is_there) in
        [("gone.sock", true), ("old.sock", true), ("new.sock", false), ("come.sock", false)]
    {
        assert_eq!(site.path(name).exists(), is_there, "{name}");
        assert_eq!(http::get_unix(&site.path(name), "/").is_ok(), is_there, "{name}");
    }
    let third = start_second(&site, arbiter.pid(), "arbiter.pid.2");
    assert_eq!(arbiter.stop(), 0);
    let status = in_charge(&site, &site.socket(), third);
    assert_eq!(status.address("come"), format!("unix:{}/come.sock", site.directory()));
    site.wait_for("the files of the first one to go", || {
        let left = ["gone.sock", "old.sock"].iter().any(|name| site.path(name).exists());
        (!left).then_some(())
    });
    for name in ["new.sock", "come.sock"] {
        assert!(http::get_unix(&site.path(name), "/").is_ok(), "{name}");
    }
    load.finish();
    end(&site, third);
}

#[test]
fn the_control_socket_and_the_pidfile_of_the_second_one_are_where_its_configuration_says() {
    let http = listener("http", "127.0.0.1:0");
    let clock = "[companion.clock]\ncommand = [\"@companion@\"]\n";
    let site = Site::new(&shop("", &http, clock));
    let arbiter = site.start();
    site.configure(
        &shop("[control]\nsocket = \"@site@/run/other.sock\"", &http, clock)
            .replace("arbiter.pid", "other.pid"),
    );
    let second = start_second(&site, arbiter.pid(), "other.pid.2");
    assert_eq!(arbiter.status().pid(), arbiter.pid(), "the first one answers where it always did");
    assert!(!site.path("run/other.sock").exists());
    let other = site.path("run/other.sock").to_string_lossy().into_owned();
    let told = |pid: i32| processes::environment(pid)["ARBITER_SOCKET"].clone();
    let workers = site.started("arbiter");
    assert_eq!((workers.len(), told(workers[3])), (4, other), "its workers know where it will be");
    assert_eq!(arbiter.stop(), 0);
    in_charge(&site, &site.path("run/other.sock"), second);
    assert_eq!(pid_in(&site, "other.pid"), Some(second));
    for name in ["run/control.sock", "arbiter.pid", "other.pid.2"] {
        assert!(!site.path(name).exists(), "{name} is left");
    }
    end(&site, second);
}

#[test]
fn sockets_for_each_slot_come_and_go_with_an_upgrade() {
    let per_slot = listener("http", "127.0.0.1:0") + "reuse_port = true\n";
    let shared = listener("http", "127.0.0.1:0");
    let site = Site::new(&shop("", &shared, ""));
    let arbiter: Arbiter<'_> = site.start();
    let address = arbiter.status().address("http");
    let load = Load::start(&address, 2);
    site.configure(&shop("", &per_slot, ""));
    let second = start_second(&site, arbiter.pid(), "arbiter.pid.2");
    assert_eq!(arbiter.stop(), 0);
    assert_eq!(in_charge(&site, &site.socket(), second).address("http"), address);
    site.configure(&shop("", &shared, ""));
    let third = start_second(&site, second, "arbiter.pid.2");
    end(&site, second);
    assert_eq!(in_charge(&site, &site.socket(), third).address("http"), address);
    load.finish();
    end(&site, third);
}

#[test]
fn a_second_one_whose_start_is_forbidden_or_whose_pidfile_is_taken_leaves_the_first_as_it_was() {
    let http = listener("http", "127.0.0.1:0");
    let site = Site::new(&shop("", &http, ""));
    let arbiter = site.start();
    let before = arbiter.status();
    site.configure(&shop("", &http, "[hooks]\non_starting = \"@hook@ --exit-code 3\"\n"));
    arbiter.signal(signal::USR2);
    site.wait_for("the second one to be forbidden", || {
        site.log().contains("exited with status 1: this one goes on").then_some(())
    });
    // A pidfile that names a live arbiter: here the first one itself, under the name of the second one's.
    site.configure(&shop("", &http, ""));
    site.write("arbiter.pid.2", &format!("{}\n", arbiter.pid()));
    arbiter.signal(signal::USR2);
    site.wait_for("the second one to be refused", || {
        (site.log().matches("exited with status 1: this one goes on").count() == 2).then_some(())
    });
    assert!(site.log().contains("says the pidfile"), "{}", site.tail());
    site.remove("arbiter.pid.2");
    let after = arbiter.status();
    assert_eq!((after.worker_pids(), after.manager()), (before.worker_pids(), before.manager()));
    assert_eq!(pid_in(&site, "arbiter.pid"), Some(arbiter.pid()));
    let second = start_second(&site, arbiter.pid(), "arbiter.pid.2");
    end(&site, second);
}

#[test]
fn a_daemon_is_followed_by_a_daemon() {
    let text = shop("[log]\nfile = \"@site@/log\"", &listener("http", "127.0.0.1:0"), "");
    let site = Site::new(&text);
    let output = site.run(&["-c", "arbiter.toml", "--daemon"]);
    assert_eq!(output.code, 0, "{output:?}");
    let first = pid_in(&site, "arbiter.pid").expect("it has a pidfile");
    let second = start_second(&site, first, "arbiter.pid.2");
    end(&site, first);
    in_charge(&site, &site.socket(), second);
    assert_eq!(pid_in(&site, "arbiter.pid"), Some(second));
    for stream in 0..=2 {
        assert_eq!(processes::descriptors(second)[&stream], "/dev/null");
    }
    end(&site, second);
}
