//! An HTTP/1.1 server with one thread, as a worker: it serves the listener it is handed (`LISTEN_FDS`), or
//! one of its own.
//!
//! | flag | |
//! | --- | --- |
//! | `--boot SECONDS` | does nothing for so long first, as an import would |
//! | `--exit-if FILE` | ends with status 3 then if FILE is there, as broken code would |
//! | `--exit CODE` | ends at once |
//! | `--bind ADDRESS` | a listener of its own, named on standard error |
//!
//! `/` is answered at once; `/slow` after a second in which nothing else happens. On TERM it takes what waits
//! in its listener, answers all it has accepted, closes each connection with its next answer, and ends.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};
use sys::reactor::{Interest, Reactor, Token};
use sys::signals::Signals;

const SIGTERM: i32 = 15;
const SIGNALS: Token = Token(0);
const LISTENER: Token = Token(1);
const FIRST_LISTENER: i32 = 3;
const SLOW: Duration = Duration::from_secs(1);
/// How long a silent connection is kept after TERM.
const PATIENCE: Duration = Duration::from_secs(1);
const LONGEST_REQUEST: usize = 8192;

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let value = |flag: &str| words.iter().position(|word| word == flag).and_then(|at| words.get(at + 1));
    if let Some(code) = value("--exit") {
        std::process::exit(code.parse().unwrap_or(1));
    }
    let boot = value("--boot").and_then(|text| text.parse().ok()).unwrap_or(0.0);
    std::thread::sleep(Duration::from_secs_f64(boot));
    if value("--exit-if").is_some_and(|file| Path::new(file).exists()) {
        std::process::exit(3);
    }
    let signals = Signals::install(&[SIGTERM])?;
    let listener = match value("--bind") {
        Some(address) => announce(TcpListener::bind(address)?)?,
        None => handed_over()?,
    };
    Server::new(listener, signals)?.run()
}

fn handed_over() -> io::Result<TcpListener> {
    let mut fds: Vec<OwnedFd> = sys::fd::adopt_inherited(&[FIRST_LISTENER])?;
    fds.pop().map(TcpListener::from).ok_or_else(|| io::Error::other("no listener was handed over"))
}

fn announce(listener: TcpListener) -> io::Result<TcpListener> {
    writeln!(io::stderr(), "listening at http://{}", listener.local_addr()?)?;
    Ok(listener)
}

struct Server {
    reactor: Reactor,
    signals: Signals,
    /// None once it drains.
    listener: Option<TcpListener>,
    connections: BTreeMap<u64, Connection>,
    next: u64,
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Server {
    fn new(listener: TcpListener, signals: Signals) -> io::Result<Self> {
        let reactor = Reactor::new()?;
        listener.set_nonblocking(true)?;
        reactor.register(&signals, SIGNALS, Interest::READ)?;
        reactor.register(&listener, LISTENER, Interest::READ)?;
        Ok(Self { reactor, signals, listener: Some(listener), connections: BTreeMap::new(), next: 2 })
    }

    fn run(mut self) -> io::Result<()> {
        let mut end = None;
        loop {
            let now = Instant::now();
            if end.is_some_and(|end| end <= now) || (end.is_some() && self.connections.is_empty()) {
                return Ok(());
            }
            self.reactor.wait(end.map(|end| end - now))?;
            self.accept()?;
            let ready: Vec<u64> = self.reactor.events().map(|event| event.token.0).collect();
            for number in ready {
                let draining = end.is_some();
                if self.connections.get_mut(&number).is_some_and(|one| !one.serve(draining)) {
                    self.connections.remove(&number);
                }
            }
            if end.is_none() && !self.signals.take().is_empty() {
                // What came while the last requests were served waits in the listener.
                self.accept()?;
                self.listener = None;
                end = Some(Instant::now() + PATIENCE);
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        let Some(listener) = &self.listener else { return Ok(()) };
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            self.reactor.register(&stream, Token(self.next), Interest::READ)?;
            self.connections.insert(self.next, Connection { stream, received: Vec::new() });
            self.next += 1;
        }
        Ok(())
    }
}

impl Connection {
    /// Answers what has come. False when the connection is over.
    fn serve(&mut self, last: bool) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(length) => self.received.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        while let Some(end) = self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head: Vec<u8> = self.received.drain(..end + 4).collect();
            if !self.answer(&String::from_utf8_lossy(&head), last) {
                return false;
            }
        }
        self.received.len() < LONGEST_REQUEST
    }

    fn answer(&mut self, head: &str, last: bool) -> bool {
        if head.starts_with("GET /slow ") {
            std::thread::sleep(SLOW);
        }
        let closes = last || head.contains("Connection: close");
        let connection = if closes { "close" } else { "keep-alive" };
        let answer =
            format!("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: {connection}\r\n\r\nhello\n");
        self.stream.write_all(answer.as_bytes()).is_ok() && !closes
    }
}
