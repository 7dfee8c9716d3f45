//! The lines of the log: three things that can be too late, and how a worker ended.

use crate::bench::Bench;
use arbiter::pool::Weight;
use proto::link::Pace;
use std::time::Duration;
use supervise::{Exit, ExitStatus, Input};

fn exit() -> Exit {
    Exit {
        status: ExitStatus::Code(1),
        user_time: Duration::from_millis(1200),
        system_time: Duration::from_millis(50),
        max_rss_kib: 30 * 1024,
    }
}

#[test]
fn a_boot_a_silence_and_a_drain_that_take_too_long_have_each_its_own_line() {
    let mut bench = Bench::starting(1);
    bench.wait();
    let boot = "worker 1 (generation 1): not ready after 60.0 s while booting (start_timeout), aborting it";
    assert_eq!(bench.told(), [boot]);
    bench.wait();
    let abort =
        "worker 1 (generation 1): not gone 1.0 s after it was aborted while booting (abort_timeout), killed";
    assert_eq!(bench.told(), [abort]);

    let mut bench = Bench::serving(1);
    bench.stop(Pace::Graceful);
    bench.told();
    bench.wait();
    let drain = "worker 1 (generation 1): not gone after 30.0 s while draining (graceful_timeout), killed";
    assert_eq!(bench.told(), [drain]);
    bench.wait();
    assert_eq!(bench.told(), ["worker 1 (generation 1): still there 10 s after SIGKILL"]);
}

#[test]
fn an_end_is_told_with_phase_silence_status_and_what_was_used() {
    let mut bench = Bench::starting(1);
    let used = "(1.25 s of cpu, 30 MiB)";
    let told =
        |phase: &str| format!("worker 1 (generation 1): pid 1 exited with status 1 while {phase} {used}");
    assert_eq!(bench.tell_exit(1, 1, &exit()), (Weight::Warn, told("booting")));
    bench.ready(1, 1);
    assert_eq!(bench.tell_exit(1, 1, &exit()), (Weight::Warn, told("serving")));
    bench.beat(1, 1);
    bench.pass(2.5);
    let silent = told("serving, last heartbeat 2.5 s before");
    assert_eq!(bench.tell_exit(1, 1, &exit()), (Weight::Warn, silent));
    bench.give_up(1, 1);
    let aborted = told("serving, aborted, last heartbeat 2.5 s before");
    assert_eq!(bench.tell_exit(1, 1, &exit()), (Weight::Info, aborted));

    let mut bench = Bench::starting(1);
    bench.wait();
    assert_eq!(bench.tell_exit(1, 1, &exit()), (Weight::Info, told("booting, aborted")));
    // As all of a generation are whose first one was not ready in time.
    bench.stop(Pace::Graceful);
    assert_eq!(bench.tell_exit(1, 1, &exit()), (Weight::Info, told("booting, aborted")));

    for leaves in [false, true] {
        let mut bench = Bench::serving(1);
        if leaves {
            bench.handle(bench.run(1, 1), Input::Leaves);
        } else {
            bench.stop(Pace::Graceful);
        }
        assert_eq!(bench.tell_exit(1, 1, &exit()), (Weight::Info, told("draining")));
    }
}

#[test]
fn one_that_could_not_become_its_program_was_booting_also_where_that_ends_arbiter() {
    let mut bench = Bench::starting(1);
    bench.handle(bench.run(1, 1), Input::NotExecuted { reason: "cannot execute server".into() });
    let line = "worker 1 (generation 1): pid 1 exited with status 1 while booting (1.25 s of cpu, 30 MiB)";
    assert_eq!(bench.tell_exit(1, 1, &exit()), (Weight::Warn, line.into()));
    bench.stop(Pace::Graceful);
    assert_eq!(bench.tell_exit(1, 1, &exit()), (Weight::Warn, line.into()));
}

#[test]
fn a_wait_before_the_next_start_is_told() {
    let mut bench = Bench::starting(1);
    bench.told();
    bench.exit(1, 1, 1);
    assert_eq!(bench.told(), ["worker 1 (generation 1): the next one is started in 0.1 s"]);
    bench.wait();
    bench.ready(1, 1);
    bench.told();
    bench.exit(1, 1, 1);
    assert_eq!(bench.told(), Vec::<String>::new(), "it is started at once");
}
