//! Checks of workers and companions from outside.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tests::{Site, observe_for, processes};

/// A server of the test's own that answers every request with the status of the moment; 0: not at all.
struct Health {
    status: Arc<AtomicU32>,
    asked: Arc<AtomicU32>,
    address: String,
}

impl Health {
    fn new(status: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is to be had");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (status, asked) = (Arc::new(AtomicU32::new(status)), Arc::new(AtomicU32::new(0)));
        let health = Self { status: Arc::clone(&status), asked: Arc::clone(&asked), address };
        // It ends with the test's process.
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for mut stream in listener.incoming().map_while(Result::ok) {
                asked.fetch_add(1, Ordering::AcqRel);
                match status.load(Ordering::Acquire) {
                    0 => open.push(stream),
                    status => answer(&mut stream, status),
                }
            }
        });
        health
    }

    fn set(&self, status: u32) {
        self.status.store(status, Ordering::Release);
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::Acquire)
    }
}

fn answer(stream: &mut TcpStream, status: u32) {
    let mut request = [0; 4096];
    // Who asks may have gone again.
    let _ = stream.read(&mut request);
    let _ = stream.write_all(format!("HTTP/1.1 {status} so\r\nContent-Length: 0\r\n\r\n").as_bytes());
}

/// Either of the two kinds of process, with this `ready`.
fn sites(ready: &str) -> [(Site, &'static str); 2] {
    let companion =
        format!("[companion.app]\ncommand = [\"@companion@\"]\nready = {ready}\nstart_timeout = 60\n");
    let workers = format!(
        "[workers]\ncommand = [\"@companion@\"]\nready = {ready}\nstart_timeout = 60\nabort_timeout = 0\n"
    );
    [(Site::new(&companion), "app"), (Site::new(&workers), "arbiter")]
}

/// State and reason of the one process of the site.
fn state(status: &tests::Status, name: &str) -> (String, String) {
    let process = match name {
        "app" => status.companion("app").processes.first().cloned(),
        _ => status.workers().first().cloned(),
    };
    process.map(|process| (process.state, process.reason)).unwrap_or_default()
}

fn wait_for(arbiter: &tests::Arbiter<'_>, name: &str, wanted: &str, reason: &str) {
    arbiter.wait_for_status(&format!("{name} to be {wanted} ({reason})"), |status| {
        let (state, because) = state(status, name);
        state == wanted && because == reason
    });
}

#[test]
fn a_url_that_answers_badly_and_then_well_makes_ready() {
    let health = Health::new(503);
    let ready = format!("{{ http = \"http://{}/health\", interval = 0.1 }}", health.address);
    for (site, name) in sites(&ready) {
        health.set(503);
        let arbiter = site.launch();
        let reason = format!("waiting for http://{}/health: it answered 503", health.address);
        wait_for(&arbiter, name, "STARTING", &reason);
        health.set(302);
        wait_for(&arbiter, name, "RUNNING", "");
        let asked = health.asked();
        assert!(asked >= 2);
        observe_for(std::time::Duration::from_millis(300));
        assert_eq!(health.asked(), asked, "a ready process is not asked any more");
        assert_eq!(site.started(name).len(), 1);
    }
}

#[test]
fn a_port_that_is_opened_later_makes_ready() {
    // A port that was free a moment ago; only this machine's loopback is asked.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (site, name) in sites(&format!("{{ tcp = \"{address}\", interval = 0.1 }}")) {
        let arbiter = site.launch();
        wait_for(&arbiter, name, "STARTING", &format!("waiting for {address}: connection refused"));
        let _listener = TcpListener::bind(address).unwrap();
        wait_for(&arbiter, name, "RUNNING", "");
    }
}

#[test]
fn a_unix_socket_named_by_a_placeholder_makes_ready() {
    for (site, name) in sites("{ tcp = \"unix:@site@/app-{slot}\", interval = 0.1 }") {
        let arbiter = site.launch();
        let reason = format!("waiting for unix:{}/app-1: no such file or directory", site.directory());
        wait_for(&arbiter, name, "STARTING", &reason);
        let listener = std::os::unix::net::UnixListener::bind(site.path("app-1")).unwrap();
        wait_for(&arbiter, name, "RUNNING", "");
        drop(listener);
        site.remove("app-1");
    }
}

#[test]
fn a_command_makes_ready_when_it_exits_with_0_and_runs_as_the_process_does() {
    for (site, name) in
        sites("{ exec = [\"/bin/sh\", \"-c\", \"env > check-{slot}; test -e go\"], interval = 0.1 }")
    {
        let arbiter = site.launch();
        wait_for(&arbiter, name, "STARTING", "waiting for /bin/sh: it exited with status 1");
        let environment = std::fs::read_to_string(site.path("check-1")).unwrap();
        assert!(environment.lines().any(|line| line == "ARBITER_SLOT=1"), "{environment}");
        assert!(!environment.contains("NOTIFY_SOCKET="), "{environment}");
        assert_eq!(arbiter.status().0["strays"].as_array().map(Vec::len), Some(0));
        site.write("go", "");
        wait_for(&arbiter, name, "RUNNING", "");
    }
}

#[test]
fn a_server_that_accepts_and_never_answers_and_a_command_that_hangs_are_given_up() {
    let deaf = Health::new(0);
    let http = format!("{{ http = \"http://{}/\", interval = 0.1, timeout = 0.3 }}", deaf.address);
    let exec = "{ exec = [\"/bin/sh\", \"-c\", \"sleep 1000 & sleep 1000\"], interval = 0.1, timeout = 0.3 }";
    for (ready, asked) in [(http.as_str(), format!("http://{}/", deaf.address)), (exec, "/bin/sh".into())] {
        for (site, name) in sites(ready) {
            let arbiter = site.launch();
            wait_for(&arbiter, name, "STARTING", &format!("waiting for {asked}: no answer within 0.3 s"));
            assert_eq!(arbiter.stop(), 0, "{}", site.tail());
        }
    }
}

#[test]
fn one_whose_check_is_never_well_is_ended_at_its_start_timeout_and_tells_why() {
    let health = Health::new(500);
    let ready = format!("{{ http = \"http://{}/\", interval = 0.1 }}\nstart_timeout = 0.5", health.address);
    let reason = format!("(waiting for http://{}/: it answered 500)", health.address);
    for (table, name, too_late) in [
        ("companion.app", "app", "was not ready within"),
        ("workers", "arbiter", "not ready after 0.5 s while booting (start_timeout)"),
    ] {
        let site = Site::new(&format!("[{table}]\ncommand = [\"@companion@\"]\nready = {ready}\n"));
        let arbiter = site.launch();
        site.wait_for_start(name, 2);
        arbiter.wait_for_status("a wait for the next start", |status| {
            let (state, because) = state(status, name);
            state == "BACKOFF" && because.contains(&reason)
        });
        assert!(site.log().contains(too_late), "{}", site.log());
    }
}

#[test]
fn a_companion_whose_health_fails_so_often_in_a_row_is_replaced_and_says_why() {
    let health = Health::new(200);
    let site = Site::new(&format!(
        r#"
        [companion.app]
        command = ["@companion@", "--ready-after", "0"]
        ready = "notify"
        start_seconds = 0
        health = {{ http = "http://{}/", interval = 0.1, failures = 2 }}
        "#,
        health.address
    ));
    let arbiter = site.launch();
    let first = site.wait_for_start("app", 1);
    site.wait_for("some good answers", || (health.asked() > 5).then_some(()));
    assert_eq!(site.started("app"), [first]);
    health.set(500);
    let second = site.wait_for_start("app", 2);
    health.set(200);
    let status = arbiter.wait_for_companion("app", "RUNNING");
    assert!(status.companion("app").processes[0].restarts >= 1);
    let log = site.log();
    assert!(
        log.contains(&format!("app: is not well, stopping it: http://{}/: it answered 500", health.address)),
        "{log}"
    );
    assert!(!processes::is_alive(first));
    assert_ne!(first, second);
}

#[test]
fn another_manager_goes_on_checking_and_commands_of_the_old_one_die_with_it() {
    let site = Site::new(
        r#"
        [companion.app]
        command = ["@companion@"]
        ready = { exec = ["/bin/sh", "-c", "test -e go || exec sleep 1000"] }
        "#,
    );
    let arbiter = site.launch();
    let pid = site.wait_for_start("app", 1);
    let sleeping = |site: &Site| {
        site.processes().into_iter().find(|(_, command)| command == "sleep 1000").map(|(pid, _)| pid)
    };
    let check = site.wait_for("the check to run", || sleeping(&site));
    let manager = arbiter.status().manager().unwrap();
    processes::signal(manager, tests::signal::KILL);
    site.wait_for("the old check to be gone", || (!processes::is_alive(check)).then_some(()));
    site.write("go", "");
    // The new manager's first try may have begun before.
    let left = site.wait_for("another check or none", || {
        let status = arbiter.try_status()?;
        (status.manager() != Some(manager)).then(|| sleeping(&site))
    });
    if let Some(left) = left {
        processes::signal(left, tests::signal::KILL);
    }
    let status = arbiter.wait_for_companion("app", "RUNNING");
    assert_eq!(status.pid_of("app"), pid);
    assert_eq!(site.started("app"), [pid]);
}
