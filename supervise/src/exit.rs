//! How a process ended.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What `wait` says of an ended process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ExitStatus {
    /// It exited with this code, 0 to 255.
    Code(i32),
    /// A signal of this number ended it.
    Signal {
        /// The signal's number.
        number: i32,
        /// Whether a core file was asked for.
        core_dumped: bool,
    },
}

/// An ended process: its status and what it used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// How it ended.
    pub status: ExitStatus,
    /// Processor time in user mode.
    pub user_time: Duration,
    /// Processor time in the kernel.
    pub system_time: Duration,
    /// The most memory it held at once, in KiB.
    pub max_rss_kib: u64,
}

impl Exit {
    /// An exit with `status` that used nothing worth telling.
    #[must_use]
    pub fn bare(status: ExitStatus) -> Self {
        Self { status, user_time: Duration::ZERO, system_time: Duration::ZERO, max_rss_kib: 0 }
    }
}

/// How long an end by exactly the signal that an operator has sent counts as asked for.
const SIGNALLED_FOR: Duration = Duration::from_secs(5);

impl ExitStatus {
    /// Whether it is by `signal`, which an operator has sent so long `ago`: then it was asked for.
    #[must_use]
    pub fn is_by(self, signal: i32, ago: Duration) -> bool {
        matches!(self, Self::Signal { number, .. } if number == signal) && ago <= SIGNALLED_FOR
    }

    /// Whether SIGKILL ended it: where nobody supervising it sent that, the kernel may have, out of memory.
    #[must_use]
    pub fn is_killed(self) -> bool {
        matches!(self, Self::Signal { number: 9, .. })
    }

    /// Whether it exited, with one of `success_codes`.
    #[must_use]
    pub fn is_success(self, success_codes: &[u8]) -> bool {
        match self {
            Self::Code(code) => success_codes.iter().any(|&ok| i32::from(ok) == code),
            Self::Signal { .. } => false,
        }
    }
}

impl fmt::Display for ExitStatus {
    /// As it follows a process's name: "exited with status 1", "was killed by signal 9".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with status {code}"),
            Self::Signal { number, core_dumped } => {
                match signal_name(*number) {
                    Some(name) => write!(f, "was killed by {name}")?,
                    None => write!(f, "was killed by signal {number}")?,
                }
                if *core_dumped { f.write_str(" (core dumped)") } else { Ok(()) }
            }
        }
    }
}

/// The signals of Linux on every architecture but MIPS, SPARC and Alpha (signal(7)), by number.
const SIGNALS: [(i32, &str); 31] = [
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (10, "SIGUSR1"),
    (11, "SIGSEGV"),
    (12, "SIGUSR2"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
    (16, "SIGSTKFLT"),
    (17, "SIGCHLD"),
    (18, "SIGCONT"),
    (19, "SIGSTOP"),
    (20, "SIGTSTP"),
    (21, "SIGTTIN"),
    (22, "SIGTTOU"),
    (23, "SIGURG"),
    (24, "SIGXCPU"),
    (25, "SIGXFSZ"),
    (26, "SIGVTALRM"),
    (27, "SIGPROF"),
    (28, "SIGWINCH"),
    (29, "SIGIO"),
    (30, "SIGPWR"),
    (31, "SIGSYS"),
];

/// The highest signal number of Linux.
const SIGNAL_MAX: i32 = 64;

/// The name of a signal, with `SIG`; `None` for the real-time ones.
#[must_use]
pub fn signal_name(number: i32) -> Option<&'static str> {
    SIGNALS.iter().find(|(n, _)| *n == number).map(|(_, name)| *name)
}

/// A signal as a person reads it: its name, or its number where it has none.
#[must_use]
pub fn signal_label(number: i32) -> String {
    signal_name(number).map_or_else(|| number.to_string(), str::to_owned)
}

/// The number of the signal `text` names: `TERM`, `SIGTERM` in any case, or `15`.
#[must_use]
pub fn signal_number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=SIGNAL_MAX).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    SIGNALS.iter().find(|(_, name)| &name[3..] == bare).map(|(number, _)| *number)
}

/// All signal names, for suggestions.
pub fn signal_names() -> impl Iterator<Item = &'static str> {
    SIGNALS.iter().map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_known_by_name_short_name_and_number() {
        for text in ["TERM", "SIGTERM", "sigterm", "term", "15"] {
            assert_eq!(signal_number(text), Some(15), "{text}");
        }
        for text in ["", "SIG", "TREM", "0", "65", "-1", "15.0"] {
            assert_eq!(signal_number(text), None, "{text}");
        }
        assert_eq!(signal_number("34"), Some(34));
        assert_eq!(signal_name(34), None);
        assert_eq!((signal_label(1), signal_label(34)), ("SIGHUP".into(), "34".into()));
    }

    #[test]
    fn an_exit_reads_as_a_sentence() {
        assert_eq!(ExitStatus::Code(3).to_string(), "exited with status 3");
        let killed = ExitStatus::Signal { number: 9, core_dumped: false };
        assert_eq!(killed.to_string(), "was killed by SIGKILL");
        let aborted = ExitStatus::Signal { number: 6, core_dumped: true };
        assert_eq!(aborted.to_string(), "was killed by SIGABRT (core dumped)");
        assert!(!killed.is_success(&[0]));
        assert!(ExitStatus::Code(3).is_success(&[0, 3]));
    }
}
