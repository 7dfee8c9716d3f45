//! `--daemon`: the command returns when arbiter is ready, or with the exit status of the failed start.

use std::fs::File;
use std::os::unix::fs::FileTypeExt;
use std::process::Stdio;
use tests::{Output, Site, http, processes, signal};

const PLAIN: &str = r#"
    pidfile = "@site@/arbiter.pid"
    [log]
    file = "@site@/log"
    [[listener]]
    address = "unix:@site@/app.sock"
    [workers]
    command = ["@worker@"]
    count = 2
    [companion.clock]
    command = ["@companion@"]
"#;

/// The daemon's number, from its pidfile, which has to be there.
fn daemon(site: &Site) -> i32 {
    std::fs::read_to_string(site.path("arbiter.pid")).expect("a pidfile").trim().parse().expect("a number")
}

fn stop(site: &Site, pid: i32) {
    processes::signal(pid, signal::TERM);
    site.wait_for("the daemon to end", || (!processes::is_alive(pid)).then_some(()));
}

#[test]
fn the_command_returns_when_arbiter_is_ready_and_leaves_nothing_open() {
    let site = Site::new(PLAIN);
    // Reading both outputs to their ends, as a shell's command substitution does, does not wait for the daemon.
    let output = site.run(&["-c", "arbiter.toml", "--daemon"]);
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (0, "", ""), "{output:?}");
    let pid = daemon(&site);
    assert!(http::get_unix(&site.path("app.sock"), "/").is_ok(), "it serves");
    let stat = sys::procfs::stat(pid).unwrap();
    assert_eq!((stat.session, stat.pgrp), (pid, pid), "a session of its own");
    let open = processes::descriptors(pid);
    for stream in 0..=2 {
        assert_eq!(open[&stream], "/dev/null", "{open:?}");
    }
    for (child, line) in site.processes().into_iter().filter(|(child, _)| *child != pid) {
        let open = processes::descriptors(child);
        assert_eq!([&open[&1], &open[&2]], ["/dev/null"; 2], "{line}: {open:?}");
    }
    let status = site.ctl(&["--json", "status"]).json();
    assert_eq!(status["arbiter"]["pid"], pid);
    stop(&site, pid);
}

#[test]
fn the_command_waits_for_readiness() {
    let site = Site::new(&PLAIN.replace("\"@worker@\"", "\"@worker@\", \"--ready-when\", \"@site@/go\""));
    let mut command = site.command("arbiter");
    let child = command.args(["-c", "arbiter.toml", "--daemon"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = child.spawn().unwrap();
    site.wait_for_start("arbiter", 2);
    assert!(child.try_wait().unwrap().is_none(), "no worker is ready yet");
    site.write("go", "");
    let status = site.wait_for("the command", || child.try_wait().unwrap());
    assert!(status.success());
    stop(&site, daemon(&site));
}

#[test]
fn a_failed_start_is_the_commands_own() {
    let site = Site::new("colour = 1\n");
    let output = site.run(&["-c", "arbiter.toml", "--daemon"]);
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.contains("colour"), "{output:?}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = site.run(&["-b", &address, "-p", "@site@/arbiter.pid", "--daemon", "--", "@worker@"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains(&address), "{output:?}");

    site.write("code", "3");
    let output = site.run(&["--daemon", "--", "@worker@", "--exit-if", "@site@/code"]);
    assert_eq!(output.code, 3, "a code of halt_exit_codes: {output:?}");
    assert!(output.stderr.contains("exited with status 3"), "{output:?}");
}

#[test]
fn a_daemon_that_is_stopped_before_it_is_ready_is_no_success() {
    let site = Site::new(&PLAIN.replace("\"@worker@\"", "\"@worker@\", \"--ready-when\", \"@site@/never\""));
    let mut command = site.command("arbiter");
    let said = File::create(site.path("said")).unwrap();
    let mut child = command.args(["-c", "arbiter.toml", "--daemon"]).stderr(said).spawn().unwrap();
    site.wait_for_start("arbiter", 2);
    processes::signal(daemon(&site), signal::TERM);
    let status = site.wait_for("the command", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(1));
    let said = std::fs::read_to_string(site.path("said")).unwrap();
    assert_eq!(said, "arbiter: the daemon was stopped before it was ready\n");
}

#[test]
fn a_second_start_is_refused_and_the_first_daemon_lives_on() {
    let site = Site::new(PLAIN);
    assert_eq!(site.run(&["-c", "arbiter.toml", "--daemon"]).code, 0);
    let pid = daemon(&site);
    let output = site.run(&["-c", "arbiter.toml", "--daemon"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains(&format!("pid {pid}")), "{output:?}");
    assert_eq!(daemon(&site), pid);
    stop(&site, pid);
}

#[test]
fn killing_the_command_does_not_hurt_the_daemon() {
    let site = Site::new(&PLAIN.replace("\"@worker@\"", "\"@worker@\", \"--ready-when\", \"@site@/go\""));
    let mut command = site.command("arbiter");
    let child = command.args(["-c", "arbiter.toml", "--daemon"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = child.spawn().unwrap();
    site.wait_for_start("arbiter", 2);
    child.kill().unwrap();
    child.wait().unwrap();
    site.write("go", "");
    let pid = daemon(&site);
    site.wait_for("the daemon to be running", || {
        let output = site.ctl(&["--json", "status"]);
        (output.code == 0 && output.json()["arbiter"]["state"] == "running").then_some(())
    });
    stop(&site, pid);
}

#[test]
fn a_file_stays_the_daemons_output_and_a_log_that_nobody_would_see_is_warned_of() {
    let site = Site::new(&PLAIN.replace("file = \"@site@/log\"", ""));
    let file = File::options().create(true).append(true).open(site.path("log")).unwrap();
    let mut command = site.command("arbiter");
    command.args(["-c", "arbiter.toml", "--daemon"]).stdout(Stdio::null()).stderr(file);
    assert!(command.status().unwrap().success());
    let pid = daemon(&site);
    assert!(processes::descriptors(pid)[&2].ends_with("/log"));
    stop(&site, pid);
    assert!(site.log().contains("arbiter ends with status 0"), "it logs on: {}", site.log());
    assert!(!site.log().contains("set log.file"));

    let output = site.run(&["-c", "arbiter.toml", "--daemon"]);
    assert_eq!(output.code, 0);
    assert!(output.stderr.contains("nobody will see the log: set log.file"), "{output:?}");
    assert!(output.stderr.contains("running, 2 workers ready"), "the start is told: {output:?}");
    stop(&site, daemon(&site));
}

#[test]
fn a_daemon_reloads_and_its_socket_is_where_it_was() {
    let site = Site::new(PLAIN);
    assert_eq!(site.run(&["-c", "arbiter.toml", "--daemon"]).code, 0);
    assert!(site.path("app.sock").symlink_metadata().unwrap().file_type().is_socket());
    let output: Output = site.ctl(&["reload"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(http::get_unix(&site.path("app.sock"), "/").unwrap().ends_with(" 2"), "the next generation");
    stop(&site, daemon(&site));
}

#[test]
fn a_passed_socket_goes_with_the_daemon() {
    let site = Site::new(
        "pidfile = \"@site@/arbiter.pid\"\n[log]\nfile = \"@site@/log\"\n[workers]\ncommand = [\"@worker@\"]\n",
    );
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    // Becomes arbiter, with what was its standard input as descriptor 3.
    let script = r#"exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID="$$"; exec "$0" "$@""#;
    let mut command = std::process::Command::new("/bin/sh");
    command.arg("-c").arg(script).arg(site.command("arbiter").get_program());
    command.args(["-c", "arbiter.toml", "--daemon"]);
    let mut command = site.marked(command);
    command.stdin(std::os::fd::OwnedFd::from(socket));
    let output = Output::of(command, tests::PATIENCE);
    assert_eq!(output.code, 0, "{output:?}\n{}", site.tail());
    assert!(http::who(&address).is_ok());
    stop(&site, daemon(&site));
}
