//! The clock: a companion that tells everyone who connects how long it has been running.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::server::Service;

/// Its hand is at zero again after each restart, which makes restarts visible.
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts at zero.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Service for Clock {
    fn serve(&self, mut connection: TcpStream, _draining: &AtomicBool) {
        let line = format!("{} s since the clock was started\n", self.started.elapsed().as_secs());
        // A caller that has gone away misses the answer, and nobody else is concerned.
        let _ = connection.write_all(line.as_bytes());
        let _ = connection.shutdown(Shutdown::Write);
    }
}
