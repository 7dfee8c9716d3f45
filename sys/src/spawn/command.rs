//! What a caller says about a process to start.

use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use super::Strings;

/// A limit without a bound.
pub const UNLIMITED: u64 = libc::RLIM_INFINITY;

/// The user a process runs as. All three parts are set, real, effective and saved, and read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups: exactly these. Setting them needs the privilege.
    pub groups: Vec<u32>,
}

/// One resource limit. `resource` is the number of a RLIMIT_ constant of setrlimit(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub resource: u32,
    pub soft: u64,
    pub hard: u64,
}

/// What a new process tells a third party about itself, on a sequenced-packet socket, before it does anything
/// that may wait: so the third party learns of every process, whatever happens to the parent meanwhile.
///
/// The first message goes out right after setsid and carries the process's own pidfd and then `send`; with
/// SO_PASSCRED set on the other end the kernel adds its pid. Each is sent as if the socket were blocking.
#[derive(Debug)]
pub struct Letter<'fd> {
    pub socket: BorrowedFd<'fd>,
    /// The bytes of the first message.
    pub born: Vec<u8>,
    /// The bytes of the second one, sent only when the process fails before its exec.
    pub failed: Vec<u8>,
    /// Where the stage's code goes in `failed`: a u32, little-endian.
    pub failed_stage_offset: usize,
    /// Where the error number goes in `failed`: an i32, little-endian.
    pub failed_errno_offset: usize,
    /// Descriptors the first message carries after the pidfd; at most 252.
    pub send: Vec<BorrowedFd<'fd>>,
}

/// What a launcher is handed: the program named in the [`Command`] is not the process's own yet, but goes on where
/// this one leaves off ([`super::Handed::resume`]), because what is left needs memory and a parser. Every signal stays
/// blocked until then, and the status pipe and the letter's socket stay open.
///
/// What it is handed has the numbers from `first` on: `order`, the file of variables, the status pipe, and the
/// letter's socket where there is a letter.
#[derive(Debug)]
pub struct Handover {
    /// What the launcher is to do.
    pub order: OwnedFd,
    /// A file that is opened before the process changes its user.
    pub env_file: CString,
    /// Whether that may be missing: then it is `/dev/null`.
    pub is_optional: bool,
    pub first: RawFd,
}

/// A process to start. [`Command::default`] is empty: no program, no descriptor, nothing changed.
#[derive(Debug, Default)]
pub struct Command<'fd> {
    /// An opened program, executed in preference to `candidates`. It must be a binary, not a script.
    pub image: Option<BorrowedFd<'fd>>,
    /// Paths tried one after the other, as execvp(3) does: one that is missing or may not be executed leads on
    /// to the next.
    pub candidates: Vec<CString>,
    pub argv: Vec<CString>,
    /// The whole environment, `KEY=VALUE` each.
    pub env: Strings,
    /// Names of variables that are added with the process's own number, in plain decimal as sd_listen_fds(3) and
    /// sd_watchdog_enabled(3) want it.
    pub own_pid: Vec<&'static str>,
    /// Every descriptor the process has: (source here, number there). Any permutation is fine, and a source may
    /// appear twice. Standard streams are not special: name all three, or the process starts without.
    pub fds: Vec<(BorrowedFd<'fd>, RawFd)>,
    /// Files for further numbers, each opened by the process itself, as its own user and in its own directory,
    /// to append to and created with mode 0666 less the umask: the open may wait (a FIFO, a dead disk), so
    /// nobody but the process does it.
    pub files: Vec<(CString, RawFd)>,
    /// Resolved by the process itself, as its own user.
    pub cwd: Option<CString>,
    pub umask: Option<u32>,
    /// The nice value itself, not an increment: -20 to 19.
    pub nice: Option<i32>,
    pub oom_score_adj: Option<i32>,
    /// The soft and hard limit of open files to go back to, when the parent raised its own; before `limits`.
    pub nofile: Option<(u64, u64)>,
    pub limits: Vec<Limit>,
    pub identity: Option<Identity>,
    pub no_new_privileges: bool,
    /// Sent by the kernel when the thread that spawned the process ends: spawn from the main thread.
    pub parent_death_signal: Option<i32>,
    pub letter: Option<Letter<'fd>>,
    pub handover: Option<Handover>,
}
