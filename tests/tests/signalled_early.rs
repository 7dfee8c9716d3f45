//! TERM and its like at moments when arbiter waits for something else: the configuration, workers, a hook.

use tests::{Site, processes, signal};

const SHOP: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [workers]
    command = ["@worker@", "--ready-when", "@site@/may"]
    ready = "notify"
    count = 2
    [companion.clock]
    command = ["@companion@", "--ready-after", "0"]
    ready = "notify"
"#;

/// Makes the configuration one that nobody can read to its end.
fn make_unreadable(site: &Site) {
    site.remove("arbiter.toml");
    let made = std::process::Command::new("mkfifo").arg(site.path("arbiter.toml")).status();
    assert!(made.is_ok_and(|status| status.success()), "a named pipe can be made");
}

#[test]
fn a_reload_that_is_still_reading_is_given_up_and_hup_is_ignored_from_then_on() {
    let site = Site::new(SHOP);
    site.write("may", "");
    let arbiter = site.start();
    make_unreadable(&site);
    arbiter.signal(signal::HUP);
    arbiter.wait_for_status("a reload", |status| status.state() == "reloading");
    arbiter.signal(signal::USR2);
    site.wait_for("the refusal of an upgrade", || {
        site.log().contains("no other arbiter is started: a reload or restart is under way").then_some(())
    });
    arbiter.signal(signal::TERM);
    arbiter.signal(signal::HUP);
    assert_eq!(arbiter.wait_exit(), 0);
    assert!(
        site.log().contains("reload failed, nothing was changed: arbiter is stopping"),
        "{}",
        site.tail()
    );
}

#[test]
fn a_reload_whose_workers_are_starting_is_given_up_with_all_of_them() {
    let site = Site::new(SHOP);
    site.write("may", "");
    let arbiter = site.start();
    site.remove("may");
    for number in [signal::HUP, signal::TERM] {
        arbiter.signal(number);
        if number == signal::HUP {
            site.wait_for_start("arbiter", 4);
        }
    }
    assert_eq!(arbiter.wait_exit(), 0);
    assert!(
        site.log().contains("reload failed, nothing was changed: arbiter is stopping"),
        "{}",
        site.tail()
    );
}

#[test]
fn a_second_master_that_may_not_start_yet_begins_when_it_may_though_the_first_has_left_meanwhile() {
    let site = Site::new(&format!("pidfile = \"@site@/arbiter.pid\"\n{SHOP}"));
    site.write("may", "");
    let arbiter = site.start();
    let address = arbiter.status().address("http");
    let hook = "[hooks.on_starting]\ncommand = '@hook@ --wait-for @site@/go'\n";
    site.configure(&format!("pidfile = \"@site@/arbiter.pid\"\n{SHOP}{hook}"));
    arbiter.signal(signal::USR2);
    let second: i32 = site.wait_for("the second one's pidfile", || {
        std::fs::read_to_string(site.path("arbiter.pid.2")).ok()?.trim().parse().ok()
    });
    assert_eq!(arbiter.stop(), 0);
    site.wait_for("the second one to take charge", || {
        site.log().contains("the arbiter before has left: this one is in charge").then_some(())
    });
    assert_eq!((site.started("arbiter").len(), site.started("clock").len()), (2, 1), "nothing new yet");
    site.write("go", "");
    let status = arbiter_status(&site, second);
    assert_eq!((status.address("http"), status.companion("clock").state), (address, "RUNNING".to_owned()));
    processes::signal(second, signal::TERM);
    site.wait_for("it to end", || (!processes::is_alive(second)).then_some(()));
}

/// The status of the arbiter with this pid once all that it runs is ready.
fn arbiter_status(site: &Site, pid: i32) -> tests::Status {
    site.wait_for("the other arbiter to run everything", || {
        let output = site.ctl(&["--json", "status"]);
        let status = (output.code == 0).then(|| tests::Status::parse(&output.stdout))?;
        let clock =
            status.companions().contains(&"clock".to_owned()).then(|| status.companion("clock").state)?;
        (status.pid() == pid && status.ready_workers().len() == 2 && clock == "RUNNING").then_some(status)
    })
}
