//! arbiter among others: its own supervisor, its log, and processes that nobody owns.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use tests::{Site, processes, signal};

const PLAIN: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@"]
    count = 2
"#;

#[test]
fn arbiter_tells_its_own_supervisor_when_it_is_ready_reloads_and_stops() {
    let site = Site::new(PLAIN);
    let socket = UnixDatagram::bind(site.path("outer")).unwrap();
    socket.set_read_timeout(Some(tests::PATIENCE)).unwrap();
    let heard = |wanted: &str| {
        let mut text = String::new();
        while !text.lines().any(|line| line == wanted) {
            let mut buffer = [0; 4096];
            let length =
                socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{wanted}: {error}\n{}", site.tail()));
            text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        }
        text
    };
    let mut command = site.command("arbiter");
    command.args(["-c", "arbiter.toml"]).env("NOTIFY_SOCKET", site.path("outer"));
    let arbiter = site.launch_command(command);
    heard("READY=1");
    assert_eq!(arbiter.status().ready_workers().len(), 2);
    arbiter.signal(signal::HUP);
    let reloading = heard("RELOADING=1");
    assert!(reloading.lines().any(|line| line.starts_with("MONOTONIC_USEC=")), "{reloading}");
    heard("READY=1");
    arbiter.signal(signal::TERM);
    heard("STOPPING=1");
    assert_eq!(arbiter.wait_exit(), 0);
    std::fs::remove_file(site.path("outer")).unwrap();
}

#[test]
fn a_daemonised_grandchild_is_shown_as_a_stray_and_ended_last() {
    let site = Site::new(
        r#"
        [companion.launcher]
        # It stays until the other has left its group: what is in there ends with it.
        command = ["sh", "-c", "setsid --fork @companion@ --as-child; until grep -q child announcements; do sleep 0.01; done"]
        cwd = "@site@"
        restart = "never"
        "#,
    );
    let arbiter = site.start();
    let stray = site.wait_for_start("launcher-child", 1);
    let status = arbiter.wait_for_status("the stray to be shown", |status| {
        status.0["strays"].as_array().is_some_and(|strays| strays.iter().any(|one| one["pid"] == stray))
    });
    assert!(status.companion("launcher").pids() != [stray]);
    arbiter.wait_for_companion("launcher", "EXITED");
    assert!(processes::is_alive(stray), "it is left alone");
    assert_eq!(arbiter.stop(), 0);
    let leaves = site.events().into_iter().filter(|event| event.what == tests::What::Leaves);
    assert_eq!(leaves.map(|event| event.pid).collect::<Vec<_>>(), [stray], "it was asked, not killed");
}

#[test]
fn zombies_of_strangers_are_reaped() {
    let site = Site::new(
        r#"
        [companion.parent]
        command = ["@companion@", "--fork-child"]
        ready = "started"
        start_seconds = 0
        restart = "never"
        "#,
    );
    let arbiter = site.start();
    let child = site.wait_for_start("parent-child", 1);
    let parent = site.wait_for_start("parent", 1);
    processes::signal(parent, signal::KILL);
    arbiter.wait_for_companion("parent", "EXITED");
    site.wait_for("the child to be gone and reaped", || sys::procfs::stat(child).is_none().then_some(()));
}

#[test]
fn usr1_and_hup_open_the_log_anew() {
    let log = format!("[log]\nfile = \"@site@/own.log\"\n{PLAIN}");
    let site = Site::new(&log);
    let arbiter = site.start();
    assert!(std::fs::read_to_string(site.path("own.log")).unwrap().contains("starts"));
    for (number, name) in [(signal::USR1, "first"), (signal::HUP, "second")] {
        std::fs::rename(site.path("own.log"), site.path(name)).unwrap();
        arbiter.signal(number);
        site.wait_for("a new log", || site.path("own.log").exists().then_some(()));
        arbiter.wait_until_running();
    }
    processes::signal(arbiter.status().worker_pids()[0], signal::KILL);
    site.wait_for("news in the new log", || {
        std::fs::read_to_string(site.path("own.log")).unwrap_or_default().contains("SIGKILL").then_some(())
    });
}

#[test]
fn json_lines_are_json_and_name_worker_or_companion_and_pid() {
    let companion = "[companion.\"batch.clock\"]\ncommand = [\"@companion@\"]\nready = \"started\"\n";
    let site = Site::new(&format!("[log]\nformat = \"json\"\n{PLAIN}{companion}"));
    let arbiter = site.start();
    arbiter.wait_for_companion("batch.clock", "RUNNING");
    let (worker, clock) = (arbiter.status().workers()[1].clone(), arbiter.status().pid_of("batch.clock"));
    processes::signal(worker.pid.unwrap(), signal::KILL);
    processes::signal(clock, signal::KILL);
    site.wait_for("the deaths in the log", || (site.log().matches("SIGKILL").count() == 2).then_some(()));
    for line in site.log().lines() {
        let value: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for key in ["time", "level", "message"] {
            assert!(value[key].is_string(), "{key} in {line}");
        }
    }
    let log = site.log();
    let told = |words: &str| -> serde_json::Value {
        let line = log.lines().find(|line| line.contains(words));
        serde_json::from_str(line.unwrap_or_else(|| panic!("nothing of {words}"))).unwrap()
    };
    for words in
        ["worker 2 (generation 1): started", "worker 2 (generation 1): ready", "SIGKILL while serving"]
    {
        let line = told(words);
        assert_eq!((&line["worker"], &line["pid"]), (&2.into(), &worker.pid.unwrap().into()), "{line}");
    }
    for words in ["batch.clock: started", "batch.clock: ready"] {
        let line = told(words);
        assert_eq!((&line["companion"], &line["pid"]), (&"batch.clock".into(), &clock.into()), "{line}");
    }
}

#[test]
fn at_level_debug_the_configuration_in_effect_is_logged_at_start_and_at_each_reload() {
    let site = Site::new(&format!("[log]\nlevel = \"debug\"\n{PLAIN}"));
    let arbiter = site.start();
    let told = || -> String {
        let log = site.log();
        let lines = log.lines().filter_map(|line| line.split_once("in effect: "));
        lines.map(|(_, line)| format!("{line}\n")).collect()
    };
    let printed = |site: &Site| {
        let text = site.run(&["-c", "arbiter.toml", "--print-config"]).stdout;
        text.lines().filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect::<String>()
    };
    let first = printed(&site);
    assert_eq!(told(), first);
    site.configure(&format!("[log]\nlevel = \"debug\"\n{PLAIN}timeout = 7\n"));
    arbiter.done(&["reload"]);
    assert_eq!(told(), first + &printed(&site));
    site.configure(PLAIN);
    arbiter.done(&["reload"]);
    let before = told();
    arbiter.done(&["reload"]);
    assert_eq!(told(), before, "at other levels nothing is told");
}

/// Standard error as a journal reads it: a stream socket that `JOURNAL_STREAM` names.
#[test]
fn under_a_journal_lines_carry_their_priority_and_no_time() {
    use std::io::{BufRead, BufReader};
    use std::os::fd::{AsFd, OwnedFd};
    let site = Site::new(PLAIN);
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let identity = sys::fd::identity(theirs.as_fd()).unwrap();
    let mut command = std::process::Command::new("sh");
    // The harness gives standard error to a file of its own.
    command.args(["-c", "exec \"$0\" -c arbiter.toml 2>&0"]).arg(tests::program("arbiter"));
    let mut command = site.marked(command);
    command.env("JOURNAL_STREAM", format!("{}:{}", identity.device, identity.inode));
    command.stdin(std::process::Stdio::from(OwnedFd::from(theirs)));
    let arbiter = site.launch_command(command);
    arbiter.wait_until_running();
    let victim = arbiter.status().worker_pids()[0];
    processes::signal(victim, signal::KILL);
    arbiter.wait_for_status("the replacement", |status| {
        status.ready_workers().len() == 2 && !status.worker_pids().contains(&victim)
    });
    assert_eq!(arbiter.stop(), 0);
    let lines: Vec<String> = BufReader::new(ours).lines().map(Result::unwrap).collect();
    assert!(!lines.is_empty());
    for line in &lines {
        let (priority, rest) = line.split_at(3);
        assert!(["<3>", "<4>", "<6>"].contains(&priority), "{line}");
        assert!(!rest.starts_with("20"), "a time: {line}");
    }
    assert!(lines.iter().any(|line| line.starts_with("<6>arbiter ")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("<4>") && line.contains("SIGKILL")), "{lines:?}");
}

#[test]
fn signals_that_were_ignored_or_blocked_when_it_was_started_are_heard_all_the_same() {
    let site =
        Site::new("[companion.a]\ncommand = [\"@companion@\"]\nready = \"started\"\nstart_seconds = 0\n");
    let script = "import os, signal, sys\n\
        told = [signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM]\n\
        for number in told: signal.signal(number, signal.SIG_IGN)\n\
        signal.pthread_sigmask(signal.SIG_BLOCK, told)\n\
        os.execv(sys.argv[1], sys.argv[1:])";
    let mut command = site.marked(Command::new("python3"));
    command.args(["-B", "-c", script]).arg(tests::program("arbiter")).args(["-c", "arbiter.toml"]);
    let arbiter = site.launch_command(command);
    let first = arbiter.wait_for_companion("a", "RUNNING").pid_of("a");
    processes::signal(first, signal::KILL);
    arbiter.wait_for_status("another process", |status| {
        status.companion("a").pids().iter().any(|&pid| pid != first)
    });
    arbiter.signal(signal::HUP);
    site.wait_for("the reload", || site.log().contains("reload done").then_some(()));
    assert_eq!(arbiter.stop(), 0);
}
