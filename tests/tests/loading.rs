//! `arbiterctl load` and `unload`: companions that come and go at run time.

use tests::{Arbiter, Site, Status, processes, signal};

const SHOP: &str = r#"
    env = { FROM = "the top level" }
    [companion.redis]
    command = ["@companion@"]
    ready = "started"
    start_seconds = 0
"#;

const EXTRA: &str = r#"
    [companion.extra]
    command = ["@companion@"]
    ready = "started"
    start_seconds = 0
    after = ["redis"]
"#;

/// A shop, and a file with companions to load.
fn open(site: &Site) -> Arbiter<'_> {
    site.write("extra.toml", &site.expand(EXTRA));
    let arbiter = site.start();
    arbiter.wait_for_companion("redis", "RUNNING");
    arbiter
}

fn load(site: &Site, arguments: &[&str]) -> tests::Output {
    let file = site.path("extra.toml");
    site.ctl(&[&["load", file.to_str().expect("plain names")], arguments].concat())
}

#[test]
fn what_is_loaded_runs_and_outlives_managers_and_reloads_until_it_is_unloaded() {
    let site = Site::new(SHOP);
    let arbiter = open(&site);
    let loaded = load(&site, &[]);
    assert_eq!((loaded.code, loaded.stdout.as_str()), (0, "added: extra\n"), "{loaded:?}");
    let pid = arbiter.status().pid_of("extra");
    let variables = processes::environment(pid);
    assert_eq!(variables.get("FROM").map(String::as_str), Some("the top level"));
    assert_eq!(arbiter.kill_manager().pid_of("extra"), pid);
    // Another default is for those that come later.
    site.configure(&SHOP.replace("the top level", "a new one"));
    let report = arbiter.done(&["--json", "reload"]).json();
    assert_eq!(
        (&report["restarted"], &report["unchanged"]),
        (&serde_json::json!(["redis"]), &serde_json::json!(["extra"]))
    );
    assert_eq!(arbiter.status().pid_of("extra"), pid);
    assert_eq!(arbiter.kill_manager().pid_of("extra"), pid);
    assert!(!std::fs::read_to_string(site.path("arbiter.toml")).unwrap().contains("extra"));
    let unloaded = arbiter.done(&["unload", "companion", "ext*"]);
    assert_eq!(unloaded.stdout, "removed: extra\n");
    assert!(!processes::is_alive(pid));
    assert_eq!(arbiter.status().companions(), ["redis"]);
    assert_eq!(arbiter.kill_manager().companions(), ["redis"]);
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn only_what_was_loaded_is_replaced_or_unloaded() {
    let site = Site::new(SHOP);
    let arbiter = open(&site);
    assert_eq!(load(&site, &[]).code, 0);
    let before = arbiter.status();
    let again = load(&site, &[]);
    assert_eq!((again.code, again.stdout.as_str()), (1, ""));
    assert!(again.stderr.contains("\"extra\" is loaded already"), "{}", again.stderr);
    assert!(again.stderr.contains("extra.toml:2:"), "{}", again.stderr);
    let replaced = load(&site, &["--replace"]);
    assert_eq!(replaced.stdout, "unchanged: extra\n", "{replaced:?}");
    site.write("extra.toml", &site.expand(&format!("{EXTRA}    env = {{ X = \"1\" }}\n")));
    assert_eq!(load(&site, &["--replace"]).stdout, "restarted: extra\n");
    let after = arbiter.status();
    assert_ne!(after.pid_of("extra"), before.pid_of("extra"));
    assert_eq!(after.pid_of("redis"), before.pid_of("redis"));
    let line = arbiter.ctl(&["unload", "companion", "redis"]);
    let line = line.failed_with(1);
    assert!(line.contains("redis was not loaded"), "{line}");
    arbiter.ctl(&["unload", "companion", "none"]).failed_with(4);
    arbiter.ctl(&["unload", "companion", "red*"]).failed_with(4);
    site.write("extra.toml", &site.expand(&EXTRA.replace("extra", "redis").replace("after", "# after")));
    let taken = load(&site, &["--replace"]);
    assert_eq!(taken.code, 1);
    assert!(taken.stderr.contains("\"redis\" stands in the configuration"), "{}", taken.stderr);
}

#[test]
fn all_that_is_wrong_with_a_text_is_told_with_its_place_and_nothing_is_done() {
    let site = Site::new(SHOP);
    let arbiter = open(&site);
    let text = "[workers]\ncount = 2\n[companion.x]\ncomand = \"true\"\nafter = [\"rediss\"]\n";
    site.write("extra.toml", text);
    let output = load(&site, &[]);
    assert_eq!((output.code, output.stdout.as_str()), (1, ""));
    for expected in [
        "extra.toml:1:2: unknown key \"workers\"",
        "extra.toml:4:1: unknown key \"comand\"",
        "did you mean \"command\"?",
        "extra.toml:5:10: there is no companion \"rediss\"",
    ] {
        assert!(output.stderr.contains(expected), "{expected} is missing in\n{}", output.stderr);
    }
    site.write("extra.toml", "# nothing\n");
    let output = load(&site, &[]);
    assert!(output.code == 1 && output.stderr.contains("nothing to load"), "{output:?}");
    assert_eq!(arbiter.status().companions(), ["redis"]);
}

#[test]
fn a_name_that_was_loaded_is_an_error_in_the_file_and_so_is_what_it_comes_after_that_goes() {
    let site = Site::new(SHOP);
    let arbiter = open(&site);
    assert_eq!(load(&site, &[]).code, 0);
    let before = arbiter.status();
    for (text, expected) in [
        (format!("{SHOP}\n{}", EXTRA.replace("extra", "\"extra\"")), "\"extra\" was loaded at run time"),
        (
            "[companion.other]\ncommand = \"true\"\n".to_owned(),
            "comes after \"redis\", which is not there any more",
        ),
    ] {
        site.configure(&text);
        let output = arbiter.ctl(&["reload"]);
        assert_eq!(output.code, 1, "{output:?}");
        assert!(output.stderr.contains(expected), "{}", output.stderr);
        assert!(output.stderr.contains("arbiterctl unload companion extra"), "{}", output.stderr);
    }
    let pids = |status: &Status| ["extra", "redis"].map(|name| status.pid_of(name));
    assert_eq!(pids(&arbiter.status()), pids(&before));
}

#[test]
fn a_session_and_a_start_can_be_left_to_the_command_line() {
    let site = Site::new(SHOP);
    let arbiter = open(&site);
    site.write("extra.toml", &site.expand(&format!("{EXTRA}{}", EXTRA.replace("extra", "\"own.named\""))));
    let loaded = load(&site, &["--session", "batch", "--no-start"]);
    assert_eq!(loaded.stdout, "added: batch.extra, own.named\n", "{loaded:?}");
    let status = arbiter.kill_manager();
    for name in ["batch.extra", "own.named"] {
        assert_eq!(status.companion(name).state, "STOPPED", "{name}");
    }
    arbiter.done(&["start", "companion", "batch.extra"]);
    // A stopped one stays so while another is loaded.
    site.write("extra.toml", &site.expand(&EXTRA.replace("redis", "batch.extra")));
    let mut command = site.ctl_command(&["load", "-"]);
    let text = std::fs::File::open(site.path("extra.toml")).expect("it is there");
    let loaded = tests::Output::of(
        {
            command.stdin(text);
            command
        },
        std::time::Duration::from_secs(30),
    );
    assert_eq!((loaded.code, loaded.stdout.as_str()), (0, "added: extra\n"), "{loaded:?}");
    assert_eq!(arbiter.status().companion("own.named").state, "STOPPED");
    let refused = arbiter.ctl(&["unload", "companion", "batch.extra"]);
    assert!(refused.failed_with(1).contains("extra comes after batch.extra: unload both"), "{refused:?}");
    arbiter.done(&["unload", "companion", "*"]);
    assert_eq!(arbiter.status().companions(), ["redis"]);
}

#[test]
fn a_load_that_is_cut_off_by_the_managers_death_is_done_once() {
    let site = Site::new(SHOP);
    let arbiter = open(&site);
    let file = site.path("extra.toml");
    let mut loading =
        site.ctl_command(&["load", file.to_str().expect("plain names")]).spawn().expect("it starts");
    let manager = arbiter.status().manager().expect("there is one");
    processes::signal(manager, signal::KILL);
    let code = loading.wait().expect("it ends").code();
    // 8 says that nobody knows: the request may have died with the manager before it was taken in.
    assert!(matches!(code, Some(0 | 8)), "{code:?}\n{}", site.tail());
    if code == Some(0) {
        arbiter.wait_for_companion("extra", "RUNNING");
        site.wait_for_start("extra", 1);
        assert_eq!(site.started("extra").len(), 1);
    }
}
