//! `max_lifetime` and `memory_max`: workers that are replaced though nothing is wrong.

use std::time::Duration;
use tests::http::{self, Load};
use tests::{Site, observe_for};

#[test]
fn workers_that_have_lived_long_enough_are_replaced_without_a_failed_request() {
    let site = Site::new(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [workers]
        command = ["@worker@"]
        count = 2
        max_lifetime = 1
        max_lifetime_jitter = 1
        "#,
    );
    let arbiter = site.start();
    let load = Load::start(&arbiter.status().address("http"), 2);
    site.wait_for_start("arbiter", 6);
    load.finish();
    let status = arbiter.status();
    assert_eq!((status.state(), status.generation()), ("running", 1));
    assert!(status.workers().iter().all(|worker| worker.restarts == 0), "that is no failure: {status:?}");
    let log = site.log();
    let told = log.lines().find(|line| line.contains("(max_lifetime), replacing it")).expect("it is told");
    assert!(told.contains("has lived 1.") || told.contains("has lived 2."), "{told}");
    assert!(!log.contains("WARN") && !log.contains("warn"), "{log}");
    let restart = arbiter.ctl(&["restart", "worker", "1"]);
    assert_eq!(restart.code, 0, "{restart:?}");
}

#[test]
fn a_worker_whose_successor_fails_serves_on_and_is_replaced_later() {
    let site = Site::new(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [workers]
        command = ["@worker@", "--exit-if", "@site@/broken"]
        max_lifetime = 0.5
        "#,
    );
    let arbiter = site.start();
    site.write("broken", "1");
    // One may have been on its way before.
    let tried = || site.log().matches("stays, its successor exited with status 1").count();
    site.wait_for("two tries", || (tried() >= 2).then_some(()));
    let status = arbiter.status();
    let serving = status.ready_workers()[0].pid;
    assert_eq!(http::who(&status.address("http")).unwrap().pid, serving.unwrap());
    site.remove("broken");
    arbiter.wait_for_status("another to serve", |status| {
        status.ready_workers().iter().any(|worker| worker.pid != serving)
    });
}

#[test]
fn a_worker_that_uses_too_much_memory_is_replaced() {
    let site = Site::new(
        r#"
        [workers]
        command = ["@worker@", "--no-listener", "--ready-after", "0", "--hold", "@site@/hold"]
        ready = "notify"
        count = 2
        memory_max = "48MiB"
        "#,
    );
    site.write("hold", "64");
    let arbiter = site.start();
    site.remove("hold");
    let big = arbiter.status().worker_pids();
    site.wait_for_start("arbiter", 4);
    let status = arbiter.wait_for_status("two small ones", |status| {
        status.workers().len() == 2 && status.worker_pids().iter().all(|pid| !big.contains(pid))
    });
    assert!(site.log().contains("worker 1 (generation 1): uses 6"), "{}", site.log());
    assert!(site.log().contains("(memory_max 48 MiB), replacing it"), "{}", site.log());
    observe_for(Duration::from_secs(11));
    assert_eq!(arbiter.status().worker_pids(), status.worker_pids(), "the small ones are left alone");
}

#[test]
fn memory_that_workers_share_counts_in_parts() {
    let shares = r#"
import mmap, os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
size = 96 << 20
file = open(sys.argv[1], "r+b")
memory = mmap.mmap(file.fileno(), size)
for at in range(0, size, 4096):
    memory[at] = 1
open(sys.argv[1] + "-" + str(os.getpid()), "w").close()
while True:
    time.sleep(60)
"#;
    let site = Site::new(
        r#"
        [workers]
        command = ["python3", "@site@/shares.py", "@site@/shared"]
        ready = "started"
        start_seconds = 0.2
        count = 4
        memory_max = "72MiB"
        "#,
    );
    site.write("shares.py", shares);
    let shared = std::fs::File::create(site.path("shared")).unwrap();
    shared.set_len(96 << 20).unwrap();
    let arbiter = site.start();
    let first = arbiter.status().worker_pids();
    for pid in &first {
        let path = site.path(&format!("shared-{pid}"));
        site.wait_for("a worker to use it all", || path.exists().then_some(()));
    }
    observe_for(Duration::from_secs(12));
    assert_eq!(arbiter.status().worker_pids(), first, "{}", site.log());
    arbiter.done(&["scale", "workers", "1"]);
    site.wait_for("the one that is left to be replaced", || {
        site.log().contains("(memory_max 72 MiB), replacing it").then_some(())
    });
}
