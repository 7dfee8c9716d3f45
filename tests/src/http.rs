//! A small HTTP client, and one that keeps asking.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::wait::{PATIENCE, wait_for};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(20);

/// The body of the answer to `GET path` from a TCP address.
///
/// # Errors
/// The connection is refused or broken, or the answer is not 200 and whole.
pub fn get(address: &str, path: &str) -> io::Result<String> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER))?;
    exchange(stream, path)
}

/// As [`get`], over a Unix socket.
///
/// # Errors
/// As [`get`].
pub fn get_unix(socket: &Path, path: &str) -> io::Result<String> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER))?;
    exchange(stream, path)
}

/// As [`get`], over a connection that is there already.
///
/// # Errors
/// The connection is broken, or the answer is not 200 and whole.
pub fn exchange(mut stream: impl Read + Write, path: &str) -> io::Result<String> {
    // In one piece: a simple server reads once.
    let request = format!("GET {path} HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let broken = || io::Error::new(io::ErrorKind::InvalidData, format!("no whole answer: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")).ok_or_else(broken)?;
    if head.starts_with("HTTP/1.1 200 ") && length.parse() == Ok(body.len()) {
        Ok(body.to_owned())
    } else {
        Err(broken())
    }
}

/// Whether the server has accepted a connection and read all that was sent on it, as the kernel's table of
/// IPv4 connections shows it.
#[must_use]
pub fn is_read(client: &TcpStream) -> bool {
    let (Ok(SocketAddr::V4(near)), Ok(SocketAddr::V4(far))) = (client.local_addr(), client.peer_addr())
    else {
        return false;
    };
    let shown = |address: SocketAddrV4| {
        format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
    };
    let (server, client) = (shown(far), shown(near));
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    table.lines().any(|line| {
        // sl local remote state tx:rx timer retransmits uid timeout inode
        let words: Vec<&str> = line.split_whitespace().collect();
        let of_it = words.get(1) == Some(&server.as_str()) && words.get(2) == Some(&client.as_str());
        let is_empty = words.get(4).is_some_and(|queues| queues.ends_with(":00000000"));
        of_it && is_empty && words.get(9).is_some_and(|inode| *inode != "0")
    })
}

/// What a fake worker says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Who {
    pub slot: u64,
    pub pid: i32,
    pub generation: u64,
}

/// Which fake worker answers.
///
/// # Errors
/// As [`get`].
pub fn who(address: &str) -> io::Result<Who> {
    parse(&get(address, "/")?)
}

fn parse(body: &str) -> io::Result<Who> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, format!("not of a fake worker: {body:?}"));
    let mut words = body.split(' ');
    let mut next = || words.next().and_then(|word| word.parse::<i64>().ok()).ok_or_else(broken);
    let (slot, pid, generation) = (next()?, next()?, next()?);
    Ok(Who {
        slot: u64::try_from(slot).map_err(|_| broken())?,
        pid: i32::try_from(pid).map_err(|_| broken())?,
        generation: u64::try_from(generation).map_err(|_| broken())?,
    })
}

/// Clients that ask one request after the other until told to end.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    /// How many requests have come to an end.
    ended: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<Result<Who, String>>>>,
}

impl Load {
    /// Begins with so many clients.
    #[must_use]
    pub fn start(address: &str, clients: usize) -> Self {
        let (stop, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let ask = || {
            let (stop, ended, address) = (Arc::clone(&stop), Arc::clone(&ended), address.to_owned());
            std::thread::spawn(move || {
                let mut answers = Vec::new();
                while !stop.load(Ordering::Acquire) {
                    answers.push(who(&address).map_err(|error| error.to_string()));
                    ended.fetch_add(1, Ordering::AcqRel);
                    std::thread::yield_now();
                }
                answers
            })
        };
        let clients = (0..clients).map(|_| ask()).collect();
        Self { stop, ended, clients }
    }

    /// Waits until whoever serves now has answered: for a number of answers to requests that begin now.
    #[track_caller]
    pub fn goes_on(&self) {
        let enough = self.ended.load(Ordering::Acquire) + 16 * self.clients.len();
        let is_enough = || (self.ended.load(Ordering::Acquire) >= enough).then_some(());
        wait_for("more answers", PATIENCE, String::new, is_enough);
    }

    /// Ends and returns who answered.
    ///
    /// # Panics
    /// A request failed, or there was none.
    #[track_caller]
    pub fn finish(mut self) -> Vec<Who> {
        self.stop.store(true, Ordering::Release);
        let clients = std::mem::take(&mut self.clients);
        let answers = clients.into_iter().flat_map(|client| client.join().expect("a client does not panic"));
        let (answered, failed): (Vec<_>, Vec<_>) = answers.partition(Result::is_ok);
        let failed: Vec<_> = failed.into_iter().filter_map(Result::err).collect();
        let (lost, all) = (failed.len(), failed.len() + answered.len());
        assert!(failed.is_empty(), "{lost} of {all} requests failed, the first: {:?}", failed.iter().take(5));
        assert!(!answered.is_empty(), "no request was made");
        answered.into_iter().filter_map(Result::ok).collect()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}
