//! Questions and answers on one connection to the control socket, alone and beside a thousand idle clients.

use super::{Figure, Named, Part, Row};
use crate::contestants::{Breed, Fleet, Gunicorn};
use crate::programs::Programs;
use crate::sample::percentile;
use anyhow::{Context, bail};
use proto::control::{Reply, Verb};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use tests::Peer;

const COMPANIONS: usize = 10;
const CLIENTS: usize = 1000;
const ROUNDS: usize = 7;
/// How long one round of one contestant lasts.
const ROUND: Duration = Duration::from_millis(300);

/// One contestant's rows: how many a second, and how long the slowest hundredth takes.
struct Asked {
    rate: Row,
    slowest: Row,
}

pub(super) fn take(programs: &Programs) -> anyhow::Result<Vec<Named>> {
    let (arbiter, _) = Fleet::start(programs, Breed::Arbiter, COMPANIONS)?;
    let gunicorn = Gunicorn::start(programs, 4, None)?;
    let mut echo = Echo::start()?;
    let mut alone = Peer::connect(&arbiter.socket());
    let mut peer = gunicorn.connect()?;
    let rows = || {
        [
            Asked::new("a thread that echoes", Part::Limit),
            Asked::new("arbiter, ping", Part::Other),
            Asked::new("arbiter, pid of one companion", Part::Other),
            Asked::new("gunicorn, help", Part::Peer),
        ]
    };
    let mut asked = rows();
    let mut crowded = [
        Asked::new("arbiter, ping, 1,000 idle clients", Part::Other),
        Asked::new("arbiter, pid, 1,000 idle clients", Part::Other),
    ];
    for round in 0..2 * ROUNDS {
        // All contestants once without a crowd, then arbiter with one.
        if round % 2 == 0 {
            asked[0].measure(|| echo.trip())?;
            asked[1].measure(|| ask(&mut alone, Verb::Ping))?;
            asked[2].measure(|| ask(&mut alone, Verb::Pids(vec!["side1".into()])))?;
            asked[3].measure(|| help(&mut peer))?;
        } else {
            let crowd: Vec<Peer> = (0..CLIENTS).map(|_| Peer::connect(&arbiter.socket())).collect();
            crowded[0].measure(|| ask(&mut alone, Verb::Ping))?;
            crowded[1].measure(|| ask(&mut alone, Verb::Pids(vec!["side1".into()])))?;
            drop(crowd);
        }
    }
    let (rates, slowest) = asked.into_iter().chain(crowded).map(|asked| (asked.rate, asked.slowest)).unzip();
    Ok(vec![
        ("trips", Figure { title: "round trips on one connection", unit: "per second", rows: rates }),
        ("trips-p99", Figure { title: "the slowest hundredth takes at least", unit: "us", rows: slowest }),
    ])
}

impl Asked {
    fn new(name: &str, part: Part) -> Self {
        Self { rate: Row::new(name, part), slowest: Row::new(name, part) }
    }

    fn measure(&mut self, mut trip: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut took = Vec::new();
        while begun.elapsed() < ROUND {
            let before = Instant::now();
            trip()?;
            took.push(before.elapsed().as_secs_f64() * 1e6);
        }
        self.rate.values.push(super::count(took.len()) / begun.elapsed().as_secs_f64());
        self.slowest.values.extend(percentile(&took, 99));
        Ok(())
    }
}

/// One question to arbiter.
fn ask(peer: &mut Peer, verb: Verb) -> anyhow::Result<()> {
    match peer.ask(verb) {
        Reply::Done(_) => Ok(()),
        other => bail!("arbiter answers {other:?}"),
    }
}

/// One question to gunicorn: a length of four bytes and JSON, both ways.
fn help(stream: &mut UnixStream) -> anyhow::Result<()> {
    let question = br#"{"id": 1, "command": "help", "args": []}"#;
    let length = u32::try_from(question.len())?.to_be_bytes();
    stream.write_all(&[length.as_slice(), question].concat())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length))?];
    stream.read_exact(&mut answer)?;
    Ok(())
}

/// The limit: a thread that writes what it reads.
struct Echo {
    stream: UnixStream,
}

impl Echo {
    fn start() -> anyhow::Result<Self> {
        let (near, mut far) = UnixStream::pair().context("no pair of sockets")?;
        std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok(length @ 1..) = far.read(&mut buffer) {
                if far.write_all(&buffer[..length]).is_err() {
                    return;
                }
            }
        });
        Ok(Self { stream: near })
    }

    fn trip(&mut self) -> anyhow::Result<()> {
        let mut buffer = [0; 36];
        self.stream.write_all(&buffer)?;
        Ok(self.stream.read_exact(&mut buffer)?)
    }
}
