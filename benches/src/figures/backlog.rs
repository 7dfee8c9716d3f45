//! What becomes of connections that wait in the backlog when a server is told to stop in good order.

use super::{Figure, Part, Row};
use crate::contestants::{Kind, Setup, Web};
use crate::process::wait_until;
use crate::programs::Programs;
use anyhow::{Context, bail};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use tests::traffic::Client;

const WAITING: usize = 64;
const ROUNDS: usize = 5;
const LIMIT: Duration = Duration::from_secs(10);
const SIGTERM: i32 = 15;

pub(super) fn take(programs: &Programs) -> anyhow::Result<Figure> {
    let contestants = [
        ("bare", Part::Limit, Kind::Bare),
        ("arbiter", Part::Other, Kind::Arbiter),
        ("gunicorn", Part::Peer, Kind::Gunicorn),
    ];
    let mut rows: Vec<Row> = contestants.iter().map(|(name, part, _)| Row::new(name, *part)).collect();
    for _ in 0..ROUNDS {
        for (row, (_, _, kind)) in rows.iter_mut().zip(contestants) {
            round(programs, row, kind)?;
        }
    }
    Ok(Figure { title: "requests lost of 64 in the backlog at TERM", unit: "requests", rows })
}

fn round(programs: &Programs, row: &mut Row, kind: Kind) -> anyhow::Result<()> {
    let mut web = Web::start(programs, kind, Setup { workers: 1, ..Setup::default() })?;
    let address = web.address()?;
    // The only worker is busy for a second.
    let slow = TcpStream::connect(address)?;
    let own = slow.try_clone()?;
    let slow_answer = std::thread::spawn(move || tests::http::exchange(own, "/slow"));
    wait_until("the slow request is read", LIMIT, || Ok(tests::http::is_read(&slow)))?;
    let ask = move || Client::new(address, false, LIMIT).ask("/");
    let clients: Vec<_> = (0..WAITING).map(|_| std::thread::spawn(ask)).collect();
    wait_until("all wait in the backlog", LIMIT, || Ok(waiting(address)? == WAITING))?;
    web.signal(SIGTERM)?;
    let exchanges: Vec<_> =
        clients.into_iter().map(|client| client.join().expect("a client does not panic")).collect();
    row.lose(&exchanges);
    let answered = slow_answer.join().expect("a client does not panic").is_ok();
    *row.counts.entry("slow requests in flight lost").or_default() += usize::from(!answered);
    if !web.ends_within(LIMIT)? {
        bail!("a server does not end at TERM");
    }
    Ok(())
}

/// How many connections wait to be accepted: for a listener the kernel's table shows that as what is to be
/// received.
fn waiting(listener: SocketAddr) -> anyhow::Result<usize> {
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    let port = format!(":{:04X}", listener.port());
    let line = table.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words.get(1)?.ends_with(&port) && words.get(3) == Some(&"0A")).then(|| words[4].to_owned())
    });
    let queues = line.context("nobody listens")?;
    let (_, received) = queues.split_once(':').context("no queue is shown")?;
    Ok(usize::from_str_radix(received, 16)?)
}
