//! Clients that keep asking and tell the ways apart in which a request can be lost.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// A whole answer with status 200, in time.
    Good,
    /// No connection.
    Refused,
    /// The connection was reset.
    Reset,
    /// The connection was closed before the first byte of an answer.
    Empty,
    /// It was closed in the middle of one.
    Short,
    /// The answer is not HTTP, or not 200.
    Wrong,
    /// No whole answer in time.
    Late,
}

impl Fate {
    /// All that are no success.
    pub const LOST: [Self; 6] =
        [Self::Refused, Self::Reset, Self::Empty, Self::Short, Self::Wrong, Self::Late];

    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::AddrNotAvailable => Self::Refused,
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Late,
            _ => Self::Reset,
        }
    }
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub begun: Instant,
    /// From `begun` on, connecting included.
    pub took: Duration,
    pub fate: Fate,
    /// Of a good answer.
    pub body: String,
}

/// How many there are of each fate.
#[must_use]
pub fn tally(exchanges: &[Exchange]) -> BTreeMap<Fate, usize> {
    let mut counts = BTreeMap::new();
    for exchange in exchanges {
        *counts.entry(exchange.fate).or_default() += 1;
    }
    counts
}

/// Who asks, and how.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub address: SocketAddr,
    /// Clients that open a connection for each request.
    pub closing: usize,
    /// Clients that keep theirs as long as the server does.
    pub keeping: usize,
    /// What every client waits between two requests.
    pub pause: Duration,
    /// What takes longer than this is [`Fate::Late`].
    pub limit: Duration,
}

/// Clients at work, until told to end. Dropping it ends them too.
#[derive(Debug)]
pub struct Traffic {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<Exchange>>>,
}

impl Traffic {
    /// Begins.
    #[must_use]
    pub fn start(plan: Plan) -> Self {
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let begin = |keep: bool| {
            let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
            std::thread::spawn(move || {
                let mut client = Client::new(plan.address, keep, plan.limit);
                let mut exchanges = Vec::new();
                while !stop.load(Ordering::Acquire) {
                    exchanges.push(client.ask("/"));
                    count.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(plan.pause);
                }
                exchanges
            })
        };
        let manners = (0..plan.closing).map(|_| false).chain((0..plan.keeping).map(|_| true));
        let clients = manners.map(begin).collect();
        Self { stop, count, clients }
    }

    /// How many requests have come to an end so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Ends, and returns what all clients saw, in the order in which the requests began.
    ///
    /// # Panics
    /// A client did.
    #[must_use]
    pub fn finish(mut self) -> Vec<Exchange> {
        self.stop.store(true, Ordering::Release);
        let clients = std::mem::take(&mut self.clients);
        let seen = clients.into_iter().flat_map(|client| client.join().expect("a client does not panic"));
        let mut exchanges: Vec<Exchange> = seen.collect();
        exchanges.sort_by_key(|exchange| exchange.begun);
        exchanges
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// One client.
///
/// A server may close a kept connection at any time, also just when the next request is on its way: where
/// not a byte was answered to a request on a kept connection it is sent once more on a new one (RFC 9112,
/// section 9.3.1). Nothing else is ever repeated.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    keep: bool,
    limit: Duration,
    kept: Option<TcpStream>,
}

impl Client {
    /// `keep`: whether it keeps its connection.
    #[must_use]
    pub fn new(address: SocketAddr, keep: bool, limit: Duration) -> Self {
        Self { address, keep, limit, kept: None }
    }

    /// Asks once.
    pub fn ask(&mut self, path: &str) -> Exchange {
        let begun = Instant::now();
        let mut answer = Answer::default();
        let kept = self.kept.take();
        let mut fate = kept.map(|stream| self.exchange(stream, path, begun, &mut answer));
        if fate.is_none_or(|fate| matches!(fate, Fate::Reset | Fate::Empty) && answer.bytes.is_empty()) {
            answer = Answer::default();
            fate = Some(match self.connect() {
                Ok(stream) => self.exchange(stream, path, begun, &mut answer),
                Err(error) => Fate::of(&error),
            });
        }
        let (fate, took) = (fate.unwrap_or(Fate::Empty), begun.elapsed());
        let fate = if fate == Fate::Good && took > self.limit { Fate::Late } else { fate };
        Exchange { begun, took, fate, body: answer.body() }
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, self.limit)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn exchange(&mut self, mut stream: TcpStream, path: &str, begun: Instant, answer: &mut Answer) -> Fate {
        let connection = if self.keep { "keep-alive" } else { "close" };
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: {connection}\r\n\r\n", self.address);
        if let Err(error) = stream.write_all(request.as_bytes()) {
            return Fate::of(&error);
        }
        let mut buffer = [0; 4096];
        loop {
            let left = self.limit.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Fate::Late;
            }
            match stream.set_read_timeout(Some(left)).and_then(|()| stream.read(&mut buffer)) {
                Ok(0) if answer.bytes.is_empty() => return Fate::Empty,
                Ok(0) => return Fate::Short,
                Ok(length) => answer.bytes.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Fate::of(&error),
            }
            match answer.judge() {
                None => {}
                Some(Fate::Good) => {
                    self.kept = (self.keep && !answer.closes()).then_some(stream);
                    return Fate::Good;
                }
                Some(fate) => return fate,
            }
        }
    }
}

/// What has come of an answer.
#[derive(Debug, Default)]
struct Answer {
    bytes: Vec<u8>,
}

impl Answer {
    fn split(&self) -> Option<(String, &[u8])> {
        let end = self.bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
        Some((String::from_utf8_lossy(&self.bytes[..end]).to_ascii_lowercase(), &self.bytes[end + 4..]))
    }

    /// None while more has to come.
    fn judge(&self) -> Option<Fate> {
        let (head, body) = self.split()?;
        let length = header(&head, "content-length").and_then(|text| text.parse::<usize>().ok());
        match length {
            Some(length) if head.starts_with("http/1.1 200") && body.len() <= length => {
                (body.len() == length).then_some(Fate::Good)
            }
            _ => Some(Fate::Wrong),
        }
    }

    /// Whether the server will close the connection.
    fn closes(&self) -> bool {
        self.split().is_some_and(|(head, _)| header(&head, "connection") == Some("close"))
    }

    fn body(&self) -> String {
        self.split().map(|(_, body)| String::from_utf8_lossy(body).into_owned()).unwrap_or_default()
    }
}

/// A header of a head in lower case.
fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let lines = head.lines().skip(1);
    let mut values = lines.filter_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()));
    values.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Option<Fate> {
        Answer { bytes: text.into() }.judge()
    }

    #[test]
    fn an_answer_is_good_when_it_is_whole_and_200() {
        assert_eq!(judged("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"), Some(Fate::Good));
        assert_eq!(judged("HTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\na"), None);
        assert_eq!(judged("HTTP/1.1 200 OK\r\nContent-Le"), None);
        assert_eq!(judged("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab"), Some(Fate::Wrong));
        assert_eq!(judged("HTTP/1.1 200 OK\r\n\r\nab"), Some(Fate::Wrong));
        assert_eq!(judged("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"), Some(Fate::Wrong));
    }
}
