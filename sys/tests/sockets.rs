//! Listeners, the control socket and notify sockets, on files and on the network.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;

use sys::control::{ControlListener, peer_groups};
use sys::listener::{Address, Listener, Options};
use sys::notify::{MESSAGE_MAX, NotifySocket, send_upward};

/// A directory of one test, removed with it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sys-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn tcp(text: &str) -> Address {
    Address::Tcp(text.parse().unwrap())
}

fn unix(path: PathBuf) -> Address {
    Address::Unix(path)
}

#[test]
fn a_port_of_zero_is_resolved_and_the_socket_is_blocking_and_close_on_exec() {
    let listener = Listener::bind(&tcp("127.0.0.1:0"), &Options::default()).unwrap();
    let Address::Tcp(address) = listener.address() else { panic!("not TCP") };
    assert_ne!(address.port(), 0);
    assert_eq!(listener.local_address(), address.to_string());
    TcpStream::connect(address).unwrap();
    assert!(!sys::fd::is_nonblocking(listener.as_fd()).unwrap());
    assert!(sys::fd::is_close_on_exec(listener.as_fd()).unwrap());
    assert!(sys::procfs::socket_inodes(sys::process::pid()).contains(&listener.inode().unwrap()));
    let taken = Listener::bind(listener.address(), &Options::default()).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    assert!(!listener.unlink_if_ours().unwrap());
}

#[test]
fn sockets_share_a_port_only_if_all_say_so() {
    let shared = Options { reuse_port: true, ..Options::default() };
    let first = Listener::bind(&tcp("127.0.0.1:0"), &Options::default()).unwrap();
    let address = first.address().clone();
    assert!(Listener::bind(&address, &shared).is_err());
    first.set_reuse_port(true).unwrap();
    Listener::bind(&address, &shared).unwrap();
}

/// Whether somebody waits in the queue; takes one out.
fn takes(listener: &Listener) -> bool {
    sys::fd::set_nonblocking(listener, true).unwrap();
    let listener = std::net::TcpListener::from(listener.as_fd().try_clone_to_owned().unwrap());
    listener.accept().is_ok()
}

#[test]
fn a_socket_that_is_held_back_lets_nobody_begin_and_keeps_what_has_begun() {
    let listener = Listener::bind(&tcp("127.0.0.1:0"), &Options::default()).unwrap();
    let Address::Tcp(address) = listener.address() else { panic!("not TCP") };
    let mut before = TcpStream::connect(address).unwrap();
    listener.hold_back(true).unwrap();
    let short = std::time::Duration::from_millis(200);
    assert_eq!(TcpStream::connect_timeout(address, short).unwrap_err().kind(), ErrorKind::TimedOut);
    before.write_all(b"x").unwrap();
    assert!(takes(&listener) && !takes(&listener), "the queue is as it was");
    listener.hold_back(false).unwrap();
    TcpStream::connect_timeout(address, short).unwrap();
    assert!(takes(&listener));
}

#[test]
fn new_connections_go_to_some_of_the_sockets_that_share_a_port() {
    let shared = Options { reuse_port: true, ..Options::default() };
    let first = Listener::bind(&tcp("127.0.0.1:0"), &Options::default()).unwrap();
    let address = first.address().clone();
    first.set_reuse_port(true).unwrap();
    let [second, third, fourth] = [(); 3].map(|()| Listener::bind(&address, &shared).unwrap());
    let Address::Tcp(address) = address else { panic!("not TCP") };
    let taken = |all: &[&Listener]| -> Vec<usize> {
        let _streams = [(); 64].map(|()| TcpStream::connect(address).unwrap());
        all.iter().map(|one| std::iter::from_fn(|| takes(one).then_some(())).count()).collect()
    };
    let all = [&first, &second, &third, &fourth];
    for number in [0, 2, 3] {
        third.steer(&[number]).unwrap();
        let expected: Vec<usize> = (0..4).map(|one| if one == number { 64 } else { 0 }).collect();
        assert_eq!(taken(&all), expected);
    }
    // That one of the named gets none has a probability of 2 in 2 to the power of 64.
    first.steer(&[1, 3]).unwrap();
    let counts = taken(&all);
    assert!(counts[0] == 0 && counts[1] > 0 && counts[2] == 0 && counts[3] > 0, "{counts:?}");
    first.steer(&[]).unwrap();
    first.steer(&[]).unwrap();
    // The last takes the place of the one that is closed.
    drop(second);
    third.steer(&[1]).unwrap();
    assert_eq!(taken(&[&first, &third, &fourth]), [0, 0, 64]);
}

#[test]
fn a_socket_file_gets_another_mode_while_somebody_waits_and_only_the_own_one() {
    let directory = Directory::new("access");
    let path = directory.join("a.sock");
    let options = Options { unix_mode: 0o600, ..Options::default() };
    let listener = Listener::bind(&unix(path.clone()), &options).unwrap();
    assert!(listener.is_in_place());
    listener.set_file_access(0o666, (None, None)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
    fs::remove_file(&path).unwrap();
    assert!(!listener.is_in_place());
    let precious = directory.join("precious");
    fs::write(&precious, "").unwrap();
    let mode = fs::metadata(&precious).unwrap().permissions().mode();
    std::os::unix::fs::symlink(&precious, &path).unwrap();
    assert!(!listener.is_in_place());
    assert!(listener.set_file_access(0o622, (None, None)).is_err());
    assert_eq!(fs::metadata(&precious).unwrap().permissions().mode(), mode);
}

#[test]
fn the_queue_is_as_long_as_was_asked_for_and_can_be_made_longer() {
    let options = Options { backlog: 1, nonblocking: true, ..Options::default() };
    let listener = Listener::bind(&tcp("127.0.0.1:0"), &options).unwrap();
    let Address::Tcp(address) = listener.address() else { panic!("not TCP") };
    let short = std::time::Duration::from_millis(200);
    // The kernel lets one more wait than the number says.
    let _two = [(); 2].map(|()| TcpStream::connect_timeout(address, short).unwrap());
    assert!(TcpStream::connect_timeout(address, short).is_err());
    listener.set_backlog(2).unwrap();
    TcpStream::connect_timeout(address, short).unwrap();
}

#[test]
fn an_ipv6_socket_takes_ipv4_unless_told_otherwise() {
    let Ok(both) = Listener::bind(&tcp("[::]:0"), &Options::default()) else {
        return; // A machine without IPv6.
    };
    let port = |listener: &Listener| match listener.address() {
        Address::Tcp(address) => address.port(),
        other => panic!("not TCP: {other}"),
    };
    TcpStream::connect(("127.0.0.1", port(&both))).unwrap();
    let only = Options { v6only: true, ..Options::default() };
    let six = Listener::bind(&tcp("[::1]:0"), &only).unwrap();
    assert!(six.local_address().starts_with("[::1]:"));
    assert!(TcpStream::connect(("127.0.0.1", port(&six))).is_err());
}

#[test]
fn a_socket_file_has_its_mode_and_is_removed_by_its_maker_only() {
    let directory = Directory::new("mode");
    let path = directory.join("a.sock");
    let options = Options { unix_mode: 0o620, ..Options::default() };
    let listener = Listener::bind(&unix(path.clone()), &options).unwrap();
    let found = fs::metadata(&path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o620);
    assert_eq!(listener.local_address(), format!("unix:{}", path.display()));
    UnixStream::connect(&path).unwrap();
    fs::rename(&path, directory.join("moved")).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    assert!(!listener.unlink_if_ours().unwrap());
    fs::rename(directory.join("moved"), &path).unwrap();
    assert!(listener.unlink_if_ours().unwrap());
    assert!(!path.exists());
}

#[test]
fn a_socket_files_owner_is_set() {
    if sys::process::effective_uid() != 0 {
        return; // Only root may give a file away.
    }
    let directory = Directory::new("owner");
    let path = directory.join("a.sock");
    let options = Options { unix_owner: (Some(4242), Some(4243)), ..Options::default() };
    let _listener = Listener::bind(&unix(path.clone()), &options).unwrap();
    let found = fs::metadata(&path).unwrap();
    assert_eq!((found.uid(), found.gid()), (4242, 4243));
}

#[test]
fn a_stale_socket_is_replaced_a_live_one_and_a_file_are_not() {
    let directory = Directory::new("stale");
    let path = directory.join("a.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let listener = Listener::bind(&unix(path.clone()), &Options::default()).unwrap();
    let live = Listener::bind(&unix(path.clone()), &Options::default()).unwrap_err();
    assert_eq!(live.kind(), ErrorKind::AddrInUse);
    UnixStream::connect(&path).unwrap();
    drop(listener);
    let file = directory.join("file");
    fs::write(&file, "precious").unwrap();
    let refused = Listener::bind(&unix(file.clone()), &Options::default()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    let link = directory.join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert!(Listener::bind(&unix(link), &Options::default()).is_err());
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    let missing = Listener::bind(&unix(directory.join("no/a.sock")), &Options::default()).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

#[test]
fn abstract_names_and_inherited_sockets_are_known_by_their_address() {
    let name = format!("sys-test-{}", std::process::id());
    let address = Address::Abstract(name.clone().into_bytes());
    let listener = Listener::bind(&address, &Options::default()).unwrap();
    assert_eq!(listener.local_address(), format!("unix:@{name}"));
    let again = Listener::from_fd(listener.into_fd(), None).unwrap();
    assert_eq!(again.address(), &address);
    let (stream, _other) = UnixStream::pair().unwrap();
    assert!(Listener::from_fd(stream.into(), None).is_err());
    assert!(Listener::from_fd(sys::fd::null().unwrap(), None).is_err());
}

#[test]
fn the_control_socket_tells_who_connected() {
    let directory = Directory::new("control");
    let path = directory.join("control.sock");
    let control = ControlListener::bind(&path, 0o600, None).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(control.accept().unwrap().is_none());
    let mut far = UnixStream::connect(&path).unwrap();
    let mut client = control.accept().unwrap().unwrap();
    assert_eq!(client.peer.pid, sys::process::pid());
    assert_eq!(client.peer.uid, sys::process::effective_uid());
    peer_groups(&client.stream).unwrap();
    assert!(sys::fd::is_nonblocking(client.stream.as_fd()).unwrap());
    assert!(sys::fd::is_close_on_exec(client.stream.as_fd()).unwrap());
    client.stream.write_all(b"x").unwrap();
    std::io::Read::read_exact(&mut far, &mut [0]).unwrap();
    assert!(control.listener().unlink_if_ours().unwrap());
}

#[test]
fn notify_messages_come_with_their_sender_and_without_stray_descriptors() {
    let directory = Directory::new("notify");
    let path = directory.join("notify");
    let notify = NotifySocket::bind(&path, None).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(notify.recv().unwrap().is_none());
    send_upward(path.as_os_str(), "READY=1\nSTATUS=fine").unwrap();
    let found = notify.recv().unwrap().unwrap();
    assert_eq!((found.pid, found.uid), (sys::process::pid(), sys::process::uid()));
    assert_eq!(found.text, "READY=1\nSTATUS=fine");

    let sender = UnixDatagram::unbound().unwrap();
    let long = format!("READY=1\n{}", "x".repeat(MESSAGE_MAX));
    sender.send_to(long.as_bytes(), &path).unwrap();
    assert_eq!(notify.recv().unwrap().unwrap().text, "READY=1");
    sender.send_to(&vec![b'y'; MESSAGE_MAX], &path).unwrap();
    assert_eq!(notify.recv().unwrap().unwrap().text.len(), MESSAGE_MAX);
    sender.send_to(b"\xff=1", &path).unwrap();
    assert_eq!(notify.recv().unwrap().unwrap().text, "\u{fffd}=1");

    let fd: OwnedFd = NotifySocket::into_fd(notify);
    assert!(path.exists(), "a socket that is handed over keeps its path");
    let notify = NotifySocket::from_fd(fd).unwrap();
    assert_eq!(notify.path(), path);
    drop(notify);
    assert!(!path.exists());
    assert!(send_upward(path.as_os_str(), "READY=1").is_err());
}

#[test]
fn descriptors_are_kept_for_a_barrier_only() {
    let directory = Directory::new("barrier");
    let path = directory.join("notify");
    let notify = NotifySocket::bind(&path, None).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect(&path).unwrap();
    for (text, kept) in [("BARRIER=1", 1), ("READY=1", 0)] {
        let (reader, writer) = sys::pipe::nonblocking_pair().unwrap();
        let iov = [std::io::IoSlice::new(text.as_bytes())];
        let fds = [std::os::fd::AsRawFd::as_raw_fd(&writer)];
        let rights = [nix::sys::socket::ControlMessage::ScmRights(&fds)];
        nix::sys::socket::sendmsg::<()>(
            std::os::fd::AsRawFd::as_raw_fd(&sender),
            &iov,
            &rights,
            nix::sys::socket::MsgFlags::empty(),
            None,
        )
        .unwrap();
        drop(writer);
        let found = notify.recv().unwrap().unwrap();
        assert_eq!((found.text.as_str(), found.fds.len()), (text, kept));
        let mut buffer = [0];
        let end = sys::pipe::read(&reader, &mut buffer).unwrap();
        assert_eq!(end, if kept == 1 { None } else { Some(0) });
        drop(found);
        assert_eq!(sys::pipe::read(&reader, &mut buffer).unwrap(), Some(0));
    }
}

#[test]
fn a_service_manager_with_an_abstract_address_is_reached() {
    let name = format!("sys-notify-{}", std::process::id());
    let address =
        <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(&name);
    let above = UnixDatagram::bind_addr(&address.unwrap()).unwrap();
    send_upward(format!("@{name}").as_ref(), "READY=1").unwrap();
    let mut buffer = [0; 16];
    assert_eq!(above.recv(&mut buffer).unwrap(), 7);
    assert_eq!(&buffer[..7], b"READY=1");
    assert_eq!(send_upward("vsock:1:2".as_ref(), "x").unwrap_err().kind(), ErrorKind::InvalidInput);
}
