//! Hooks: when they run, what they are told, and what waits for them.

use serde_json::Value;
use std::fs;
use tests::{Arbiter, Site, processes, signal};

/// Two workers and these hooks.
fn site(hooks: &str) -> Site {
    Site::new(&configuration(2, hooks))
}

fn configuration(workers: u32, hooks: &str) -> String {
    format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\n\
         [workers]\ncommand = [\"@worker@\"]\ncount = {workers}\n[hooks]\n{hooks}\n"
    )
}

/// A hook that writes down what it is told, with these flags.
fn hook(name: &str, flags: &str) -> String {
    format!("{name} = '@hook@ --write @site@/told {flags}'\n")
}

/// What a hook was told.
#[derive(Clone, Debug)]
struct Told {
    pid: i32,
    input: Value,
    variables: Value,
}

impl Told {
    fn event(&self) -> &str {
        self.input["event"].as_str().expect("there is always an event")
    }

    fn number(&self, field: &str) -> i64 {
        self.input[field].as_i64().unwrap_or_else(|| panic!("{field} of {self:?}"))
    }
}

/// What hooks were told so far, in the order in which they were run.
fn told(site: &Site) -> Vec<Told> {
    let text = fs::read_to_string(site.path("told")).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let parse = |line| {
        let value: Value = serde_json::from_str(line).expect("the fake writes JSON");
        let pid =
            value["pid"].as_i64().and_then(|pid| pid.try_into().ok()).expect("a process has a small number");
        Told { pid, input: value["input"].clone(), variables: value["variables"].clone() }
    };
    whole.lines().map(parse).collect()
}

fn told_of(site: &Site, event: &str) -> Vec<Told> {
    told(site).into_iter().filter(|told| told.event() == event).collect()
}

/// Waits until hooks of an event have run so often.
#[track_caller]
fn wait_for_told(site: &Site, event: &str, count: usize) -> Vec<Told> {
    site.wait_for(&format!("{count} times {event}"), || {
        let told = told_of(site, event);
        (told.len() >= count).then_some(told)
    })
}

fn wait_for_log(site: &Site, text: &str) {
    site.wait_for(&format!("the log to say {text}"), || site.log().contains(text).then_some(()));
}

fn stopped(arbiter: &Arbiter<'_>) {
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn each_hook_is_told_what_happened_in_variables_and_in_json() {
    let names = ["on_starting", "when_ready", "pre_fork", "post_fork", "worker_exit", "nworkers_changed"];
    let more = ["on_reload", "on_exit", "child_exit"];
    let hooks: String = names.iter().chain(&more).map(|name| hook(name, "")).collect();
    let site = site(&hooks);
    let arbiter = site.start();
    let pids = arbiter.status().worker_pids();
    arbiter.done(&["scale", "workers", "3"]);
    let changed = wait_for_told(&site, "nworkers_changed", 1);
    assert_eq!((changed[0].number("old"), changed[0].number("new")), (2, 3));
    arbiter.wait_for_status("three workers", |status| status.ready_workers().len() == 3);
    processes::signal(pids[0], signal::KILL);
    let exit = wait_for_told(&site, "worker_exit", 1).remove(0);
    assert_eq!((exit.number("slot"), exit.number("pid"), exit.number("generation")), (1, pids[0].into(), 1));
    assert_eq!((&exit.input["code"], &exit.input["signal"]), (&Value::Null, &"SIGKILL".into()));
    wait_for_told(&site, "post_fork", 4);
    arbiter.done(&["reload"]);
    assert_eq!(told_of(&site, "on_reload")[0].number("generation"), 1);
    let manager = arbiter.status().manager().unwrap();
    processes::signal(manager, signal::KILL);
    let child = wait_for_told(&site, "child_exit", 1).remove(0);
    assert_eq!((child.number("pid"), &child.input["child"]), (manager.into(), &"manager".into()));
    stopped(&arbiter);

    let all = told(&site);
    let count = |event: &str| all.iter().filter(|told| told.event() == event).count();
    assert_eq!(names.map(count), [1, 1, 7, 7, 7, 1], "{}", site.log());
    assert_eq!((all[0].event(), all.last().unwrap().event()), ("on_starting", "on_exit"));
    assert_eq!(all.last().unwrap().number("status"), 0);
    for told in &all {
        let variables = told.variables.as_object().unwrap();
        assert_eq!(variables["ARBITER_PID"], arbiter.pid().to_string());
        for (field, value) in told.input.as_object().unwrap() {
            let name = if field == "event" { "name" } else { field };
            let variable = variables.get(&format!("ARBITER_EVENT_{}", name.to_uppercase()));
            let text = value.as_str().map(str::to_owned).or_else(|| value.as_i64().map(|it| it.to_string()));
            assert_eq!(variable.and_then(Value::as_str), text.as_deref(), "{field} of {told:?}");
        }
    }
}

#[test]
fn the_time_a_hook_is_told_is_when_it_happened_not_when_it_was_its_turn() {
    let site = site(&hook("post_fork", "--wait-for @site@/go"));
    let arbiter = site.start();
    wait_for_told(&site, "post_fork", 1);
    tests::observe_for(std::time::Duration::from_secs(1));
    assert_eq!(told(&site).len(), 1, "one at a time");
    site.write("go", "");
    let told = wait_for_told(&site, "post_fork", 2);
    let seconds = |told: &Told| {
        let time = told.input["time"].as_str().unwrap().to_owned();
        time[17..23].parse::<f64>().unwrap()
    };
    let apart = (seconds(&told[1]) - seconds(&told[0])).rem_euclid(60.0);
    assert!(apart.min(60.0 - apart) < 0.9, "{told:?}");
    drop(arbiter);
}

#[test]
fn nothing_is_started_before_on_starting_is_over() {
    let site = site(&hook("on_starting", "--wait-for @site@/go"));
    let arbiter = site.launch();
    let hook = wait_for_told(&site, "on_starting", 1)[0].pid;
    assert_eq!(sys::procfs::children_of(arbiter.pid()), [hook], "no manager, no worker");
    assert!(site.events().is_empty());
    site.write("go", "");
    arbiter.wait_until_running();
}

#[test]
fn an_on_starting_that_fails_or_takes_too_long_is_no_start() {
    let failing = hook("on_starting", "--exit-code 3");
    let endless = "[hooks.on_starting]\ncommand = '@hook@ --wait-for /nowhere'\ntimeout = 0.3";
    for (hooks, reason) in [
        (failing.as_str(), "the hook on_starting exited with status 3: arbiter does not start"),
        (endless, "the hook on_starting took longer than 0.3 s: killed: arbiter does not start"),
    ] {
        let site = site(hooks);
        let arbiter = site.launch();
        assert_eq!(arbiter.wait_exit(), 1);
        assert!(site.log().contains(reason), "{}", site.log());
        assert!(site.events().is_empty());
    }
}

#[test]
fn a_stop_during_on_starting_ends_arbiter_and_its_hook() {
    for number in [signal::TERM, signal::INT] {
        let site = site(&(hook("on_starting", "--wait-for @site@/go") + &hook("on_exit", "")));
        let arbiter = site.launch();
        wait_for_told(&site, "on_starting", 1);
        arbiter.signal(signal::HUP);
        arbiter.signal(number);
        assert_eq!(arbiter.wait_exit(), 0);
        assert!(site.events().is_empty());
        assert_eq!(told_of(&site, "on_exit").len(), 1);
    }
}

#[test]
fn a_worker_waits_for_its_pre_fork_while_everything_else_goes_on() {
    let site = site("");
    let arbiter = site.start();
    site.configure(&configuration(2, &hook("pre_fork", "--wait-for @site@/go")));
    let reload = site.ctl_command(&["reload"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    let told = wait_for_told(&site, "pre_fork", 0);
    assert!(told.is_empty(), "the hooks in force were none");
    assert!(reload.wait_with_output().unwrap().status.success());

    let old = arbiter.status().worker_pids();
    let mut restart =
        site.ctl_command(&["restart", "workers"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    let told = wait_for_told(&site, "pre_fork", 2);
    assert_eq!(
        (told[0].number("generation"), told[0].variables["ARBITER_GENERATION"].as_str()),
        (3, Some("3"))
    );
    let status = arbiter.status();
    let reasons: Vec<_> = status.0["workers"]["processes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["generation"] == 3)
        .map(|it| (it["pid"].clone(), it["reason"].clone()))
        .collect();
    let waiting = (Value::Null, Value::from("waiting for the hook pre_fork to be over"));
    assert_eq!(reasons, [waiting.clone(), waiting]);
    assert_eq!(status.0["strays"], Value::Array(Vec::new()), "hooks are no strays");
    assert!(old.iter().all(|pid| status.worker_pids().contains(pid)));
    assert!(restart.try_wait().unwrap().is_none());
    site.write("go", "");
    assert!(restart.wait().unwrap().success());
    assert!(arbiter.status().worker_pids().iter().all(|pid| !old.contains(pid)));
}

#[test]
fn a_pre_fork_that_fails_or_takes_too_long_is_logged_and_the_worker_starts() {
    let endless = "[hooks.pre_fork]\ncommand = '@hook@ --wait-for /nowhere --leave-child'\ntimeout = 0.3";
    for (hooks, reason) in [
        (
            hook("pre_fork", "--exit-code 3"),
            "the hook pre_fork exited with status 3: starting it all the same",
        ),
        (endless.to_owned(), "the hook pre_fork took longer than 0.3 s: killed: starting it all the same"),
    ] {
        let site = Site::new(&configuration(1, &hooks));
        let arbiter = site.start();
        assert!(site.log().contains(&format!("worker 1 (generation 1): {reason}")), "{}", site.log());
        site.wait_for("nothing to be left of the hook", || {
            (sys::procfs::children_of(arbiter.pid()).len() == 2).then_some(())
        });
    }
}

#[test]
fn a_stop_while_a_worker_waits_for_its_pre_fork_does_not_wait_for_that() {
    let site = site(&hook("pre_fork", "--wait-for @site@/never --leave-child"));
    let arbiter = site.launch();
    wait_for_told(&site, "pre_fork", 2);
    stopped(&arbiter);
    assert!(site.events().is_empty(), "no worker was started");
    assert!(!site.log().contains("WARN"), "{}", site.log());
}

#[test]
fn a_failed_hook_is_logged_and_changes_nothing() {
    let hooks = hook("when_ready", "--exit-code 4") + "post_fork = '@site@/vanishing'";
    let site = Site::new(&configuration(1, &hooks));
    std::os::unix::fs::symlink("/bin/true", site.path("vanishing")).unwrap();
    let arbiter = site.start();
    wait_for_log(&site, "the hook when_ready exited with status 4");
    assert!(!site.log().contains("the hook post_fork"), "{}", site.log());
    site.remove("vanishing");
    arbiter.done(&["scale", "workers", "2"]);
    wait_for_log(&site, "the hook post_fork cannot be started: ");
    arbiter.wait_for_status("two workers", |status| status.ready_workers().len() == 2);
}

#[test]
fn at_most_eight_hooks_run_at_once() {
    let site = Site::new(&configuration(12, &hook("pre_fork", "--wait-for @site@/go")));
    let arbiter = site.launch();
    wait_for_told(&site, "pre_fork", 8);
    tests::observe_for(std::time::Duration::from_millis(500));
    assert_eq!(told(&site).len(), 8);
    site.write("go", "");
    arbiter.wait_until_running();
    assert_eq!(told(&site).len(), 12);
}

#[test]
fn on_exit_runs_when_nothing_else_does_and_the_end_waits_for_it() {
    let site = Site::new(
        &(configuration(1, &hook("on_exit", "--wait-for @site@/go"))
            + "[companion.c]\ncommand = [\"@companion@\"]"),
    );
    let arbiter = site.start();
    let mut shutdown = site.ctl_command(&["shutdown"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    let hook = wait_for_told(&site, "on_exit", 1)[0].pid;
    assert_eq!(sys::procfs::children_of(arbiter.pid()), [hook], "all others have gone");
    assert!(site.socket().exists());
    assert!(shutdown.try_wait().unwrap().is_none(), "who waits for the end waits for this, too");
    site.write("go", "");
    assert_eq!(arbiter.wait_exit(), 0);
    assert!(shutdown.wait().unwrap().success());
}

#[test]
fn a_signal_ends_an_on_exit_that_hangs_and_what_it_left() {
    let site = Site::new(&configuration(1, &hook("on_exit", "--wait-for @site@/never --leave-child")));
    let arbiter = site.start();
    arbiter.signal(signal::TERM);
    wait_for_told(&site, "on_exit", 1);
    arbiter.signal(signal::TERM);
    assert_eq!(arbiter.wait_exit(), 0);
    assert!(site.log().contains("the hook on_exit arbiter did not wait"), "{}", site.log());
}

#[test]
fn a_reload_changes_the_hooks_in_force() {
    let site = Site::new(&configuration(1, &hook("post_fork", "")));
    let arbiter = site.start();
    wait_for_told(&site, "post_fork", 1);
    site.configure(&configuration(1, &hook("nworkers_changed", "")));
    arbiter.done(&["reload"]);
    let before = told(&site).len();
    assert_eq!(arbiter.done(&["scale", "workers", "2"]).stdout.trim(), "2");
    wait_for_told(&site, "nworkers_changed", 1);
    arbiter.wait_for_status("two workers", |status| status.ready_workers().len() == 2);
    stopped(&arbiter);
    assert_eq!(told(&site).len(), before + 1, "{:?}", told(&site));
}

#[test]
fn hooks_are_killed_with_arbiter() {
    let site = site(&hook("when_ready", "--wait-for @site@/never"));
    let arbiter = site.start();
    wait_for_told(&site, "when_ready", 1);
    // The site's end waits until no process of it is left.
    arbiter.kill();
}

#[test]
fn what_a_child_exit_hook_leaves_behind_does_not_start_it_again() {
    let site = Site::new(&configuration(1, &hook("child_exit", "--leave-child")));
    let arbiter = site.start();
    processes::signal(arbiter.status().manager().unwrap(), signal::KILL);
    wait_for_told(&site, "child_exit", 1);
    // The manager's successor answers, so the turn is over in which the first one died.
    site.wait_for("the hook and what it left to be gone", || {
        (sys::procfs::children_of(arbiter.pid()).len() == 2).then_some(())
    });
    assert_eq!(told(&site).len(), 1, "{:?}", told(&site));
}

#[test]
fn a_hook_that_has_just_begun_is_no_stray_when_arbiter_ends() {
    let site = Site::new(&configuration(1, &hook("worker_exit", "")));
    let arbiter = site.launch_to_fail();
    arbiter.wait_until_running();
    site.fail_at("spawn-before-session", "stop");
    arbiter.signal(signal::TERM);
    let hook = site.wait_for("the hook to be all that is left, stopped before it is anything", || {
        let [hook] = sys::procfs::children_of(arbiter.pid())[..] else { return None };
        (sys::procfs::stat(hook)?.state == 'T').then_some(hook)
    });
    processes::signal(hook, signal::CONT);
    assert_eq!(arbiter.wait_exit(), 0);
    assert_eq!(told_of(&site, "worker_exit").len(), 1, "{}", site.log());
    assert!(!site.log().contains("stray"), "{}", site.log());
}

#[test]
fn companion_event_tells_of_each_change_of_state() {
    let companions = "[companion.c]\ncommand = [\"@companion@\", \"--exit-if\", \"@site@/broken\"]\nready = \"started\"\nstart_seconds = 0.1\n";
    let site = Site::new(&format!("{companions}[hooks]\n{}", hook("on_exit", "")));
    let arbiter = site.start();
    arbiter.wait_for_companion("c", "RUNNING");
    site.configure(&format!("{companions}[hooks]\n{}", hook("companion_event", "")));
    arbiter.done(&["reload"]);
    site.write("broken", "7");
    assert_eq!(arbiter.ctl(&["restart", "companion", "c"]).code, 1);
    arbiter.done(&["stop", "companion", "c"]);
    let changes = site.wait_for("the companion to be told of as stopped", || {
        let told = told_of(&site, "companion_event");
        told.last().is_some_and(|last| last.input["new"] == "STOPPED").then_some(told)
    });
    let states: Vec<_> = changes
        .iter()
        .map(|told| (told.input["old"].as_str().unwrap(), told.input["new"].as_str().unwrap()))
        .collect();
    let expected =
        [("RUNNING", "STOPPING"), ("STOPPING", "STARTING"), ("STARTING", "BACKOFF"), ("BACKOFF", "STOPPED")];
    assert_eq!(states, expected);
    let backoff = &changes[2];
    assert_eq!((&backoff.input["companion"], backoff.number("slot")), (&"c".into(), 1));
    assert!(
        backoff.input["reason"].as_str().unwrap().starts_with("exited with status 7 after"),
        "{backoff:?}"
    );
    assert_eq!(changes[0].number("pid"), changes[1].number("pid"));
}
