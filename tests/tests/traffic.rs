//! The clients tell every way apart in which a request can be lost.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;
use tests::traffic::{Client, Fate};

const LIMIT: Duration = Duration::from_secs(10);
const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A server that does these things, one connection after the other.
fn server<const N: usize>(deeds: [fn(TcpStream); N]) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let serve = move || deeds.into_iter().for_each(|deed| deed(listener.accept().expect("a client comes").0));
    (address, std::thread::spawn(serve))
}

/// Reads one request.
fn read(stream: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("the client asks");
        request.extend(byte);
    }
}

fn answer(stream: &mut TcpStream, text: &str) {
    read(stream);
    stream.write_all(text.as_bytes()).expect("the client reads");
}

/// What becomes of a request on a connection of its own.
fn fate(deed: fn(TcpStream), limit: Duration) -> Fate {
    let (address, server) = server([deed]);
    let fate = Client::new(address, false, limit).ask("/").fate;
    server.join().expect("the server does what it is told");
    fate
}

#[test]
fn each_way_to_lose_a_request_has_its_name() {
    assert_eq!(fate(|mut stream| answer(&mut stream, GOOD), LIMIT), Fate::Good);
    assert_eq!(fate(|mut stream| read(&mut stream), LIMIT), Fate::Empty);
    assert_eq!(fate(|mut stream| answer(&mut stream, &GOOD[..GOOD.len() - 1]), LIMIT), Fate::Short);
    assert_eq!(fate(|mut stream| answer(&mut stream, &GOOD.replace("200", "503")), LIMIT), Fate::Wrong);
    // A socket that is closed with something unread in it resets.
    let resets = |mut stream: TcpStream| stream.read_exact(&mut [0]).unwrap();
    assert_eq!(fate(resets, LIMIT), Fate::Reset);
    let silent =
        |stream: TcpStream| drop((&stream).read(&mut [0; 1000]).and_then(|_| (&stream).read(&mut [0])));
    assert_eq!(fate(silent, Duration::from_millis(50)), Fate::Late);
    let (address, ended) = server([]);
    ended.join().unwrap();
    assert_eq!(Client::new(address, false, LIMIT).ask("/").fate, Fate::Refused);
}

#[test]
fn only_a_request_on_a_kept_connection_that_nobody_answered_is_sent_again() {
    let (address, server) = server([
        |mut stream| {
            answer(&mut stream, GOOD);
            answer(&mut stream, GOOD);
            read(&mut stream);
        },
        |mut stream| {
            answer(&mut stream, GOOD);
            answer(&mut stream, "HTTP/1.1 200");
        },
        |mut stream| read(&mut stream),
    ]);
    let mut client = Client::new(address, true, LIMIT);
    let fates: Vec<_> = (0..5).map(|_| client.ask("/").fate).collect();
    // The third moves to the second connection, the fourth is cut there, the fifth is on a new one.
    assert_eq!(fates, [Fate::Good, Fate::Good, Fate::Good, Fate::Short, Fate::Empty]);
    server.join().unwrap();
}
