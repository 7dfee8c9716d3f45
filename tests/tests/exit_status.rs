//! arbiter's exit status: the first that applies of 2, 1, a halting code, 5, 0.

use std::time::{Duration, Instant};
use tests::{Site, http, signal};

/// A process that TERM does not impress leaves its session, its group and its parent behind.
const STRAY: &str = r#"
    [companion.launcher]
    command = ["sh", "-c", "setsid --fork @companion@ --as-child --ignore-term; until grep -q child announcements; do sleep 0.01; done"]
    cwd = "@site@"
    restart = "never"
"#;

#[test]
fn bad_configuration_is_2_also_where_arbiter_could_not_start_anyway() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let site = Site::new(&format!("colour = 1\n[[listener]]\naddress = \"{address}\"\n"));
    assert_eq!(site.run(&["-c", "arbiter.toml"]).code, 2);
}

#[test]
fn a_start_that_fails_is_1_and_leaves_nothing_though_a_halting_code_was_near() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let site = Site::new(&format!(
        "pidfile = \"@site@/arbiter.pid\"\n[[listener]]\naddress = \"unix:@site@/app.sock\"\n[[listener]]\nname = \"taken\"\naddress = \"{address}\"\n[workers]\ncommand = [\"@worker@\", \"--exit-if\", \"@site@/code\"]\n",
    ));
    site.write("code", "3");
    assert_eq!(site.run(&["-c", "arbiter.toml"]).code, 1);
    assert!(!site.path("app.sock").exists() && !site.path("arbiter.pid").exists());
    assert_eq!(std::fs::read_dir(site.path("run")).unwrap().count(), 0, "no lock, socket or list");
}

/// It was tried again and again, and who started arbiter in the background waited for ever.
#[test]
fn a_program_that_turns_out_not_to_be_one_is_1_unless_it_is_to_be_tried_again() {
    let workers = "[workers]\ncommand = [\"@site@/server\"]\n";
    let site = Site::new(workers);
    site.write("server", "no program, and no script that says whose\n");
    std::fs::set_permissions(site.path("server"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    for arguments in [&["-c", "arbiter.toml"][..], &["-c", "arbiter.toml", "--daemon"]] {
        let output = site.run(arguments);
        assert_eq!(output.code, 1, "{output:?}");
        for expected in [
            "server: Exec format error",
            "the workers cannot be started: stopping",
            // By itself, or by the stop that comes at once.
            "while booting",
        ] {
            assert!(output.stderr.contains(expected), "{output:?}");
        }
    }
    site.configure(&format!("on_boot_failure = \"retry\"\n{workers}"));
    let arbiter = site.launch();
    arbiter.wait_for_status("the next try", |status| {
        status.workers().iter().any(|worker| worker.state == "BACKOFF")
    });
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn a_halting_code_wins_over_a_worker_that_had_to_be_killed() {
    let site = Site::new(
        r#"
        [workers]
        command = ["@worker@", "--ignore-term", "--exit-if", "@site@/code-{slot}", "--ready-when", "@site@/go"]
        ready = "notify"
        count = 2
        graceful_timeout = 0.2
        halt_exit_codes = [42]
        "#,
    );
    let arbiter = site.launch();
    // Both are on their way, and one of them ends before it is ready.
    site.wait_for_start("arbiter", 2);
    let first = site.started("arbiter")[0];
    site.write("code-1", "42");
    site.write("code-2", "42");
    tests::processes::signal(first, signal::KILL);
    assert_eq!(arbiter.wait_exit(), 42);
    assert!(site.log().contains("while draining (graceful_timeout), killed"), "{}", site.log());
}

#[test]
fn a_stray_that_had_to_be_killed_is_5() {
    let site = Site::new(STRAY);
    let arbiter = site.start();
    site.wait_for_start("launcher-child", 1);
    arbiter.wait_for_companion("launcher", "EXITED");
    let begun = Instant::now();
    assert_eq!(arbiter.stop(), 5);
    assert!(begun.elapsed() >= Duration::from_secs(5), "it was given five seconds");
}

#[test]
fn a_forced_stop_kills_strays_at_once_and_is_0() {
    let site = Site::new(STRAY);
    let arbiter = site.start();
    site.wait_for_start("launcher-child", 1);
    arbiter.wait_for_companion("launcher", "EXITED");
    let begun = Instant::now();
    arbiter.done(&["shutdown", "--force"]);
    assert_eq!(arbiter.wait_exit(), 0);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_clean_stop_is_0_and_leaves_no_file() {
    let site = Site::new(
        r#"
        pidfile = "@site@/arbiter.pid"
        [[listener]]
        address = "unix:@site@/app.sock"
        [workers]
        command = ["@worker@"]
        [companion.clock]
        command = ["@companion@"]
        "#,
    );
    let arbiter = site.start();
    assert!(http::get_unix(&site.path("app.sock"), "/").is_ok());
    for file in
        ["arbiter.pid", "app.sock", "run/control.sock", "run/control.sock.lock", "run/control.sock.running"]
    {
        assert!(site.path(file).exists(), "{file}");
    }
    assert_eq!(arbiter.stop(), 0);
    assert!(!site.path("app.sock").exists() && !site.path("arbiter.pid").exists());
    assert_eq!(std::fs::read_dir(site.path("run")).unwrap().count(), 0);
}

#[test]
fn when_a_shutdown_is_done_nothing_is_left_and_the_next_arbiter_can_start_at_once() {
    let site = Site::new(
        "pidfile = \"@site@/arbiter.pid\"\n[[listener]]\naddress = \"unix:@site@/app.sock\"\n[workers]\ncommand = [\"@worker@\"]\n[companion.clock]\ncommand = [\"@companion@\"]\n",
    );
    let mut arbiter = site.start();
    for round in 0..10 {
        arbiter.done(&["shutdown"]);
        for file in ["arbiter.pid", "app.sock", "run/control.sock"] {
            assert!(!site.path(file).exists(), "round {round}: {file}\n{}", site.tail());
        }
        let next = site.start();
        assert_eq!(arbiter.wait_exit(), 0);
        arbiter = next;
    }
}
