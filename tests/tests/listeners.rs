//! Addresses of every kind, queues, and socket files.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;
use tests::http;
use tests::{PATIENCE, Site, processes, signal};

fn one(listener: &str) -> String {
    format!("[[listener]]\n{listener}\n[workers]\ncommand = [\"@worker@\"]\n")
}

/// Workers that accept nobody before they are asked to leave.
fn not_accepting(listener: &str) -> String {
    format!(
        "[[listener]]\n{listener}\n[workers]\ncommand = [\"@worker@\", \"--at-end\", \"@site@/end\"]\nready = \"started\"\nstart_seconds = 0\n"
    )
}

#[test]
fn a_port_alone_and_a_name_are_for_ipv4() {
    for (written, bound) in [(":0", "0.0.0.0"), ("localhost:0", "127.0.0.1")] {
        let site = Site::new(&one(&format!("address = \"{written}\"")));
        let arbiter = site.start();
        let address = arbiter.status().address("http");
        let (host, port) = address.rsplit_once(':').unwrap();
        assert_eq!(host, bound);
        assert!(http::who(&format!("127.0.0.1:{port}")).is_ok());
    }
}

#[test]
fn an_ipv6_address_is_for_both_families_unless_told_otherwise() {
    if TcpListener::bind("[::1]:0").is_err() {
        return tests::not_tested("this machine has no IPv6");
    }
    for (line, both) in [("", true), ("v6only = false", true), ("v6only = true", false)] {
        let site = Site::new(&one(&format!("address = \"[::]:0\"\n{line}")));
        let arbiter = site.start();
        let address = arbiter.status().address("http");
        let port = address.strip_prefix("[::]:").unwrap();
        assert!(http::who(&format!("[::1]:{port}")).is_ok());
        assert_eq!(http::who(&format!("127.0.0.1:{port}")).is_ok(), both, "{line}");
    }
}

#[test]
fn an_abstract_socket_is_kept_over_a_reload_and_leaves_no_file() {
    let site = Site::new("");
    let name = format!("arbiter-test{}", site.directory().replace('/', "-"));
    site.configure(&one(&format!("address = \"unix:@{name}\"")));
    let arbiter = site.start();
    assert_eq!(arbiter.status().address("http"), format!("unix:@{name}"));
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let ask = || http::exchange(UnixStream::connect_addr(&address).unwrap(), "/").unwrap();
    assert!(ask().ends_with(" 1"));
    arbiter.done(&["reload"]);
    assert!(ask().ends_with(" 2"));
    assert_eq!(arbiter.stop(), 0);
    assert!(UnixStream::connect_addr(&address).is_err());
}

#[test]
fn flags_take_the_place_of_the_files_listeners_at_every_reload() {
    let site = Site::new(&one("name = \"web\"\naddress = \"127.0.0.1:0\""));
    let admin = "admin=unix:@site@/admin.sock";
    let arbiter = site.launch_with(&["-c", "arbiter.toml", "-b", "127.0.0.1:0", "-b", admin]);
    arbiter.wait_until_running();
    let before = arbiter.status();
    let names = |status: &tests::Status| -> Vec<String> {
        let listeners = status.0["listeners"].as_array().cloned().unwrap_or_default();
        listeners.iter().map(|one| one["name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(names(&before), ["http", "admin"]);
    assert_eq!(before.address("admin"), format!("unix:{}/admin.sock", site.directory()));
    arbiter.done(&["reload"]);
    let after = arbiter.status();
    assert_eq!((names(&after), after.address("http")), (names(&before), before.address("http")));
    assert_eq!(http::who(&after.address("http")).unwrap().generation, 2);
    assert!(http::get_unix(&site.path("admin.sock"), "/").is_ok());
}

#[test]
fn the_queue_is_as_long_as_configured_and_as_a_reload_says() {
    const SHORT: Duration = Duration::from_millis(250);
    let site = Site::new(&not_accepting("address = \"127.0.0.1:0\"\nbacklog = 3"));
    site.write("end", "leave");
    let arbiter = site.start();
    let address = arbiter.status().address("http").parse().unwrap();
    let mut waiting = Vec::new();
    let mut fill = || {
        while let Ok(stream) = TcpStream::connect_timeout(&address, SHORT) {
            waiting.push(stream);
            assert!(waiting.len() < 100, "the queue has no end");
        }
        waiting.len()
    };
    // The kernel lets one more wait than the number says.
    assert_eq!(fill(), 4);
    site.configure(&not_accepting("address = \"127.0.0.1:0\"\nbacklog = 10"));
    arbiter.done(&["reload"]);
    assert_eq!(fill(), 11);
}

#[test]
fn a_stale_socket_file_is_replaced_and_nothing_else_is() {
    let site = Site::new(&one("address = \"unix:@site@/web.sock\""));
    let path = site.path("web.sock");
    drop(UnixListener::bind(&path).unwrap());
    {
        let arbiter = site.start();
        assert!(http::get_unix(&path, "/").is_ok());
        drop(arbiter);
        assert!(!path.exists());
    }
    let live = UnixListener::bind(&path).unwrap();
    let refused = site.run(&["-c", "arbiter.toml"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("web.sock") && refused.stderr.contains("is in use"), "{refused:?}");
    drop(live);
    std::fs::remove_file(&path).unwrap();
    site.write("web.sock", "precious");
    let refused = site.run(&["-c", "arbiter.toml"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("is not a socket"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

fn access(path: &Path) -> (u32, u32, u32) {
    let found = std::fs::metadata(path).expect("the socket is there");
    (found.permissions().mode() & 0o777, found.uid(), found.gid())
}

#[test]
fn mode_and_owner_change_by_a_reload_and_who_waits_is_served() {
    let address = "address = \"unix:@site@/web.sock\"";
    let site = Site::new(&not_accepting(&format!("{address}\nmode = \"0600\"")));
    let arbiter = site.start();
    let path = site.path("web.sock");
    let (mode, uid, gid) = access(&path);
    assert_eq!(mode, 0o600);
    let inode = std::fs::metadata(&path).unwrap().ino();
    let client = UnixStream::connect(&path).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    site.configure(&not_accepting(&format!("{address}\nmode = \"0660\"")));
    arbiter.done(&["reload"]);
    assert_eq!(access(&path), (0o660, uid, gid));
    if tests::is_root() {
        site.configure(&not_accepting(&format!("{address}\nuser = \"nobody\"\ngroup = \"daemon\"")));
        arbiter.done(&["reload"]);
        let (mode, user, group) = access(&path);
        assert!(mode == 0o666 && user == 65534 && group != gid, "{:?}", access(&path));
        // Nothing of a reload that fails is left.
        site.configure(&one(&format!("{address}\nmode = \"0600\"\n")).replace("@worker@", "false"));
        arbiter.ctl(&["reload"]).failed_with(1);
        assert_eq!(access(&path), (mode, user, group));
        site.configure(&not_accepting(address));
        arbiter.done(&["reload"]);
        assert_eq!(access(&path), (0o666, uid, gid));
    }
    assert_eq!(std::fs::metadata(&path).unwrap().ino(), inode, "it is the same socket");
    site.write("end", "serve");
    assert!(http::exchange(client, "/").is_ok());
}

#[test]
fn a_listener_for_somebody_elses_path_is_refused_by_a_reload() {
    let site = Site::new(&one("address = \"unix:@site@/web.sock\""));
    let arbiter = site.start();
    let before = arbiter.status();
    let _live = UnixListener::bind(site.path("live")).unwrap();
    site.write("file", "precious");
    for (path, why) in [("live", "is in use"), ("file", "is not a socket")] {
        site.configure(&one(&format!("address = \"unix:@site@/{path}\"")));
        let line = arbiter.ctl(&["reload"]).failed_with(1).to_owned();
        assert!(line.contains(path) && line.contains(why), "{line}");
        assert_eq!(arbiter.status().worker_pids(), before.worker_pids());
    }
    assert!(http::get_unix(&site.path("web.sock"), "/").is_ok());
    site.remove("live");
}

#[test]
fn an_address_that_is_not_configured_any_more_refuses_clients() {
    let site = Site::new(&one("address = \"127.0.0.1:0\""));
    let arbiter = site.start();
    let old = arbiter.status().address("http");
    site.configure(&one("address = \"unix:@site@/web.sock\""));
    let worker = arbiter.status().worker_pids()[0];
    arbiter.signal(signal::HUP);
    site.wait_for("the old worker to be gone", || (!processes::is_alive(worker)).then_some(()));
    let refused = TcpStream::connect(&old).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert!(http::get_unix(&site.path("web.sock"), "/").is_ok());
}
