//! What arbiter tells its own service manager, message by message and by whom.

use std::cell::RefCell;
use std::process::Command;
use sys::notify::NotifySocket;
use tests::{Arbiter, Site, processes, signal};

const SHOP: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@", "--ready-when", "@site@/workers-may", "--exit-if", "@site@/broken"]
    ready = "notify"
    count = 2
    requires = ["redis"]
    [companion.redis]
    command = ["@companion@", "--ready-when", "@site@/redis-may"]
    ready = "notify"
"#;
/// Often enough that nobody has to wait for one.
const WATCHDOG_USEC: &str = "100000";

/// A service manager, which keeps all that it has heard.
struct Above<'s> {
    site: &'s Site,
    socket: NotifySocket,
    heard: RefCell<Vec<(i32, String)>>,
}

impl<'s> Above<'s> {
    fn of(site: &'s Site) -> Self {
        let socket = NotifySocket::bind(&site.path("above"), None).expect("a socket can be bound");
        Self { site, socket, heard: RefCell::default() }
    }

    /// An arbiter that is watched.
    fn start(&self) -> Arbiter<'s> {
        let mut command = Command::new("sh");
        // A watchdog means one process, by its number.
        command.args(["-c", "WATCHDOG_PID=$$ exec \"$0\" -c arbiter.toml"]).arg(tests::program("arbiter"));
        let mut command = self.site.marked(command);
        command.env("NOTIFY_SOCKET", self.site.path("above")).env("WATCHDOG_USEC", WATCHDOG_USEC);
        self.site.launch_command(command)
    }

    /// Takes in what has been said, line by line.
    fn listen(&self) {
        while let Ok(Some(said)) = self.socket.recv() {
            let lines = said.text.lines().map(|line| (said.pid, line.to_owned()));
            self.heard.borrow_mut().extend(lines);
        }
    }

    /// Whether somebody has said such a line.
    fn has_heard(&self, pid: i32, line: &str) -> bool {
        self.listen();
        self.heard.borrow().iter().any(|(who, said)| *who == pid && said.starts_with(line))
    }

    /// Waits until somebody says such a line, and forgets everything up to it; what that was.
    fn wait_for(&self, pid: i32, line: &str) -> Vec<(i32, String)> {
        let at = self.site.wait_for(&format!("{line} of {pid}"), || {
            self.listen();
            self.heard.borrow().iter().position(|(who, said)| *who == pid && said.starts_with(line))
        });
        self.heard.borrow_mut().drain(..=at).collect()
    }
}

#[test]
fn ready_is_said_when_all_are_and_again_after_a_reload_that_failed() {
    let site = Site::new(SHOP);
    let above = Above::of(&site);
    let arbiter = above.start();
    let pid = arbiter.pid();
    arbiter.wait_for_companion("redis", "STARTING");
    above.wait_for(pid, "STATUS=starting, 0 of 2 workers ready");
    site.write("redis-may", "");
    site.wait_for_start("arbiter", 2);
    let before = [above.wait_for(pid, "WATCHDOG=1"), above.wait_for(pid, "WATCHDOG=1")].concat();
    assert!(!before.iter().any(|(_, line)| line == "READY=1"), "no worker is ready: {before:?}");
    site.write("workers-may", "");
    above.wait_for(pid, "READY=1");
    assert_eq!(arbiter.status().ready_workers().len(), 2);
    site.write("broken", "1");
    arbiter.signal(signal::HUP);
    above.wait_for(pid, "RELOADING=1");
    above.wait_for(pid, "MONOTONIC_USEC=");
    above.wait_for(pid, "READY=1");
    assert!(site.log().contains("reload failed"));
    site.remove("broken");
    above.listen();
    arbiter.signal(signal::STOP);
    site.wait_for("it to be stopped", || processes::status_line(pid, "State").starts_with('T').then_some(()));
    above.listen();
    above.heard.borrow_mut().clear();
    tests::observe_for(std::time::Duration::from_millis(400));
    assert!(!above.has_heard(pid, ""), "it does not turn and says nothing");
    arbiter.signal(signal::CONT);
    above.wait_for(pid, "WATCHDOG=1");
    assert_eq!(arbiter.stop(), 0);
    let last = above.wait_for(pid, "STOPPING=1");
    assert!(!last.iter().any(|(_, line)| line == "READY=1"));
}

#[test]
fn a_stop_before_readiness_says_stopping_and_never_ready_and_a_long_one_asks_for_more_time() {
    let site = Site::new(&format!("pre_stop_delay = 60\n{SHOP}"));
    let above = Above::of(&site);
    let arbiter = above.start();
    above.wait_for(arbiter.pid(), "STATUS=starting");
    assert_eq!(arbiter.stop(), 0);
    let before = above.wait_for(arbiter.pid(), "STOPPING=1");
    assert!(!before.iter().any(|(_, line)| line == "READY=1"), "{before:?}");
    site.write("redis-may", "");
    site.write("workers-may", "");
    let arbiter = above.start();
    above.wait_for(arbiter.pid(), "READY=1");
    arbiter.signal(signal::TERM);
    above.wait_for(arbiter.pid(), "STOPPING=1");
    for _ in 0..2 {
        above.wait_for(arbiter.pid(), "EXTEND_TIMEOUT_USEC=20000000");
    }
    assert_eq!(arbiter.stop(), 0);
}

/// Starts a second arbiter and waits until its workers serve; its pid.
fn start_second(site: &Site, first: &Arbiter<'_>) -> i32 {
    first.signal(signal::USR2);
    site.wait_for("the second one to run", || {
        let text = "started beside the arbiter with pid";
        let log = site.log();
        let line = log.lines().find(|line| line.contains(text))?;
        (log.matches("running, 2 workers ready").count() == 2).then_some(())?;
        line.split_once('[')?.1.split_once(']')?.0.parse().ok()
    })
}

#[test]
fn a_second_master_is_named_when_the_first_leaves_and_speaks_from_then_on() {
    let site = Site::new(SHOP);
    site.write("redis-may", "");
    site.write("workers-may", "");
    let above = Above::of(&site);
    let arbiter = above.start();
    let first = arbiter.pid();
    above.wait_for(first, "READY=1");
    let second = start_second(&site, &arbiter);
    for _ in 0..3 {
        above.wait_for(first, "WATCHDOG=1");
    }
    assert!(!above.has_heard(second, ""), "the first one is in charge");
    assert_eq!(arbiter.stop(), 0);
    let told = above.wait_for(first, &format!("MAINPID={second}"));
    assert!(told.iter().all(|(who, line)| *who == first && line != "STOPPING=1"), "{told:?}");
    let told = above.wait_for(second, "READY=1");
    assert!(
        !told.iter().any(|(_, line)| line.starts_with("MAINPID=")),
        "the first one has said it: {told:?}"
    );
    for _ in 0..3 {
        above.wait_for(second, "WATCHDOG=1");
    }
    assert!(!above.has_heard(first, ""), "it has left");
    processes::signal(second, signal::TERM);
    above.wait_for(second, "STOPPING=1");
    site.wait_for("it to end", || (!processes::is_alive(second)).then_some(()));
}

#[test]
fn a_second_master_names_itself_when_the_first_was_killed() {
    let site = Site::new(SHOP);
    site.write("redis-may", "");
    site.write("workers-may", "");
    let above = Above::of(&site);
    let arbiter = above.start();
    above.wait_for(arbiter.pid(), "READY=1");
    let second = start_second(&site, &arbiter);
    assert!(!above.has_heard(second, ""), "the first one is in charge");
    arbiter.kill();
    let before = above.wait_for(second, "READY=1");
    let named = |(who, line): &(i32, String)| (*who, line) == (second, &format!("MAINPID={second}"));
    assert!(before.iter().any(named), "{before:?}");
    processes::signal(second, signal::TERM);
    above.wait_for(second, "STOPPING=1");
    site.wait_for("it to end", || (!processes::is_alive(second)).then_some(()));
}

#[test]
fn what_finds_no_room_is_said_later() {
    let site = Site::new(SHOP);
    site.write("redis-may", "");
    site.write("workers-may", "");
    let above = Above::of(&site);
    let stranger = std::os::unix::net::UnixDatagram::unbound().expect("a socket is to be had");
    stranger.set_nonblocking(true).expect("it can be made non-blocking");
    let filled = (0..).take_while(|_| stranger.send_to(b"X=1", site.path("above")).is_ok()).count();
    assert!(filled > 0);
    let arbiter = above.start();
    arbiter.wait_until_running();
    arbiter.done(&["reload"]);
    above.wait_for(arbiter.pid(), "READY=1");
    above.wait_for(arbiter.pid(), "RELOADING=1");
    above.wait_for(arbiter.pid(), "READY=1");
    assert!(!site.log().contains("cannot tell the service manager"), "{}", site.tail());
}
