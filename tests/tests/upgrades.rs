//! `arbiterctl upgrade`: arbiter replaces its own program, and everything else stays.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use tests::http::Load;
use tests::installed::{put, put_new};
use tests::{Arbiter, Site, Status, installed, processes, signal};

const SHOP: &str = r#"
    pidfile = "@site@/arbiter.pid"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@"]
    count = 2
    requires = ["redis"]
    [companion.redis]
    command = ["@companion@", "--ready-after", "0"]
    ready = "notify"
    restart_delay = 0.1
    restart_delay_max = 0.1
    [companion.clock]
    command = ["@companion@"]
    count = 3
    ready = "started"
    start_seconds = 0
    restart_delay = 0.1
    restart_delay_max = 0.1
    listen = "unix:@site@/clock.sock"
    [companion.talk]
    command = ["sh", "-c", 'i=0; while ! [ -e enough ]; do i=$((i+1)); echo $i of a flood of lines; [ $((i % 100)) = 0 ] && sleep 0.01; done; exec sleep 3600']
    start_seconds = 0
    cwd = "@site@"
    [companion.talk.log]
    file = "@site@/talk.log"
    max_size = "1MiB"
    keep = 10000
"#;

fn install(text: &str) -> Site {
    let site = Site::new(text);
    installed::install(&site);
    site
}

fn launch<'a>(site: &'a Site, environment: &[(&str, &str)]) -> Arbiter<'a> {
    let mut command = site.marked(Command::new(site.path("bin/arbiter")));
    command.args(["-c", "arbiter.toml"]).envs(environment.iter().copied());
    let arbiter = site.launch_command(command);
    arbiter.wait_for_status("all to run", |status| {
        let companions = ["redis", "clock", "talk"].map(|name| status.companion(name).state);
        status.state() == "running" && companions.iter().all(|state| state == "RUNNING")
    });
    arbiter
}

/// The file a process runs.
fn image(pid: i32) -> (u64, u64) {
    let file = fs::metadata(format!("/proc/{pid}/exe")).expect("it runs a program");
    (file.dev(), file.ino())
}

/// Everything that must not change.
fn processes_of(status: &Status) -> Vec<i32> {
    let companions = status.companions().into_iter().flat_map(|name| status.companion(&name).pids());
    status.worker_pids().into_iter().chain(companions).collect()
}

fn upgrade(arbiter: &Arbiter<'_>) -> Status {
    let before = arbiter.status();
    arbiter.done(&["upgrade"]);
    let after = arbiter.wait_for_status("a manager", |status| status.manager().is_some());
    assert_ne!(after.manager(), before.manager());
    assert_eq!(after.pid(), before.pid());
    after
}

/// Ends the flood and looks at every line of it.
fn check_flood(site: &Site) {
    site.write("enough", "");
    let log = site.path("talk.log");
    let old = |age: u32| site.path(&format!("talk.log.{age}"));
    let told = site.wait_for("the last line", || {
        let ages: Vec<u32> = (1..).take_while(|&age| old(age).exists()).collect();
        let older: String =
            ages.into_iter().rev().map(|age| fs::read_to_string(old(age)).unwrap_or_default()).collect();
        let text = older + &fs::read_to_string(&log).unwrap_or_default();
        text.ends_with("of a flood of lines\n").then_some(text)
    });
    for (line, number) in told.lines().zip(1..) {
        assert_eq!(line, format!("{number} of a flood of lines"));
    }
}

#[test]
fn it_is_the_same_process_with_the_same_children_again_and_again() {
    let site = install(SHOP);
    let arbiter = launch(&site, &[]);
    let before = arbiter.status();
    let load = Load::start(&before.address("http"), 4);
    upgrade(&arbiter);
    let descriptors = processes::descriptors(arbiter.pid()).len();
    let mut images = vec![image(arbiter.pid())];
    for _ in 0..5 {
        put_new(&site);
        let after = upgrade(&arbiter);
        images.push(image(arbiter.pid()));
        assert_eq!(processes_of(&after), processes_of(&before));
        assert_eq!(after.generation(), before.generation());
        assert_eq!(after.address("http"), before.address("http"));
        let manager = after.manager().expect("there is one");
        assert_eq!(image(manager), file(&site, "companion-manager"), "the manager is the new one, too");
    }
    images.dedup();
    assert_eq!(images.len(), 6, "each is the program that was installed last");
    // One more may be open in passing.
    site.wait_for("no descriptor to be left open", || {
        (processes::descriptors(arbiter.pid()).len() <= descriptors).then_some(())
    });
    // Before a worker is killed: what it was answering is lost with it.
    load.finish();
    // What it does goes on: it replaces who dies, reloads, and ends in good order.
    let victim = before.worker_pids()[0];
    processes::signal(victim, signal::KILL);
    arbiter.wait_for_status("another worker", |status| {
        status.ready_workers().len() == 2 && !status.worker_pids().contains(&victim)
    });
    assert!(!processes::is_zombie(victim));
    processes::signal(before.pid_of("redis"), signal::KILL);
    arbiter.wait_for_status("another redis", |status| {
        status.companion("redis").state == "RUNNING" && status.pid_of("redis") != before.pid_of("redis")
    });
    let load = Load::start(&before.address("http"), 4);
    arbiter.done(&["reload"]);
    assert_eq!(arbiter.status().generation(), 2);
    load.finish();
    check_flood(&site);
    assert_eq!(arbiter.stop(), 0);
    for left in ["arbiter.pid", "clock.sock", "run/control.sock"] {
        assert!(!site.path(left).exists(), "{left} is left");
    }
}

fn file(site: &Site, name: &str) -> (u64, u64) {
    let file = fs::metadata(site.path("bin").join(name)).expect("it is there");
    (file.dev(), file.ino())
}

#[test]
fn who_dies_meanwhile_is_replaced_once() {
    let site = install(SHOP);
    let arbiter = launch(&site, &[]);
    for round in 0..10 {
        let before = arbiter.status();
        let victims =
            [before.worker_pids()[round % 2], before.pid_of("redis"), before.companion("clock").pids()[1]];
        let upgrading = site.ctl_command(&["upgrade"]).spawn();
        victims.iter().for_each(|&pid| processes::signal(pid, signal::KILL));
        let ended = upgrading.expect("arbiterctl can be started").wait().expect("it ends");
        assert!(ended.success());
        arbiter.wait_for_status("all to be there again", |status| {
            let pids = processes_of(status);
            let redis = status.companion("redis");
            let clock = status.companion("clock");
            let all =
                status.ready_workers().len() == 2 && redis.state == "RUNNING" && clock.state == "RUNNING";
            all && victims.iter().all(|victim| !pids.contains(victim))
                && pids.len() == processes_of(&before).len()
        });
        assert!(victims.iter().all(|&victim| !processes::is_zombie(victim)));
        // RUNNING comes before a process has said anything.
        site.wait_for_start("redis", 2 + round);
        site.wait_for_start("clock", 4 + round);
    }
    assert_eq!(site.started("redis").len(), 11, "none was started twice");
    assert_eq!(site.started("clock").len(), 13);
    check_flood(&site);
}

#[test]
fn what_is_asked_and_signalled_meanwhile_is_done_afterwards() {
    let site = install(SHOP);
    let arbiter = launch(&site, &[]);
    let generation = arbiter.status().generation();
    let upgrading = site.ctl_command(&["upgrade"]).spawn();
    let reloading = site.ctl_command(&["reload"]).spawn();
    arbiter.signal(signal::TTIN);
    for asked in [upgrading, reloading] {
        assert!(asked.expect("arbiterctl can be started").wait().expect("it ends").success());
    }
    let status = arbiter.wait_for_status("three workers of the next generation", |status| {
        status.ready_workers().len() == 3 && status.state() == "running"
    });
    assert_eq!(status.generation(), generation + 1);
    let upgrading = site.ctl_command(&["upgrade"]).spawn();
    arbiter.signal(signal::TERM);
    upgrading.expect("arbiterctl can be started").wait().expect("it ends");
    assert_eq!(arbiter.wait_exit(), 0);
}

#[test]
fn who_waits_over_an_upgrade_gets_his_own_answer() {
    let workers = "command = [\"@worker@\", \"--ready-when\", \"@site@/go\"]\nready = \"notify\"";
    let site = install(&SHOP.replace("command = [\"@worker@\"]", workers));
    site.write("go", "");
    let arbiter = launch(&site, &[]);
    let manager = arbiter.status().manager().expect("there is one");
    site.remove("go");
    // Both come to this manager, in this order; the reload is carried out after the upgrade.
    processes::signal(manager, signal::STOP);
    let ask = |words: &[&str]| {
        let asking = site.ctl_command(words).spawn().expect("arbiterctl can be started");
        let pid = i32::try_from(asking.id()).expect("process ids are small");
        site.wait_for("it to have connected", || {
            let mut open = processes::descriptors(pid).into_values();
            open.any(|what| what.starts_with("socket:")).then_some(())
        });
        asking
    };
    let mut asking = [ask(&["upgrade"]), ask(&["reload"])];
    processes::signal(manager, signal::CONT);
    site.wait_for_start("arbiter", 4);
    // As many others as could be taken for them.
    for _ in 0..3 {
        arbiter.ctl(&["signal", "worker", "99", "HUP"]).failed_with(4);
    }
    site.write("go", "");
    for one in &mut asking {
        let ended = site.wait_for("the answer", || one.try_wait().expect("it is ours"));
        assert!(ended.success());
    }
    assert_eq!(arbiter.status().generation(), 2);
}

#[test]
fn a_program_that_cannot_take_over_is_refused_with_the_reason_and_nothing_changes() {
    let site = install(SHOP);
    let arbiter = launch(&site, &[]);
    let before = arbiter.status();
    let refused = |reason: &str| {
        let output = arbiter.ctl(&["upgrade"]);
        let line = output.failed_with(1);
        assert!(line.contains("upgrade failed, nothing was changed") && line.contains(reason), "{line}");
        let status = arbiter.status();
        assert_eq!((processes_of(&status), status.manager()), (processes_of(&before), before.manager()));
    };
    fs::remove_file(site.path("bin/arbiter")).expect("it is there");
    refused("cannot open");
    put(&site, "arbiter", std::path::Path::new("/bin/true"));
    refused("gave no answer: is it arbiter");
    put(&site, "arbiter", &tests::program("fake-companion"));
    refused("gave no answer for 10 s");
    put_new(&site);
    put(&site, "companion-manager", std::path::Path::new("/bin/true"));
    refused("half installed?");
    put_new(&site);
    site.configure(&format!("{SHOP}\nunknown = 1\n"));
    refused("the configuration is not in order");
    site.configure(SHOP);
    upgrade(&arbiter);
}

#[test]
fn a_program_that_fails_once_it_has_taken_over_is_sent_back_to_the_one_before() {
    for how in ["error", "panic"] {
        let site = install(SHOP);
        let arbiter = launch(&site, &[("ARBITER_FAIL_ARRIVAL", how)]);
        let before = arbiter.status();
        let load = Load::start(&before.address("http"), 2);
        let image_before = image(arbiter.pid());
        put_new(&site);
        for _ in 0..2 {
            let output = arbiter.ctl(&["upgrade"]);
            let line = output.failed_with(1);
            assert!(line.contains("could not take over") && line.contains("told to fail"), "{line}");
            let after = arbiter.wait_for_status("a manager", |status| status.manager().is_some());
            assert_eq!(processes_of(&after), processes_of(&before));
            assert_eq!(image(arbiter.pid()), image_before);
        }
        load.finish();
        check_flood(&site);
        arbiter.done(&["reload"]);
        assert_eq!(arbiter.stop(), 0);
    }
}

#[test]
fn it_is_refused_beside_a_second_arbiter_and_while_starting() {
    let site = install(&SHOP.replace("\"--ready-after\", \"0\"", "\"--ready-when\", \"go\""));
    let mut command = site.marked(Command::new(site.path("bin/arbiter")));
    command.args(["-c", "arbiter.toml"]);
    let arbiter = site.launch_command(command);
    arbiter.wait_for_companion("redis", "STARTING");
    let output = arbiter.ctl(&["upgrade"]);
    assert!(output.failed_with(1).contains("it has not started up yet"), "{output:?}");
    site.write("go", "");
    arbiter.wait_until_running();
    arbiter.signal(signal::USR2);
    site.wait_for("a second arbiter", || site.path("arbiter.pid.2").exists().then_some(()));
    let output = arbiter.ctl(&["upgrade"]);
    assert!(output.failed_with(1).contains("another arbiter beside this one"), "{output:?}");
    let second = site.wait_for("its pid", || {
        fs::read_to_string(site.path("arbiter.pid.2")).ok()?.trim().parse::<i32>().ok()
    });
    processes::signal(second, signal::TERM);
    site.wait_for("it to end", || (!processes::is_alive(second)).then_some(()));
}

#[test]
fn the_service_manager_above_hears_of_a_status_only() {
    let site = install(SHOP);
    let path = site.path("above");
    let above = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket can be bound");
    let arbiter = launch(&site, &[("NOTIFY_SOCKET", path.to_str().expect("a plain path"))]);
    above.set_nonblocking(true).expect("it can");
    let drain = || {
        let mut told = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length) = above.recv(&mut buffer) {
            told.extend(String::from_utf8_lossy(&buffer[..length]).lines().map(str::to_owned));
        }
        told
    };
    site.wait_for("READY", || drain().contains(&"READY=1".to_owned()).then_some(()));
    upgrade(&arbiter);
    arbiter.done(&["scale", "workers", "3"]);
    arbiter.wait_for_status("three workers", |status| status.ready_workers().len() == 3);
    let told = site.wait_for("a status", || Some(drain()).filter(|told| !told.is_empty()));
    assert!(told.iter().all(|line| line.starts_with("STATUS=")), "{told:?}");
    assert_eq!(arbiter.stop(), 0);
    site.remove("above");
}

#[test]
fn the_hook_pre_exec_comes_first_and_may_forbid_it() {
    let hook = "hooks.pre_exec = [\"sh\", \"-c\", \"echo $ARBITER_EVENT_NAME >> events; test -e allowed\"]\n";
    let site = install(&format!("{hook}{SHOP}"));
    let arbiter = launch(&site, &[]);
    let before = arbiter.status();
    let refusal = arbiter.ctl(&["upgrade"]);
    assert!(refusal.failed_with(1).contains("pre_exec exited with status 1"), "{}", refusal.stderr);
    assert_eq!(arbiter.status().manager(), before.manager(), "nothing was begun");
    site.write("allowed", "");
    arbiter.done(&["upgrade"]);
    assert_eq!(fs::read_to_string(site.path("events")).expect("it has run"), "pre_exec\npre_exec\n");
    assert_eq!(arbiter.status().worker_pids(), before.worker_pids());
}

#[test]
fn a_stop_does_not_wait_for_the_hook_pre_exec() {
    let site = install(&format!("hooks.pre_exec = [\"sleep\", \"1000\"]\n{SHOP}"));
    let arbiter = launch(&site, &[]);
    let upgrade = site.ctl_command(&["upgrade"]).spawn().expect("it can be started");
    site.wait_for("the hook to run", || {
        site.processes().iter().any(|(_, line)| line.starts_with("sleep 1000")).then_some(())
    });
    assert_eq!(arbiter.status().state(), "upgrading");
    assert_eq!(arbiter.stop(), 0);
    let output = upgrade.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
}
