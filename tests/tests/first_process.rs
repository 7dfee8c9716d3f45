//! arbiter as the first process of a container: it reaps what others leave, hears signals and keeps its exit status.

use std::process::Command;
use tests::{Arbiter, Site, What, http, is_root, not_tested, processes, signal};

/// Whether this machine and user can have namespaces.
fn can_be_first() -> bool {
    if !is_root() {
        return false;
    }
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "true"]);
    let can = command.output().is_ok_and(|output| output.status.success());
    if !can {
        not_tested("this machine gives no process namespace (unshare)");
    }
    can
}

/// A container around `arbiter`, which is its first process. The harness's handle is that of the container.
fn launch<'s>(site: &'s Site, prepare: &str, arguments: &[&str]) -> Arbiter<'s> {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "/bin/sh", "-c"]);
    command.arg(format!("{prepare} exec \"$0\" \"$@\"")).arg(site.command("arbiter").get_program());
    let mut command = site.marked(command);
    command.args(arguments.iter().map(|argument| site.expand(argument)));
    site.launch_command(command)
}

/// The number that arbiter has outside.
fn first_process(site: &Site, container: &Arbiter<'_>) -> i32 {
    site.wait_for("the first process", || {
        let children = sys::procfs::children_of(container.pid());
        children.into_iter().find(|pid| sys::procfs::comm(*pid).is_some_and(|name| name == "arbiter"))
    })
}

#[test]
fn it_reaps_what_workers_leave_drains_on_term_and_ends_with_its_own_status() {
    if !can_be_first() {
        return;
    }
    // The worker leaves a process behind that nobody waits for.
    let site = Site::new(
        r#"
        [[listener]]
        address = "unix:@site@/app.sock"
        [workers]
        command = ["sh", "-c", '(setsid @companion@ --as-child --exit-after 0.2 &) ; exec @worker@']
        [companion.clock]
        command = ["sh", "-c", '(setsid @companion@ --as-child --exit-after 0.2 &) ; exec @companion@']
        "#,
    );
    let container = launch(&site, "", &["-c", "arbiter.toml"]);
    let status = container.wait_until_running();
    assert_eq!(status.0["arbiter"]["pid"], 1);
    let arbiter = first_process(&site, &container);
    site.wait_for("what was left to end", || {
        let left =
            |name: &str| site.events().iter().any(|event| event.what == What::Leaves && event.name == name);
        (left("arbiter-child") && left("clock-child")).then_some(())
    });
    site.wait_for("it to be reaped", || {
        let children = sys::procfs::children_of(arbiter);
        let zombies = site_zombies(arbiter);
        (children.len() == 2 && zombies.is_empty()).then_some(())
    });
    let socket = site.path("app.sock");
    let slow = std::thread::spawn(move || http::get_unix(&socket, "/sleep/1"));
    site.wait_for("the request", || connected(&site).then_some(()));
    processes::signal(arbiter, signal::TERM);
    assert_eq!(container.wait_exit(), 0);
    assert!(slow.join().expect("it does not panic").is_ok(), "in-flight work is finished");
}

/// Zombies below a process.
fn site_zombies(root: i32) -> Vec<i32> {
    let mut found = vec![root];
    let mut looked = 0;
    while let Some(&pid) = found.get(looked) {
        looked += 1;
        found.extend(sys::procfs::children_of(pid));
    }
    found.into_iter().filter(|pid| processes::is_zombie(*pid)).collect()
}

/// Whether the worker has accepted a connection: it then has a thread for it.
fn connected(site: &Site) -> bool {
    let worker = site.processes().into_iter().find(|(_, line)| line.contains("fake-worker"));
    worker.is_some_and(|(pid, _)| sys::procfs::stat(pid).is_some_and(|stat| stat.threads > 1))
}

#[test]
fn a_failed_boot_ends_the_container_with_its_exit_code() {
    if !can_be_first() {
        return;
    }
    let site = Site::new("[workers]\ncommand = [\"@worker@\", \"--exit-if\", \"@site@/code\"]\n");
    site.write("code", "4");
    let container = launch(&site, "", &["-c", "arbiter.toml"]);
    assert_eq!(container.wait_exit(), 4);
}

#[test]
fn a_term_that_comes_while_the_configuration_is_read_is_not_lost() {
    if !can_be_first() {
        return;
    }
    let site = Site::new("");
    let fifo = site.path("slow.toml");
    let made = Command::new("mkfifo").arg(&fifo).status().expect("mkfifo is there");
    assert!(made.success());
    let container = launch(&site, "", &["-c", "slow.toml"]);
    let arbiter = first_process(&site, &container);
    site.wait_for("the configuration to be read", || {
        (!sys::procfs::children_of(arbiter).is_empty()).then_some(())
    });
    processes::signal(arbiter, signal::TERM);
    // Opened when somebody reads it.
    std::fs::write(&fifo, "[workers]\ncommand = [\"sleep\", \"3600\"]\n").expect("it is read");
    assert_eq!(container.wait_exit(), 0);
}

#[test]
fn it_works_without_a_runtime_directory() {
    if !can_be_first() {
        return;
    }
    let site =
        Site::new("[[listener]]\naddress = \"unix:@site@/app.sock\"\n[workers]\ncommand = [\"@worker@\"]\n");
    let prepare = "unset RUNTIME_DIRECTORY; mount -t tmpfs -o ro none /run &&";
    let container = launch(&site, prepare, &["-c", "arbiter.toml"]);
    site.wait_for("it to serve", || http::get_unix(&site.path("app.sock"), "/").ok());
    assert!(site.log().contains("no control socket: cannot create /run/arbiter"), "{}", site.log());
    let arbiter = first_process(&site, &container);
    processes::signal(arbiter, signal::TERM);
    assert_eq!(container.wait_exit(), 0);
}

#[test]
fn going_to_the_background_would_end_the_container_and_is_refused() {
    if !can_be_first() {
        return;
    }
    let site = Site::new("[workers]\ncommand = [\"@worker@\"]\n");
    let container = launch(&site, "", &["-c", "arbiter.toml", "--daemon"]);
    assert_eq!(container.wait_exit(), 1);
    assert!(site.log().contains("leave out --daemon"), "{}", site.log());
}
