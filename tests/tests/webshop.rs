//! The web shop of `examples/webshop`, ordinary programs end to end: orders are taken while one part after
//! the other is killed, and every order that was accepted is done.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tests::{Arbiter, Site, Status, processes, signal};

/// How long all orders may take after the last was accepted: the shop looks for lost jobs every few seconds.
const DONE_WITHIN: Duration = Duration::from_secs(120);

fn shop() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    root.join("examples/webshop")
}

/// The shop's virtual environment.
fn environment() -> PathBuf {
    let directory = std::env::var_os("WEBSHOP_VENV").map_or_else(|| shop().join(".venv"), PathBuf::from);
    let installed = directory.join("bin/uvicorn").exists() && directory.join("bin/rq").exists();
    assert!(installed, "the web shop's programs are not installed: run scripts/install-test-deps");
    directory
}

/// `load.py` at work.
struct Load(Child);

impl Load {
    fn start(site: &Site, address: &str, words: &[&str]) -> Self {
        let mut command = site.marked(Command::new(environment().join("bin/python")));
        command.arg(shop().join("load.py")).args(["--url", &format!("http://{address}")]).args(words);
        Self(command.stdout(Stdio::piped()).spawn().expect("load.py can be started"))
    }

    /// Ends the sending and waits for the summary.
    fn finish(mut self, site: &Site) -> Value {
        processes::signal(i32::try_from(self.0.id()).expect("process ids are small"), signal::TERM);
        tests::wait_for(
            "the summary of load.py",
            DONE_WITHIN,
            || site.tail(),
            || self.0.try_wait().expect("it is our child"),
        );
        let text = std::io::read_to_string(self.0.stdout.take().expect("it is piped")).expect("it is text");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("no summary: {error}: {text}"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It has ended already unless the scenario failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn open(site: &Site) -> Arbiter<'_> {
    let venv = environment();
    std::fs::create_dir(site.path("state")).expect("a directory can be made");
    let mut command = site.command("arbiter");
    let path = std::env::var("PATH").unwrap_or_default();
    command.current_dir(shop()).env("WEBSHOP_STATE", site.path("state"));
    command.env("PATH", format!("{}/bin:{path}", venv.display())).env("PYTHONDONTWRITEBYTECODE", "1");
    command.args(["-c", "arbiter.toml", "-b", "http=127.0.0.1:0"]);
    let arbiter = site.launch_command(command);
    arbiter.wait_for_status("the shop to be open", is_whole);
    arbiter
}

fn is_whole(status: &Status) -> bool {
    status.state() == "running"
        && status.manager().is_some()
        && status.ready_workers().len() == 4
        && status.workers().len() == 4
        && status.companions().iter().all(|name| status.companion(name).state == "RUNNING")
        && status.companion("rq").pids().len() == 2
}

/// Kills one process and waits until the shop is whole again without it.
fn kill(arbiter: &Arbiter<'_>, what: &str, pid: i32) -> Status {
    processes::signal(pid, signal::KILL);
    arbiter.wait_for_status(&format!("the shop to be whole again without {what} {pid}"), |status| {
        let companions = status.companions().into_iter().flat_map(|name| status.companion(&name).pids());
        let mut pids = status.worker_pids().into_iter().chain(companions).chain(status.manager());
        is_whole(status) && pids.all(|one| one != pid)
    })
}

#[test]
fn every_accepted_order_is_done_whatever_is_killed_restarted_or_reloaded() {
    let site = Site::new("");
    let arbiter = open(&site);
    let address = arbiter.status().address("http");
    let orders =
        ["--rate", "15", "--seconds", "600", "--work", "0.05", "--connections", "8", "--done-within", "100"];
    let load = Load::start(&site, &address, &orders);

    let status = arbiter.status();
    kill(&arbiter, "worker", status.worker_pids()[0]);
    kill(&arbiter, "rq", status.companion("rq").pids()[0]);
    let before = arbiter.status();
    let after = kill(&arbiter, "the manager", before.manager().unwrap());
    assert_eq!(after.worker_pids(), before.worker_pids());
    assert_eq!(after.companion("rq").pids(), before.companion("rq").pids());
    assert_eq!(after.pid_of("redis"), before.pid_of("redis"));
    kill(&arbiter, "redis", after.pid_of("redis"));
    arbiter.done(&["restart", "companion", "rq"]);
    arbiter.wait_for_status("the shop to be whole", is_whole);

    let summary = load.finish(&site);
    assert!(summary["accepted"].as_u64().unwrap() > 10, "{summary:#}");
    assert_eq!(summary["done"], summary["accepted"], "{summary:#}");
    assert_eq!(summary["not_done"], serde_json::json!([]), "{summary:#}");

    let visitors = ["--get", "/", "--rate", "200", "--seconds", "600", "--connections", "8"];
    let load = Load::start(&site, &address, &visitors);
    arbiter.done(&["reload"]);
    arbiter.done(&["reload"]);
    let status = arbiter.wait_for_status("the shop to be whole", is_whole);
    assert_eq!(status.generation(), 3);
    let summary = load.finish(&site);
    assert_eq!(summary["failed"], 0, "{summary:#}");
    assert!(summary["generations"].as_object().unwrap().len() >= 2, "{summary:#}");

    assert_eq!(arbiter.stop(), 0, "{}", site.tail());
}
