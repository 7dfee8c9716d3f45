//! When a process counts as ready.

use crate::bench::{ABRT, Bench, moment, policy, seconds, signal, spawn};
use supervise::unit::Note;
use supervise::{Input, Phase, Policy, Readiness, Restart, State};

fn starting(readiness: Readiness) -> Bench {
    let mut bench = Bench::with(Policy { readiness, ..policy() });
    bench.start();
    bench.handle(Input::Spawned { pid: 10 });
    bench.take();
    bench
}

fn unready_at_its_start_timeout(mut bench: Bench) {
    assert_eq!(bench.due(), Some(60.0));
    bench.at(60.0).deadline();
    assert!(bench.actions.contains(&signal(1, ABRT)));
    assert_eq!(bench.notes(), [Note::Unready]);
    assert_eq!((bench.unit.state(), bench.due()), (State::Stopping, Some(61.0)));
    bench.at(60.5).exit(0);
    assert_eq!(bench.unit.state(), State::Backoff, "even an exit with success is a failed start");
    assert!(!bench.last().ready);
}

#[test]
fn one_that_is_to_be_told_ready_is_ready_when_told() {
    let mut bench = starting(Readiness::Told);
    bench.at(5.0).handle(Input::Ready);
    assert_eq!(bench.notes(), [Note::Ready { assumed: false }]);
    assert_eq!((bench.phase(), bench.due()), (Phase::Running, None));
    bench.at(6.0).handle(Input::Ready);
    assert_eq!(bench.notes(), [], "and only once");
    assert_eq!(bench.unit.run().and_then(|run| run.ready_at), Some(moment(5.0)));
}

#[test]
fn one_that_is_to_be_told_ready_and_is_not_is_aborted() {
    unready_at_its_start_timeout(starting(Readiness::Told));
}

#[test]
fn one_that_is_ready_by_being_alive_is_ready_then_and_not_when_told() {
    let mut bench = starting(Readiness::Alive(seconds(2.0)));
    bench.at(1.0).handle(Input::Ready);
    assert_eq!((bench.unit.state(), bench.due()), (State::Starting, Some(2.0)));
    bench.at(2.0).deadline();
    assert_eq!(bench.notes(), [Note::Ready { assumed: false }]);
    assert!(bench.unit.is_ready());
}

#[test]
fn a_deadline_that_is_not_due_yet_does_nothing() {
    let mut bench = starting(Readiness::Alive(seconds(2.0)));
    bench.at(1.999).deadline();
    assert_eq!((bench.unit.state(), bench.take()), (State::Starting, vec![]));
}

#[test]
fn a_late_turn_makes_one_ready_that_was_alive_long_enough() {
    let mut bench = starting(Readiness::Alive(seconds(2.0)));
    bench.at(1000.0).deadline();
    assert!(bench.unit.is_ready());
}

#[test]
fn told_or_alive_is_whichever_comes_first() {
    let mut told = starting(Readiness::ToldOrAlive(seconds(2.0)));
    told.at(1.0).handle(Input::Ready);
    assert!(told.unit.is_ready());
    let mut alive = starting(Readiness::ToldOrAlive(seconds(2.0)));
    alive.at(2.0).deadline();
    assert!(alive.unit.is_ready());
}

#[test]
fn told_or_timeout_assumes_what_it_was_not_told_and_says_so() {
    let mut told = starting(Readiness::ToldOrTimeout);
    told.at(1.0).handle(Input::Ready);
    assert_eq!(told.notes(), [Note::Ready { assumed: false }]);
    let mut assumed = starting(Readiness::ToldOrTimeout);
    assumed.at(60.0).deadline();
    assert_eq!(assumed.notes(), [Note::Ready { assumed: true }]);
    assert!(assumed.unit.is_ready());
}

#[test]
fn one_that_is_ready_when_it_has_succeeded_is_never_told_and_has_a_timeout() {
    let mut bench = starting(Readiness::Success);
    bench.at(1.0).handle(Input::Ready);
    assert_eq!(bench.unit.state(), State::Starting);
    unready_at_its_start_timeout(bench);
}

#[test]
fn a_one_shot_that_succeeds_was_ready_and_one_that_fails_is_tried_again() {
    for (code, state, ready) in [(0, State::Exited, true), (1, State::Backoff, false)] {
        let mut bench = starting(Readiness::Success);
        bench.policy.restart = Restart::OnFailure;
        bench.at(5.0).exit(code);
        assert_eq!((bench.unit.state(), bench.last().ready), (state, ready), "code {code}");
    }
}

#[test]
fn what_could_not_become_its_program_never_counts_as_ready() {
    let modes = [Readiness::Told, Readiness::ToldOrAlive(seconds(1.0)), Readiness::ToldOrTimeout];
    for mode in modes {
        let mut bench = starting(mode);
        bench.at(0.5).handle(Input::NotExecuted { reason: "no such file".into() });
        bench.handle(Input::Ready);
        bench.at(2.0).deadline();
        assert_eq!(bench.unit.state(), State::Starting, "{mode:?}");
        bench.at(60.0).deadline();
        assert_eq!(bench.take(), [signal(1, ABRT)], "{mode:?}");
        bench.exit(127);
        assert_eq!(bench.unit.state(), State::Backoff, "{mode:?}");
    }
}

#[test]
fn the_next_run_has_to_become_ready_anew() {
    let mut bench = Bench::running();
    bench.at(10.0).exit(1);
    assert_eq!(bench.take(), [spawn(2)]);
    assert!(!bench.unit.is_ready());
    assert_eq!(bench.due(), Some(70.0));
}

#[test]
fn the_time_of_one_whose_process_comes_late_begins_with_it() {
    let mut bench = Bench::with(Policy { readiness: Readiness::ToldOrAlive(seconds(2.0)), ..policy() });
    bench.start();
    bench.take();
    bench.now = 5.0;
    bench.handle(Input::Spawned { pid: 10 });
    assert_eq!((bench.due(), bench.unit.run().map(|run| run.started)), (Some(7.0), Some(moment(5.0))));
    bench.at(7.0).deadline();
    assert_eq!(bench.phase(), Phase::Running);
}
