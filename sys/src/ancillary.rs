//! Descriptors and credentials beside the bytes of a Unix socket's message.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use crate::errno::{check, check_size, retry};

/// Who is on the other side, as the kernel knows it: it cannot be forged without privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// 0 when the process lives outside this process's pid namespace.
    pub pid: i32,
    pub uid: u32,
    pub gid: u32,
}

/// Room for the 253 descriptors the kernel passes at most in one message, for credentials, and for whatever a
/// later kernel may add beside them.
const CONTROL_WORDS: usize = 192;

/// A control buffer, aligned as `cmsghdr` wants it.
type Control = [u64; CONTROL_WORDS];

pub(crate) struct Received {
    pub(crate) len: usize,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) fds: Vec<OwnedFd>,
    /// The message was longer than the buffer.
    pub(crate) truncated: bool,
    /// Some descriptors did not arrive, for want of free numbers or of room.
    pub(crate) control_truncated: bool,
}

/// Receives one message without waiting. Every descriptor in it is close-on-exec and owned by the answer.
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    let mut control: Control = [0; CONTROL_WORDS];
    let mut slice = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all-zero is a valid msghdr.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut slice;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of::<Control>() as _;
    let len = retry(|| {
        // SAFETY: the header points at live buffers of the lengths it names.
        check_size(unsafe {
            libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT)
        })
    })?;
    let mut received = Received {
        len: len.min(buffer.len()),
        credentials: None,
        fds: Vec::new(),
        truncated: header.msg_flags & libc::MSG_TRUNC != 0,
        control_truncated: header.msg_flags & libc::MSG_CTRUNC != 0,
    };
    collect(&header, &mut received);
    Ok(received)
}

/// Takes out of the control buffer what the kernel wrote there.
fn collect(header: &libc::msghdr, received: &mut Received) {
    // SAFETY: the CMSG functions walk the buffer the kernel has just filled, within msg_controllen.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: not null, hence a whole header inside the buffer.
        let (level, kind, length) =
            unsafe { ((*message).cmsg_level, (*message).cmsg_type, (*message).cmsg_len as usize) };
        // SAFETY: the data follow the header directly.
        let data = unsafe { libc::CMSG_DATA(message) };
        // SAFETY: pure arithmetic.
        let payload = length.saturating_sub(unsafe { libc::CMSG_LEN(0) } as usize);
        if level == libc::SOL_SOCKET && kind == libc::SCM_RIGHTS {
            for index in 0..payload / size_of::<RawFd>() {
                // SAFETY: inside the payload; the kernel gives no alignment promise beyond the buffer's.
                let number = unsafe { ptr::read_unaligned(data.cast::<RawFd>().add(index)) };
                // SAFETY: the kernel has just installed this descriptor for this call alone.
                received.fds.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        } else if level == libc::SOL_SOCKET
            && kind == libc::SCM_CREDENTIALS
            && payload >= size_of::<libc::ucred>()
        {
            // SAFETY: a whole ucred lies there, by the length just checked.
            let peer = unsafe { ptr::read_unaligned(data.cast::<libc::ucred>()) };
            received.credentials = Some(Credentials { pid: peer.pid, uid: peer.uid, gid: peer.gid });
        }
        // SAFETY: as CMSG_FIRSTHDR.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
}

/// A message to send, with every buffer it needs: sending it allocates nothing and touches no heap, so that a process
/// between clone and exec may do it.
pub(crate) struct Envelope<'a> {
    bytes: &'a mut [u8],
    control: Control,
    control_len: usize,
}

impl<'a> Envelope<'a> {
    /// At most 253 descriptors; the kernel refuses more.
    pub(crate) fn new(bytes: &'a mut [u8], fds: &[RawFd]) -> io::Result<Self> {
        let mut control = [0; CONTROL_WORDS];
        let control_len = write_rights(&mut control, fds)?;
        Ok(Self { bytes, control, control_len })
    }

    /// The bytes, to be patched in place.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes
    }

    /// Puts another number in the place of the first descriptor.
    pub(crate) fn set_first(&mut self, fd: RawFd) {
        if self.control_len > 0 {
            let header = self.control.as_mut_ptr().cast::<libc::cmsghdr>();
            // SAFETY: the buffer holds a header written by `write_rights` and room for at least one number.
            unsafe { ptr::write_unaligned(libc::CMSG_DATA(header).cast::<RawFd>(), fd) };
        }
    }

    /// One sendmsg(2); the error number on failure. Never raises SIGPIPE, never waits.
    pub(crate) fn send(&mut self, socket: RawFd) -> Result<usize, i32> {
        let mut slice = libc::iovec { iov_base: self.bytes.as_mut_ptr().cast(), iov_len: self.bytes.len() };
        // SAFETY: all-zero is a valid msghdr.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &raw mut slice;
        header.msg_iovlen = 1;
        if self.control_len > 0 {
            header.msg_control = self.control.as_mut_ptr().cast();
            header.msg_controllen = self.control_len as _;
        }
        // SAFETY: the header points at live buffers of the lengths it names.
        let sent =
            unsafe { libc::sendmsg(socket, &raw const header, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) };
        // SAFETY: the calling thread's own errno.
        usize::try_from(sent).map_err(|_| unsafe { *libc::__errno_location() })
    }
}

/// Writes one SCM_RIGHTS message; answers the control length (0 without descriptors).
fn write_rights(control: &mut Control, fds: &[RawFd]) -> io::Result<usize> {
    if fds.is_empty() {
        return Ok(0);
    }
    let bytes = u32::try_from(size_of_val(fds)).unwrap_or(u32::MAX);
    if fds.len() > 253 {
        let text = format!("{} descriptors do not fit into one message: split it", fds.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let header = control.as_mut_ptr().cast::<libc::cmsghdr>();
    // SAFETY: at most 253 numbers, for which the aligned buffer has room; plain writes into it.
    unsafe {
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(bytes) as _;
        ptr::copy_nonoverlapping(fds.as_ptr().cast::<u8>(), libc::CMSG_DATA(header), bytes as usize);
        Ok(libc::CMSG_SPACE(bytes) as usize)
    }
}

/// Asks the kernel to attach the sender's credentials to each message received on this socket.
pub(crate) fn pass_credentials(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_PASSCRED, 1)
}

/// The size of an `int`, as the socket options count it.
const INT: libc::socklen_t = 4;

/// setsockopt(2) with an `int`.
pub(crate) fn set_option(socket: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the value is a valid int for the duration of the call.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), INT) })?;
    Ok(())
}

/// getsockopt(2) of an `int`.
pub(crate) fn get_option(socket: BorrowedFd<'_>, level: i32, name: i32) -> io::Result<i32> {
    let mut value = 0i32;
    let mut length = INT;
    // SAFETY: value and length are valid for the write.
    check(unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut length)
    })?;
    Ok(value)
}
