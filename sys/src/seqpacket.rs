//! The link between the two daemons: datagrams in order, with descriptors, whose end is seen.
//!
//! Both ends are non-blocking. A message that does not fit stays with the sender, which waits for the socket
//! to become writable. (Two ends that both wait to send have been seen to stop each other within a second.)

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use crate::ancillary::{Credentials, Envelope, get_option, pass_credentials, receive, set_option};
use crate::errno::unless_blocking;

/// The longest datagram.
pub const DATAGRAM_MAX: usize = 64 * 1024;

/// The most descriptors in one message; the kernel's own bound is 253.
pub const DESCRIPTORS_MAX: usize = 200;

/// Asked of the kernel for either direction: a few datagrams of full size, within the default `wmem_max`.
const BUFFER: i32 = 208 * 1024;

/// One end of the link.
#[derive(Debug)]
pub struct Link {
    fd: OwnedFd,
}

/// One message. Descriptors that nobody takes out are closed with it.
#[derive(Debug)]
pub struct Datagram<'buffer> {
    pub bytes: &'buffer [u8],
    pub fds: Vec<OwnedFd>,
    /// Who sent it: attached by the kernel at sending, so it names the sending process even after its end.
    pub credentials: Credentials,
}

/// What a read found.
#[derive(Debug)]
pub enum Received<'buffer> {
    Datagram(Datagram<'buffer>),
    /// Nothing is there now.
    Empty,
    /// Nothing will come any more: every holder of the other end is gone, and the queue is empty.
    Closed,
}

/// A connected pair of links, both close-on-exec.
///
/// # Errors
/// No descriptor is left, or the kernel's buffers are limited (`net.core.wmem_max`) below one datagram.
pub fn pair() -> io::Result<(Link, Link)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let (one, other) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
    Ok((Link::from_fd(one)?, Link::from_fd(other)?))
}

impl Link {
    /// Takes an end that was inherited or kept over an exec: checks its type and prepares it as [`pair`] does.
    ///
    /// # Errors
    /// The descriptor is no such socket.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        if get_option(fd.as_fd(), libc::SOL_SOCKET, libc::SO_TYPE)? != libc::SOCK_SEQPACKET {
            let text = "the link's descriptor is not a sequenced-packet socket";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        crate::fd::set_nonblocking(&fd, true)?;
        pass_credentials(fd.as_fd())?;
        for (plain, forced) in
            [(libc::SO_SNDBUF, libc::SO_SNDBUFFORCE), (libc::SO_RCVBUF, libc::SO_RCVBUFFORCE)]
        {
            // The forced form is for the privileged, and looks past a system-wide bound.
            if set_option(fd.as_fd(), libc::SOL_SOCKET, forced, BUFFER).is_err() {
                set_option(fd.as_fd(), libc::SOL_SOCKET, plain, BUFFER)?;
            }
        }
        let granted = get_option(fd.as_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF)?;
        if usize::try_from(granted).unwrap_or(0) <= DATAGRAM_MAX + 1024 {
            let text = format!("socket buffers are limited to {granted} bytes: raise net.core.wmem_max");
            return Err(io::Error::other(text));
        }
        Ok(Self { fd })
    }

    /// Sends one datagram. `true`: it did not fit now and nothing was sent; try again when the link is writable.
    ///
    /// # Errors
    /// The other side is gone (`BrokenPipe`, `ConnectionReset`), or the message breaks a bound of this module
    /// (`InvalidInput`; an empty one does, since it could not be told from the end).
    pub fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<bool> {
        if bytes.is_empty() || bytes.len() > DATAGRAM_MAX || fds.len() > DESCRIPTORS_MAX {
            let text = format!(
                "a message of {} bytes and {} descriptors does not fit into a datagram: send it in parts",
                bytes.len(),
                fds.len()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let mut bytes = bytes.to_vec();
        let mut envelope = Envelope::new(&mut bytes, &numbers)?;
        let sent = crate::errno::retry(|| {
            envelope.send(self.fd.as_raw_fd()).map_err(|errno| match errno {
                // Too many descriptors on their way for this user: room comes when the receiver takes them.
                libc::ETOOMANYREFS => io::ErrorKind::WouldBlock.into(),
                errno => io::Error::from_raw_os_error(errno),
            })
        });
        Ok(unless_blocking(sent)?.is_none())
    }

    /// Receives one datagram into a buffer, best one of [`DATAGRAM_MAX`] bytes.
    ///
    /// # Errors
    /// `InvalidData`: the message was longer than the buffer, or some of its descriptors could not be received
    /// (the descriptor limit); it is lost then, with all its descriptors closed.
    pub fn recv<'buffer>(&self, buffer: &'buffer mut [u8]) -> io::Result<Received<'buffer>> {
        let received = match receive(self.fd.as_fd(), buffer) {
            // The other side died before it had read everything. The kernel says so once, before it gives out what
            // that side had sent: nothing of it may be lost.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => receive(self.fd.as_fd(), buffer),
            result => result,
        };
        let Some(received) = unless_blocking(received)? else {
            return Ok(Received::Empty);
        };
        if received.truncated {
            let text = format!("a message on the link is longer than {} bytes", buffer.len());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        if received.control_truncated {
            let text = "a message on the link lost descriptors: raise the limit of open files";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        // The kernel attaches credentials to every message, and to the end of the stream nothing.
        let Some(credentials) = received.credentials else { return Ok(Received::Closed) };
        Ok(Received::Datagram(Datagram { bytes: &buffer[..received.len], fds: received.fds, credentials }))
    }

    /// Gives the descriptor back, to be kept over an exec.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};

    fn datagram<'b>(link: &Link, buffer: &'b mut [u8]) -> Datagram<'b> {
        match link.recv(buffer).unwrap() {
            Received::Datagram(datagram) => datagram,
            other => panic!("expected a datagram, found {other:?}"),
        }
    }

    #[test]
    fn a_datagram_carries_bytes_descriptors_and_its_sender() {
        let (near, far) = pair().unwrap();
        let (reader, writer) = crate::pipe::pair().unwrap();
        assert!(!near.send(b"hello", &[writer.as_fd(), reader.as_fd()]).unwrap());
        drop((reader, writer));
        let mut buffer = [0; 16];
        let mut received = datagram(&far, &mut buffer);
        assert_eq!(received.bytes, b"hello");
        assert_eq!(received.credentials.pid, i32::try_from(std::process::id()).unwrap());
        assert_eq!(received.credentials.uid, crate::process::uid());
        let mut reader = File::from(received.fds.pop().unwrap());
        let mut writer = File::from(received.fds.pop().unwrap());
        assert!(crate::fd::is_close_on_exec(reader.as_fd()).unwrap());
        writer.write_all(b"through").unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
    }

    #[test]
    fn nothing_there_is_not_the_end() {
        let (near, far) = pair().unwrap();
        let mut buffer = [0; 16];
        assert!(matches!(far.recv(&mut buffer).unwrap(), Received::Empty));
        near.send(b"last", &[]).unwrap();
        drop(near);
        assert_eq!(datagram(&far, &mut buffer).bytes, b"last");
        assert!(matches!(far.recv(&mut buffer).unwrap(), Received::Closed));
        assert_eq!(far.send(b"x", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn what_was_sent_last_arrives_though_the_sender_died_with_its_own_queue_unread() {
        let (near, far) = pair().unwrap();
        far.send(b"never read", &[]).unwrap();
        near.send(b"first", &[]).unwrap();
        near.send(b"last", &[]).unwrap();
        drop(near);
        let mut buffer = [0; 16];
        assert_eq!(datagram(&far, &mut buffer).bytes, b"first");
        assert_eq!(datagram(&far, &mut buffer).bytes, b"last");
        assert!(matches!(far.recv(&mut buffer).unwrap(), Received::Closed));
    }

    #[test]
    fn a_full_queue_is_told_and_loses_nothing() {
        let (near, far) = pair().unwrap();
        let mut sent = 0u32;
        let mut message = vec![0; DATAGRAM_MAX];
        loop {
            message[..4].copy_from_slice(&sent.to_le_bytes());
            if near.send(&message, &[]).unwrap() {
                break;
            }
            sent += 1;
        }
        assert!(sent >= 2, "only {sent} datagrams fit");
        let mut buffer = vec![0; DATAGRAM_MAX];
        for expected in 0..sent {
            let received = datagram(&far, &mut buffer);
            assert_eq!(received.bytes.len(), DATAGRAM_MAX);
            assert_eq!(received.bytes[..4], expected.to_le_bytes());
        }
        assert!(!near.send(b"again", &[]).unwrap());
    }

    #[test]
    fn the_largest_message_arrives_whole() {
        let (near, far) = pair().unwrap();
        let null = crate::fd::null().unwrap();
        let fds = vec![null.as_fd(); DESCRIPTORS_MAX];
        assert!(!near.send(&vec![9; DATAGRAM_MAX], &fds).unwrap());
        let mut buffer = vec![0; DATAGRAM_MAX];
        let received = datagram(&far, &mut buffer);
        assert_eq!((received.bytes.len(), received.fds.len()), (DATAGRAM_MAX, DESCRIPTORS_MAX));
    }

    #[test]
    fn messages_out_of_bounds_are_refused_on_either_side() {
        let (near, far) = pair().unwrap();
        let null = crate::fd::null().unwrap();
        assert_eq!(near.send(b"", &[]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(
            near.send(&vec![0; DATAGRAM_MAX + 1], &[]).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
        let fds = vec![null.as_fd(); DESCRIPTORS_MAX + 1];
        assert_eq!(near.send(b"x", &fds).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        near.send(b"longer than that", &[]).unwrap();
        assert_eq!(far.recv(&mut [0; 4]).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let (stream, _) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(Link::from_fd(stream.into()).is_err());
    }
}
