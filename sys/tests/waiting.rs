//! Readiness seen from outside: a server blocked in accept on the listener it was given.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::os::fd::AsFd;

use support::{command, wait_for, wait_readable};
use sys::listener::{Address, Listener, Options};
use sys::spawn::spawn;

/// Finds the interpreter of the test server, if the machine has one.
fn interpreter() -> Option<&'static str> {
    ["/usr/bin/python3", "/usr/bin/perl"].into_iter().find(|path| std::path::Path::new(path).exists())
}

#[test]
fn a_server_is_ready_when_it_waits_and_not_while_it_merely_holds_the_listener() {
    let address = Address::Tcp("127.0.0.1:0".parse().unwrap());
    let listener = Listener::bind(&address, &Options::default()).unwrap();
    let inodes = [listener.inode().unwrap()];
    let null = sys::fd::null().unwrap();
    let mut idle = command(&null, &["/bin/sleep", "1000"]);
    idle.fds.push((listener.as_fd(), 3));
    let holder = spawn(&idle).unwrap();
    support::outcome(&holder);
    wait_for("the idle process to sleep", || {
        sys::procfs::stat(holder.pid).is_some_and(|stat| stat.state == 'S')
    });
    assert!(sys::procfs::socket_inodes(holder.pid).contains(&inodes[0]));
    assert!(!sys::procfs::waits_on(holder.pid, &inodes));
    let mut ended = vec![holder];
    if let Some(path) = interpreter() {
        let scripts: &[&str] = if path.ends_with("python3") {
            &[
                "import socket; s = socket.socket(fileno=3); s.accept()",
                "import select; select.select([3], [], [])",
                "import select; p = select.poll(); p.register(3); p.poll()",
                "import select, time; e = select.epoll(); e.register(3); e.poll()",
            ]
        } else {
            &["open(L, '+<&=', 3); accept(C, L)"]
        };
        let flag = if path.ends_with("python3") { "-c" } else { "-e" };
        for script in scripts {
            let mut server = command(&null, &[path, flag, script]);
            server.fds.push((listener.as_fd(), 3));
            let server = spawn(&server).unwrap();
            wait_for("the server to wait", || sys::procfs::waits_on(server.pid, &inodes));
            ended.push(server);
        }
    }
    for process in ended {
        sys::pidfd::send_signal(&process.pidfd, libc::SIGKILL).unwrap();
        wait_readable("the end of a process", process.pidfd.as_fd());
        let mut children = sys::children::Children::new();
        children.insert((), process.pid, process.pidfd);
        children.reap(()).unwrap();
    }
}
