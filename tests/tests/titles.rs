//! What ps(1) shows of the daemons.

use std::os::unix::process::CommandExt;
use tests::{Site, processes};

const PLAIN: &str = r#"
    [workers]
    command = ["@worker@", "--no-listener"]
    ready = "started"
    start_seconds = 0
    [companion.one]
    command = ["@companion@"]
    ready = "started"
    start_seconds = 0
    env = { SHOWN = "yes" }
"#;

#[test]
fn the_daemons_are_shown_by_name_in_whole_and_by_the_new_one_after_a_reload() {
    let site = Site::new(&format!("name = \"a-shop-with-a-long-name\"\n{PLAIN}"));
    let mut command = site.command("arbiter");
    // As little room as it can have.
    command.arg0("a").env("UNSEEN", "1");
    let arbiter = site.launch_command(command);
    let status = arbiter.wait_until_running();
    let manager = status.manager().expect("there is one");
    assert_eq!(processes::command_line(arbiter.pid()), "arbiter: master [a-shop-with-a-long-name]");
    let title = "arbiter: companion manager [a-shop-with-a-long-name]";
    assert_eq!(processes::command_line(manager), title);
    let environment = processes::environment(status.pid_of("one"));
    assert_eq!((environment["UNSEEN"].as_str(), environment["SHOWN"].as_str()), ("1", "yes"));
    for name in ["another-shop-with-an-even-longer-name", "web"] {
        site.configure(&format!("name = \"{name}\"\n{PLAIN}"));
        arbiter.done(&["reload"]);
        assert_eq!(processes::command_line(arbiter.pid()), format!("arbiter: master [{name}]"));
        let title = format!("arbiter: companion manager [{name}]");
        site.wait_for("the manager's new title", || {
            (processes::command_line(manager) == title).then_some(())
        });
    }
    // Those to come still get the environment that arbiter was started with.
    arbiter.done(&["restart", "companion", "one"]);
    assert_eq!(processes::environment(arbiter.status().pid_of("one"))["UNSEEN"], "1");
    assert_eq!(arbiter.status().manager(), Some(manager));
}
