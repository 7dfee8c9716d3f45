//! Captured output where something goes wrong: a full disk, a path that is no file, somebody who never lets go.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tests::logs::{talk, text, with_rotated};
use tests::{Arbiter, Site, processes, program};

/// Starts arbiter where `@site@/disk` is a file system of its own, of so many KiB. It is seen there through
/// [`inside`] only, and gone with arbiter.
fn start_with_disk(site: &Site, kib: u32) -> Arbiter<'_> {
    fs::create_dir(site.path("disk")).expect("a directory can be made");
    let mut command = Command::new("unshare");
    if sys::process::effective_uid() != 0 {
        command.arg("--map-root-user");
    }
    command.args([
        "--mount",
        "sh",
        "-c",
        "mount -t tmpfs -o size=$1k none \"$2\" && shift 2 && exec \"$@\"",
        "sh",
    ]);
    command.arg(kib.to_string()).arg(site.path("disk")).arg(program("arbiter")).args(["-c", "arbiter.toml"]);
    let arbiter = site.launch_command(site.marked(command));
    arbiter.wait_until_running();
    arbiter
}

/// A file of that file system.
fn inside(arbiter: &Arbiter<'_>, site: &Site, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root{}", arbiter.pid(), site.path(&format!("disk/{name}")).display()))
}

/// Lines of numbers are whole and none is missing or doubled, but where a mark says how many bytes are. How many
/// marks there are.
fn count_marks(written: &str, last: usize) -> usize {
    let (mut next, mut marks) = (1, 0);
    let length =
        |from: usize, to: usize| (from..to).map(|number| number.to_string().len() + 1).sum::<usize>();
    let mut lost = 0;
    for line in written.lines() {
        if let Some(mark) = line.strip_prefix("[arbiter: ") {
            lost += mark.split(' ').next().and_then(|bytes| bytes.parse::<usize>().ok()).expect(line);
            marks += 1;
            continue;
        }
        let number: usize = line.parse().unwrap_or_else(|_| panic!("torn: {line:?} after {next}"));
        assert!(number >= next, "{number} comes again, {next} was to come");
        assert_eq!(length(next, number), std::mem::take(&mut lost), "bytes before {number}");
        next = number + 1;
    }
    assert_eq!(next, last + 1, "the end is missing");
    marks
}

#[test]
fn on_a_full_disk_a_companion_runs_on_and_what_was_dropped_is_marked_between_whole_lines() {
    let site = Site::new(&talk(
        "while ! [ -e go ]; do sleep 0.05; done; seq 1 700000; touch written",
        "cwd = \"@site@\"\nlog = { file = \"@site@/disk/talk.log\" }",
    ));
    let arbiter = start_with_disk(&site, 8 * 1024);
    let (log, ballast) = (inside(&arbiter, &site, "talk.log"), inside(&arbiter, &site, "ballast"));
    fs::write(&ballast, vec![0; 7 << 20]).unwrap();
    site.write("go", "");
    site.wait_for("the companion to have written all", || site.path("written").exists().then_some(()));
    let manager = arbiter.status().manager().expect("there is one");
    let used: u64 = processes::status_line(manager, "VmRSS").split(' ').next().unwrap().parse().unwrap();
    assert!(used < 16 << 10, "the manager holds {used} KiB");
    fs::remove_file(&ballast).unwrap();
    site.wait_for("the last line", || text(&log).ends_with("700000\n").then_some(()));
    assert_eq!(count_marks(&text(&log), 700_000), 1);
    assert_eq!(site.log().matches("No space left on device").count(), 1, "{}", site.tail());
    assert_eq!(site.log().matches("output is dropped from now on").count(), 1, "{}", site.tail());
    assert_eq!(arbiter.status().companion("talk").state, "RUNNING");
}

#[test]
fn a_disk_that_is_full_again_and_again_tears_nothing_though_managers_are_killed_meanwhile() {
    let site = Site::new(&talk(
        "i=0; while ! [ -e enough ]; do i=$((i+1)); echo $i; done; echo $i > last",
        "cwd = \"@site@\"\nlog = { file = \"@site@/disk/talk.log\" }",
    ));
    let arbiter = start_with_disk(&site, 16 * 1024);
    let (log, ballast) = (inside(&arbiter, &site, "talk.log"), inside(&arbiter, &site, "ballast"));
    let refusals = || site.log().matches("No space left on device").count();
    for round in 1..=3 {
        let before = refusals();
        // As much as there is.
        let _ = fs::write(&ballast, vec![0; 16 << 20]);
        site.wait_for("the file to refuse", || (refusals() > before).then_some(()));
        if round > 1 {
            arbiter.kill_manager();
        }
        fs::remove_file(&ballast).unwrap();
        let length = fs::metadata(&log).unwrap().len();
        site.wait_for("the file to grow again", || {
            (fs::metadata(&log).unwrap().len() > length + 10_000).then_some(())
        });
    }
    site.write("enough", "");
    let last = site.wait_for("the last number", || text(&site.path("last")).trim().parse::<usize>().ok());
    site.wait_for("the last line", || text(&log).ends_with(&format!("\n{last}\n")).then_some(()));
    count_marks(&text(&log), last);
}

#[test]
fn who_escaped_and_floods_holds_up_neither_a_stop_nor_a_restart_nor_arbiter() {
    let site = Site::new(&talk(
        "setsid yes flood & echo here",
        "log = { file = \"@site@/talk.log\", max_size = 100000, keep = 1 }",
    ));
    let arbiter = site.start();
    let log = site.path("talk.log");
    site.wait_for("a flood", || with_rotated(&log).contains("flood\nflood\n").then_some(()));
    arbiter.done(&["stop", "companion", "talk"]);
    assert_eq!(arbiter.status().companion("talk").state, "STOPPED");
    arbiter.done(&["restart", "companion", "talk"]);
    assert_eq!(arbiter.status().companion("talk").state, "RUNNING");
    let begun = Instant::now();
    assert_eq!(arbiter.stop(), 0);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_manager_without_arbiter_ends_though_somebody_who_escaped_floods() {
    let site = Site::new(&talk(
        "setsid yes flood & echo here",
        "log = { file = \"@site@/talk.log\", max_size = 100000, keep = 1 }",
    ));
    let arbiter = site.start();
    site.wait_for("a flood", || {
        with_rotated(&site.path("talk.log")).contains("flood\nflood\n").then_some(())
    });
    let manager = arbiter.status().manager().expect("there is one");
    arbiter.kill();
    site.wait_for("the manager to end", || (!processes::is_alive(manager)).then_some(()));
}

#[test]
fn half_a_line_said_last_is_kept_though_somebody_who_escaped_holds_the_output() {
    let site = Site::new(&talk(
        "setsid sleep 3600 & echo here; printf half",
        "log = { file = \"@site@/talk.log\" }",
    ));
    let arbiter = site.start();
    let log = site.path("talk.log");
    site.wait_for("the line", || (text(&log) == "here\n").then_some(()));
    arbiter.done(&["stop", "companion", "talk"]);
    assert_eq!(arbiter.stop(), 0);
    assert_eq!(text(&log), "here\nhalf");
}

#[test]
fn half_a_line_is_kept_of_a_companion_that_is_removed_while_somebody_holds_its_output() {
    let site = Site::new(&talk(
        "setsid sleep 3600 & echo here; printf half",
        "log = { file = \"@site@/talk.log\" }",
    ));
    let arbiter = site.start();
    let log = site.path("talk.log");
    site.wait_for("the line", || (text(&log) == "here\n").then_some(()));
    site.configure("");
    arbiter.done(&["reload"]);
    site.wait_for("the rest", || (text(&log) == "here\nhalf").then_some(()));
}

#[test]
fn a_log_that_is_a_fifo_or_a_device_is_refused_and_the_companion_runs_on() {
    let site = Site::new("");
    let made = Command::new("mkfifo").arg(site.path("fifo")).status().expect("mkfifo is there");
    assert!(made.success());
    for path in ["@site@/fifo", "/dev/full"] {
        site.configure(&talk(
            "seq 1 300000; touch written",
            &format!("cwd = \"@site@\"\nlog = {{ file = \"{path}\" }}"),
        ));
        let arbiter = site.start();
        site.wait_for("the companion to have written all", || site.path("written").exists().then_some(()));
        site.remove("written");
        let told = format!("cannot write its output to {}: it is no regular file", site.expand(path));
        assert_eq!(site.log().matches(&told).count(), 1, "{}", site.tail());
        assert_eq!(arbiter.status().companion("talk").state, "RUNNING");
        let shown = site.ctl(&["logs", "companion", "talk", "-n", "1"]);
        assert_eq!(
            (shown.code, shown.stdout.as_str()),
            (0, ""),
            "there is no file to show, and nobody waits for one"
        );
        assert_eq!(arbiter.stop(), 0);
    }
}

#[test]
fn an_output_that_is_a_fifo_which_nobody_reads_holds_up_its_own_companion_alone() {
    let site = Site::new(
        "[companion.stuck]\ncommand = [\"sleep\", \"3600\"]\nstdout = \"@site@/fifo\"\nready = \"started\"\n\
         start_seconds = 0\nstop_timeout = 1\n\
         [companion.other]\ncommand = [\"sleep\", \"3600\"]\nready = \"started\"\nstart_seconds = 0\n",
    );
    let made = Command::new("mkfifo").arg(site.path("fifo")).status().expect("mkfifo is there");
    assert!(made.success());
    let arbiter = site.start();
    arbiter.wait_for_companion("other", "RUNNING");
    arbiter.done(&["restart", "companion", "other"]);
    arbiter.done(&["stop", "companion", "stuck"]);
    assert_eq!(arbiter.status().companion("stuck").state, "STOPPED");
}

#[test]
fn bytes_that_are_no_text_are_kept_and_shown_as_they_are() {
    let site = Site::new(&talk(
        "printf \"\\377\\376\\200 a\\000b\\n\"; echo after",
        "log = { file = \"@site@/talk.log\" }",
    ));
    let _arbiter = site.start();
    let log = site.path("talk.log");
    let expected = b"\xff\xfe\x80 a\0b\nafter\n";
    site.wait_for("both lines", || (fs::read(&log).unwrap_or_default() == expected).then_some(()));
    let shown = site.ctl_command(&["logs", "companion", "talk"]).stderr(Stdio::inherit()).output().unwrap();
    assert_eq!(shown.stdout, expected);
}

#[test]
fn what_one_offs_say_goes_to_the_companions_log_in_whole_lines() {
    let site = Site::new(
        "[companion.talk]\ncommand = [\"sh\", \"-c\", 'for i in $(seq 1 20000); do echo $0 $i of many; done; touch done-$0']\n\
         cwd = \"@site@\"\nautostart = false\nlog = { file = \"@site@/talk.log\", max_size = 200000, keep = 100 }\n",
    );
    let arbiter = site.start();
    for name in ["one", "two", "three"] {
        arbiter.done(&["run", "companion", "talk", "--", name]);
    }
    arbiter.kill_manager();
    for name in ["one", "two", "three"] {
        site.wait_for(name, || site.path(&format!("done-{name}")).exists().then_some(()));
    }
    let log = site.path("talk.log");
    let each = |written: &str, name: &str| -> Vec<usize> {
        let lines = written.lines().filter_map(|line| line.strip_prefix(name)?.strip_suffix(" of many"));
        lines.map(|number| number.trim().parse().expect("a number")).collect()
    };
    let all: Vec<usize> = (1..=20_000).collect();
    site.wait_for("all lines", || (with_rotated(&log).lines().count() == 60_000).then_some(()));
    let written = with_rotated(&log);
    for name in ["one", "two", "three"] {
        assert!(each(&written, name) == all, "a line of {name} is missing, doubled or torn");
    }
}

#[test]
fn a_flood_that_is_moved_away_and_reopened_again_and_again_is_whole_though_managers_are_killed() {
    let site = Site::new(&talk(
        "i=0; while ! [ -e enough ]; do i=$((i+1)); echo $i; done; echo $i > last",
        "cwd = \"@site@\"\nlog = { file = \"@site@/talk.log\", max_size = \"1GiB\" }",
    ));
    let arbiter = site.start();
    let log = site.path("talk.log");
    let moved = |round: u32| site.path(&format!("moved.{round}"));
    for round in 0..6 {
        site.wait_for("some lines", || (text(&log).lines().count() > 1000).then_some(()));
        fs::rename(&log, moved(round)).unwrap();
        if round % 2 == 0 {
            arbiter.done(&["reopen-logs"]);
        } else {
            arbiter.kill_manager();
        }
    }
    site.write("enough", "");
    let last = site.wait_for("the last number", || text(&site.path("last")).trim().parse::<usize>().ok());
    site.wait_for("the last line", || text(&log).ends_with(&format!("\n{last}\n")).then_some(()));
    let written: String = (0..6).map(|round| text(&moved(round))).collect::<String>() + &text(&log);
    assert_eq!(count_marks(&written, last), 0);
}
