//! The parent's side of processes. One test only, since reaping strays concerns the whole process.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::os::fd::AsFd;

use supervise::ExitStatus;
use support::{command, read_all, wait_for, wait_readable};
use sys::children::Children;
use sys::fd::null;
use sys::pipe;
use sys::spawn::spawn;

const SIGKILL: ExitStatus = ExitStatus::Signal { number: libc::SIGKILL, core_dumped: false };

/// Starts a shell that says what it prints, and answers when it has printed and closed its output.
fn start(children: &mut Children<u32>, key: u32, script: &str) -> String {
    let null = null().unwrap();
    let (reader, writer) = pipe::pair().unwrap();
    let mut shell = command(&null, &["/bin/sh", "-c", script]);
    shell.fds[1] = (writer.as_fd(), 1);
    shell.env = std::iter::once(support::text("PATH=/usr/bin:/bin")).collect();
    let spawned = spawn(&shell).unwrap();
    drop(shell);
    drop(writer);
    children.insert(key, spawned.pid, spawned.pidfd);
    read_all(reader)
}

fn wait_end(children: &Children<u32>, key: u32) {
    wait_readable("the end of a process", children.get(key).unwrap());
}

fn exits_are_seen_before_they_are_taken(children: &mut Children<u32>) {
    start(children, 1, "exit 3");
    wait_end(children, 1);
    let seen = children.peek(1).unwrap().unwrap();
    assert_eq!(seen.status, ExitStatus::Code(3));
    assert!(seen.max_rss_kib > 0);
    assert_eq!(children.peek(1).unwrap(), Some(seen));
    assert!(!children.has_strangers(|_| false), "a kept zombie is no stranger");
    assert_eq!(children.reap_strays(|_| false).unwrap(), [], "a kept zombie is no stray");
    assert_eq!(children.reap(1).unwrap(), seen);
    assert_eq!(children.peek(1).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    assert!(children.is_empty());
}

fn a_live_process_is_not_reaped(children: &mut Children<u32>) {
    start(children, 2, "exec sleep 1000 >&-");
    assert_eq!(children.peek(2).unwrap(), None);
    assert_eq!(children.reap(2).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(children.key_of(children.pid(2).unwrap()), Some(2));
    children.signal(2, libc::SIGKILL).unwrap();
    wait_end(children, 2);
    assert_eq!(children.reap(2).unwrap().status, SIGKILL);
}

fn a_group_outlives_its_leader_and_is_emptied(children: &mut Children<u32>) {
    let said = start(children, 3, "sleep 1000 >&- & echo $!; kill -9 $$");
    let orphan: i32 = said.trim().parse().unwrap();
    wait_end(children, 3);
    assert_eq!(children.peek(3).unwrap().unwrap().status, SIGKILL);
    assert!(children.group_alive(3).unwrap(), "the orphan is alive and ours");
    assert!(children.has_strangers(|_| false) && !children.has_strangers(|pid| pid == orphan));
    children.signal_group(3, libc::SIGKILL).unwrap();
    wait_for("the group to be empty", || !children.group_alive(3).unwrap());
    assert_eq!(sys::procfs::stat(orphan).unwrap().state, 'Z');
    children.reap(3).unwrap();
    assert_eq!(sys::procfs::stat(orphan), None, "reaped with its leader");
}

fn a_reaped_leaders_group_is_never_signalled(children: &mut Children<u32>) {
    start(children, 4, "exit 0");
    wait_end(children, 4);
    let pid = children.pid(4).unwrap();
    let pidfd = sys::fd::duplicate(children.get(4).unwrap()).unwrap();
    children.reap(4).unwrap();
    children.insert(5, pid, pidfd);
    let refused = children.signal_group(5, libc::SIGKILL).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::ESRCH));
    assert_eq!(children.peek(5).unwrap_err().raw_os_error(), Some(libc::ECHILD));
    children.forget(5).unwrap();
}

/// A stray behind a kept zombie is found, and one that lives is left alone.
fn strays_are_reaped_and_told(children: &mut Children<u32>) {
    let said = start(children, 6, "setsid sleep 1000 >&- 2>&- & echo $!; exit 0");
    let stray: i32 = said.trim().parse().unwrap();
    wait_end(children, 6);
    wait_for("the stray to be ours", || sys::procfs::own_children().contains(&stray));
    assert_eq!(children.reap_strays(|_| false).unwrap(), []);
    let pidfd = sys::pidfd::open(stray).unwrap();
    sys::pidfd::send_signal(&pidfd, libc::SIGKILL).unwrap();
    wait_readable("the end of the stray", pidfd.as_fd());
    assert_eq!(children.reap_strays(|pid| pid == stray).unwrap(), [], "known elsewhere");
    let told = children.reap_strays(|_| false).unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].pid, told[0].exit.status), (stray, SIGKILL));
    assert!(!sys::pidfd::is_unreaped(&pidfd));
    children.reap(6).unwrap();
}

/// A grandchild, known by a pidfd from elsewhere, becomes ours when its parent dies.
fn an_adopted_process_is_like_an_own_one(children: &mut Children<u32>) {
    let said = start(children, 7, "setsid sleep 1000 >&- 2>&- & echo $!; exec sleep 1000 >&-");
    let grandchild: i32 = said.trim().parse().unwrap();
    wait_for("the grandchild's own group", || {
        sys::procfs::stat(grandchild).is_some_and(|stat| stat.pgrp == grandchild)
    });
    children.insert(8, grandchild, sys::pidfd::open(grandchild).unwrap());
    assert_eq!(children.peek(8).unwrap_err().raw_os_error(), Some(libc::ECHILD), "not yet ours");
    children.signal(7, libc::SIGKILL).unwrap();
    wait_end(children, 7);
    children.reap(7).unwrap();
    assert_eq!(children.peek(8).unwrap(), None);
    assert!(children.group_alive(8).unwrap());
    children.signal_group(8, libc::SIGTERM).unwrap();
    wait_end(children, 8);
    assert_eq!(
        children.reap(8).unwrap().status,
        ExitStatus::Signal { number: libc::SIGTERM, core_dumped: false }
    );
}

#[test]
fn processes_are_looked_at_signalled_and_reaped_in_the_right_order() {
    sys::process::become_subreaper().unwrap();
    let mut children = Children::new();
    exits_are_seen_before_they_are_taken(&mut children);
    a_live_process_is_not_reaped(&mut children);
    a_group_outlives_its_leader_and_is_emptied(&mut children);
    a_reaped_leaders_group_is_never_signalled(&mut children);
    strays_are_reaped_and_told(&mut children);
    an_adopted_process_is_like_an_own_one(&mut children);
    assert!(children.is_empty());
    assert_eq!(sys::procfs::own_children(), [], "nothing is left behind");
}
