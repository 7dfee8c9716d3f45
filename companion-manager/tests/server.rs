//! The control socket's server, spoken to over real sockets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use companion_manager::server::{Access, CLIENTS_MAX, Incoming, Server};
use proto::codec;
use proto::control::{Answer, FailureKind, Info, Reply, Request, Response, Verb};
use proto::frame::{MAX_ANSWER, MAX_REQUEST, frame};
use proto::hello::Hello;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;
use supervise::Monotonic;
use sys::control::ControlListener;
use sys::reactor::{Reactor, Token};

const LISTENER: u64 = u64::MAX;

/// A server with a clock of its own; its socket goes with it.
struct Fixture {
    server: Server,
    reactor: Reactor,
    path: PathBuf,
    now: Monotonic,
    requests: Vec<(u64, Request)>,
    gone: usize,
}

impl Fixture {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("server-{name}-{}.sock", std::process::id()));
        let listener = ControlListener::bind(&path, 0o600, None).unwrap();
        let reactor = Reactor::new().unwrap();
        let mut server = Server::new(Some(listener), Access::default(), Token(LISTENER), Token);
        server.listen(&reactor);
        let now = Monotonic::from_boot(Duration::from_secs(100));
        Self { server, reactor, path, now, requests: Vec::new(), gone: 0 }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// Everything that is to be done now.
    fn turn(&mut self) {
        for _ in 0..10_000 {
            self.reactor.wait(Some(Duration::ZERO)).unwrap();
            let events: Vec<_> = self.reactor.events().collect();
            for event in &events {
                if event.token.0 == LISTENER {
                    self.server.accept(&self.reactor, self.now);
                } else {
                    self.server.serve(event.token.0, event.readable, &self.reactor, self.now);
                }
            }
            self.server.handle_deadlines(&self.reactor, self.now);
            self.server.serve_waiting(&self.reactor, self.now);
            while let Some(incoming) = self.server.next_incoming() {
                match incoming {
                    Incoming::Request { client, request } => self.requests.push((client, request)),
                    Incoming::Gone { .. } => self.gone += 1,
                }
            }
            if events.is_empty() && self.server.next_deadline(self.now).is_none_or(|at| at > self.now) {
                return;
            }
        }
        panic!("the server does not come to rest");
    }

    fn answer(&mut self, client: u64, id: u64, reply: Reply) {
        self.server.answer(client, &Response { id, reply }, &self.reactor);
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn request(id: u64) -> Vec<u8> {
    frame(&codec::encode(&Request { id, token: [0; 16], wait: true, verb: Verb::Ping }))
}

fn hello() -> Vec<u8> {
    frame(&Hello::ours().encode())
}

fn next_frame(stream: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut payload = vec![0; u32::from_le_bytes(length) as usize];
    stream.read_exact(&mut payload).unwrap();
    payload
}

fn response(stream: &mut UnixStream) -> Response {
    codec::decode_bulk(&next_frame(stream)).unwrap()
}

fn refused(fixture: &mut Fixture, bytes: &[u8]) -> (FailureKind, String) {
    let mut stream = fixture.connect();
    stream.write_all(bytes).unwrap();
    fixture.turn();
    Hello::decode(&next_frame(&mut stream)).unwrap();
    let response = response(&mut stream);
    assert_eq!(response.id, 0);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the connection ends");
    match response.reply {
        Reply::Failed(failure) => (failure.kind, failure.message),
        other => panic!("expected a failure, found {other:?}"),
    }
}

#[test]
fn a_request_is_taken_in_however_its_bytes_arrive() {
    let mut fixture = Fixture::new("bytes");
    let mut stream = fixture.connect();
    let bytes = [hello(), request(7), request(8)].concat();
    for byte in bytes {
        stream.write_all(&[byte]).unwrap();
        fixture.turn();
    }
    assert_eq!(fixture.requests.iter().map(|(_, request)| request.id).collect::<Vec<_>>(), [7, 8]);
    let client = fixture.requests[0].0;
    fixture.answer(client, 8, Reply::Done(Answer::Done));
    Hello::decode(&next_frame(&mut stream)).unwrap();
    assert_eq!(response(&mut stream).id, 8);
}

#[test]
fn what_is_no_request_gets_an_error_and_the_end_and_nobody_else_notices() {
    let mut fixture = Fixture::new("malformed");
    let mut other = fixture.connect();
    other.write_all(&hello()).unwrap();
    let unknown_verb =
        frame(&[1u64.to_le_bytes().to_vec(), vec![0; 17], 999u32.to_le_bytes().to_vec()].concat());
    let too_long = u32::try_from(MAX_REQUEST + 1).unwrap().to_le_bytes().to_vec();
    for bytes in [
        [hello(), frame(b"nonsense")].concat(),
        [hello(), unknown_verb].concat(),
        [hello(), too_long].concat(),
        [hello(), request(0)].concat(),
        frame(b"GET / HTTP/1.1"),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
    ] {
        let (kind, message) = refused(&mut fixture, &bytes);
        assert_eq!(kind, FailureKind::BadRequest, "{message}");
    }
    other.write_all(&request(1)).unwrap();
    fixture.turn();
    assert_eq!(fixture.requests.len(), 1);
}

#[test]
fn two_requests_under_way_have_not_one_id() {
    let mut fixture = Fixture::new("ids");
    let mut stream = fixture.connect();
    stream.write_all(&[hello(), request(7)].concat()).unwrap();
    fixture.turn();
    fixture.answer(fixture.requests[0].0, 7, Reply::Done(Answer::Done));
    stream.write_all(&request(7)).unwrap();
    fixture.turn();
    assert_eq!(fixture.requests.len(), 2, "an id may be used again");
    stream.write_all(&request(7)).unwrap();
    fixture.turn();
    Hello::decode(&next_frame(&mut stream)).unwrap();
    assert_eq!([response(&mut stream).id, response(&mut stream).id], [7, 0]);
    assert_eq!((fixture.requests.len(), stream.read(&mut [0]).unwrap()), (2, 0));
}

#[test]
fn a_silent_client_and_one_that_never_finishes_a_frame_are_closed_and_an_idle_one_is_not() {
    let mut fixture = Fixture::new("silent");
    let silent = fixture.connect();
    let mut unfinished = fixture.connect();
    unfinished.write_all(&[hello(), request(1)[..9].to_vec()].concat()).unwrap();
    let mut idle = fixture.connect();
    idle.write_all(&hello()).unwrap();
    fixture.turn();
    fixture.now = fixture.now + Duration::from_secs(9);
    fixture.turn();
    assert_eq!(fixture.gone, 0);
    fixture.now = fixture.now + Duration::from_secs(2);
    fixture.turn();
    assert_eq!(fixture.gone, 1, "the silent one");
    fixture.now = fixture.now + Duration::from_secs(20);
    fixture.turn();
    assert_eq!(fixture.gone, 2, "the unfinished one");
    fixture.now = fixture.now + Duration::from_secs(100_000);
    fixture.turn();
    assert_eq!(fixture.gone, 2);
    assert_eq!(fixture.server.next_deadline(fixture.now), None, "an idle client costs nothing");
    drop(silent);
}

#[test]
fn a_long_answer_comes_in_parts() {
    let mut fixture = Fixture::new("parts");
    let mut stream = fixture.connect();
    stream.write_all(&[hello(), request(5)].concat()).unwrap();
    fixture.turn();
    let client = fixture.requests[0].0;
    let settings = "x".repeat(3 * MAX_ANSWER);
    let whole = Reply::Done(Answer::Info(Box::new(Info { name: "n".into(), settings, exits: Vec::new() })));
    fixture.answer(client, 5, whole.clone());
    let reader = std::thread::spawn(move || {
        Hello::decode(&next_frame(&mut stream)).unwrap();
        let mut together = Vec::new();
        for expected in 0.. {
            let payload = next_frame(&mut stream);
            assert!(payload.len() <= MAX_ANSWER);
            match codec::decode_bulk::<Response>(&payload).unwrap() {
                Response { id: 5, reply: Reply::Part { number, last, bytes } } => {
                    assert_eq!(number, expected);
                    together.extend(bytes);
                    if last {
                        break;
                    }
                }
                other => panic!("expected a part, found {other:?}"),
            }
        }
        codec::decode_bulk::<Response>(&together).unwrap()
    });
    while !reader.is_finished() {
        fixture.turn();
    }
    assert_eq!(reader.join().unwrap(), Response { id: 5, reply: whole });
}

#[test]
fn a_client_that_does_not_read_is_not_taken_more_from_and_the_greatest_debtor_goes_first() {
    let mut fixture = Fixture::new("debtor");
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = fixture.connect();
        let many: Vec<u8> = (1..=100).flat_map(request).collect();
        stream.write_all(&[hello(), many].concat()).unwrap();
        streams.push(stream);
    }
    fixture.turn();
    let of = |fixture: &Fixture, client| fixture.requests.iter().filter(|(from, _)| *from == client).count();
    for client in 1..=3 {
        assert_eq!(of(&fixture, client), 64, "the others wait in the socket");
    }
    let answer = |size: usize| {
        let settings = "x".repeat(size);
        Reply::Done(Answer::Info(Box::new(Info { name: "n".into(), settings, exits: Vec::new() })))
    };
    for client in 1..=3 {
        fixture.answer(client, 1, answer(4 << 20));
    }
    assert_eq!(fixture.gone, 0);
    fixture.answer(2, 2, answer(6 << 20));
    fixture.turn();
    assert_eq!(fixture.gone, 1);
    fixture.answer(1, 2, Reply::Done(Answer::Done));
    fixture.turn();
    assert_eq!(fixture.gone, 1, "the others stay");
}

#[test]
fn as_many_clients_as_promised_are_served_and_more_wait_their_turn() {
    // Both ends of each connection are in this process.
    sys::process::raise_nofile().unwrap();
    let mut fixture = Fixture::new("many");
    let mut streams = Vec::new();
    for _ in 0..CLIENTS_MAX + 3 {
        let mut stream = fixture.connect();
        stream.write_all(&[hello(), request(1)].concat()).unwrap();
        streams.push(stream);
        fixture.turn();
    }
    assert_eq!(fixture.requests.len(), CLIENTS_MAX);
    drop(streams.drain(..2));
    fixture.turn();
    fixture.turn();
    assert_eq!((fixture.requests.len(), fixture.gone), (CLIENTS_MAX + 2, 2));
}

#[test]
fn clients_that_want_nothing_make_room_for_those_that_do() {
    sys::process::raise_nofile().unwrap();
    let mut fixture = Fixture::new("idle");
    let mut streams = Vec::new();
    for number in 0..CLIENTS_MAX {
        let mut stream = fixture.connect();
        // The first one waits for an answer, and the second one has just begun to ask.
        let asks: &[u8] = match number {
            0 => &request(1),
            1 => &request(1)[..5],
            _ => &[],
        };
        stream.write_all(&[&hello(), asks].concat()).unwrap();
        streams.push(stream);
        fixture.turn();
    }
    let mut others = [fixture.connect(), fixture.connect()];
    for other in &mut others {
        other.write_all(&[hello(), request(7)].concat()).unwrap();
    }
    fixture.turn();
    assert_eq!((fixture.requests.len(), fixture.gone), (1, 0), "nobody has been idle for long");
    fixture.now = fixture.now + Duration::from_secs(1);
    // The listener is heard again, and then says that somebody waits.
    fixture.turn();
    fixture.turn();
    assert_eq!((fixture.requests.len(), fixture.gone), (3, 2));
    fixture.answer(fixture.requests[0].0, 1, Reply::Done(Answer::Done));
    Hello::decode(&next_frame(&mut streams[0])).unwrap();
    assert_eq!(response(&mut streams[0]).id, 1);
    // Who has just been answered is not the first to go.
    fixture.now = fixture.now + Duration::from_secs(60);
    let mut last = fixture.connect();
    last.write_all(&[hello(), request(8)].concat()).unwrap();
    fixture.turn();
    streams[0].write_all(&request(2)).unwrap();
    fixture.turn();
    assert_eq!(fixture.requests[3..].iter().map(|(_, request)| request.id).collect::<Vec<_>>(), [8, 2]);
}
