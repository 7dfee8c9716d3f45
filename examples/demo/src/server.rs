//! Accepting, beating and draining: one loop that waits for connections and for TERM together,
//! and one thread for each connection.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::SIGTERM;

use crate::notify::Notifier;

/// Further connections wait in the backlog.
const MOST_CONNECTIONS: usize = 256;
/// How soon to look for a free seat when all are taken.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// After this long what is still not finished is given up; below arbiter's own graceful_timeout.
const LONGEST_DRAIN: Duration = Duration::from_secs(25);

/// What is done with a connection.
pub(crate) trait Service: Send + Sync + 'static {
    /// Serves one connection until its end, or, once `draining` is set, until its next pause.
    fn serve(&self, connection: TcpStream, draining: &AtomicBool);
}

/// Connections being served; shared by the loop and the connections' threads.
#[derive(Default)]
struct Census {
    count: Mutex<usize>,
    changed: Condvar,
    draining: AtomicBool,
}

/// Leaves the census when its connection's thread ends, however it ends.
struct Seat(Arc<Census>);

impl Drop for Seat {
    fn drop(&mut self) {
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.changed.notify_all();
    }
}

impl Census {
    /// A seat for a further connection; None while all are taken.
    fn take_seat(self: &Arc<Self>) -> Option<Seat> {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        if *count >= MOST_CONNECTIONS {
            return None;
        }
        *count += 1;
        Some(Seat(Arc::clone(self)))
    }

    /// Waits until every connection has ended, at most `limit`.
    fn wait_until_empty(&self, limit: Duration) {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.changed.wait_timeout_while(count, limit, |count| *count > 0);
    }
}

/// Serves on `listeners` until TERM, then finishes what was accepted.
///
/// # Errors
/// A sentence for a person.
pub(crate) fn run(listeners: Vec<TcpListener>, service: impl Service) -> Result<(), String> {
    let (term, term_sender) = UnixStream::pair().map_err(|error| format!("cannot make a pipe: {error}"))?;
    signal_hook::low_level::pipe::register(SIGTERM, term_sender)
        .map_err(|error| format!("cannot handle TERM: {error}"))?;
    let mut heart = Heart::new(Notifier::from_environment());
    heart.notifier.tell("READY=1");

    let service = Arc::new(service);
    let census = Arc::new(Census::default());
    let mut full = false;
    loop {
        let waited = if full { &[] } else { &listeners[..] };
        let limit = full.then_some(LOOK_AGAIN);
        let stop = heart.wait(waited, &term, limit).map_err(|error| format!("cannot wait: {error}"))?;
        full = !listeners.iter().all(|listener| accept_waiting(listener, &service, &census));
        if stop {
            break;
        }
    }
    heart.notifier.tell("STOPPING=1");
    // From here on newcomers are the next worker's: the socket is shared.
    drop(listeners);
    census.draining.store(true, Ordering::Relaxed);
    census.wait_until_empty(LONGEST_DRAIN);
    Ok(())
}

/// The waiting of the loop, with a beat whenever one is due: a loop that turns is alive.
struct Heart {
    notifier: Notifier,
    next_beat: Option<Instant>,
}

impl Heart {
    fn new(notifier: Notifier) -> Self {
        let next_beat = notifier.beat_every().map(|_| Instant::now());
        Self { notifier, next_beat }
    }

    /// Sends a beat if one is due. Returns the time until the next.
    fn beat(&mut self) -> Option<Duration> {
        let (period, due) = (self.notifier.beat_every()?, self.next_beat?);
        let now = Instant::now();
        if due <= now {
            self.notifier.tell("WATCHDOG=1");
            self.next_beat = Some(now + period);
        }
        self.next_beat.map(|at| at.saturating_duration_since(now))
    }

    /// Waits for a connection, for TERM, or at most `limit`. Returns whether TERM came.
    fn wait(
        &mut self,
        listeners: &[TcpListener],
        term: &UnixStream,
        limit: Option<Duration>,
    ) -> io::Result<bool> {
        let mut waited: Vec<PollFd<'_>> =
            listeners.iter().map(|listener| PollFd::new(listener, PollFlags::IN)).collect();
        waited.push(PollFd::new(term, PollFlags::IN));
        let time = self.beat().into_iter().chain(limit).min();
        let timeout = time.and_then(|time| Timespec::try_from(time).ok());
        match poll(&mut waited, timeout.as_ref()) {
            Ok(_) => Ok(waited.last().is_some_and(|entry| !entry.revents().is_empty())),
            // A signal: the pipe is readable in the next round.
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Accepts all that wait on this listener now, and starts a thread for each. Returns whether
/// there are seats left.
fn accept_waiting<S: Service>(listener: &TcpListener, service: &Arc<S>, census: &Arc<Census>) -> bool {
    use io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};

    loop {
        let Some(seat) = census.take_seat() else { return false };
        let connection = match listener.accept() {
            Ok((connection, _)) => connection,
            // Another worker was quicker, or the peer has gone again.
            Err(error) if matches!(error.kind(), WouldBlock | ConnectionAborted | Interrupted) => {
                return true;
            }
            // No descriptor or memory is left: as if all seats were taken.
            Err(_) => return false,
        };
        let service = Arc::clone(service);
        // Without a thread the connection is closed, and its seat is free again.
        let _ = std::thread::Builder::new().spawn(move || {
            let _ = connection.set_nodelay(true);
            service.serve(connection, &seat.0.draining);
        });
    }
}

/// Tells the person who started it, through the log of whoever supervises.
#[expect(clippy::print_stderr, reason = "standard error is this program's log")]
pub(crate) fn report(message: String) -> ExitCode {
    eprintln!("demo-worker: {message}");
    ExitCode::FAILURE
}
