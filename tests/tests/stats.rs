//! What processes use, measured while somebody asks.

use tests::{Site, processes};

const SHOP: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@"]
    count = 2
    [companion.redis]
    command = ["@companion@", "--ready-after", "0"]
    ready = "notify"
    count = 2
"#;

#[test]
fn each_process_and_the_sum_are_told() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let status = arbiter.wait_for_companion("redis", "RUNNING");
    let stats = arbiter.done(&["--json", "stats"]).json();
    let list = stats["processes"].as_array().expect("a list");
    let pids: Vec<i64> = list.iter().filter_map(|one| one["pid"].as_i64()).collect();
    let mut expected = vec![arbiter.pid(), status.manager().expect("there is one")];
    expected.extend(status.worker_pids());
    expected.extend(status.companion("redis").pids());
    assert_eq!(pids, expected.iter().map(|pid| i64::from(*pid)).collect::<Vec<_>>());
    for one in list {
        let pid = i32::try_from(one["pid"].as_i64().expect("a number")).expect("a small one");
        let rss: u64 =
            processes::status_line(pid, "VmRSS").trim_end_matches(" kB").trim().parse().expect("a number");
        let memory = one["memory_bytes"].as_u64().expect("a number");
        assert!(memory > 0 && memory <= rss * 1024 + (1 << 20), "{one}: resident are {rss} KiB");
        assert!(one["threads"].as_u64() >= Some(1) && one["descriptors"].as_u64() >= Some(3), "{one}");
    }
    let redis = &list[list.len() - 1];
    let open = processes::descriptors(status.companion("redis").pids()[1]).len();
    assert_eq!(redis["descriptors"].as_u64(), u64::try_from(open).ok());
    let of_all: u64 = list.iter().filter_map(|one| one["memory_bytes"].as_u64()).sum();
    assert_eq!(stats["sum"]["memory_bytes"].as_u64(), Some(of_all));
    assert!(arbiter.status().0["strays"].as_array().is_some_and(Vec::is_empty));
}

#[test]
fn names_choose_and_a_wrong_one_is_an_error() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    arbiter.wait_for_companion("redis", "RUNNING");
    let lines = |names: &[&str]| arbiter.done(&[&["stats"], names].concat()).stdout;
    let some = lines(&["redis:2", "manager"]);
    let names: Vec<&str> = some.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["NAME", "manager", "redis:2", "sum"]);
    assert!(some.lines().all(|line| line.len() <= 80), "{some}");
    assert_eq!(lines(&["workers"]).lines().filter(|line| line.starts_with("worker:")).count(), 2);
    arbiter.ctl(&["stats", "nobody"]).failed_with(4);
}

#[test]
fn many_who_ask_at_once_are_all_answered_and_nothing_is_left() {
    let site = Site::new(SHOP);
    let arbiter = site.start();
    let status = arbiter.wait_for_companion("redis", "RUNNING");
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let command = site.ctl_command(&["--json", "stats"]);
            std::thread::spawn(move || tests::Output::of(command, tests::PATIENCE))
        })
        .collect();
    for one in asking {
        let output = one.join().expect("it ends");
        assert_eq!(output.json()["processes"].as_array().map(Vec::len), Some(6), "{output:?}");
    }
    let manager = status.manager().expect("there is one");
    let own: Vec<i32> = status.companion("redis").pids();
    site.wait_for("the children that measured to be reaped", || {
        let children = sys::procfs::children_of(manager);
        (children.len() == own.len()).then_some(())
    });
}
