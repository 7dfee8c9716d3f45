//! What companions say of their own deadlines: that they need more time, that they leave by themselves.

mod world;

use companion_manager::table::Input;
use proto::link::Pace;
use std::time::Duration;
use supervise::State;
use supervise::simulator::Program;
use world::{World, companion, start, stop};

/// A companion that is ready and ignores signals; it has a minute to stop.
fn stubborn() -> World {
    let mut spec = companion("redis");
    spec.autostart = false;
    let mut world = World::new(vec![spec]);
    world.behave("redis", Program { leaves_after: None, ..Program::obedient() });
    world.ask(start(&["redis"]));
    world.seconds(1);
    assert_eq!(world.state("redis"), State::Running);
    world
}

fn say(world: &mut World, text: &str) {
    let (run, _) = world.kernel.runs().next().expect("it runs");
    world.handle(Input::Notified { run, text: text.into() });
}

#[test]
fn a_stop_takes_longer_where_it_is_asked_for_and_at_most_three_times_as_long() {
    let mut world = stubborn();
    let asked = world.ask(stop(&["redis"]));
    say(&mut world, "EXTEND_TIMEOUT_USEC=3600000000");
    world.seconds(179);
    assert!(world.reply(asked).is_none());
    world.seconds(2);
    assert_eq!((world.state("redis"), world.living()), (State::Stopped, 0));
}

#[test]
fn a_start_takes_longer_where_it_is_asked_for() {
    let mut spec = companion("redis");
    spec.autostart = false;
    let mut world = World::new(vec![spec]);
    world.behave("redis", Program { ready_after: Some(Duration::from_secs(100)), ..Program::obedient() });
    let asked = world.ask(start(&["redis"]));
    say(&mut world, "STATUS=loading\nEXTEND_TIMEOUT_USEC=110000000");
    world.seconds(101);
    assert_eq!((world.message(asked).as_str(), world.state("redis")), ("started", State::Running));
}

#[test]
fn what_is_no_number_of_microseconds_is_ignored() {
    let mut world = stubborn();
    world.ask(stop(&["redis"]));
    for text in ["EXTEND_TIMEOUT_USEC=", "EXTEND_TIMEOUT_USEC=-1", "EXTEND_TIMEOUT_USEC=1h", "STOPPING=0"] {
        say(&mut world, text);
    }
    world.seconds(61);
    assert_eq!(world.state("redis"), State::Stopped);
}

#[test]
fn a_stop_of_everything_in_a_hurry_has_no_more_time_to_give() {
    let mut world = stubborn();
    world.handle(Input::Stop { required_too: true, pace: Pace::Quick });
    say(&mut world, "EXTEND_TIMEOUT_USEC=3600000000");
    world.seconds(6);
    assert_eq!(world.living(), 0);
}

#[test]
fn one_that_leaves_by_itself_is_not_signalled_and_comes_back_when_it_has_gone() {
    let mut world = stubborn();
    world.seconds(1);
    say(&mut world, "STOPPING=1");
    assert_eq!((world.state("redis"), world.signalled.len()), (State::Stopping, 0));
    assert!(world.lines.iter().any(|line| line == "redis: leaves by itself"), "{:?}", world.lines);
    world.crash(usize::MAX);
    assert_eq!((world.state("redis"), world.signalled.len()), (State::Stopping, 0), "{:?}", world.signalled);
    world.behave("redis", Program::obedient());
    world.seconds(61);
    assert_eq!(world.state("redis"), State::Running, "the one that did not go was killed");
    assert_eq!(world.spawned.len(), 2);
}

#[test]
fn whatever_a_process_says_its_record_stays_short() {
    // 256 letters of a status, of four bytes each; 160 of a remark; the unit itself.
    const LONGEST: usize = 2048;
    let mut world = stubborn();
    let long = "\u{1f980}".repeat(1000);
    say(&mut world, &format!("STATUS={long}\nERRNO={long}\nERRNO=2\nEXIT_STATUS=255\n{long}={long}"));
    say(&mut world, &"EXTEND_TIMEOUT_USEC=18446744073709551615\nWATCHDOG=1\n".repeat(80));
    world.seconds(1);
    let length = world.longest_record();
    assert!((1024..LONGEST).contains(&length), "{length} bytes");
    world.ask(stop(&["redis"]));
    world.seconds(200);
    let length = world.longest_record();
    assert!(length < LONGEST, "{length} bytes once it has ended");
}
