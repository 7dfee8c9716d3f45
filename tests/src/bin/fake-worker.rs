//! A worker: an HTTP/1.1 server on the listeners it is handed.
//!
//! | flag | |
//! | --- | --- |
//! | `--fd N` | serves this descriptor instead of the `LISTEN_FDS` from 3 on |
//! | `--no-listener` | serves none |
//! | `--ready-after SECONDS`, `--ready-when FILE` | says READY=1 then, and serves from then on |
//! | `--beat-until FILE` | says WATCHDOG=1, more often than it has to, until the file is there |
//! | `--trigger-when FILE` | says WATCHDOG=trigger then |
//! | `--boot-after SECONDS` | does not accept before, without saying anything |
//! | `--say-when FILE` | says what the file holds when it is there |
//! | `--more-time MICROSECONDS` | asks for so much time when it starts, and when it is asked to leave |
//! | `--at-end FILE` | accepts nobody before it is asked to leave; then it waits for the file and accepts what is there if that says `serve` |
//! | `--exit-if FILE` | ends at once with the code that the file holds, if it is there |
//! | `--hold FILE` | holds as many MiB of memory as the file says, if it is there at its start |
//! | `--exit-after SECONDS` | ends by itself with code 0 |
//! | `--reopened FILE` | appends its number to the file on USR1 |
//! | `--ignore-term` | is not impressed by TERM |
//! | `--stamp FILE` | writes the time of its first turn there (nanoseconds since 1970) |
//!
//! `/` answers `SLOT PID GENERATION`, `/sleep/SECONDS` the same later, `/env` its environment, `/args` its
//! arguments, `/exit/CODE` nothing. On TERM it takes what waits in its listeners, answers all it has accepted and ends.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};
use sys::reactor::{Interest, Reactor, Token};
use sys::signals::Signals;
use tests::What;
use tests::announce::announce;
use tests::fake::{Flags, Heartbeat, Readiness, Saying, ask_for_more_time, exit_if_told_by, hold_memory};

const SIGUSR1: i32 = 10;
const SIGTERM: i32 = 15;
const SIGNALS: Token = Token(u64::MAX);
/// Longer than any scenario.
const FOREVER: Duration = Duration::from_secs(3600);

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}

impl Listener {
    fn new(fd: OwnedFd) -> Self {
        let probe = TcpListener::from(fd);
        probe.set_nonblocking(true).expect("a listener can be made non-blocking");
        match probe.local_addr() {
            Ok(_) => Self::Tcp(probe),
            Err(_) => Self::Unix(UnixListener::from(OwnedFd::from(probe))),
        }
    }

    /// A connection, if one waits that nobody else has taken.
    fn accept(&self) -> Option<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().ok()?;
                stream.set_nonblocking(false).ok()?;
                Some(Box::new(stream))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().ok()?;
                stream.set_nonblocking(false).ok()?;
                Some(Box::new(stream))
            }
        }
    }
}

fn main() {
    let flags = Flags::of_this_process();
    if let Some(path) = flags.value("--stamp") {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        std::fs::write(path, now.as_nanos().to_string()).expect("the stamp can be written");
    }
    exit_if_told_by(flags.value("--exit-if"));
    let held = hold_memory(&flags);
    let handled = if flags.has("--reopened") { &[SIGTERM, SIGUSR1][..] } else { &[SIGTERM] };
    let signals = Signals::install(handled).expect("signals can be handled");
    ask_for_more_time(&flags);
    announce(What::Started, "");
    serve(&flags, signals);
    drop(std::hint::black_box(held));
    announce(What::Leaves, "");
}

/// Accepts until it is time to end, and answers what was accepted.
fn serve(flags: &Flags, mut signals: Signals) {
    let listeners = listeners(flags);
    let mut reactor = Reactor::new().expect("an epoll set is to be had");
    reactor.register(&signals, SIGNALS, Interest::READ).expect("it can be waited for");
    let begun = Instant::now();
    let end = begun + flags.seconds("--exit-after").unwrap_or(FOREVER);
    let mut open = Some(begun + flags.seconds("--boot-after").unwrap_or(Duration::ZERO));
    let mut readiness = Readiness::new(flags);
    let mut heartbeat = Heartbeat::new(flags);
    let mut saying = Saying::new(flags);
    let under_way = Arc::new(AtomicUsize::new(0));
    let at_end = flags.value("--at-end");
    let mut asked = false;
    while !asked {
        let now = Instant::now();
        if now >= end {
            break;
        }
        readiness.poll();
        heartbeat.poll();
        saying.poll();
        if !readiness.is_pending() && at_end.is_none() && open.take_if(|at| *at <= now).is_some() {
            for (token, listener) in (0..).zip(&listeners) {
                reactor.register(listener, Token(token), Interest::READ).expect("a socket can be waited for");
            }
        }
        let opens = open.filter(|_| !readiness.is_pending() && at_end.is_none());
        let next = [readiness.next(), heartbeat.next(), saying.next(), opens];
        let next = next.into_iter().flatten().fold(end, Instant::min);
        reactor.wait(Some(next.saturating_duration_since(now))).expect("waiting works");
        accept_all(&listeners, open.is_none(), &under_way);
        for (signal, _) in signals.take() {
            if signal == SIGUSR1 {
                note_reopened(flags);
                continue;
            }
            announce(What::Asked, "");
            ask_for_more_time(flags);
            asked = !flags.has("--ignore-term");
        }
    }
    accept_all(&listeners, at_end.map_or(open.is_none(), serves_at_end), &under_way);
    drop(listeners);
    while under_way.load(Ordering::Acquire) > 0 {
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn note_reopened(flags: &Flags) {
    let path = flags.value("--reopened").expect("the signal is handled only then");
    let mut file = File::options().create(true).append(true).open(path).expect("the file can be opened");
    // In one write: others append to it too.
    file.write_all(format!("{}\n", std::process::id()).as_bytes()).expect("the file can be appended to");
}

/// Waits for the file; whether it says so.
fn serves_at_end(file: &str) -> bool {
    loop {
        match std::fs::read_to_string(file) {
            Ok(text) if !text.is_empty() => return text.trim() == "serve",
            _ => std::thread::park_timeout(Duration::from_millis(5)),
        }
    }
}

fn listeners(flags: &Flags) -> Vec<Listener> {
    let count = std::env::var("LISTEN_FDS").ok().and_then(|text| text.parse::<i32>().ok()).unwrap_or(0);
    let numbers: Vec<i32> = match flags.number("--fd") {
        Some(number) => vec![number],
        None if flags.has("--no-listener") => Vec::new(),
        None => (3..3 + count).collect(),
    };
    let fds = sys::fd::adopt_inherited(&numbers).expect("listeners were handed over");
    fds.into_iter().map(Listener::new).collect()
}

fn accept_all(listeners: &[Listener], open: bool, under_way: &Arc<AtomicUsize>) {
    for listener in listeners.iter().filter(|_| open) {
        while let Some(stream) = listener.accept() {
            let under_way = Arc::clone(under_way);
            under_way.fetch_add(1, Ordering::AcqRel);
            std::thread::spawn(move || {
                // A client that has gone away is its own affair.
                let _ = answer(stream);
                under_way.fetch_sub(1, Ordering::AcqRel);
            });
        }
    }
}

fn answer(stream: Box<dyn Stream>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 && !line.trim().is_empty() {
        line.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or("/");
    let body = body(path);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    reader.get_mut().write_all((head + &body).as_bytes())
}

fn body(path: &str) -> String {
    let variable = |name| std::env::var(name).unwrap_or_default();
    if let Some(code) = path.strip_prefix("/exit/") {
        std::process::exit(code.parse().unwrap_or(1));
    }
    if let Some(seconds) = path.strip_prefix("/sleep/").and_then(|text| text.parse().ok()) {
        std::thread::sleep(Duration::from_secs_f64(seconds));
    }
    match path {
        "/env" => std::env::vars().map(|(name, value)| format!("{name}={value}\n")).collect(),
        "/args" => std::env::args().map(|word| word + "\n").collect(),
        _ => {
            format!("{} {} {}", variable("ARBITER_SLOT"), std::process::id(), variable("ARBITER_GENERATION"))
        }
    }
}
