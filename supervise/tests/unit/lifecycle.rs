//! Starting, ending, coming back, and messages that are too late.

use crate::bench::{ABRT, Bench, TERM, exited, moment, policy, seconds, signal, spawn};
use supervise::unit::{Cause, Note};
use supervise::{Desired, ExitStatus, Input, Phase, Policy, Restart, RunId, State};

/// A bench in each phase in which there is no process.
fn at_rest() -> Vec<Bench> {
    let stopped = Bench::new();
    let mut waiting = Bench::new();
    waiting.gate = false;
    waiting.start();
    waiting.gate = true;
    let mut backoff = Bench::new();
    backoff.start();
    backoff.exit(1);
    let mut exited = Bench::with(Policy { restart: Restart::Never, ..policy() });
    exited.start();
    exited.exit(1);
    let mut benches = vec![stopped, waiting, backoff, exited];
    for bench in &mut benches {
        bench.take();
    }
    let states: Vec<State> = benches.iter().map(|bench| bench.unit.state()).collect();
    assert_eq!(states, [State::Stopped, State::Starting, State::Backoff, State::Exited]);
    benches
}

#[test]
fn start_spawns_from_every_phase_without_a_process() {
    for mut bench in at_rest() {
        let next = bench.ids.upcoming();
        bench.start();
        assert_eq!(bench.take(), [spawn(next)]);
        assert!(matches!(bench.phase(), Phase::Starting { .. }));
        assert_eq!((bench.unit.desired(), bench.unit.restarts()), (Desired::Up, 0));
    }
}

#[test]
fn restart_spawns_from_every_phase_without_a_process() {
    for mut bench in at_rest() {
        let next = bench.ids.upcoming();
        bench.restart();
        assert_eq!(bench.take(), [spawn(next)]);
    }
}

#[test]
fn start_waits_for_a_closed_gate_in_every_phase_without_a_process() {
    for mut bench in at_rest() {
        bench.gate = false;
        bench.start();
        assert_eq!((bench.phase(), bench.due()), (Phase::Waiting, None));
        assert_eq!(bench.take(), []);
        bench.reconcile();
        assert_eq!(bench.take(), [], "the gate is still closed");
        bench.gate = true;
        let next = bench.ids.upcoming();
        bench.reconcile();
        assert_eq!(bench.take(), [spawn(next)]);
        bench.reconcile();
        assert_eq!(bench.take(), [], "one that starts is not started again");
    }
}

#[test]
fn stop_leaves_every_phase_without_a_process_stopped_and_nothing_brings_it_back() {
    for mut bench in at_rest() {
        bench.stop();
        assert_eq!((bench.phase(), bench.unit.desired(), bench.due()), (Phase::Stopped, Desired::Down, None));
        bench.at(1e6);
        bench.deadline();
        bench.reconcile();
        assert_eq!((bench.phase(), bench.take()), (Phase::Stopped, vec![]));
    }
}

#[test]
fn start_leaves_a_running_process_alone() {
    let mut bench = Bench::running();
    bench.at(5.0).start();
    assert_eq!((bench.phase(), bench.take()), (Phase::Running, vec![]));
}

#[test]
fn fail_and_gone_mean_nothing_without_a_process() {
    for mut bench in at_rest() {
        let phase = bench.phase();
        bench.fail();
        bench.handle_of(RunId(1), Input::Gone);
        assert_eq!((bench.phase(), bench.take()), (phase, vec![]));
    }
}

#[test]
fn a_process_that_fails_is_aborted_and_comes_back_at_once_when_it_was_healthy() {
    let mut bench = Bench::running();
    bench.at(30.0).fail();
    assert_eq!(bench.take(), [signal(1, ABRT)]);
    assert_eq!(bench.due(), Some(31.0));
    bench.at(30.5).exit(0);
    assert_eq!(bench.take(), [spawn(2)]);
    assert_eq!((bench.last().cause, bench.last().lived), (Some(Cause::Unhealthy), seconds(30.0)));
}

#[test]
fn a_process_that_fails_while_it_starts_backs_off() {
    let mut bench = Bench::new();
    bench.start();
    bench.at(30.0).fail();
    assert_eq!(bench.take(), [spawn(1), signal(1, ABRT)]);
    bench.at(30.5).exit(0);
    assert_eq!((bench.unit.state(), bench.due()), (State::Backoff, Some(31.5)));
}

#[test]
fn fail_does_not_disturb_one_that_is_being_stopped() {
    let mut bench = Bench::running();
    bench.stop();
    bench.take();
    let phase = bench.phase();
    bench.at(1.0).fail();
    assert_eq!((bench.phase(), bench.take()), (phase, vec![]));
}

#[test]
fn restart_starts_the_next_process_only_when_the_old_one_has_gone() {
    let mut bench = Bench::running();
    bench.at(0.5).restart();
    assert_eq!(bench.take(), [signal(1, TERM)]);
    assert_eq!(bench.unit.desired(), Desired::Up);
    bench.at(0.7).exit(1);
    assert_eq!(bench.take(), [spawn(2)], "an end that was asked for is no failure");
    assert_eq!((bench.last().cause, bench.unit.restarts()), (Some(Cause::Requested), 0));
}

#[test]
fn restart_follows_whatever_the_restart_policy_says() {
    let mut bench = Bench::running();
    bench.policy.restart = Restart::Never;
    bench.restart();
    bench.exit(0);
    assert_eq!(bench.take(), [signal(1, TERM), spawn(2)]);
}

#[test]
fn restart_waits_for_the_gate_after_the_old_process_has_gone() {
    let mut bench = Bench::running();
    bench.restart();
    bench.gate = false;
    bench.exit(0);
    assert_eq!(bench.phase(), Phase::Waiting);
    bench.gate = true;
    bench.reconcile();
    assert_eq!(bench.take(), [signal(1, TERM), spawn(2)]);
}

#[test]
fn restart_while_stopping_turns_the_stop_into_a_restart_and_asks_only_once() {
    let mut bench = Bench::running();
    bench.stop();
    bench.at(1.0).restart();
    assert_eq!(bench.due(), Some(60.0), "the first deadline stays");
    bench.at(2.0).exit(0);
    assert_eq!(bench.take(), [signal(1, TERM), spawn(2)]);
}

#[test]
fn start_while_stopping_starts_when_the_old_process_has_gone() {
    let mut bench = Bench::running();
    bench.stop();
    bench.at(1.0).start();
    assert_eq!((bench.unit.state(), bench.unit.desired()), (State::Stopping, Desired::Up));
    bench.at(2.0).exit(1);
    assert_eq!(bench.take(), [signal(1, TERM), spawn(2)]);
}

#[test]
fn stop_while_restarting_ends_stopped() {
    let mut bench = Bench::running();
    bench.restart();
    bench.stop();
    bench.exit(0);
    assert_eq!((bench.phase(), bench.take()), (Phase::Stopped, vec![signal(1, TERM)]));
}

#[test]
fn stop_beats_every_timer() {
    let mut backoff = Bench::new();
    backoff.start();
    backoff.exit(1);
    backoff.take();
    backoff.at(1.0).stop();
    backoff.deadline();
    assert_eq!((backoff.phase(), backoff.take()), (Phase::Stopped, vec![]));

    let mut starting = Bench::new();
    starting.start();
    starting.take();
    starting.at(60.0).stop();
    starting.deadline();
    assert_eq!(starting.take(), [signal(1, TERM)], "the start timeout does not abort it any more");
    starting.handle(Input::Ready);
    assert_eq!(starting.unit.state(), State::Stopping, "nor does a late word make it ready");
    starting.exit(1);
    assert_eq!(starting.phase(), Phase::Stopped);
}

#[test]
fn messages_about_a_run_that_is_over_are_ignored() {
    let mut bench = Bench::running();
    bench.at(2.0).exit(1);
    assert_eq!(bench.run(), RunId(2));
    bench.take();
    let before = bench.unit.clone();
    let stale = [
        Input::Spawned { pid: 99 },
        Input::NotSpawned { reason: "late".into() },
        Input::Lost,
        Input::NotExecuted { reason: "late".into() },
        Input::Ready,
        exited(1, true),
        exited(1, false),
        Input::Gone,
    ];
    for input in stale {
        bench.handle_of(RunId(1), input.clone());
        assert_eq!(bench.unit, before, "{input:?}");
    }
    assert_eq!(bench.take(), []);
}

#[test]
fn an_exit_told_twice_counts_once() {
    let mut bench = Bench::new();
    bench.start();
    bench.exit(1);
    bench.handle_of(RunId(1), exited(1, false));
    assert_eq!((bench.due(), bench.unit.restarts()), (Some(1.0), 1));
    assert_eq!(bench.notes(), [Note::Ended]);
}

#[test]
fn a_run_that_cannot_be_spawned_ends_at_once_and_is_tried_again() {
    let mut bench = Bench::new();
    bench.start();
    bench.handle(Input::NotSpawned { reason: "too many processes".into() });
    assert_eq!((bench.unit.state(), bench.due()), (State::Backoff, Some(1.0)));
    assert_eq!((bench.last().exit, bench.last().failure.as_deref()), (None, Some("too many processes")));
    bench.at(1.0).deadline();
    assert_eq!(bench.take(), [spawn(1), spawn(2)]);
}

#[test]
fn a_run_that_cannot_be_spawned_while_it_is_stopped_is_stopped() {
    let mut bench = Bench::new();
    bench.start();
    bench.stop();
    bench.handle(Input::NotSpawned { reason: "too many processes".into() });
    assert_eq!(bench.phase(), Phase::Stopped);
}

#[test]
fn a_run_that_was_lost_before_it_had_a_process_counts_for_nothing() {
    for restart in [Restart::Always, Restart::OnFailure, Restart::Never] {
        let mut bench = Bench::with(Policy { restart, ..policy() });
        bench.start();
        bench.handle(Input::Lost);
        assert_eq!(bench.take(), [spawn(1), spawn(2)], "{restart:?}");
        assert_eq!((bench.unit.restarts(), bench.unit.last()), (0, None));
        bench.stop();
        bench.take();
        bench.handle(Input::Lost);
        assert_eq!((bench.phase(), bench.take()), (Phase::Stopped, vec![]));
    }
}

#[test]
fn a_process_that_did_not_become_its_program_is_a_failure_even_with_a_success_code() {
    let mut bench =
        Bench::with(Policy { restart: Restart::OnFailure, success_codes: vec![0, 127], ..policy() });
    bench.start();
    bench.handle(Input::Spawned { pid: 10 });
    bench.handle(Input::NotExecuted { reason: "no such file".into() });
    assert_eq!(bench.unit.state(), State::Starting, "its exit is still to come");
    bench.exit(127);
    assert_eq!(bench.unit.state(), State::Backoff);
    assert_eq!(bench.last().exit.map(|exit| exit.status), Some(ExitStatus::Code(127)));
}

#[test]
fn restart_on_failure_follows_codes_outside_the_success_codes_and_signals_only() {
    let signalled = ExitStatus::Signal { number: 11, core_dumped: false };
    let ends = [
        (ExitStatus::Code(0), State::Exited),
        (ExitStatus::Code(3), State::Exited),
        (ExitStatus::Code(1), State::Backoff),
        (signalled, State::Backoff),
    ];
    for (status, expected) in ends {
        let mut bench =
            Bench::with(Policy { restart: Restart::OnFailure, success_codes: vec![0, 3], ..policy() });
        bench.start();
        bench.handle(Input::Exited { exit: supervise::Exit::bare(status), survivors: false });
        assert_eq!(bench.unit.state(), expected, "{status}");
    }
}

#[test]
fn restart_never_keeps_whether_the_end_was_a_success() {
    for (code, success) in [(0, true), (1, false)] {
        let mut bench = Bench::with(Policy { restart: Restart::Never, ..policy() });
        bench.start();
        bench.at(5.0).exit(code);
        assert_eq!(bench.phase(), Phase::Exited { success });
        bench.at(1e6).deadline();
        bench.reconcile();
        assert_eq!(bench.take(), [spawn(1)], "nothing brings it back");
    }
}

#[test]
fn a_run_and_its_end_can_be_read() {
    let mut bench = Bench::new();
    bench.at(3.0).start();
    bench.handle(Input::Spawned { pid: 77 });
    bench.at(4.0).handle(Input::Ready);
    let run = bench.unit.run().expect("a current run");
    assert_eq!((run.pid, run.started, run.ready_at), (Some(77), moment(3.0), Some(moment(4.0))));
    assert!(bench.unit.is_ready() && !bench.unit.is_settled());
    bench.at(9.0).exit(2);
    let last = bench.last();
    assert_eq!((last.at, last.lived, last.ready, last.cause), (moment(9.0), seconds(6.0), true, None));
    assert_eq!(bench.unit.restarts(), 1);
}
