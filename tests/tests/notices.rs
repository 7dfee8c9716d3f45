//! What processes say of themselves over `NOTIFY_SOCKET`, beside readiness and signs of life.

use serde_json::Value;
use tests::{SAY, Site, Status};

/// A worker and a companion that run `script`.
fn site(script: &str) -> Site {
    let site = Site::new(
        r#"
        [workers]
        command = ["python3", "@site@/script.py", "worker"]
        ready = "notify"
        [companion.app]
        command = ["python3", "@site@/script.py", "app"]
        ready = "notify"
        start_seconds = 0
        "#,
    );
    site.write("script.py", &format!("{SAY}{script}"));
    site
}

fn both(status: &Status) -> [Value; 2] {
    [status.0["workers"]["processes"][0].clone(), status.0["companions"][0]["processes"][0].clone()]
}

#[test]
fn what_a_process_says_of_its_trouble_is_told_with_its_end() {
    let site = site(
        r#"
say("READY=1")
wait_for("fail-" + sys.argv[1])
os.remove("fail-" + sys.argv[1])
say("STATUS=cannot open it\nERRNO=13")
sys.exit(7)
"#,
    );
    let arbiter = site.start();
    arbiter.wait_for_companion("app", "RUNNING");
    site.write("fail-worker", "");
    site.write("fail-app", "");
    let status = arbiter.wait_for_status("both to be back", |status| {
        both(status).iter().all(|process| process["state"] == "RUNNING" && !process["last_exit"].is_null())
    });
    for process in both(&status) {
        let last = &process["last_exit"];
        assert_eq!((&last["code"], &last["remark"]), (&7.into(), &"permission denied".into()), "{last}");
    }
    assert!(site.log().contains("exited with status 7 (permission denied) while serving"), "{}", site.log());
}

#[test]
fn a_barrier_falls_when_everything_before_it_has_been_taken_in() {
    let site = site(
        r#"
for number in range(200):
    say("STATUS=%d" % number)
say("RELOADING=1\nMONOTONIC_USEC=1")
say("READY=1")
barrier()
open("passed-" + sys.argv[1], "w").close()
time.sleep(1000)
"#,
    );
    let arbiter = site.start();
    let status = arbiter.wait_for_companion("app", "RUNNING");
    site.wait_for("both barriers to fall", || {
        (site.path("passed-worker").exists() && site.path("passed-app").exists()).then_some(())
    });
    for process in both(&status) {
        assert_eq!(process["status_text"], "199");
    }
}
