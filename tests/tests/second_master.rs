//! USR2: a second arbiter beside the first, on the same sockets. WINCH: workers that are withdrawn.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use tests::http::Load;
use tests::{Arbiter, Site, processes, signal};

const SHOP: &str = r#"
    pidfile = "@site@/arbiter.pid"
    [[listener]]
    address = "127.0.0.1:0"
    [[listener]]
    name = "local"
    address = "unix:@site@/local.sock"
    [workers]
    command = ["@worker@", "--exit-if", "@site@/broken"]
    count = 2
    requires = ["redis"]
    [companion.redis]
    command = ["@companion@", "--ready-after", "0"]
    ready = "notify"
"#;

/// The pid in a pidfile.
fn pid_in(site: &Site, name: &str) -> Option<i32> {
    fs::read_to_string(site.path(name)).ok()?.trim().parse().ok()
}

/// Starts a second arbiter and waits until its workers serve; its pid.
fn start_second(site: &Site, first: i32) -> i32 {
    let begun = site.log().matches("running, 2 workers ready").count();
    processes::signal(first, signal::USR2);
    site.wait_for("the second arbiter to run", || {
        (site.log().matches("running, 2 workers ready").count() > begun).then_some(())
    });
    let second = pid_in(site, "arbiter.pid.2").expect("it has a pidfile");
    assert_ne!(second, first);
    second
}

/// Waits until the arbiter with this pid answers, all of its companions running.
fn wait_for_charge(site: &Site, arbiter: &Arbiter<'_>, pid: i32) {
    site.wait_for("the other arbiter to be in charge", || {
        let status = arbiter.try_status()?;
        let redis = status.companions().contains(&"redis".to_owned()).then(|| status.companion("redis"))?;
        (status.pid() == pid && status.manager().is_some() && redis.state == "RUNNING").then_some(())
    });
    assert_eq!(pid_in(site, "arbiter.pid"), Some(pid));
    assert!(!site.path("arbiter.pid.2").exists());
}

/// Ends an arbiter that is not the site's own child.
fn end(site: &Site, pid: i32) {
    processes::signal(pid, signal::TERM);
    site.wait_for("it to end", || (!processes::is_alive(pid)).then_some(()));
}

#[test]
fn the_second_one_completes_the_upgrade_when_the_first_is_told_to_stop() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let before = arbiter.status();
    let load = Load::start(&before.address("http"), 4);
    load.goes_on();
    let second = start_second(&site, arbiter.pid());
    let redis = site.started("redis");
    assert_eq!(redis.len(), 1, "the first one's companions run on, and nobody else's");
    assert_eq!(arbiter.status().pid(), arbiter.pid(), "the first one answers");
    assert_eq!(arbiter.stop(), 0);
    wait_for_charge(&site, &arbiter, second);
    load.goes_on();
    let served = load.finish();
    assert_eq!(served.iter().map(|who| who.generation).collect::<BTreeSet<_>>(), BTreeSet::from([1]));
    let of_first = |pid: i32| before.worker_pids().contains(&pid);
    assert!(served.iter().any(|who| of_first(who.pid)), "the first one has served");
    assert!(served.iter().any(|who| !of_first(who.pid)), "the second one has served");
    assert_eq!(site.started("redis").len(), 2);
    assert!(!processes::is_alive(redis[0]));
    assert!(site.path("local.sock").exists());
    end(&site, second);
}

#[test]
fn a_shutdown_of_the_first_one_is_done_when_the_second_is_in_charge() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let second = start_second(&site, arbiter.pid());
    assert_eq!(arbiter.done(&["shutdown"]).stdout, "shutdown: done\n");
    assert_eq!(arbiter.wait_exit(), 0);
    wait_for_charge(&site, &arbiter, second);
    end(&site, second);
}

#[test]
fn it_works_twice_in_a_row_and_after_a_way_back() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let load = Load::start(&arbiter.status().address("http"), 2);
    let second = start_second(&site, arbiter.pid());
    end(&site, second);
    site.wait_for("the first one to notice", || {
        site.log().contains("exited with status 0: this one goes on").then_some(())
    });
    assert_eq!(pid_in(&site, "arbiter.pid"), Some(arbiter.pid()));
    let third = start_second(&site, arbiter.pid());
    arbiter.stop();
    wait_for_charge(&site, &arbiter, third);
    let fourth = start_second(&site, third);
    end(&site, third);
    wait_for_charge(&site, &arbiter, fourth);
    load.finish();
    end(&site, fourth);
}

#[test]
fn withdrawn_workers_come_back_when_the_second_one_is_told_to_stop() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let before = arbiter.status();
    let load = Load::start(&before.address("http"), 2);
    let second = start_second(&site, arbiter.pid());
    arbiter.signal(signal::WINCH);
    arbiter.wait_for_status("no workers", |status| status.workers().is_empty());
    assert_eq!(site.started("redis").len(), 1);
    processes::signal(second, signal::QUIT);
    arbiter.wait_for_status("workers", |status| status.ready_workers().len() == 2);
    site.wait_for("the second one to end", || (!processes::is_alive(second)).then_some(()));
    load.finish();
    assert_eq!(site.started("redis").len(), 1);
}

#[test]
fn withdrawn_workers_come_back_with_hup_and_with_ttin() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    for back in [signal::TTIN, signal::HUP] {
        arbiter.signal(signal::WINCH);
        let status = arbiter.wait_for_status("no workers", |status| status.workers().is_empty());
        assert_eq!((status.state(), status.target()), ("running", 2));
        assert_eq!(arbiter.ctl(&["status", "--check"]).code, 3, "it is not as configured");
        arbiter.signal(back);
        arbiter.wait_for_status("as many as before", |status| {
            status.ready_workers().len() == 2 && status.target() == 2 && status.state() == "running"
        });
        arbiter.wait_for_companion("redis", "RUNNING");
        arbiter.done(&["status", "--check"]);
    }
}

#[test]
fn ttou_leaves_withdrawn_workers_away_and_one_fewer_comes_back() {
    let site = Site::new(&SHOP.replace("count = 2", "count = 3"));
    let arbiter = site.start();
    arbiter.signal(signal::WINCH);
    arbiter.wait_for_status("no workers", |status| status.workers().is_empty());
    let before = site.started("arbiter").len();
    arbiter.signal(signal::TTOU);
    let status = arbiter.wait_for_status("one fewer", |status| status.target() == 2);
    assert!(status.workers().is_empty(), "{status:?}");
    assert_eq!(arbiter.done(&["scale", "workers", "-1"]).stdout.trim(), "1");
    assert_eq!(arbiter.done(&["scale", "workers", "2"]).stdout.trim(), "2");
    assert_eq!(site.started("arbiter").len(), before, "nobody has come back");
    arbiter.signal(signal::TTIN);
    arbiter.wait_for_status("two workers", |status| status.ready_workers().len() == 2);
    assert_eq!(site.started("arbiter").len(), before + 2);
}

/// The notify directory of the arbiter with this pid.
fn notify_directory(site: &Site, pid: i32) -> PathBuf {
    site.path(&format!("run/notify-{pid}"))
}

#[test]
fn the_first_one_removes_what_a_killed_second_one_left() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let second = start_second(&site, arbiter.pid());
    assert!(notify_directory(&site, second).exists());
    processes::signal(second, signal::KILL);
    site.wait_for("its files to go", || {
        let left = [site.path("arbiter.pid.2"), notify_directory(&site, second)];
        (!left.iter().any(|path| path.exists())).then_some(())
    });
    assert!(notify_directory(&site, arbiter.pid()).exists());
    assert_eq!(pid_in(&site, "arbiter.pid"), Some(arbiter.pid()));
    assert_eq!(arbiter.stop(), 0);
    assert_eq!(site.files(), Vec::<PathBuf>::new());
}

#[test]
fn a_pidfile_that_is_not_the_killed_second_ones_stays() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let second = start_second(&site, arbiter.pid());
    site.write("arbiter.pid.2", "1\n");
    processes::signal(second, signal::KILL);
    site.wait_for("its end to be noticed", || site.log().contains("this one goes on").then_some(()));
    assert_eq!(arbiter.stop(), 0);
    assert_eq!(pid_in(&site, "arbiter.pid.2"), Some(1));
    site.remove("arbiter.pid.2");
}

#[test]
fn the_second_one_removes_what_a_killed_first_one_left() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let second = start_second(&site, arbiter.pid());
    arbiter.kill();
    wait_for_charge(&site, &arbiter, second);
    assert!(!notify_directory(&site, arbiter.pid()).exists());
    assert!(notify_directory(&site, second).exists());
    end(&site, second);
    assert_eq!(site.files(), Vec::<PathBuf>::new());
}

#[test]
fn a_second_one_that_stops_before_it_is_in_charge_removes_what_a_killed_first_one_left() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let second = start_second(&site, arbiter.pid());
    processes::signal(second, signal::STOP);
    arbiter.kill();
    processes::signal(second, signal::TERM);
    processes::signal(second, signal::CONT);
    site.wait_for("it to end", || (!processes::is_alive(second)).then_some(()));
    assert_eq!(site.files(), Vec::<PathBuf>::new());
}

#[test]
fn the_second_one_goes_on_when_the_first_is_killed() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let second = start_second(&site, arbiter.pid());
    let redis = site.started("redis")[0];
    arbiter.kill();
    wait_for_charge(&site, &arbiter, second);
    assert!(!processes::is_alive(redis), "companions never run twice");
    end(&site, second);
}

#[test]
fn nothing_is_left_when_both_are_told_to_stop_at_once() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let second = start_second(&site, arbiter.pid());
    arbiter.signal(signal::TERM);
    processes::signal(second, signal::TERM);
    assert_eq!(arbiter.wait_exit(), 0);
    site.wait_for("the second one to end", || (!processes::is_alive(second)).then_some(()));
}

#[test]
fn a_second_one_that_cannot_start_leaves_the_first_as_it_was() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let before = arbiter.status();
    site.configure("[workers]\ncommand = 3\n");
    arbiter.signal(signal::USR2);
    site.wait_for("the second one to fail", || {
        site.log().contains("exited with status 2: this one goes on").then_some(())
    });
    site.configure(SHOP);
    site.write("broken", "3");
    arbiter.signal(signal::USR2);
    site.wait_for("the second one's workers to fail", || {
        site.log().contains("exited with status 3: this one goes on").then_some(())
    });
    site.remove("broken");
    assert_eq!(arbiter.status().worker_pids(), before.worker_pids());
    assert_eq!(pid_in(&site, "arbiter.pid"), Some(arbiter.pid()));
}

#[test]
fn a_third_one_is_refused_by_both() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let second = start_second(&site, arbiter.pid());
    arbiter.signal(signal::USR2);
    processes::signal(second, signal::USR2);
    for reason in ["there is another arbiter beside this one", "the arbiter before this one has not left"] {
        site.wait_for(reason, || site.log().contains(reason).then_some(()));
    }
    end(&site, second);
}

#[test]
fn the_hook_pre_exec_comes_first_and_may_forbid_it() {
    let site = Site::new(&SHOP.replace(
        "[[listener]]\n    address",
        "hooks.pre_exec = [\"sh\", \"-c\", \"echo $ARBITER_EVENT_NAME >> events; test -e allowed\"]\n    [[listener]]\n    address",
    ));
    let arbiter = site.start();
    arbiter.signal(signal::USR2);
    site.wait_for("the refusal", || site.log().contains("no other arbiter is started").then_some(()));
    assert!(!site.path("arbiter.pid.2").exists());
    site.write("allowed", "");
    let second = start_second(&site, arbiter.pid());
    assert_eq!(fs::read_to_string(site.path("events")).expect("it has run"), "pre_exec\npre_exec\n");
    end(&site, second);
}

#[test]
fn a_stop_does_not_wait_for_the_hook_pre_exec() {
    let site = Site::new(&format!("hooks.pre_exec = [\"sleep\", \"1000\"]\n{SHOP}"));
    let arbiter = site.start();
    arbiter.signal(signal::USR2);
    site.wait_for("the hook to run", || {
        site.processes().iter().any(|(_, line)| line.starts_with("sleep 1000")).then_some(())
    });
    assert_eq!(arbiter.stop(), 0);
    assert!(!site.log().contains("started beside"), "{}", site.log());
}
