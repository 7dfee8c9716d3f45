//! Where new connections go while sockets change places: small programs of the kernel's packet filter
//! (classic BPF, socket(7)), for which no privilege is needed.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::ancillary::set_option;
use crate::errno::check;

/// `linux/filter.h`: load a word or a byte, a remainder, a logical and, a jump if equal, the answer.
const LOAD_WORD: u16 = 0x20;
const LOAD_BYTE: u16 = 0x30;
const MODULO: u16 = 0x94;
const AND: u16 = 0x54;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// In place of a word of the packet, a random one (`SKF_AD_OFF + SKF_AD_RANDOM`).
const RANDOM: u32 = 0xffff_f000 + 56;
/// Where a TCP header has its flags (RFC 9293, section 3.1).
const FLAGS: u32 = 13;
const SYN: u32 = 0x02;
const ACK: u32 = 0x10;

const fn step(code: u16, jump_true: u8, jump_false: u8, value: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: jump_true, jf: jump_false, k: value }
}

/// Drops what asks for a new connection and lets everything else pass: handshakes that have begun, and, since
/// they inherit the filter, connections.
const NO_BEGINNINGS: [libc::sock_filter; 5] = [
    step(LOAD_BYTE, 0, 0, FLAGS),
    step(AND, 0, 0, SYN | ACK),
    step(JUMP_EQUAL, 0, 1, SYN),
    step(RETURN, 0, 0, 0),
    step(RETURN, 0, 0, u32::MAX),
];

/// Lets nobody begin a connection to a TCP socket, or lets them again.
pub(super) fn hold_back(socket: BorrowedFd<'_>, held: bool) -> io::Result<()> {
    if held {
        return attach(socket, libc::SO_ATTACH_FILTER, &NO_BEGINNINGS);
    }
    detach(socket, libc::SO_DETACH_FILTER)
}

/// New connections are spread over the sockets of these numbers in a group that shares an address; over all by
/// the kernel's own rule if none is named.
pub(super) fn steer(socket: BorrowedFd<'_>, among: &[u32]) -> io::Result<()> {
    if among.is_empty() {
        return detach(socket, libc::SO_DETACH_REUSEPORT_BPF);
    }
    let count = u32::try_from(among.len()).map_err(io::Error::other)?;
    let mut program = vec![step(LOAD_WORD, 0, 0, RANDOM), step(MODULO, 0, 0, count)];
    for (nth, &number) in (0..).zip(among) {
        program.push(step(JUMP_EQUAL, 0, 1, nth));
        program.push(step(RETURN, 0, 0, number));
    }
    // Never reached: the kernel wants to see an answer at the end.
    program.push(step(RETURN, 0, 0, among[0]));
    attach(socket, libc::SO_ATTACH_REUSEPORT_CBPF, &program)
}

fn attach(socket: BorrowedFd<'_>, option: i32, program: &[libc::sock_filter]) -> io::Result<()> {
    let mut program = program.to_vec();
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    let size = libc::socklen_t::try_from(size_of_val(&program)).map_err(io::Error::other)?;
    // SAFETY: the structure points at a live program of the length it names; the kernel copies both.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const program).cast(), size)
    };
    check(result)?;
    Ok(())
}

/// That there is no program is as good as having removed one.
fn detach(socket: BorrowedFd<'_>, option: i32) -> io::Result<()> {
    match set_option(socket, libc::SOL_SOCKET, option, 0) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINVAL)) => Ok(()),
        result => result,
    }
}
