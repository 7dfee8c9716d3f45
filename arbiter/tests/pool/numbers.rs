//! How many there are, and in which slots.

use crate::bench::Bench;
use crate::samples;
use arbiter::pool::Role;

#[test]
fn a_start_fills_the_slots_from_one() {
    let mut bench = Bench::with(samples::workers(3), false);
    assert!(!bench.pool.all_were_ready());
    bench.start();
    assert_eq!(bench.take().spawned, [(1, 1), (2, 1), (3, 1)]);
    bench.ready(1, 1);
    bench.ready(3, 1);
    assert!(!bench.pool.all_were_ready());
    bench.ready(2, 1);
    assert!(bench.pool.all_were_ready());
}

#[test]
fn one_more_takes_the_lowest_free_slot() {
    let mut bench = Bench::serving(3);
    bench.scale_to(2);
    assert_eq!(bench.seats(Role::Current), [(2, 1), (3, 1)]);
    bench.take();
    bench.scale_to(4);
    assert_eq!(bench.take().spawned, [(1, 1), (4, 1)], "slot 1 is free though its old worker still drains");
}

#[test]
fn the_oldest_go_first() {
    let mut bench = Bench::serving(3);
    bench.pass(1.0);
    bench.exit(1, 1, 0);
    bench.take();
    bench.scale_to(1);
    assert_eq!(bench.take().asked, [((2, 1), 15), ((3, 1), 15)]);
    bench.exit(2, 1, 0);
    bench.exit(3, 1, 0);
    assert_eq!(bench.seats(Role::Current), [(1, 1)]);
    assert_eq!(bench.take().spawned, [], "those that were asked to leave are not replaced");
}

#[test]
fn there_is_always_one() {
    let mut bench = Bench::serving(2);
    assert_eq!(bench.scale_to(0), 1);
    assert_eq!(bench.seats(Role::Current).len(), 1);
}

#[test]
fn a_number_set_before_the_start_is_what_is_started() {
    let mut bench = Bench::with(samples::workers(3), false);
    assert_eq!(bench.scale_to(2), 2);
    assert_eq!(bench.take().spawned, [], "nothing runs before the start");
    bench.start();
    assert_eq!(bench.take().spawned, [(1, 1), (2, 1)]);
}

#[test]
fn a_smaller_number_can_make_all_ready() {
    let mut bench = Bench::starting(2);
    bench.pass(1.0);
    bench.exit(1, 1, 1);
    bench.ready(2, 1);
    bench.scale_to(1);
    assert_eq!(
        bench.seats(Role::Current),
        [(2, 1)],
        "one that waits to be tried again goes before one that runs"
    );
    assert!(bench.pool.all_were_ready());
}

#[test]
fn one_more_in_a_rollout_is_replaced_as_well() {
    let mut bench = Bench::serving(2);
    bench.roll_out(Some(samples::workers(2)));
    bench.take();
    bench.scale_to(3);
    assert_eq!(bench.take().spawned, [(3, 1), (3, 2)]);
    bench.ready(1, 2);
    bench.ready(2, 2);
    assert_eq!(bench.take().asked, [], "the third has to be ready too");
    bench.ready(3, 2);
    assert_eq!(bench.seats(Role::Current), [(1, 2), (2, 2), (3, 2)]);
    assert_eq!(bench.take().asked.len(), 3);
}

#[test]
fn one_fewer_in_a_rollout_leaves_when_it_is_over() {
    let mut bench = Bench::serving(3);
    bench.roll_out(Some(samples::workers(3)));
    bench.scale_to(2);
    for slot in 1..=3 {
        bench.ready(slot, 2);
    }
    assert_eq!(bench.seats(Role::Current).len(), 2);
    assert!(bench.seats(Role::Current).iter().all(|(_, generation)| *generation == 2));
    assert_eq!(bench.pool.target(), 2);
}
