//! What the fakes have in common: flags, the notify socket, waiting for signals.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often a fake looks whether a file is there that it waits for.
const LOOK: Duration = Duration::from_millis(10);

/// `--name value` and `--name` flags of a fake.
#[derive(Debug)]
pub struct Flags(Vec<String>);

impl Flags {
    /// Those of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// Whether a flag is given.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|word| word == name)
    }

    /// What follows a flag.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|word| word == name)?;
        self.0.get(at + 1).map(String::as_str)
    }

    /// A number that follows a flag.
    ///
    /// # Panics
    /// It is none.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i32> {
        self.value(name).map(|text| text.parse().expect("a whole number"))
    }

    /// Seconds that follow a flag.
    ///
    /// # Panics
    /// They are none.
    #[must_use]
    pub fn seconds(&self, name: &str) -> Option<Duration> {
        self.value(name).map(|text| Duration::from_secs_f64(text.parse().expect("a number of seconds")))
    }
}

/// When a fake becomes ready: `--ready-after SECONDS`, `--ready-when FILE` (once that is there), or it never
/// says so.
#[derive(Debug)]
pub struct Readiness {
    at: Option<Instant>,
    file: Option<PathBuf>,
}

impl Readiness {
    /// As the flags say, counted from now.
    #[must_use]
    pub fn new(flags: &Flags) -> Self {
        let at = flags.seconds("--ready-after").map(|after| Instant::now() + after);
        Self { at, file: flags.value("--ready-when").map(PathBuf::from) }
    }

    /// Whether something is still waited for.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.at.is_some() || self.file.is_some()
    }

    /// Says READY=1 if the time has come, once.
    pub fn poll(&mut self) {
        let due = self.at.take_if(|at| *at <= Instant::now()).is_some();
        let seen = self.file.take_if(|file| Path::exists(file)).is_some();
        if due || seen {
            notify("READY=1");
        }
    }

    /// When to poll again.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.at.into_iter().chain(self.file.as_ref().map(|_| Instant::now() + LOOK)).min()
    }
}

/// The heartbeat of a fake, four times as often as `WATCHDOG_USEC` asks for where that is set for it: with
/// `--beat-until FILE`, until that is there. With `--trigger-when FILE` it says once that it has failed.
#[derive(Debug)]
pub struct Heartbeat {
    next: Option<Instant>,
    interval: Duration,
    until: Option<PathBuf>,
    trigger: Option<PathBuf>,
}

impl Heartbeat {
    /// As the flags say, from now on.
    #[must_use]
    pub fn new(flags: &Flags) -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let is_own = number("WATCHDOG_PID") == Some(std::process::id().into());
        let until = flags.value("--beat-until").map(PathBuf::from);
        let period = number("WATCHDOG_USEC").filter(|_| is_own && until.is_some());
        let interval = Duration::from_micros(period.unwrap_or_default() / 4);
        let next = period.map(|_| Instant::now());
        Self { next, interval, until, trigger: flags.value("--trigger-when").map(PathBuf::from) }
    }

    /// Says what is due.
    pub fn poll(&mut self) {
        if self.until.as_deref().is_some_and(Path::exists) {
            self.next = None;
        }
        if self.next.is_some_and(|at| at <= Instant::now()) {
            self.next = Some(Instant::now() + self.interval);
            notify("WATCHDOG=1");
        }
        if self.trigger.take_if(|file| Path::exists(file)).is_some() {
            notify("WATCHDOG=trigger");
        }
    }

    /// When to poll again.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.next.into_iter().chain(self.trigger.as_ref().map(|_| Instant::now() + LOOK)).min()
    }
}

/// What a fake says in the words of its file: with `--say-when FILE`, what that holds, once it is there.
#[derive(Debug)]
pub struct Saying(Option<PathBuf>);

impl Saying {
    /// As the flags say.
    #[must_use]
    pub fn new(flags: &Flags) -> Self {
        Self(flags.value("--say-when").map(PathBuf::from))
    }

    /// Says it if the time has come, once.
    pub fn poll(&mut self) {
        let text = self.0.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.0 = None;
            notify(&text);
        }
    }

    /// When to poll again.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.0.as_ref().map(|_| Instant::now() + LOOK)
    }
}

/// With `--more-time MICROSECONDS` asks for so much time to begin, or to leave.
///
/// # Panics
/// There is no notify socket.
pub fn ask_for_more_time(flags: &Flags) {
    if let Some(time) = flags.value("--more-time") {
        notify(&format!("EXTEND_TIMEOUT_USEC={time}"));
    }
}

/// Ends this process with the exit code that the file holds, if it is there: a program whose code on disk is
/// broken.
pub fn exit_if_told_by(file: Option<&str>) {
    if let Some(text) = file.and_then(|path| std::fs::read_to_string(path).ok()) {
        std::process::exit(text.trim().parse().unwrap_or(1));
    }
}

/// With `--hold FILE` as many MiB as the file says, if it is there.
///
/// # Panics
/// It says something else.
#[must_use]
pub fn hold_memory(flags: &Flags) -> Vec<u8> {
    let held = flags.value("--hold").and_then(|path| std::fs::read_to_string(path).ok());
    // Not zeroes: those would take no memory.
    vec![1; held.map_or(0, |mib| mib.trim().parse::<usize>().expect("a number") << 20)]
}

/// Says something over `NOTIFY_SOCKET`.
///
/// # Panics
/// There is no such socket.
pub fn notify(text: &str) {
    let path = std::env::var_os("NOTIFY_SOCKET").expect("NOTIFY_SOCKET is set");
    let socket = UnixDatagram::unbound().expect("a socket is to be had");
    socket.send_to(text.as_bytes(), path).expect("somebody reads the notify socket");
}
