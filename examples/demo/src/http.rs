//! The smallest useful part of HTTP/1.1: requests answered one after the other on a kept
//! connection (RFC 9112, sections 2.1, 6.3 and 9.3).

use std::env;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::server::Service;

/// A longer head is refused.
const LONGEST_HEAD: usize = 8 * 1024;
/// Request bodies are read and ignored; longer ones are refused.
const LONGEST_BODY: usize = 64 * 1024;
/// How often a silent connection looks whether the worker is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Silent connections are closed after this time.
const LONGEST_SILENCE: Duration = Duration::from_secs(15);
/// The same while stopping, for a connection whose first request is still on its way.
const LONGEST_SILENCE_DRAINING: Duration = Duration::from_secs(2);
/// What `/slow` takes: long enough to reload in the middle of it.
const SLOW: Duration = Duration::from_secs(2);
const CLOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// Says hello from this worker.
pub(crate) struct Hello {
    slot: String,
    generation: String,
    clock: Option<SocketAddr>,
}

/// One request, as far as the answers depend on it.
struct Request {
    path: String,
    keep_alive: bool,
}

/// Why no further request came.
enum End {
    Closed,
    TooLong,
    Malformed,
}

impl Hello {
    /// Reads what arbiter tells its children: the slot, the generation, and where the clock is.
    ///
    /// # Errors
    /// A sentence for a person, if the clock's address is none.
    pub(crate) fn from_environment() -> Result<Self, String> {
        let text = |name: &str| env::var(name).unwrap_or_else(|_| "?".to_owned());
        let clock = match env::var("DEMO_CLOCK") {
            Ok(address) => {
                Some(address.parse().map_err(|error| format!("DEMO_CLOCK is {address:?}: {error}"))?)
            }
            Err(_) => None,
        };
        Ok(Self { slot: text("ARBITER_SLOT"), generation: text("ARBITER_GENERATION"), clock })
    }

    /// Status line's code and reason, and the body.
    fn answer(&self, path: &str) -> (&'static str, String) {
        let hello = format!(
            "hello from worker {} pid {} generation {}\n",
            self.slot,
            std::process::id(),
            self.generation
        );
        match path {
            "/" => ("200 OK", hello),
            "/slow" => {
                std::thread::sleep(SLOW);
                ("200 OK", hello)
            }
            "/clock" => match self.ask_clock() {
                Ok(line) => ("200 OK", line),
                Err(error) => ("503 Service Unavailable", format!("the clock does not answer: {error}\n")),
            },
            _ => ("404 Not Found", "there are /, /slow and /clock\n".to_owned()),
        }
    }

    fn ask_clock(&self) -> io::Result<String> {
        let address = self.clock.ok_or_else(|| io::Error::other("DEMO_CLOCK names no address"))?;
        let mut connection = TcpStream::connect_timeout(&address, CLOCK_TIMEOUT)?;
        connection.set_read_timeout(Some(CLOCK_TIMEOUT))?;
        let mut line = String::new();
        connection.read_to_string(&mut line)?;
        Ok(line)
    }
}

impl Service for Hello {
    fn serve(&self, connection: TcpStream, draining: &AtomicBool) {
        let Ok(mut stream) = Requests::new(connection, draining) else { return };
        loop {
            let (status, body, keep_alive) = match stream.next_request() {
                Ok(request) => {
                    let (status, body) = self.answer(&request.path);
                    (status, body, request.keep_alive && !draining.load(Ordering::Relaxed))
                }
                Err(End::Closed) => return,
                Err(End::TooLong) => ("413 Content Too Large", "this is too long\n".to_owned(), false),
                Err(End::Malformed) => ("400 Bad Request", "this is no HTTP/1.1\n".to_owned(), false),
            };
            let connection = if keep_alive { "keep-alive" } else { "close" };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n{body}"
            );
            if stream.connection.write_all(answer.as_bytes()).is_err() || !keep_alive {
                return;
            }
        }
    }
}

/// The requests on one connection.
struct Requests<'a> {
    connection: TcpStream,
    draining: &'a AtomicBool,
    received: Vec<u8>,
    served: bool,
}

impl<'a> Requests<'a> {
    fn new(connection: TcpStream, draining: &'a AtomicBool) -> io::Result<Self> {
        // Accepted sockets do not inherit non-blocking mode on Linux; this makes it certain.
        connection.set_nonblocking(false)?;
        connection.set_read_timeout(Some(LOOK_EVERY))?;
        connection.set_write_timeout(Some(LONGEST_SILENCE))?;
        Ok(Self { connection, draining, received: Vec::new(), served: false })
    }

    fn next_request(&mut self) -> Result<Request, End> {
        let head_end = loop {
            if let Some(at) = self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            if self.received.len() > LONGEST_HEAD {
                return Err(End::TooLong);
            }
            self.receive()?;
        };
        let (request, body) = parse_head(&self.received[..head_end]).ok_or(End::Malformed)?;
        if body > LONGEST_BODY {
            return Err(End::TooLong);
        }
        while self.received.len() < head_end + body {
            self.receive()?;
        }
        self.received.drain(..head_end + body);
        self.served = true;
        Ok(request)
    }

    /// Waits for more bytes, as long as waiting makes sense.
    fn receive(&mut self) -> Result<(), End> {
        let begun = Instant::now();
        let mut buffer = [0; 4096];
        loop {
            match self.connection.read(&mut buffer) {
                Ok(0) => return Err(End::Closed),
                Ok(length) => {
                    self.received.extend_from_slice(&buffer[..length]);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if begun.elapsed() >= self.patience() {
                        return Err(End::Closed);
                    }
                }
                Err(_) => return Err(End::Closed),
            }
        }
    }

    /// How long to wait for bytes. A worker that stops closes connections that are between two
    /// requests at once, and gives the others time to send what they have begun.
    fn patience(&self) -> Duration {
        match (self.draining.load(Ordering::Relaxed), self.served && self.received.is_empty()) {
            (false, _) => LONGEST_SILENCE,
            (true, true) => Duration::ZERO,
            (true, false) => LONGEST_SILENCE_DRAINING,
        }
    }
}

/// The request and the length of its body; None if it is no HTTP/1 request, or a chunked one.
fn parse_head(head: &[u8]) -> Option<(Request, usize)> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (_method, path, version) = (first.next()?, first.next()?.to_owned(), first.next()?);
    let mut keep_alive = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ => return None,
    };
    let mut body = 0;
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        match (name.to_ascii_lowercase().as_str(), value.trim()) {
            ("content-length", length) => body = length.parse().ok()?,
            ("connection", value) if value.eq_ignore_ascii_case("close") => keep_alive = false,
            ("transfer-encoding", _) => return None,
            _ => {}
        }
    }
    Some((Request { path, keep_alive }, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_line_and_its_headers_decide_about_keeping_the_connection() {
        let keeps = |head: &[u8]| parse_head(head).map(|(request, _)| request.keep_alive);
        assert_eq!(keeps(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Some(true));
        assert_eq!(keeps(b"GET / HTTP/1.1\r\nConnection: Close\r\n\r\n"), Some(false));
        assert_eq!(keeps(b"GET / HTTP/1.0\r\n\r\n"), Some(false));
    }

    #[test]
    fn what_is_no_http_1_request_is_refused() {
        for head in ["GET /\r\n\r\n", "GET / HTTP/2\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n"] {
            assert!(parse_head(head.as_bytes()).is_none(), "{head}");
        }
        assert!(parse_head(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").is_none());
    }

    #[test]
    fn the_length_of_a_body_is_read_and_a_wrong_one_is_refused() {
        let body = |head: &[u8]| parse_head(head).map(|(_, body)| body);
        assert_eq!(body(b"POST / HTTP/1.1\r\nContent-Length: 12\r\n\r\n"), Some(12));
        assert_eq!(body(b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), None);
    }
}
