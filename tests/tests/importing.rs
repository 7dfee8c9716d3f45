//! Foreign configurations, as this program prints them, are run by it as they were.

use std::io::Read;
use std::os::unix::net::UnixStream;
use tests::{Arbiter, PATIENCE, Site, wait_for};

/// Answers each connection to the socket that is its descriptor of the first argument with its environment's `SAY`.
const SERVER: &str = "import os, socket, sys\n\
                      listener = socket.socket(fileno=int(sys.argv[1]))\n\
                      while True:\n    \
                          client = listener.accept()[0]\n    \
                          client.sendall(os.environ['SAY'].encode())\n    \
                          client.close()\n";

/// What a server says to whoever connects.
fn said(site: &Site, socket: &str) -> String {
    let mut client = UnixStream::connect(site.path(socket)).expect("somebody listens");
    let mut text = String::new();
    client.read_to_string(&mut text).expect("it answers");
    text
}

/// What is printed of a file, started.
#[track_caller]
fn start<'a>(site: &'a Site, name: &str) -> Arbiter<'a> {
    let output = site.run(&["--import", name]);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output:?}");
    site.write("arbiter.toml", &output.stdout);
    let checked = site.run(&["--check-config"]);
    assert_eq!(
        (checked.code, checked.stdout.ends_with(": ok\n")),
        (0, true),
        "{checked:?}\n{}",
        output.stdout
    );
    site.start()
}

#[test]
fn programs_groups_and_a_shared_socket_of_supervisord_run_as_before() {
    let site = Site::new("");
    site.write("server.py", SERVER);
    site.write(
        "supervisord.conf",
        &format!(
            "[supervisord]\nnodaemon=true ; in front\n\n\
             [fcgi-program:web]\ncommand=python3 server.py 0\nsocket=unix://{directory}/web.sock\nnumprocs=2\n\
             process_name=%(program_name)s_%(process_num)02d\nenvironment=SAY=\"it, listens\"\n\n\
             [include]\nfiles=conf.d/*.conf\n",
            directory = site.directory()
        ),
    );
    std::fs::create_dir(site.path("conf.d")).unwrap();
    let said_file = site.path("mail.log");
    site.write(
        "conf.d/mail.conf",
        &format!(
            "[program:worker]\ncommand=sh -c \"echo %(program_name)s $NAME; exec sleep 1000\"\n\
             environment=NAME=\"a b\"\nautorestart=true\nstopsignal=INT\nredirect_stderr=true\n\
             stdout_logfile={}\nstdout_logfile_maxbytes=1MB\n\n[group:mail]\nprograms=worker\n",
            said_file.display()
        ),
    );
    let arbiter = start(&site, "supervisord.conf");
    let status = arbiter.wait_for_companion("mail.app-worker", "RUNNING");
    assert_eq!(status.worker_pids().len(), 2);
    assert_eq!(said(&site, "web.sock"), "it, listens");
    wait_for("the line", PATIENCE, String::new, || {
        std::fs::read_to_string(&said_file).is_ok_and(|text| text == "worker a b\n").then_some(())
    });
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn a_procfile_gives_ports_and_releases_before_anything_starts() {
    let site = Site::new("");
    site.write(
        "Procfile",
        "# what we run\nrelease: test ! -e told && echo released > told\n\
         web: sh -c 'echo web $PORT >> told; exec sleep 1000'\nclock: sleep 1000 --help=$PORT || exec sleep 1000\n",
    );
    let arbiter = start(&site, "Procfile");
    arbiter.wait_for_companion("web", "RUNNING");
    let status = arbiter.wait_for_companion("clock", "RUNNING");
    assert_eq!(status.companion("release").state, "EXITED");
    assert_eq!(std::fs::read_to_string(site.path("told")).unwrap(), "released\nweb 5000\n");
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn watchers_on_sockets_of_circus_serve_on_them() {
    let site = Site::new("");
    site.write("server.py", SERVER);
    site.write(
        "circus.ini",
        &format!(
            "[circus]\nendpoint = tcp://127.0.0.1:5555\n\n\
             [watcher:web]\ncmd = python3 server.py $(circus.sockets.web)\nuse_sockets = True\nnumprocesses = 2\n\n\
             [watcher:Admin]\ncmd = python3 server.py\nargs = $(circus.sockets.admin)\nuse_sockets = True\n\n\
             [socket:web]\npath = {directory}/web.sock\n\n[socket:admin]\npath = {directory}/admin.sock\numask = 077\n\n\
             [env]\nSAY = web\n\n[env:A*]\nSAY = admin\n",
            directory = site.directory()
        ),
    );
    let arbiter = start(&site, "circus.ini");
    let status = arbiter.wait_for_companion("Admin", "RUNNING");
    assert_eq!(status.worker_pids().len(), 2);
    assert_eq!((said(&site, "web.sock"), said(&site, "admin.sock")), ("web".to_owned(), "admin".to_owned()));
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn what_cannot_be_read_is_told_with_its_place_and_nothing_is_printed() {
    let site = Site::new("");
    site.write("supervisord.conf", "[program:a]\ncommand=sleep 1\nwhat is this\n");
    let output = site.run(&["--import", "supervisord.conf"]);
    assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{output:?}");
    assert!(output.stderr.starts_with("supervisord.conf:3:1: "), "{output:?}");
    for arguments in [&["--import", "supervisord.conf", "--init"][..], &["--import", "arbiter.toml"]] {
        assert_eq!(site.run(arguments).code, 2, "{arguments:?}");
    }
}
