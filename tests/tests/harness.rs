//! The harness itself: a scenario that leaves something behind fails, and nothing stays.

use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::Duration;
use tests::{Site, processes};

/// What a panic said.
fn complaint(panic: &(dyn std::any::Any + Send)) -> String {
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn a_process_left_behind_fails_the_scenario_and_is_ended() {
    let site = Site::new("");
    let mut sleep = site.marked(Command::new("sleep"));
    let mut left = sleep.arg("1000").spawn().unwrap();
    let pid = i32::try_from(left.id()).unwrap();
    site.wait_for("the process to be seen", || (site.processes().len() == 1).then_some(()));
    let panic = catch_unwind(AssertUnwindSafe(|| drop(site))).unwrap_err();
    assert!(complaint(&*panic).contains("sleep 1000"), "{}", complaint(&*panic));
    left.wait().unwrap();
    assert!(!processes::is_alive(pid));
}

#[test]
fn a_socket_left_behind_fails_the_scenario() {
    let site = Site::new("");
    let listener = UnixListener::bind(site.path("run/forgotten.sock")).unwrap();
    let panic = catch_unwind(AssertUnwindSafe(|| drop(site))).unwrap_err();
    assert!(complaint(&*panic).contains("forgotten.sock"), "{}", complaint(&*panic));
    drop(listener);
}

#[test]
fn a_scenario_that_fails_leaves_nothing_running() {
    let mut directory = None;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let site =
            Site::new("[companion.deaf]\ncommand = [\"@companion@\", \"--ignore-term\", \"--fork-child\"]\n");
        let _arbiter = site.start();
        site.wait_for_start("deaf-child", 1);
        directory = Some(site.directory().to_owned());
        let pids: Vec<_> = site.processes().into_iter().map(|(pid, _)| pid).collect();
        std::panic::panic_any(pids);
    }));
    let pids = outcome.unwrap_err().downcast::<Vec<i32>>().expect("what the scenario panicked with");
    assert!(pids.len() >= 4, "arbiter, its manager, the companion, its child: {pids:?}");
    tests::wait_for("all of them to be gone", tests::PATIENCE, String::new, || {
        pids.iter().all(|pid| !processes::is_alive(*pid)).then_some(())
    });
    assert!(!std::path::Path::new(&directory.unwrap()).exists());
}

#[test]
fn waiting_in_vain_says_for_what() {
    let outcome = catch_unwind(|| {
        tests::wait_for("rain", Duration::from_millis(20), || "dry".into(), || None::<()>);
    });
    let said = complaint(&*outcome.unwrap_err());
    assert!(said.contains("rain") && said.contains("dry"), "{said}");
}
