//! The directory arbiter was started in has gone.

use std::fs;
use std::process::Command;
use tests::{Arbiter, Site, installed, processes, signal};

/// Nothing of it needs the first directory.
const ELSEWHERE: &str = "chdir = \"@site@\"\n[workers]\ncommand = [\"@worker@\", \"--no-listener\"]\n";

/// An installed arbiter with this configuration that was started in the directory `first`, which is not there any more.
fn start_in_vanished<'a>(site: &'a Site, config: &str) -> Arbiter<'a> {
    let first = site.path("first");
    fs::create_dir(&first).expect("a directory can be made");
    let mut command = site.marked(Command::new(site.path("bin/arbiter")));
    command.args(["-c", config]).current_dir(&first).env("PWD", &first);
    let arbiter = site.launch_command(command);
    arbiter.wait_until_running();
    fs::remove_dir(&first).expect("it is empty");
    arbiter
}

fn install(text: &str) -> Site {
    let site = Site::new(text);
    installed::install(&site);
    site
}

#[test]
fn what_does_not_need_it_is_reloaded_and_upgraded() {
    let site = install(ELSEWHERE);
    let arbiter = start_in_vanished(&site, &site.expand("@site@/arbiter.toml"));
    arbiter.done(&["reload"]);
    let status = arbiter.wait_until_running();
    assert_eq!(status.generation(), 2);
    let manager = status.manager();
    arbiter.done(&["upgrade"]);
    let after = arbiter.wait_for_status("a manager", |status| status.manager().is_some());
    assert_ne!(after.manager(), manager);
    arbiter.done(&["reload"]);
    assert_eq!(arbiter.wait_until_running().generation(), 3);
    // The first directory, and none else, stays the one that relative paths begin in.
    fs::create_dir(site.path("first")).unwrap();
    site.configure(&ELSEWHERE.replace("@site@", "."));
    arbiter.done(&["reload"]);
    let worker = site.wait_for_start("arbiter", 4);
    assert_eq!(fs::read_link(format!("/proc/{worker}/cwd")).unwrap(), site.path("first"));
    assert!(processes::is_alive(worker));
}

#[test]
fn what_needs_it_fails_and_names_it() {
    let site = install(ELSEWHERE);
    let arbiter = start_in_vanished(&site, "../arbiter.toml");
    let before = arbiter.status().worker_pids();
    let gone = format!(
        "the directory arbiter was started in, \"{}\", is not there any more",
        site.path("first").display()
    );
    for verb in ["reload", "upgrade"] {
        let line = arbiter.ctl(&[verb]).failed_with(1).to_owned();
        assert!(line.contains(&gone) && line.contains("make it again"), "{line}");
    }
    assert_eq!(arbiter.status().worker_pids(), before);
    arbiter.signal(signal::USR2);
    let wanted = format!("cannot change to the directory {}: No such file", site.path("first").display());
    site.wait_for("the reason in the log", || site.log().contains(&wanted).then_some(()));
    arbiter.wait_until_running();
}
