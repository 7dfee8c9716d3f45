//! What a spawned process is given, seen from outside and from inside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use supervise::{Exit, ExitStatus};
use support::{command, failure, link, outcome, read_all, text, wait_for, wait_readable};
use sys::children::Children;
use sys::fd::null;
use sys::pipe;
use sys::seqpacket::{Received, pair};
use sys::spawn::{
    Handover, Identity, Letter, Limit, SpawnFailure, SpawnProgress, Spawned, Stage, Strings, spawn,
};

/// Waits for the end of a process and reaps it.
fn finish(spawned: Spawned) -> Exit {
    wait_readable("the end of the process", spawned.pidfd.as_fd());
    let mut children = Children::new();
    children.insert((), spawned.pid, spawned.pidfd);
    children.reap(()).unwrap()
}

fn kill(spawned: Spawned) {
    sys::pidfd::send_signal(&spawned.pidfd, libc::SIGKILL).unwrap();
    assert_eq!(finish(spawned).status, ExitStatus::Signal { number: libc::SIGKILL, core_dumped: false });
}

/// Runs a shell script and answers what it wrote.
fn output_of(script: &str, adjust: impl FnOnce(&mut sys::spawn::Command<'_>)) -> String {
    let null = null().unwrap();
    let (reader, writer) = pipe::pair().unwrap();
    let mut command = command(&null, &["/bin/sh", "-c", script]);
    command.fds[1] = (writer.as_fd(), 1);
    adjust(&mut command);
    let spawned = spawn(&command).unwrap();
    drop(command);
    drop(writer);
    assert_eq!(outcome(&spawned), SpawnProgress::Executed);
    let text = read_all(reader);
    assert_eq!(finish(spawned).status, ExitStatus::Code(0));
    text
}

/// One hexadecimal or decimal value of `/proc/PID/status`.
fn status_value(pid: i32, key: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    text.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned()
}

#[test]
fn descriptors_land_where_announced_in_any_permutation_and_nothing_else_is_open() {
    let null = null().unwrap();
    let pipes: Vec<(OwnedFd, OwnedFd)> = (0..4).map(|_| pipe::pair().unwrap()).collect();
    // A descriptor that somebody forgot to make close-on-exec, low and high.
    let leaked = sys::fd::duplicate(&null).unwrap();
    sys::fd::set_survives_exec(&leaked, true).unwrap();
    // SAFETY: the number is free (F_DUPFD picks one) and owned right away.
    let high = unsafe { OwnedFd::from_raw_fd(libc::fcntl(null.as_raw_fd(), libc::F_DUPFD, 500)) };
    let mut command = command(&null, &["/bin/sleep", "1000"]);
    // The sources are also each other's targets: a rotation, a swap, one source twice, and a gap.
    let sources: Vec<&OwnedFd> = pipes.iter().flat_map(|(reader, writer)| [reader, writer]).collect();
    let mut wanted: Vec<(i32, String)> = (0..3).map(|number| (number, link(&null))).collect();
    for (index, source) in sources.iter().enumerate() {
        let target = sources[(index + 3) % sources.len()].as_raw_fd();
        command.fds.push((source.as_fd(), target));
        wanted.push((target, link(source)));
    }
    let spare = sources.iter().map(|source| source.as_raw_fd()).max().unwrap().max(leaked.as_raw_fd()) + 2;
    command.fds.push((sources[0].as_fd(), spare));
    wanted.push((spare, link(sources[0])));
    wanted.sort();
    let spawned = spawn(&command).unwrap();
    assert_eq!(outcome(&spawned), SpawnProgress::Executed);
    let directory = format!("/proc/{}/fd", spawned.pid);
    let mut found: Vec<(i32, String)> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let target = std::fs::read_link(entry.path()).unwrap().to_string_lossy().into_owned();
            (entry.file_name().to_str().unwrap().parse().unwrap(), target)
        })
        .collect();
    found.sort();
    assert_eq!(found, wanted);
    kill(spawned);
    drop(high);
}

#[test]
fn mask_and_dispositions_are_clean_whatever_the_parent_had() {
    sys::signals::ignore(libc::SIGUSR1).unwrap();
    let null = null().unwrap();
    let blocked = sys::signals::block_all().unwrap();
    let spawned = spawn(&command(&null, &["/bin/sleep", "1000"])).unwrap();
    drop(blocked);
    assert_eq!(outcome(&spawned), SpawnProgress::Executed);
    for key in ["SigBlk:", "SigIgn:", "SigCgt:", "SigPnd:", "ShdPnd:"] {
        assert_eq!(status_value(spawned.pid, key), "0000000000000000", "{key}");
    }
    let stat = sys::procfs::stat(spawned.pid).unwrap();
    assert_eq!((stat.pgrp, stat.session, stat.ppid), (spawned.pid, spawned.pid, sys::process::pid()));
    kill(spawned);
}

#[test]
fn the_parents_mask_is_as_before() {
    let null = null().unwrap();
    let before = status_value(sys::process::pid(), "SigBlk:");
    let spawned = spawn(&command(&null, &["/bin/true"])).unwrap();
    assert_eq!(status_value(sys::process::pid(), "SigBlk:"), before);
    assert_eq!(finish(spawned).status, ExitStatus::Code(0));
}

#[test]
fn a_process_is_told_its_own_plain_number_in_every_variable_that_wants_it() {
    let said = output_of("echo $LISTEN_PID $WATCHDOG_PID $$ $OTHER", |command| {
        command.own_pid = vec!["LISTEN_PID", "WATCHDOG_PID"];
        command.env = Strings::from_iter([text("OTHER=value")]);
    });
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words.len(), 4, "{said}");
    assert_eq!(words[..2], [words[2]; 2]);
    assert!(!words[0].starts_with('0'));
    assert_eq!(words[3], "value");
    assert_eq!(output_of("echo ${LISTEN_PID-unset}", |_| {}), "unset\n");
}

#[test]
fn settings_take_effect() {
    let said = output_of("umask; ulimit -n; ulimit -Hn; pwd; cut -d' ' -f19 /proc/self/stat", |command| {
        command.env = Strings::from_iter([text("PATH=/usr/bin:/bin")]);
        command.umask = Some(0o137);
        command.nofile = Some((200, 300));
        command.nice = Some(7);
        command.cwd = Some(text("/usr"));
    });
    assert_eq!(said, "0137\n200\n300\n/usr\n7\n");
    let score = output_of("cat /proc/self/oom_score_adj", |command| {
        command.env = Strings::from_iter([text("PATH=/usr/bin:/bin")]);
        command.oom_score_adj = Some(321);
        command.no_new_privileges = true;
    });
    assert_eq!(score, "321\n");
}

#[test]
fn an_output_file_is_opened_by_the_process_itself_to_append() {
    let directory = std::env::temp_dir().join(format!("sys-output-{}", sys::process::pid()));
    std::fs::create_dir(&directory).unwrap();
    let path = directory.join("log");
    std::fs::write(&path, "before\n").unwrap();
    let null = null().unwrap();
    let mut written = command(&null, &["/bin/sh", "-c", "echo out; echo err >&2"]);
    written.fds.retain(|(_, number)| *number == 0);
    written.files = vec![(text("log"), 1), (text("log"), 2)];
    written.cwd = Some(text(directory.to_str().unwrap()));
    assert_eq!(finish(spawn(&written).unwrap()).status, ExitStatus::Code(0));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\nout\nerr\n");
    written.files = vec![(text("missing/log"), 1)];
    let spawned = spawn(&written).unwrap();
    assert_eq!(failure(&spawned), SpawnFailure { stage: Stage::Output, errno: libc::ENOENT });
    assert_eq!(finish(spawned).status, ExitStatus::Code(127));
    written.files = vec![(text("log"), 0)];
    assert_eq!(spawn(&written).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn the_directory_the_program_and_the_limit_that_fail_are_told_exactly() {
    let null = null().unwrap();
    let check = |stage, errno, adjust: &dyn Fn(&mut sys::spawn::Command<'_>)| {
        let mut command = command(&null, &["/bin/sleep", "1000"]);
        adjust(&mut command);
        let spawned = spawn(&command).unwrap();
        let failure = failure(&spawned);
        assert_eq!((failure.stage, failure.errno), (stage, errno));
        assert_eq!(finish(spawned).status, ExitStatus::Code(127));
    };
    check(Stage::Execute, libc::ENOENT, &|command| command.candidates = vec![text("/nowhere/program")]);
    check(Stage::Execute, libc::EACCES, &|command| {
        command.candidates = vec![text("/etc/passwd"), text("/nowhere/program")];
    });
    check(Stage::Execute, libc::EACCES, &|command| command.candidates = vec![text("/etc")]);
    check(Stage::Directory, libc::ENOENT, &|command| command.cwd = Some(text("/nowhere")));
    check(Stage::Directory, libc::ENOTDIR, &|command| command.cwd = Some(text("/etc/passwd")));
    let nofile = libc::RLIMIT_NOFILE;
    check(Stage::Limit(nofile), libc::EINVAL, &|command| {
        command.limits = vec![Limit { resource: nofile, soft: 20, hard: 10 }];
    });
    check(Stage::Limit(999), libc::EINVAL, &|command| {
        command.limits = vec![Limit { resource: 999, soft: 1, hard: 1 }];
    });
    check(Stage::OomScore, libc::EINVAL, &|command| command.oom_score_adj = Some(5000));
}

#[test]
fn the_next_candidate_is_tried_and_an_open_image_needs_no_path() {
    let null = null().unwrap();
    let mut command = command(&null, &["/bin/true"]);
    command.candidates = vec![text("/nowhere/true"), text("/etc/passwd/true"), text("/bin/true")];
    let spawned = spawn(&command).unwrap();
    assert_eq!(outcome(&spawned), SpawnProgress::Executed);
    assert_eq!(finish(spawned).status, ExitStatus::Code(0));
    let image = sys::fd::open(c"/bin/false", libc::O_PATH, 0).unwrap();
    command.candidates.clear();
    command.image = Some(image.as_fd());
    let spawned = spawn(&command).unwrap();
    assert_eq!(outcome(&spawned), SpawnProgress::Executed);
    assert_eq!(finish(spawned).status, ExitStatus::Code(1));
}

#[test]
fn a_command_without_sense_is_refused_before_anything_is_started() {
    let null = null().unwrap();
    let mut twice = command(&null, &["/bin/true"]);
    twice.fds.push((null.as_fd(), 1));
    let mut nothing = command(&null, &["/bin/true"]);
    nothing.candidates.clear();
    for command in [twice, nothing] {
        assert_eq!(spawn(&command).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[test]
fn another_user_is_taken_on_whole_or_the_reason_is_told() {
    let script = "id -u; id -g; id -G; cat /proc/self/status | grep -c '^Uid:.*4242.*4242.*4242.*4242'";
    let identity = Identity { uid: 4242, gid: 4243, groups: vec![4243, 4244] };
    if sys::process::effective_uid() == 0 {
        let said = output_of(script, |command| {
            command.env = Strings::from_iter([text("PATH=/usr/bin:/bin")]);
            command.identity = Some(identity.clone());
        });
        assert_eq!(said, "4242\n4243\n4243 4244\n1\n");
    }
    // To the kernel this number means "leave it as it is" and is no error: reading back is what notices.
    let null = null().unwrap();
    let mut command = command(&null, &["/bin/true"]);
    command.identity = Some(Identity { uid: u32::MAX, gid: 0, groups: vec![] });
    let spawned = spawn(&command).unwrap();
    let failure = failure(&spawned);
    let privileged = sys::process::effective_uid() == 0;
    let stage = if privileged { Stage::Uid } else { Stage::Groups };
    assert_eq!(failure.stage, stage);
    assert_eq!(finish(spawned).status, ExitStatus::Code(127));
}

#[test]
fn a_signal_sent_right_after_the_spawn_is_not_lost() {
    let null = null().unwrap();
    let command = command(&null, &["/bin/sleep", "1000"]);
    for round in 0..100 {
        let spawned = spawn(&command).unwrap();
        let mut children = Children::new();
        let signal = if round % 2 == 0 { libc::SIGTERM } else { libc::SIGUSR2 };
        let pidfd = sys::fd::duplicate(&spawned.pidfd).unwrap();
        children.insert(round, spawned.pid, spawned.pidfd);
        if round % 4 < 2 {
            children.signal(round, signal).unwrap();
        } else {
            children.signal_group(round, signal).unwrap();
        }
        wait_readable("the end of the process", pidfd.as_fd());
        let exit = children.reap(round).unwrap();
        assert_eq!(exit.status, ExitStatus::Signal { number: signal, core_dumped: false });
    }
}

#[test]
fn a_letter_brings_a_working_pidfd_and_a_second_one_the_reason() {
    let null = null().unwrap();
    let (near, far) = pair().unwrap();
    let (reader, writer) = pipe::pair().unwrap();
    let letter = |failed: &[u8]| Letter {
        socket: near.as_fd(),
        born: b"born 1".to_vec(),
        failed: failed.to_vec(),
        failed_stage_offset: 5,
        failed_errno_offset: 10,
        send: vec![reader.as_fd()],
    };
    let mut buffer = vec![0; 256];
    let mut started = command(&null, &["/bin/sleep", "1000"]);
    started.letter = Some(letter(b"fail SSSS EEEE"));
    let spawned = spawn(&started).unwrap();
    wait_readable("the letter", far.as_fd());
    let Received::Datagram(mut born) = far.recv(&mut buffer).unwrap() else { panic!("no letter") };
    assert_eq!(born.bytes, b"born 1");
    assert_eq!(born.credentials.pid, spawned.pid);
    assert_eq!(born.fds.len(), 2);
    assert_eq!(link(&born.fds.pop().unwrap()), link(&reader));
    assert_eq!(outcome(&spawned), SpawnProgress::Executed);
    sys::pidfd::send_signal(&born.fds[0], libc::SIGTERM).unwrap();
    wait_readable("the end by the pidfd that was sent", born.fds[0].as_fd());
    assert_eq!(finish(spawned).status, ExitStatus::Signal { number: libc::SIGTERM, core_dumped: false });
    assert!(matches!(far.recv(&mut buffer).unwrap(), Received::Empty), "one letter only");

    let mut failing = command(&null, &["/nowhere/program"]);
    failing.letter = Some(letter(b"fail SSSS EEEE"));
    let spawned = spawn(&failing).unwrap();
    assert_eq!(failure(&spawned).stage, Stage::Execute);
    assert!(matches!(far.recv(&mut buffer).unwrap(), Received::Datagram(_)));
    let Received::Datagram(failed) = far.recv(&mut buffer).unwrap() else { panic!("no second letter") };
    assert_eq!(failed.credentials.pid, spawned.pid);
    let mut expected = b"fail SSSS EEEE".to_vec();
    expected[5..9].copy_from_slice(&Stage::Execute.code().to_le_bytes());
    expected[10..14].copy_from_slice(&libc::ENOENT.to_le_bytes());
    assert_eq!(failed.bytes, expected);
    finish(spawned);
    drop(started);
    drop(failing);
    drop((near, writer));
    // Processes of other tests, on their way to exec, may hold it for a moment.
    wait_readable("the end of the link", far.as_fd());
    assert!(matches!(far.recv(&mut buffer).unwrap(), Received::Closed), "no child holds the link");
}

#[test]
fn a_letter_waits_for_room_in_the_link() {
    let null = null().unwrap();
    let (near, far) = pair().unwrap();
    let filler = vec![1; 32 * 1024];
    let mut fillers = 0;
    while !near.send(&filler, &[]).unwrap() {
        fillers += 1;
    }
    let mut command = command(&null, &["/bin/true"]);
    command.letter = Some(Letter {
        socket: near.as_fd(),
        born: vec![2; 32 * 1024],
        failed: vec![0; 8],
        failed_stage_offset: 0,
        failed_errno_offset: 4,
        send: vec![],
    });
    let spawned = spawn(&command).unwrap();
    wait_for("the process to wait in poll", || {
        sys::procfs::stat(spawned.pid).is_some_and(|stat| stat.state == 'S')
    });
    let mut buffer = vec![0; 64 * 1024];
    for _ in 0..fillers {
        assert!(matches!(far.recv(&mut buffer).unwrap(), Received::Datagram(_)));
    }
    wait_readable("the letter", far.as_fd());
    let Received::Datagram(letter) = far.recv(&mut buffer).unwrap() else { panic!("no letter") };
    assert_eq!(letter.credentials.pid, spawned.pid);
    assert_eq!(finish(spawned).status, ExitStatus::Code(0));
}

#[test]
fn the_parents_death_is_passed_on_after_a_change_of_user() {
    // The thread that spawns is the parent in this sense: its end is the parent's death.
    let spawned = std::thread::spawn(|| {
        let null = null().unwrap();
        let mut command = command(&null, &["/bin/sleep", "1000"]);
        command.parent_death_signal = Some(libc::SIGKILL);
        if sys::process::effective_uid() == 0 {
            command.identity = Some(Identity { uid: 4242, gid: 4242, groups: vec![] });
        }
        let spawned = spawn(&command).unwrap();
        assert_eq!(outcome(&spawned), SpawnProgress::Executed);
        spawned
    })
    .join()
    .unwrap();
    assert_eq!(finish(spawned).status, ExitStatus::Signal { number: libc::SIGKILL, core_dumped: false });
}

/// Other programs in the place of a launcher.
#[test]
fn a_launcher_finds_what_it_was_handed_and_every_signal_still_blocked() {
    let null = null().unwrap();
    let (reader, writer) = pipe::pair().unwrap();
    let file = std::env::temp_dir().join(format!("sys-env-file-{}", sys::process::pid()));
    std::fs::write(&file, "A=1\n").unwrap();
    let handover = |path: &str, is_optional| Handover {
        order: sys::memfd::sealed(c"order", b"what to do\n").unwrap(),
        env_file: text(path),
        is_optional,
        first: 7,
    };
    let handed = ["/bin/cat", "/proc/self/fd/7", "/proc/self/fd/8", "/proc/self/status"];
    let mut command = command(&null, &handed);
    command.fds[1] = (writer.as_fd(), 1);
    // So low that nothing could be put where it belongs any more.
    command.limits = vec![Limit { resource: libc::RLIMIT_NOFILE, soft: 7, hard: 7 }];
    let run = |command: &sys::spawn::Command<'_>| {
        let spawned = spawn(command).unwrap();
        // The launcher holds the status pipe: nothing is said of an exec before it ends.
        assert_eq!(outcome(&spawned), SpawnProgress::Executed);
        assert_eq!(finish(spawned).status, ExitStatus::Code(0));
    };
    command.handover = Some(handover(file.to_str().unwrap(), false));
    run(&command);
    std::fs::remove_file(&file).unwrap();
    command.argv = vec![text("cat"), text("/proc/self/fd/8")];
    command.handover = Some(handover("/nowhere/variables", true));
    run(&command);
    command.handover = Some(handover("/nowhere/variables", false));
    let spawned = spawn(&command).unwrap();
    assert_eq!(failure(&spawned), SpawnFailure { stage: Stage::EnvFile, errno: libc::ENOENT });
    finish(spawned);
    command.handover = Some(handover("/dev/null", false));
    command.candidates = vec![text("/nowhere/launcher")];
    let spawned = spawn(&command).unwrap();
    assert_eq!(failure(&spawned), SpawnFailure { stage: Stage::Launcher, errno: libc::ENOENT });
    finish(spawned);
    drop(command);
    drop(writer);
    let said = read_all(reader);
    assert!(said.starts_with("what to do\nA=1\nName:\tcat\n"), "{said}");
    // All but KILL and STOP, which cannot be.
    assert!(said.contains("SigBlk:\tfffffffffffbfeff\n"), "{said}");
}
