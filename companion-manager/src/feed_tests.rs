use super::*;

const TIME: Duration = Duration::from_secs(1);

fn asker(client: u64) -> Asker {
    Asker { client, id: 1, token: [0; 16] }
}

fn at(seconds: u64) -> Monotonic {
    Monotonic::from_boot(Duration::from_secs(seconds))
}

fn happening(slot: u32) -> Happening {
    Happening { time: TIME, subject: format!("worker.{slot}"), kind: EventKind::Ready { pid: 7 } }
}

/// What was told, in short: `at 3`, `4 companion.redis.1`, `lost 2 up to 5`.
fn words(replies: impl IntoIterator<Item = Reply>) -> Vec<String> {
    let word = |reply| match reply {
        Reply::Chunk(Chunk::At(seq)) => format!("at {seq}"),
        Reply::Chunk(Chunk::Event(Event { seq, kind: EventKind::Lost { count }, .. })) => {
            format!("lost {count} up to {seq}")
        }
        Reply::Chunk(Chunk::Event(event)) => format!("{} {}", event.seq, event.subject),
        other => panic!("no piece of a stream: {other:?}"),
    };
    replies.into_iter().map(word).collect()
}

fn add(feed: &mut Feed, subject: &str) {
    feed.add(TIME, subject.into(), EventKind::Start);
}

/// Tells what is fresh to readers that have `untaken` bytes in their way.
fn tell(feed: &mut Feed, untaken: usize) -> Vec<String> {
    let fresh = feed.take_fresh();
    let told = fresh.iter().flat_map(|event| feed.tell(event, |_| untaken)).collect::<Vec<_>>();
    words(told.into_iter().map(|(_, reply)| reply))
}

/// A feed with one reader who hears everything from the sixth on.
fn watched() -> Feed {
    let mut feed = Feed::default();
    (0..3).for_each(|_| add(&mut feed, "companion.redis.1"));
    assert_eq!(words(feed.subscribe(asker(1), Vec::new(), None)), [""; 0]);
    assert_eq!(feed.next_watch(), Some(true));
    assert_eq!(feed.next_watch(), None);
    feed.take_in(2, Vec::new(), TIME);
    assert_eq!(words(feed.begin().into_iter().map(|(_, reply)| reply)), ["at 5"]);
    feed
}

#[test]
fn numbers_go_on_whether_anybody_watches_or_not() {
    let mut feed = watched();
    add(&mut feed, "companion.redis.1");
    feed.take_in(3, vec![happening(4)], TIME);
    assert_eq!(tell(&mut feed, 0), ["6 companion.redis.1", "7 worker.4"]);
    assert_eq!(feed.count(), EventCount { last: 7, taken: 3 });
    feed.forget_client(1);
    assert_eq!(feed.next_watch(), Some(false));
    add(&mut feed, "companion.redis.1");
    assert_eq!(feed.count().last, 8);
    assert_eq!(feed.take_fresh(), []);
}

#[test]
fn what_arbiter_could_not_keep_is_marked() {
    let mut feed = watched();
    feed.take_in(10, vec![happening(1)], TIME);
    assert_eq!(tell(&mut feed, 0), ["lost 7 up to 12", "13 worker.1"]);
}

#[test]
fn what_is_told_again_is_taken_in_once() {
    let mut feed = watched();
    feed.take_in(4, vec![happening(1), happening(2)], TIME);
    feed.take_in(5, vec![happening(1), happening(2), happening(3)], TIME);
    assert_eq!(tell(&mut feed, 0), ["6 worker.1", "7 worker.2", "8 worker.3"]);
}

#[test]
fn a_slow_reader_is_told_how_many_it_missed() {
    let mut feed = watched();
    add(&mut feed, "companion.a.1");
    add(&mut feed, "companion.a.1");
    assert_eq!(tell(&mut feed, UNTAKEN_MAX + 1), [""; 0]);
    add(&mut feed, "companion.a.1");
    assert_eq!(tell(&mut feed, 10), ["lost 2 up to 7", "8 companion.a.1"]);
    add(&mut feed, "companion.a.1");
    assert_eq!(tell(&mut feed, UNTAKEN_MAX + 1), [""; 0]);
    assert!(feed.tell_lost(TIME, |_| 10).is_empty());
    let marks = feed.tell_lost(TIME, |_| 0);
    assert_eq!(words(marks.into_iter().map(|(_, reply)| reply)), ["lost 1 up to 9"]);
    assert!(feed.tell_lost(TIME, |_| 0).is_empty());
}

#[test]
fn who_comes_back_to_the_next_manager_goes_on_where_it_was_cut_off() {
    let mut feed = Feed::resume(EventCount { last: 10, taken: 4 }, true, at(1));
    add(&mut feed, "companion.a.1");
    feed.take_in(5, vec![happening(1)], TIME);
    feed.take_fresh();
    assert_eq!(
        words(feed.subscribe(asker(1), Vec::new(), Some(10))),
        ["at 10", "11 companion.a.1", "12 worker.1"]
    );
    assert_eq!(
        words(feed.subscribe(asker(2), Vec::new(), Some(8))),
        ["at 8", "lost 2 up to 10", "11 companion.a.1", "12 worker.1"]
    );
    assert_eq!(words(feed.subscribe(asker(3), vec!["worker".into()], Some(11))), ["at 11", "12 worker.1"]);
    assert_eq!(words(feed.subscribe(asker(4), Vec::new(), Some(900))), ["at 12"]);
    assert_eq!(feed.next_watch(), None, "arbiter tells already");
    feed.handle_deadline(feed.next_deadline().unwrap());
    assert_eq!(feed.next_watch(), None, "there are readers");
    (1..=4).for_each(|client| feed.forget_client(client));
    assert_eq!(feed.next_watch(), Some(false));
}

#[test]
fn without_anybody_coming_back_the_watch_ends() {
    let mut feed = Feed::resume(EventCount { last: 10, taken: 4 }, true, at(1));
    (0..2 * KEPT).for_each(|_| add(&mut feed, "companion.a.1"));
    feed.take_fresh();
    let told = words(feed.subscribe(asker(1), Vec::new(), Some(10)));
    assert_eq!((told.len(), told[1].as_str()), (KEPT + 2, "lost 4096 up to 4106"));
    feed.forget_client(1);
    assert_eq!(feed.next_watch(), None);
    feed.handle_deadline(at(16));
    assert_eq!((feed.next_watch(), feed.next_deadline()), (Some(false), None));
}

#[test]
fn a_pattern_is_the_beginning_of_a_subject_in_whole_parts() {
    for (pattern, subject, expected) in [
        ("companion.redis", "companion.redis.1", true),
        ("companion.redis", "companion.redis", true),
        ("companion.redis", "companion.redis2.1", false),
        ("companion.*.1", "companion.redis.1", true),
        ("companion.*.2", "companion.redis.1", false),
        ("*", "worker.3", true),
        ("worker", "worker", true),
        ("worker.3.1", "worker.3", false),
        ("*.*", "arbiter", false),
    ] {
        assert_eq!(matches(pattern, subject), expected, "{pattern} {subject}");
    }
}

#[test]
fn a_reader_whom_nothing_concerns_knows_how_far_it_is() {
    let mut feed = watched();
    feed.subscribe(asker(2), vec!["worker".into()], None);
    add(&mut feed, "companion.redis.1");
    assert_eq!(tell(&mut feed, 0), ["6 companion.redis.1"]);
    assert_eq!(feed.tell_position(6, |_| 1), []);
    let position = feed.tell_position(6, |_| 0);
    assert_eq!(words(position.into_iter().map(|(_, reply)| reply)), ["at 6"]);
    assert_eq!(feed.tell_position(6, |_| 0), []);
}
