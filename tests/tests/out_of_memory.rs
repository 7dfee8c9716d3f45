//! Processes that the kernel kills because memory has run out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::{Site, not_tested, processes, program, signal};

/// A control group with little memory, below the one the tests run in.
struct Group(PathBuf);

impl Group {
    fn new(limit: &str) -> io::Result<Self> {
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let of = |prefix: &str, mount: &str| {
            let line =
                own.lines().find(|line| line.split_once(':').is_some_and(|(_, l)| l.starts_with(prefix)))?;
            Some(Path::new(mount).join(line.rsplit_once(':')?.1.trim_start_matches('/')))
        };
        let unified = of(":", "/sys/fs/cgroup").filter(|path| path.join("memory.max").exists());
        let (parent, file) = match (unified, of("memory:", "/sys/fs/cgroup/memory")) {
            (Some(path), _) => (path, "memory.max"),
            (None, Some(path)) => (path, "memory.limit_in_bytes"),
            (None, None) => return Err(io::Error::other("no control group of memory")),
        };
        let group = Self(parent.join(format!("arbiter-test-{}", std::process::id())));
        fs::create_dir(&group.0)?;
        fs::write(group.0.join(file), limit)?;
        Ok(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What was in it has ended, and the kernel may take a moment to see that.
        let path = &self.0;
        tests::wait_for("the control group to go", tests::PATIENCE, String::new, || {
            (fs::remove_dir(path).is_ok() || !path.exists()).then_some(())
        });
    }
}

/// Takes more memory than there is as soon as its file is there.
const EATER: &str = r#"
import os, sys, time
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
os.remove(sys.argv[1])
eaten = b"x" * (400 << 20)
time.sleep(1000)
"#;

#[test]
fn what_the_kernel_killed_for_want_of_memory_is_said_and_other_kills_are_not_taken_for_that() {
    let group = match Group::new("134217728") {
        Ok(group) => group,
        Err(error) => return not_tested(&format!("no group with little memory can be made: {error}")),
    };
    let site = Site::new(
        r#"
        [workers]
        command = ["python3", "@site@/eater.py", "@site@/eat-worker"]
        ready = "started"
        start_seconds = 0
        [companion.app]
        command = ["python3", "@site@/eater.py", "@site@/eat-app"]
        ready = "started"
        start_seconds = 0
        "#,
    );
    site.write("eater.py", EATER);
    let mut command = site.marked(Command::new("/bin/sh"));
    let script = format!("echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"", group.0.display());
    command.arg("-c").arg(script).arg(program("arbiter")).args(["-c", "arbiter.toml"]);
    let arbiter = site.launch_command(command);
    arbiter.wait_until_running();
    let first = arbiter.wait_for_companion("app", "RUNNING");

    site.write("eat-worker", "");
    let status = arbiter.wait_for_status("another worker", |status| {
        !status.ready_workers().is_empty() && status.worker_pids() != first.worker_pids()
    });
    let last = &status.0["workers"]["processes"][0]["last_exit"];
    assert_eq!((&last["signal"], &last["remark"]), (&"SIGKILL".into(), &"out of memory".into()), "{last}");
    assert!(site.log().contains("was killed by SIGKILL (out of memory) while serving"), "{}", site.log());

    site.write("eat-app", "");
    let status = arbiter.wait_for_status("another process of app", |status| {
        let app = status.companion("app");
        app.state == "RUNNING" && app.pids() != first.companion("app").pids()
    });
    let last = &status.0["companions"][0]["processes"][0]["last_exit"];
    assert_eq!((&last["signal"], &last["remark"]), (&"SIGKILL".into(), &"out of memory".into()), "{last}");

    let worker = status.worker_pids()[0];
    processes::signal(worker, signal::KILL);
    let status = arbiter.wait_for_status("one worker more", |status| {
        !status.ready_workers().is_empty() && !status.worker_pids().contains(&worker)
    });
    let last = &status.0["workers"]["processes"][0]["last_exit"];
    assert!(last["remark"].is_null(), "{last}");
    assert_eq!(arbiter.stop(), 0);
}
