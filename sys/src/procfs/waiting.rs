//! Whether a server waits on its listener, seen from outside: readiness of programs that never say so.

use std::fs;

use super::stat::numbers;

/// The inode numbers of all sockets a process has open, each once.
#[must_use]
pub fn socket_inodes(pid: i32) -> Vec<u64> {
    let mut inodes: Vec<u64> = sockets(pid).into_iter().map(|(_, inode)| inode).collect();
    inodes.sort_unstable();
    inodes.dedup();
    inodes
}

/// How many descriptors a process has open. `None`: it is gone, or may not be looked at.
#[must_use]
pub fn descriptor_count(pid: i32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
}

/// (descriptor, inode) of each open socket.
fn sockets(pid: i32) -> Vec<(i32, u64)> {
    let link = |number: &i32| fs::read_link(format!("/proc/{pid}/fd/{number}")).ok();
    let inode = |target: &str| target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok();
    numbers(&format!("/proc/{pid}/fd"))
        .into_iter()
        .filter_map(|number| Some((number, inode(link(&number)?.to_str()?)?)))
        .collect()
}

/// Whether a process waits on one of these sockets: one of its epoll sets watches it, or one of its threads is
/// blocked in accept on it, or in poll or select while the process has it open (what those two watch cannot be
/// seen). False where it may not be looked at.
#[must_use]
pub fn waits_on(pid: i32, inodes: &[u64]) -> bool {
    if inodes.is_empty() {
        return false;
    }
    let held: Vec<i32> = sockets(pid)
        .into_iter()
        .filter(|(_, inode)| inodes.contains(inode))
        .map(|(number, _)| number)
        .collect();
    epoll_watches(pid, inodes) || (!held.is_empty() && blocks_on(pid, &held))
}

fn epoll_watches(pid: i32, inodes: &[u64]) -> bool {
    numbers(&format!("/proc/{pid}/fd")).into_iter().any(|number| {
        let target = fs::read_link(format!("/proc/{pid}/fd/{number}"));
        target.is_ok_and(|target| target.as_os_str() == "anon_inode:[eventpoll]")
            && fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}"))
                .is_ok_and(|info| info.lines().filter_map(watched_inode).any(|inode| inodes.contains(&inode)))
    })
}

/// The inode of one line of an epoll set's fdinfo: `tfd: 5 events: 19 data: 5  pos:0 ino:3d sdev:8`.
fn watched_inode(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("tfd:")?;
    let word = rest.split_ascii_whitespace().find_map(|word| word.strip_prefix("ino:"))?;
    u64::from_str_radix(word, 16).ok()
}

fn blocks_on(pid: i32, held: &[i32]) -> bool {
    numbers(&format!("/proc/{pid}/task")).into_iter().any(|thread| {
        fs::read_to_string(format!("/proc/{pid}/task/{thread}/syscall"))
            .is_ok_and(|line| is_wait(&line, held))
    })
}

/// One line of `/proc/PID/task/TID/syscall`: `running`, or the call's number and its arguments in hexadecimal.
fn is_wait(line: &str, held: &[i32]) -> bool {
    let mut words = line.split_ascii_whitespace();
    let Some(Ok(call)) = words.next().map(str::parse::<i64>) else { return false };
    if call == libc::SYS_accept || call == libc::SYS_accept4 {
        let first = words.next().and_then(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok());
        return first.is_some_and(|first| held.iter().any(|&fd| u64::try_from(fd) == Ok(first)));
    }
    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    if call == libc::SYS_poll || call == libc::SYS_select {
        return true;
    }
    call == libc::SYS_ppoll || call == libc::SYS_pselect6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::{Address, Listener, Options};
    use crate::reactor::{Interest, Reactor, Token};

    #[test]
    fn a_listener_in_an_epoll_set_is_waited_on_and_a_mere_open_one_is_not() {
        let any = Address::Tcp("127.0.0.1:0".parse().unwrap());
        let listener = Listener::bind(&any, &Options::default()).unwrap();
        let inode = listener.inode().unwrap();
        let own = crate::process::pid();
        assert!(socket_inodes(own).contains(&inode));
        assert!(!epoll_watches(own, &[inode]));
        let reactor = Reactor::new().unwrap();
        reactor.register(&listener, Token(1), Interest::READ).unwrap();
        assert!(epoll_watches(own, &[inode]));
        assert!(waits_on(own, &[inode]));
        assert!(!waits_on(own, &[]));
        assert!(descriptor_count(own).unwrap() > 3);
    }

    #[test]
    fn blocked_calls_are_told_from_their_lines() {
        let accept = format!("{} 0x5 0x0 0x0 0x0 0x0 0x0 0x7ffd 0x7f00", libc::SYS_accept4);
        assert!(is_wait(&accept, &[4, 5]));
        assert!(!is_wait(&accept, &[4]));
        assert!(is_wait(&format!("{} 0x7ffd 0x1 0x0", libc::SYS_ppoll), &[4]));
        assert!(!is_wait(&format!("{} 0x0", libc::SYS_read), &[0]));
        assert!(!is_wait("running", &[4]));
        assert!(!is_wait("", &[4]));
    }

    #[test]
    fn an_epoll_line_names_its_inode_in_hexadecimal() {
        let line = "tfd:        5 events:       19 data:                5  pos:0 ino:3d sdev:8";
        assert_eq!(watched_inode(line), Some(0x3d));
        assert_eq!(watched_inode("flags:\t02"), None);
    }
}
