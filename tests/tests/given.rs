//! What a child is given, worker and companion alike, as `/proc` shows it; and what the system refuses to give.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::process::Command;
use tests::{Arbiter, Site, Status, is_root, processes, signal};

/// A worker and a companion that open nothing and change nothing themselves.
const BARE: &str = r#"
    name = "shop"
    [[listener]]
    address = "127.0.0.1:0"
    [[listener]]
    name = "admin"
    address = "unix:@site@/admin.sock"
    [workers]
    command = ["sleep", "1000"]
    ready = "started"
    start_seconds = 0.1
    @keys@
    [companion.clock]
    command = ["sleep", "1000"]
    ready = "started"
    start_seconds = 0.1
    @keys@
"#;

fn bare(keys: &str) -> String {
    BARE.replace("@keys@", keys)
}

/// The worker and the companion, once they are the programs they are to be.
fn both(site: &Site, arbiter: &Arbiter<'_>) -> [i32; 2] {
    arbiter.wait_until_running();
    let status = arbiter.wait_for_companion("clock", "RUNNING");
    let pids = [status.worker_pids()[0], status.pid_of("clock")];
    for pid in pids {
        site.wait_for("its exec", || (processes::command_line(pid) == "sleep 1000").then_some(()));
    }
    pids
}

/// The environment that a child is to have: arbiter's own without what was meant for arbiter alone, and this.
fn expected(arbiter: &Arbiter<'_>, more: &[(&str, String)]) -> BTreeMap<String, String> {
    let mut environment = processes::environment(arbiter.pid());
    environment.retain(|name, _| {
        let own = ["NOTIFY_SOCKET", "FDSTORE"].contains(&name.as_str());
        !own && !["WATCHDOG_", "LISTEN_"].iter().any(|prefix| name.starts_with(prefix))
    });
    environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    environment
}

#[test]
fn a_child_has_what_is_promised_and_nothing_of_what_arbiter_itself_was_given() {
    let site = Site::new(&bare(""));
    // Signals that are ignored, a descriptor that somebody left open, and a supervisor above.
    let script = "trap '' USR2 PIPE WINCH; exec 9</dev/null; exec \"$0\" -c arbiter.toml";
    let mut command = site.marked(Command::new("sh"));
    command.args(["-c", script]).arg(tests::program("arbiter"));
    command.env("NOTIFY_SOCKET", site.path("outer.sock")).env("FDSTORE", "1");
    command.env("WATCHDOG_USEC", "7000000").env("WATCHDOG_PID", "1");
    command.env("LISTEN_FDS", "2").env("LISTEN_PID", "1").env("LISTEN_FDNAMES", "old:older");
    let arbiter = site.launch_command(command);
    let [worker, companion] = both(&site, &arbiter);
    assert_eq!(processes::environment(arbiter.pid())["WATCHDOG_USEC"], "7000000");
    for (pid, sockets) in [(worker, 2), (companion, 0)] {
        let stat = sys::procfs::stat(pid).unwrap();
        assert_eq!((stat.session, stat.pgrp), (pid, pid));
        assert_eq!(terminal(pid), "0");
        let open = processes::descriptors(pid);
        assert_eq!(
            open.keys().copied().collect::<Vec<_>>(),
            (0..3 + sockets).collect::<Vec<_>>(),
            "{open:?}"
        );
        assert_eq!(open[&0], "/dev/null");
        assert!(open.range(3..).all(|(_, what)| what.starts_with("socket:")), "{open:?}");
        for set in ["SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd"] {
            let bits = processes::status_line(pid, set);
            assert!(bits.bytes().all(|digit| digit == b'0'), "{set}: {bits}");
        }
        let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
        assert_eq!(cwd, site.path("").canonicalize().unwrap(), "where arbiter was started");
        for name in ["Umask", "Uid", "Gid", "Groups", "NoNewPrivs", "CapEff"] {
            let of = |pid| processes::status_line(pid, name);
            assert_eq!(of(pid), of(arbiter.pid()), "{name} as arbiter was started");
        }
        let notify = processes::environment(pid)["NOTIFY_SOCKET"].clone();
        assert!(notify.starts_with(site.directory()) && !notify.contains("outer"), "{notify}");
        let more = |name: &str| {
            vec![
                ("ARBITER_PID", arbiter.pid().to_string()),
                ("ARBITER_NAME", name.to_owned()),
                ("ARBITER_SLOT", "1".to_owned()),
                ("ARBITER_GENERATION", "1".to_owned()),
                ("ARBITER_SOCKET", site.socket().to_string_lossy().into_owned()),
                ("SERVER_SOFTWARE", format!("arbiter/{}", env!("CARGO_PKG_VERSION"))),
                ("NOTIFY_SOCKET", notify.clone()),
            ]
        };
        let wanted = if pid == worker {
            let mut more = more("shop");
            more.push(("LISTEN_FDS", "2".to_owned()));
            more.push(("LISTEN_PID", pid.to_string()));
            more.push(("LISTEN_FDNAMES", "http:admin".to_owned()));
            more.push(("WATCHDOG_USEC", "30000000".to_owned()));
            more.push(("WATCHDOG_PID", pid.to_string()));
            expected(&arbiter, &more)
        } else {
            expected(&arbiter, &more("clock"))
        };
        assert_eq!(processes::environment(pid), wanted);
    }
}

/// The number of a process's terminal; 0: it has none.
fn terminal(pid: i32) -> String {
    field(pid, 4)
}

/// A field of `/proc/PID/stat`, counted from the state, which is 0.
fn field(pid: i32, number: usize) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let field = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(number));
    field.unwrap_or_default().to_owned()
}

#[test]
fn what_an_arbiter_above_has_told_this_one_reaches_no_child() {
    let site = Site::new(
        r#"
        [control]
        socket = ""
        [workers]
        command = ["@worker@", "--no-listener"]
        env = { ARBITER_STREAM_MINE = "7" }
        [companion.clock]
        command = ["@companion@"]
        ready = "started"
        env_file = "-@site@/nothing"
        "#,
    );
    let above = ["ARBITER_SOCKET", "ARBITER_STREAM_Z", "ARBITER_STREAM_MINE", "ARBITER_COMPANION_REDIS"];
    let mut command = site.command("arbiter");
    command.args(["-c", "arbiter.toml"]).env("ARBITER_SLOT", "9").envs(above.map(|name| (name, "above")));
    let arbiter = site.launch_command(command);
    // Where to reach its companions is as good for what runs below this one.
    for (name, mine) in [("arbiter", Some("7")), ("clock", None)] {
        let environment = processes::environment(site.wait_for_start(name, 1));
        assert_eq!(environment["ARBITER_SLOT"], "1");
        let told = |name: &str| environment.get(name).map(String::as_str);
        assert_eq!(above.map(told), [None, None, mine, Some("above")], "{name}");
    }
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn settings_reach_a_companion_as_they_reach_a_worker() {
    let keys = "umask = '0027'\nnice = 5\noom_score_adj = 300\nno_new_privileges = true\n\
                limits = { nofile = '200:300', core = 0, fsize = 'infinity', stack = '8MiB' }\ncwd = '/usr'";
    let site = Site::new(&bare(keys));
    let arbiter = site.launch();
    for pid in both(&site, &arbiter) {
        assert_eq!(processes::status_line(pid, "Umask"), "0027");
        assert_eq!(processes::status_line(pid, "NoNewPrivs"), "1");
        assert_eq!(field(pid, 16), "5");
        assert_eq!(std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap(), "300\n");
        assert_eq!(std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str(), Some("/usr"));
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let limits: Vec<String> =
            limits.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        for line in [
            "Max open files 200 300 files",
            "Max core file size 0 0 bytes",
            "Max file size unlimited unlimited bytes",
            "Max stack size 8388608 8388608 bytes",
        ] {
            assert!(limits.iter().any(|limit| limit == line), "{line} in {limits:#?}");
        }
    }
}

/// Somebody with supplementary groups, where the machine has such a user; else one that every Debian has.
fn somebody() -> sys::users::Account {
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let members = groups.lines().filter_map(|line| line.rsplit(':').next()?.split(',').next());
    let mut accounts =
        members.chain(["www-data"]).filter_map(|name| sys::users::user_by_name(name).ok().flatten());
    accounts.find(|account| account.uid != 0).expect("there is a user but root")
}

#[test]
fn another_user_is_that_user_in_everything() {
    if !is_root() {
        return;
    }
    let account = somebody();
    let mut groups = sys::users::groups_of(&account.name, account.gid).unwrap();
    groups.sort_unstable();
    let site = Site::new(&bare(&format!("user = '{}'\ncwd = '/'", account.name)));
    let arbiter = site.launch();
    for pid in both(&site, &arbiter) {
        let ids = |name| {
            let line = processes::status_line(pid, name);
            line.split_whitespace().map(|word| word.parse().unwrap()).collect::<Vec<u32>>()
        };
        assert_eq!((ids("Uid"), ids("Gid")), (vec![account.uid; 4], vec![account.gid; 4]));
        let mut found = ids("Groups");
        found.sort_unstable();
        assert_eq!(found, groups);
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(processes::status_line(pid, set).trim_start_matches('0'), "", "{set}");
        }
        let environment = processes::environment(pid);
        let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
        for (name, value) in [
            ("USER", account.name.clone()),
            ("LOGNAME", account.name.clone()),
            ("HOME", path(&account.home)),
            ("SHELL", path(&account.shell)),
        ] {
            assert_eq!(environment.get(name), Some(&value), "{name}");
        }
    }
}

#[test]
fn a_link_by_which_arbiters_own_directory_was_entered_is_followed_too() {
    let site = Site::new("");
    let sleeper = |name: &str| format!("[companion.{name}]\ncommand = [\"sleep\", \"1000\"]\n");
    for (release, text) in [("one", sleeper("clock")), ("two", sleeper("clock") + &sleeper("added"))] {
        std::fs::create_dir(site.path(release)).unwrap();
        site.write(&format!("{release}/arbiter.toml"), &text);
    }
    symlink("one", site.path("current")).unwrap();
    let mut command = site.command("arbiter");
    // As a shell does that has gone there.
    command.current_dir(site.path("current")).env("PWD", site.path("current"));
    let arbiter = site.launch_command(command);
    arbiter.wait_for_companion("clock", "RUNNING");
    symlink("two", site.path("next")).unwrap();
    std::fs::rename(site.path("next"), site.path("current")).unwrap();
    assert_eq!(arbiter.done(&["--json", "reload"]).json()["added"], serde_json::json!(["added"]));
    arbiter.done(&["restart", "companion", "clock"]);
    let status = arbiter.wait_for_companion("added", "RUNNING");
    for name in ["clock", "added"] {
        let cwd = std::fs::read_link(format!("/proc/{}/cwd", status.pid_of(name))).unwrap();
        assert_eq!(cwd, site.path("two").canonicalize().unwrap(), "{name}");
    }
}

#[test]
fn a_link_that_is_switched_leads_the_next_process_elsewhere() {
    let site = Site::new(&bare("cwd = '@site@/current'"));
    for release in ["one", "two"] {
        std::fs::create_dir(site.path(release)).unwrap();
    }
    symlink("one", site.path("current")).unwrap();
    let arbiter = site.launch();
    let first = both(&site, &arbiter);
    let directory = |pid| std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    let release = |name: &str| site.path(name).canonicalize().unwrap();
    assert_eq!(first.map(directory), [release("one"), release("one")]);
    symlink("two", site.path("next")).unwrap();
    std::fs::rename(site.path("next"), site.path("current")).unwrap();
    for pid in first {
        processes::signal(pid, signal::KILL);
    }
    arbiter.wait_for_status("others in their places", |status| {
        let pids = |status: &Status| [status.worker_pids(), status.companion("clock").pids()].concat();
        let pids = pids(status);
        pids.len() == 2 && !pids.iter().any(|pid| first.contains(pid))
    });
    assert_eq!(both(&site, &arbiter).map(directory), [release("two"), release("two")]);
}

#[test]
fn what_the_system_refuses_is_the_reason_and_names_the_key() {
    let site = Site::new("");
    let cases = [
        ("nice = -5", "cannot set nice: Permission denied (a value below arbiter's own needs CAP_SYS_NICE)"),
        (
            "oom_score_adj = -500",
            "cannot set oom_score_adj: Permission denied (a value below arbiter's own needs CAP_SYS_RESOURCE)",
        ),
        ("limits = { core = 100 }", "cannot set limits.core: Operation not permitted"),
        ("limits = { core = '0:1' }", "cannot set limits.core: Operation not permitted"),
    ];
    for (key, expected) in cases {
        let text = bare(key).replace("start_seconds = 0.1", "start_seconds = 1");
        site.configure(&format!("on_boot_failure = \"retry\"\n{text}"));
        // Without the privileges, though perhaps as root; and with a hard limit of arbiter's own.
        let mut command = site.marked(Command::new("prlimit"));
        command.arg("--core=0:0");
        if is_root() {
            command.args(["setpriv", "--bounding-set=-sys_resource,-sys_nice"]);
        }
        command.arg(tests::program("arbiter")).args(["-c", "arbiter.toml"]);
        let arbiter = site.launch_command(command);
        let status = arbiter.wait_for_companion("clock", "BACKOFF");
        let reason = status.companion("clock").reason().to_owned();
        assert!(reason.contains(&format!("cannot start sleep: {expected}")), "{reason}");
        let status = arbiter.wait_for_status("the worker to back off", |status| {
            status.workers().iter().any(|worker| worker.state == "BACKOFF")
        });
        let reason = &status.workers()[0].reason;
        assert!(reason.contains(&format!("cannot start sleep: {expected}")), "{reason}");
        assert_eq!(arbiter.stop(), 0);
    }
}
