//! Asking, insisting, waiting.

use crate::bench::{ABRT, Bench, QUIT, TERM, exited, group_signal, kill, seconds, signal, spawn};
use supervise::unit::{Cause, Note, Step};
use supervise::{Input, Ladder, Phase, State};

#[test]
fn stop_asks_the_main_process_and_is_done_when_it_has_gone() {
    let mut bench = Bench::running();
    bench.at(5.0).stop();
    assert_eq!((bench.take(), bench.due()), (vec![signal(1, TERM)], Some(65.0)));
    assert!(!bench.unit.is_settled());
    bench.at(6.0).exit(0);
    assert_eq!((bench.phase(), bench.due(), bench.unit.is_settled()), (Phase::Stopped, None, true));
    assert_eq!(bench.take(), []);
}

#[test]
fn stop_asks_one_that_is_still_starting_too() {
    let mut bench = Bench::new();
    bench.start();
    bench.stop();
    assert_eq!(bench.take(), [spawn(1), signal(1, TERM)], "also before its process is known");
}

#[test]
fn a_stop_of_the_group_asks_all_at_once_and_not_again() {
    let mut bench = Bench::running();
    let ladder = Ladder { group: true, ..bench.policy.stop };
    bench.stop_with(ladder);
    assert_eq!(bench.take(), [group_signal(1, TERM)]);
    bench.at(1.0).handle(exited(0, true));
    assert_eq!((bench.take(), bench.due()), (vec![], Some(60.0)));
}

#[test]
fn what_is_left_of_the_group_gets_the_stop_signal_and_then_is_killed() {
    let mut bench = Bench::running();
    bench.stop();
    bench.take();
    bench.at(1.0).handle(exited(0, true));
    assert_eq!(bench.take(), [group_signal(1, TERM)]);
    assert_eq!((bench.unit.state(), bench.due()), (State::Stopping, Some(60.0)), "within the same time");
    bench.at(60.0).deadline();
    assert_eq!(bench.take(), [kill(1)]);
    assert!(!bench.unit.is_settled());
    bench.at(60.1).handle(Input::Gone);
    assert_eq!(bench.phase(), Phase::Stopped);
    assert_eq!(bench.last().lived, seconds(0.0), "its life was over when the stop began");
}

#[test]
fn what_is_left_of_the_group_may_leave_by_itself() {
    let mut bench = Bench::running();
    bench.stop();
    bench.at(1.0).handle(exited(0, true));
    bench.at(2.0).handle(Input::Gone);
    assert_eq!((bench.phase(), bench.due()), (Phase::Stopped, None));
}

#[test]
fn one_that_stays_is_killed_at_its_deadline_and_waited_for() {
    let mut bench = Bench::running();
    bench.stop();
    bench.take();
    bench.at(59.9).deadline();
    assert_eq!(bench.take(), []);
    bench.at(60.0).deadline();
    assert!(bench.actions.contains(&kill(1)));
    assert_eq!(bench.notes(), [Note::Killed]);
    assert_eq!((bench.due(), bench.unit.is_settled()), (Some(70.0), false));
    bench.at(60.1).handle(exited(0, true));
    assert_eq!((bench.take(), bench.due()), (vec![], Some(70.0)), "the kill was for all of them");
    bench.at(60.2).handle(Input::Gone);
    assert_eq!(bench.phase(), Phase::Stopped);
}

#[test]
fn one_that_survives_a_kill_is_reported_given_up_and_still_holds_its_place() {
    let mut bench = Bench::running();
    bench.stop();
    bench.at(60.0).deadline();
    bench.take();
    bench.at(70.0).deadline();
    assert_eq!(bench.notes(), [Note::Stuck]);
    assert!(bench.unit.is_settled());
    assert_eq!(bench.due(), None);
    bench.at(80.0).start();
    bench.at(81.0).deadline();
    bench.reconcile();
    assert_eq!((bench.unit.state(), bench.take()), (State::Stopping, vec![]), "never two in one place");
    bench.at(900.0).exit(0);
    assert_eq!(bench.take(), [spawn(2)]);
}

#[test]
fn a_timeout_of_zero_kills_at_once() {
    let mut bench = Bench::running();
    bench.at(5.0).stop_with(Ladder { signal: TERM, timeout: seconds(0.0), group: false });
    assert_eq!((bench.take(), bench.due()), (vec![kill(1)], Some(15.0)));
    bench.exit(0);
    assert_eq!(bench.phase(), Phase::Stopped);
}

#[test]
fn force_kills_one_that_is_already_being_asked() {
    let mut bench = Bench::running();
    bench.stop();
    bench.take();
    bench.at(3.0).stop_with(Ladder::FORCE);
    assert_eq!((bench.take(), bench.due()), (vec![kill(1)], Some(13.0)));
    bench.at(4.0).stop_with(Ladder::FORCE);
    assert_eq!((bench.take(), bench.due()), (vec![], Some(13.0)), "and kills once");
}

#[test]
fn a_quick_stop_tightens_the_deadline_and_never_extends_it() {
    let mut bench = Bench::running();
    bench.stop();
    bench.take();
    let quick = bench.policy.stop.within(seconds(5.0));
    bench.at(10.0).stop_with(quick);
    assert_eq!((bench.take(), bench.due()), (vec![], Some(15.0)), "it has been asked already");
    bench.at(12.0).stop_with(quick);
    assert_eq!(bench.due(), Some(15.0));
    bench.at(13.0).stop();
    assert_eq!(bench.due(), Some(15.0));
    bench.at(15.0).deadline();
    assert_eq!(bench.take(), [kill(1)]);
}

#[test]
fn a_quick_stop_with_a_signal_of_its_own_sends_it() {
    let mut bench = Bench::running();
    bench.stop();
    let quick = Ladder { signal: QUIT, timeout: seconds(5.0), group: false };
    bench.at(10.0).stop_with(quick);
    assert_eq!(bench.take(), [signal(1, TERM), signal(1, QUIT)]);
    bench.at(11.0).stop_with(quick);
    assert_eq!(bench.take(), [], "once");
    bench.at(12.0).handle(exited(0, true));
    assert_eq!(bench.take(), [group_signal(1, QUIT)]);
    bench.at(15.0).deadline();
    assert_eq!(bench.take(), [kill(1)]);
}

#[test]
fn a_quick_stop_reaches_a_group_that_has_lost_its_main_process() {
    let mut bench = Bench::running();
    bench.stop();
    bench.handle(exited(0, true));
    bench.take();
    bench.at(1.0).stop_with(Ladder { signal: QUIT, timeout: seconds(5.0), group: false });
    assert_eq!(bench.take(), [group_signal(1, QUIT)]);
}

#[test]
fn a_stop_of_one_that_is_being_aborted_keeps_the_sooner_deadline_and_asks_no_more() {
    let mut bench = Bench::running();
    bench.at(10.0).fail();
    bench.at(10.2).stop();
    assert_eq!((bench.take(), bench.due()), (vec![signal(1, ABRT)], Some(11.0)));
    bench.at(11.0).deadline();
    bench.exit(0);
    assert_eq!((bench.take(), bench.phase()), (vec![kill(1)], Phase::Stopped));
}

#[test]
fn one_that_dies_and_leaves_others_behind_has_them_killed() {
    for ready in [false, true] {
        let mut bench = Bench::running();
        if !ready {
            bench = Bench::new();
            bench.start();
            bench.take();
        }
        bench.at(5.0).handle(exited(1, true));
        assert_eq!(bench.take(), [kill(1)]);
        let phase = bench.phase();
        assert!(matches!(phase, Phase::Stopping { cause: Cause::Died, step: Step::Killed { .. }, .. }));
        bench.at(9.0).handle(Input::Gone);
        assert_eq!((bench.last().cause, bench.last().lived), (None, seconds(5.0)), "it died by itself");
        let next = if ready { vec![spawn(2)] } else { vec![] };
        assert_eq!(bench.take(), next, "at once when it was healthy");
    }
}

#[test]
fn an_exit_that_is_told_again_without_survivors_ends_the_run() {
    let mut bench = Bench::running();
    bench.stop();
    bench.handle(exited(0, true));
    bench.handle(exited(0, false));
    assert_eq!(bench.phase(), Phase::Stopped);
}
