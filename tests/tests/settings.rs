//! What a table says of its processes: user, directory, limits, umask.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use tests::{Site, is_root, processes};

/// A line of `/proc/PID/limits`: soft and hard.
fn limit(pid: i32, name: &str) -> (String, String) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("the process lives");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("there is such a limit");
    let mut words = line.split_whitespace().map(str::to_owned);
    (words.next().expect("soft"), words.next().expect("hard"))
}

#[test]
fn another_user_gets_its_ids_groups_home_and_can_still_say_ready() {
    if !is_root() {
        return;
    }
    let site = Site::new(
        r#"
        user = "nobody"
        [workers]
        command = ["@site@/worker", "--ready-after", "0"]
        ready = "notify"
        [companion.clock]
        command = ["@site@/companion", "--ready-after", "0"]
        ready = "notify"
        "#,
    );
    // Somebody else has to get at the programs, and at the file of announcements.
    std::fs::set_permissions(site.path(""), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(site.path("announcements"), PermissionsExt::from_mode(0o666)).unwrap();
    tests::copy_program(&tests::program("fake-worker"), &site.path("worker"));
    tests::copy_program(&tests::program("fake-companion"), &site.path("companion"));
    let arbiter = site.start();
    let status = arbiter.wait_for_companion("clock", "RUNNING");
    let nobody = sys::users::user_by_name("nobody").unwrap().unwrap();
    for pid in [status.worker_pids()[0], status.pid_of("clock")] {
        let ids = |name| {
            processes::status_line(pid, name).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(ids("Uid"), vec![nobody.uid.to_string(); 4]);
        assert_eq!(ids("Gid"), vec![nobody.gid.to_string(); 4]);
        assert!(!ids("Groups").contains(&"0".to_owned()), "{:?}", ids("Groups"));
        let environment = processes::environment(pid);
        assert_eq!((&*environment["USER"], &*environment["LOGNAME"]), ("nobody", "nobody"));
        assert_eq!(environment["HOME"], nobody.home.to_string_lossy());
    }
    assert_eq!(std::fs::metadata(format!("/proc/{}", arbiter.pid())).unwrap().uid(), 0);
}

#[test]
fn a_user_who_may_not_enter_the_directory_is_told_as_the_reason() {
    if !is_root() {
        return;
    }
    let site = Site::new(
        r#"
        [companion.clock]
        command = ["sleep", "1000"]
        user = "nobody"
        cwd = "@site@/closed"
        "#,
    );
    std::fs::create_dir(site.path("closed")).unwrap();
    std::fs::set_permissions(site.path("closed"), PermissionsExt::from_mode(0o700)).unwrap();
    let arbiter = site.start();
    let clock = arbiter.wait_for_companion("clock", "BACKOFF").companion("clock");
    assert!(clock.reason().contains("closed"), "{clock:?}");
}

#[test]
fn directory_umask_niceness_and_limits_are_set() {
    let site = Site::new(
        r#"
        umask = "0027"
        [workers]
        command = ["@worker@", "--ready-after", "0"]
        ready = "notify"
        cwd = "@site@/run"
        nice = 5
        limits = { nofile = "200:300", core = 0 }
        no_new_privileges = true
        oom_score_adj = 300
        [companion.clock]
        command = ["@companion@"]
        ready = "started"
        start_seconds = 0
        umask = "0077"
        limits = { nofile = 100 }
        "#,
    );
    let arbiter = site.start();
    let status = arbiter.wait_for_companion("clock", "RUNNING");
    let worker = status.worker_pids()[0];
    assert_eq!(
        std::fs::read_link(format!("/proc/{worker}/cwd")).unwrap(),
        site.path("run").canonicalize().unwrap()
    );
    assert_eq!(processes::status_line(worker, "Umask"), "0027");
    assert_eq!(processes::status_line(worker, "NoNewPrivs"), "1");
    assert_eq!(limit(worker, "Max open files"), ("200".into(), "300".into()));
    assert_eq!(limit(worker, "Max core file size"), ("0".into(), "0".into()));
    let stat = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap();
    let nice = stat.rsplit(')').next().unwrap().split_whitespace().nth(16).unwrap().to_owned();
    assert_eq!(nice, "5");
    let score = std::fs::read_to_string(format!("/proc/{worker}/oom_score_adj")).unwrap();
    assert_eq!(score.trim(), "300");
    let clock = status.pid_of("clock");
    assert_eq!(processes::status_line(clock, "Umask"), "0077");
    assert_eq!(limit(clock, "Max open files"), ("100".into(), "100".into()));
}

#[test]
fn children_get_the_limit_of_open_files_that_arbiter_was_started_with() {
    let site =
        Site::new("[companion.clock]\ncommand = [\"@companion@\"]\nready = \"started\"\nstart_seconds = 0\n");
    let mut command = site.marked(std::process::Command::new("prlimit"));
    command.arg("--nofile=512:2048").arg(tests::program("arbiter")).args(["-c", "arbiter.toml"]);
    let arbiter = site.launch_command(command);
    let clock = site.wait_for_start("clock", 1);
    assert_eq!(limit(clock, "Max open files"), ("512".into(), "2048".into()));
    assert_eq!(limit(arbiter.pid(), "Max open files"), ("2048".into(), "2048".into()));
}

#[test]
fn output_goes_where_the_table_says() {
    let site = Site::new(
        r#"
        [companion.writer]
        command = ["@companion@", "--write", "3"]
        ready = "started"
        start_seconds = 0
        stdout = "@site@/{name}.{slot}.out"
        stderr = "null"
        [companion.loud]
        command = ["@companion@", "--write", "2"]
        ready = "started"
        start_seconds = 0
        "#,
    );
    let _arbiter = site.start();
    site.wait_for_start("writer", 1);
    site.wait_for_start("loud", 1);
    let written = std::fs::read_to_string(site.path("writer.1.out")).unwrap();
    assert_eq!(written, "line 0\nline 1\nline 2\n");
    assert_eq!(site.log().lines().filter(|line| line.starts_with("line ")).count(), 2, "inherited");
}
