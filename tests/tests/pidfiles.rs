//! The pidfile: whom it keeps away, when it is replaced, when it goes.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use tests::{Site, signal};

const PLAIN: &str = "pidfile = \"@site@/arbiter.pid\"\n[workers]\ncommand = [\"@worker@\"]\n";

fn named(path: &Path) -> i32 {
    std::fs::read_to_string(path).expect("a pidfile").trim().parse().expect("a number")
}

#[test]
fn one_that_names_a_live_arbiter_keeps_another_away() {
    let site = Site::new(PLAIN);
    let first = site.start();
    let other = Site::new("");
    let pidfile = site.path("arbiter.pid");
    let output = other.run(&["-p", pidfile.to_str().unwrap(), "--", "@worker@"]);
    assert_eq!(output.code, 1, "{output:?}");
    let said = format!("another arbiter runs as pid {}", first.pid());
    assert!(output.stderr.contains(&said) && output.stderr.contains("arbiter.pid"), "{output:?}");
    assert_eq!(named(&pidfile), first.pid());
}

#[test]
fn a_stale_one_is_replaced_whoever_has_the_number_now() {
    let site = Site::new(PLAIN);
    // The number of this test's own process: alive, and no arbiter.
    for stale in [i32::MAX.to_string(), std::process::id().to_string(), "nonsense".into(), String::new()] {
        site.write("arbiter.pid", &stale);
        let arbiter = site.start();
        assert_eq!(named(&site.path("arbiter.pid")), arbiter.pid(), "after {stale:?}");
        assert_eq!(arbiter.stop(), 0);
        assert!(!site.path("arbiter.pid").exists());
    }
}

#[test]
fn one_that_a_killed_arbiter_left_is_replaced() {
    let site = Site::new(PLAIN);
    let first = site.start();
    first.kill();
    assert_eq!(named(&site.path("arbiter.pid")), first.pid());
    let second = site.start();
    assert_eq!(named(&site.path("arbiter.pid")), second.pid());
    assert_eq!(second.stop(), 0);
    assert!(!site.path("arbiter.pid").exists());
}

#[test]
fn one_that_has_become_somebody_elses_stays() {
    let site = Site::new(PLAIN);
    let arbiter = site.start();
    site.write("arbiter.pid", "1\n");
    assert_eq!(arbiter.stop(), 0);
    assert_eq!(named(&site.path("arbiter.pid")), 1);
    site.remove("arbiter.pid");
}

#[test]
fn a_reload_moves_it_and_there_is_no_moment_without_one() {
    let site = Site::new(PLAIN);
    let arbiter = site.start();
    let (old, new, done) = (site.path("arbiter.pid"), site.path("other.pid"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                // In this order: once the old one is gone the new one has to be there.
                assert!(old.exists() || new.exists(), "no pidfile");
                std::thread::yield_now();
            }
        });
        site.configure(&PLAIN.replace("arbiter.pid", "other.pid"));
        let reloaded = arbiter.ctl(&["reload"]);
        done.store(true, Ordering::Release);
        watcher.join().expect("there always was one");
        assert_eq!(reloaded.code, 0, "{reloaded:?}");
    });
    assert!(!old.exists());
    assert_eq!(named(&new), arbiter.pid());
    assert_eq!(arbiter.stop(), 0);
    assert!(!new.exists());
}

#[test]
fn one_that_cannot_be_used_fails_a_reload_which_changes_nothing() {
    let other = Site::new(PLAIN);
    let owner = other.start();
    let site = Site::new(PLAIN);
    let arbiter = site.start();
    let before = arbiter.status();
    let theirs = other.path("arbiter.pid");
    for (path, reason) in [
        (theirs.to_str().unwrap(), format!("another arbiter runs as pid {}", owner.pid())),
        ("/proc/arbiter.pid", "cannot write the pidfile /proc/arbiter.pid".into()),
    ] {
        site.configure(&PLAIN.replace("@site@/arbiter.pid", path));
        let line = arbiter.ctl(&["reload"]).failed_with(1).to_owned();
        assert!(line.contains("reload failed, nothing was changed") && line.contains(&reason), "{line}");
        let after = arbiter.status();
        assert_eq!((after.generation(), after.worker_pids()), (1, before.worker_pids()));
        assert_eq!(named(&site.path("arbiter.pid")), arbiter.pid());
    }
    assert_eq!(named(&theirs), owner.pid());
}

#[test]
fn that_of_a_reload_which_fails_later_goes_again() {
    let site = Site::new(PLAIN);
    let arbiter = site.start();
    site.configure(
        &PLAIN.replace("arbiter.pid", "other.pid").replace("\"]", "\", \"--exit-if\", \"@site@/broken\"]"),
    );
    site.write("broken", "1");
    let line = arbiter.ctl(&["reload"]).failed_with(1).to_owned();
    assert!(line.contains("reload failed, nothing was changed"), "{line}");
    assert!(!site.path("other.pid").exists());
    assert_eq!(named(&site.path("arbiter.pid")), arbiter.pid());
}

#[test]
fn one_that_is_given_by_another_name_of_its_place_stays() {
    let site = Site::new(PLAIN);
    let arbiter = site.start();
    std::os::unix::fs::symlink(site.path(""), site.path("link")).unwrap();
    for _ in 0..2 {
        site.configure(&PLAIN.replace("arbiter.pid", "link/arbiter.pid"));
        arbiter.done(&["reload"]);
        assert_eq!(named(&site.path("arbiter.pid")), arbiter.pid());
    }
    site.remove("link");
}

#[test]
fn without_a_control_socket_the_lock_moves_with_it() {
    let text = |name: &str| {
        format!(
            "pidfile = \"@site@/{name}.pid\"\n[control]\nsocket = \"\"\n[workers]\ncommand = [\"@worker@\"]\n"
        )
    };
    let site = Site::new(&text("old"));
    let arbiter = site.launch();
    site.wait_for_start("arbiter", 1);
    for file in ["old.pid", "old.pid.lock", "old.pid.running"] {
        assert!(site.path(file).exists(), "{file}");
    }
    site.configure(&text("new"));
    arbiter.signal(signal::HUP);
    site.wait_for("the move", || site.path("new.pid.running").exists().then_some(()));
    site.wait_for("the old ones to go", || {
        let left = ["old.pid", "old.pid.lock", "old.pid.running"].iter().any(|file| site.path(file).exists());
        (!left).then_some(())
    });
    // The list names what runs, and who is in charge is known at the new place.
    let output = site.run(&["-c", "arbiter.toml"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains(&format!("pid {}", arbiter.pid())), "{output:?}");
    let listed = std::fs::read(site.path("new.pid.running")).unwrap();
    let worker = (*site.started("arbiter").last().unwrap()).to_le_bytes();
    assert!(listed.windows(4).any(|bytes| bytes == worker), "the list moved with its lock");
    assert_eq!(arbiter.stop(), 0);
}
