//! What a process says of its own deadlines: that it needs more time, that it leaves by itself.

use crate::bench::{Bench, QUIT, TERM, exited, group_signal, kill, policy, seconds, signal, spawn};
use supervise::unit::{Cause, Step};
use supervise::{Input, Ladder, Phase, Policy, Readiness, Restart, State};

impl Bench {
    fn ask_for(&mut self, time: f64) {
        self.handle(Input::MoreTime { by: seconds(time) });
    }
}

#[test]
fn a_start_may_take_longer_when_the_process_asks_for_it_and_at_most_three_times_as_long() {
    let mut bench = Bench::new();
    bench.start();
    bench.at(50.0).ask_for(30.0);
    assert_eq!(bench.due(), Some(80.0));
    bench.at(60.0).ask_for(1.0);
    assert_eq!(bench.due(), Some(80.0), "it is never made shorter");
    bench.at(79.0).ask_for(1000.0);
    assert_eq!(bench.due(), Some(180.0));
    bench.at(180.0).deadline();
    assert!(matches!(bench.phase(), Phase::Stopping { cause: Cause::Unready, .. }));
    bench.take();
    bench.ask_for(1000.0);
    assert_eq!(bench.due(), Some(181.0), "one that is being aborted has had its time");
}

#[test]
fn being_taken_as_ready_is_put_off_as_well() {
    let mut bench = Bench::with(Policy { readiness: Readiness::ToldOrTimeout, ..policy() });
    bench.start();
    bench.at(10.0).ask_for(100.0);
    assert_eq!(bench.due(), Some(110.0));
}

#[test]
fn a_stop_may_take_longer_when_the_process_asks_for_it_and_at_most_three_times_as_long() {
    let mut bench = Bench::running();
    bench.at(100.0).stop();
    bench.at(150.0).ask_for(60.0);
    assert_eq!(bench.due(), Some(210.0));
    bench.at(200.0).ask_for(1e6);
    assert_eq!(bench.due(), Some(280.0));
    bench.take();
    bench.at(280.0).deadline();
    assert!(bench.take().contains(&kill(1)));
}

#[test]
fn a_shorter_stop_still_shortens_what_was_put_off() {
    let mut bench = Bench::running();
    bench.stop();
    bench.ask_for(150.0);
    bench.at(10.0).stop_with(Ladder { signal: QUIT, timeout: seconds(5.0), group: false });
    assert_eq!(bench.due(), Some(15.0));
}

#[test]
fn a_running_process_that_asks_for_time_gets_none() {
    let mut bench = Bench::running();
    bench.ask_for(10.0);
    assert_eq!((bench.phase(), bench.due()), (Phase::Running, None));
}

#[test]
fn one_that_leaves_by_itself_hears_nothing_and_is_replaced_when_it_has_gone() {
    let mut bench = Bench::running();
    bench.at(5.0).handle(Input::Leaves);
    assert_eq!((bench.take(), bench.due(), bench.unit.state()), (vec![], Some(65.0), State::Stopping));
    bench.at(20.0).exit(0);
    assert_eq!((bench.last().cause, bench.last().lived), (None, seconds(5.0)));
    assert_eq!((bench.take(), bench.unit.restarts()), (vec![spawn(2)], 1));
}

#[test]
fn one_that_leaves_before_it_is_ready_backs_off_like_after_any_such_end() {
    let mut bench = Bench::new();
    bench.start();
    bench.handle(Input::Leaves);
    bench.take();
    bench.at(2.0).exit(0);
    assert_eq!((bench.take(), bench.due()), (vec![], Some(3.0)));
}

#[test]
fn one_that_leaves_and_does_not_go_is_killed_and_its_group_is_asked_after_it() {
    let mut bench = Bench::running();
    bench.at(5.0).handle(Input::Leaves);
    bench.at(6.0).handle(exited(0, true));
    assert_eq!(bench.take(), [group_signal(1, TERM)]);
    bench.at(65.0).deadline();
    assert!(bench.take().contains(&kill(1)));
    bench.handle(Input::Gone);
    assert_eq!(bench.take(), [spawn(2)]);
}

#[test]
fn without_a_stop_timeout_one_that_leaves_is_killed_at_once() {
    let mut bench = Bench::running();
    bench.policy.stop.timeout = seconds(0.0);
    bench.at(5.0).handle(Input::Leaves);
    assert_eq!(bench.take(), [kill(1)]);
    bench.exit(0);
    assert_eq!(bench.take(), [spawn(2)]);
}

#[test]
fn one_that_leaves_is_not_asked_again_but_a_stop_in_a_hurry_has_its_signal() {
    let mut bench = Bench::running();
    bench.handle(Input::Leaves);
    bench.at(1.0).stop();
    assert_eq!(bench.take(), []);
    bench.stop_with(Ladder { signal: QUIT, timeout: seconds(5.0), group: false });
    assert_eq!((bench.take(), bench.due()), (vec![signal(1, QUIT)], Some(6.0)));
    bench.exit(0);
    assert_eq!((bench.phase(), bench.last().cause), (Phase::Stopped, Some(Cause::Requested)));
}

#[test]
fn one_that_was_asked_says_nothing_new_by_leaving() {
    let mut bench = Bench::running();
    bench.at(10.0).stop();
    bench.take();
    bench.at(20.0).handle(Input::Leaves);
    assert_eq!((bench.take(), bench.due()), (vec![], Some(70.0)));
    let phase = bench.phase();
    assert!(matches!(phase, Phase::Stopping { cause: Cause::Requested, step: Step::Asked { .. }, .. }));
}

#[test]
fn one_that_leaves_and_is_not_to_come_back_does_not() {
    let mut bench = Bench::running();
    bench.policy.restart = Restart::OnFailure;
    bench.handle(Input::Leaves);
    bench.exit(0);
    assert_eq!((bench.take(), bench.phase()), (vec![], Phase::Exited { success: true }));
}
