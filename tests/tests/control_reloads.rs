//! Another control socket, or other clients, by a reload.

use proto::control::{Answer, Reply, Verb};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use tests::{Output, PATIENCE, Peer, Site, processes, signal};

/// A worker, a companion, and these lines of `[control]`.
fn config(control: &str) -> String {
    format!(
        r#"
        [control]
        {control}
        [[listener]]
        address = "unix:@site@/web.sock"
        [workers]
        command = ["@worker@"]
        [companion.clock]
        command = ["@companion@"]
        ready = "started"
        start_seconds = 0
        "#
    )
}

/// `arbiterctl` on a socket of the site.
fn ctl(site: &Site, socket: &Path, arguments: &[&str]) -> Output {
    let mut command = site.command("arbiterctl");
    command.arg("--socket").arg(socket).args(arguments);
    Output::of(command, PATIENCE)
}

fn is_served(peer: &mut Peer) -> bool {
    matches!(peer.ask(Verb::Ping), Reply::Done(Answer::Done))
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("the socket is there").permissions().mode() & 0o7777
}

#[test]
fn the_control_socket_moves_and_who_is_connected_stays_so() {
    let site = Site::new(&config(""));
    let arbiter = site.start();
    let mut before = Peer::connect(&site.socket());
    let moved = site.path("moved.sock");
    site.configure(&config("socket = \"@site@/moved.sock\"\nmode = \"0660\""));
    arbiter.done(&["reload"]);
    assert!(!site.socket().exists(), "the old one has gone");
    assert_eq!(mode(&moved), 0o660);
    assert!(is_served(&mut before));
    assert_eq!(ctl(&site, &moved, &["ping"]).code, 0);

    // Whoever is started from now on is told of the new one.
    let socket = |pid: i32| processes::environment(pid)["ARBITER_SOCKET"].clone();
    assert_eq!(socket(site.wait_for_start("arbiter", 2)), moved.display().to_string());
    assert_eq!(ctl(&site, &moved, &["restart", "companion", "clock"]).code, 0);
    assert_eq!(socket(site.wait_for_start("clock", 2)), moved.display().to_string());

    // The next manager serves it, too, and a restart of the old path does no harm.
    let status = ctl(&site, &moved, &["--json", "status"]).json();
    let manager = status["manager"]["pid"].as_i64().unwrap();
    processes::signal(i32::try_from(manager).unwrap(), signal::KILL);
    assert_eq!(ctl(&site, &moved, &["ping"]).code, 0);
    site.configure(&config(""));
    assert_eq!(ctl(&site, &moved, &["reload"]).code, 0);
    assert!(!moved.exists());
    assert_eq!(mode(&site.socket()), 0o600);
    arbiter.done(&["ping"]);
}

#[test]
fn who_is_started_for_a_reload_is_told_of_the_socket_that_comes_with_it() {
    let site = Site::new(&config(""));
    let arbiter = site.start();
    let required = "[companion.store]\ncommand = [\"@companion@\"]\nready = \"started\"\nstart_seconds = 0\n";
    let workers = "[workers]\nrequires = [\"store\"]";
    site.configure(&format!(
        "{}{required}",
        config("socket = \"@site@/moved.sock\"").replace("[workers]", workers)
    ));
    arbiter.done(&["reload"]);
    let moved = site.path("moved.sock").display().to_string();
    for (name, count) in [("store", 1), ("arbiter", 2)] {
        let environment = processes::environment(site.wait_for_start(name, count));
        assert_eq!(environment["ARBITER_SOCKET"], moved, "{name}");
    }
}

#[test]
fn a_control_socket_comes_and_goes() {
    let site = Site::new(&config("socket = \"\""));
    let arbiter = site.launch();
    let worker = site.wait_for_start("arbiter", 1);
    assert!(!processes::environment(worker).contains_key("ARBITER_SOCKET"));
    site.configure(&config(""));
    arbiter.signal(signal::HUP);
    arbiter.wait_for_status("generation 2", |status| status.generation() == 2);
    let mut client = Peer::connect(&site.socket());
    site.configure(&config("socket = \"\""));
    arbiter.done(&["reload"]);
    assert!(!site.socket().exists());
    arbiter.ctl(&["ping"]).failed_with(5);
    assert!(is_served(&mut client), "nobody is cut off");
}

#[test]
fn a_path_that_cannot_be_used_fails_the_reload() {
    let site = Site::new(&config(""));
    let arbiter = site.start();
    let before = arbiter.status();
    let live = UnixListener::bind(site.path("live.sock")).unwrap();
    site.write("file", "precious");
    for (path, why) in [("live.sock", "another arbiter serves"), ("file", "is not a socket")] {
        site.configure(&config(&format!("socket = \"@site@/{path}\"")));
        let line = arbiter.ctl(&["reload"]).failed_with(1).to_owned();
        assert!(line.contains(path) && line.contains(why), "{line}");
        assert_eq!(arbiter.status().worker_pids(), before.worker_pids());
    }
    drop(live);
    site.remove("live.sock");
    assert_eq!(std::fs::read_to_string(site.path("file")).unwrap(), "precious");
}

#[test]
fn a_reload_that_fails_leaves_the_control_socket_as_it_was() {
    let site = Site::new(&config(""));
    let arbiter = site.start();
    let broken = |control: &str| {
        config(control).replace("\"@worker@\"", "\"@worker@\", \"--exit-if\", \"@site@/broken\"")
    };
    site.write("broken", "1");
    for control in ["socket = \"@site@/moved.sock\"", "mode = \"0666\"", "socket = \"\""] {
        site.configure(&broken(control));
        arbiter.ctl(&["reload"]).failed_with(1);
        assert!(!site.path("moved.sock").exists());
        assert_eq!(mode(&site.socket()), 0o600);
        arbiter.done(&["ping"]);
    }
}

#[test]
fn mode_and_group_change_while_clients_wait() {
    let site = Site::new(&config(""));
    let arbiter = site.start();
    let mut client = Peer::connect(&site.socket());
    let inode = || std::fs::metadata(site.socket()).unwrap().ino();
    let before = inode();
    site.configure(&config("mode = \"0660\""));
    arbiter.done(&["reload"]);
    assert_eq!((mode(&site.socket()), inode()), (0o660, before));
    if tests::is_root() {
        site.configure(&config("mode = \"0660\"\ngroup = \"daemon\""));
        arbiter.done(&["reload"]);
        let own = std::fs::metadata(site.path("run")).unwrap().gid();
        assert_ne!(std::fs::metadata(site.socket()).unwrap().gid(), own);
        site.configure(&config(""));
        arbiter.done(&["reload"]);
        assert_eq!(std::fs::metadata(site.socket()).unwrap().gid(), own);
    }
    assert!(is_served(&mut client));
}

#[test]
fn a_socket_file_that_was_removed_is_back_after_a_reload() {
    let site = Site::new(&config(""));
    let arbiter = site.start();
    site.remove("run/control.sock");
    site.remove("web.sock");
    arbiter.signal(signal::HUP);
    arbiter.wait_for_status("generation 2", |status| status.generation() == 2);
    assert!(tests::http::get_unix(&site.path("web.sock"), "/").is_ok());
}

#[test]
fn who_may_use_it_changes_with_a_reload() {
    if !tests::is_root() {
        return;
    }
    let site = Site::new(&config("mode = \"0666\""));
    // The stranger has to get at the program and the socket.
    for directory in [site.path(""), site.path("run")] {
        std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).unwrap();
    }
    tests::copy_program(&tests::program("arbiterctl"), &site.path("arbiterctl"));
    let arbiter = site.start();
    let ping = || {
        let mut command = site.marked(Command::new("setpriv"));
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(site.path("arbiterctl")).arg("-s").arg(site.socket()).arg("ping");
        Output::of(command, PATIENCE)
    };
    assert_eq!(ping().code, 6);
    site.configure(&config("mode = \"0666\"\nallow_users = [\"nobody\"]"));
    arbiter.done(&["reload"]);
    assert_eq!(ping().code, 0);
    site.configure(&config("mode = \"0666\""));
    arbiter.done(&["reload"]);
    assert_eq!(ping().code, 6);
}
