//! Captured output: nothing is lost, torn or doubled, whatever becomes of the manager, the file or its name.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tests::Site;
use tests::logs::{talk, text, with_rotated};

/// `arbiterctl logs companion talk -f`, and what it shows.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    fn start(site: &Site, lines: &str) -> Self {
        let mut command = site.ctl_command(&["logs", "companion", "talk", "-f", "-n", lines]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("arbiterctl can be started");
        let stdout = child.stdout.take().expect("it is piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(30)).expect("another line")
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_flood_of_two_processes_survives_rotations_and_managers_that_are_killed() {
    let site = Site::new(&talk(
        "i=0; while ! [ -e enough ]; do i=$((i+1)); echo $ARBITER_SLOT $i of a flood of lines; done; echo end",
        "cwd = \"@site@\"\ncount = 2\n[companion.talk.log]\nfile = \"@site@/talk.log\"\nmax_size = 300000\nkeep = 10000",
    ));
    let arbiter = site.start();
    let kills = std::env::var("ARBITER_TEST_KILLS").map_or(4, |text| text.parse().expect("a number"));
    for _ in 0..kills {
        arbiter.kill_manager();
    }
    let log = site.path("talk.log");
    site.wait_for("a flood", || site.path("talk.log.20").exists().then_some(()));
    site.write("enough", "");
    site.wait_for("both to end", || (with_rotated(&log).matches("end\n").count() == 2).then_some(()));
    let written = with_rotated(&log);
    let mut seen = [0, 0];
    for line in written.lines().filter(|line| *line != "end") {
        let mut words = line.split(' ');
        let slot: usize = words.next().unwrap().parse().unwrap_or_else(|_| panic!("torn: {line}"));
        let number: usize = words.next().unwrap().parse().unwrap_or_else(|_| panic!("torn: {line}"));
        seen[slot - 1] += 1;
        assert_eq!(number, seen[slot - 1], "a line of slot {slot} is missing or doubled");
        assert!(line.ends_with(" of a flood of lines"), "torn: {line}");
    }
    assert!(seen.iter().all(|&count| count > 1000), "{seen:?}");
    for age in 1..20 {
        let length = fs::metadata(site.path(&format!("talk.log.{age}"))).unwrap().len();
        assert!(length <= 300_000 && length > 200_000, "file {age} has {length} bytes");
    }
}

#[test]
fn both_streams_and_the_rest_of_a_line_are_kept_and_a_restart_begins_a_line() {
    let site =
        Site::new(&talk("echo out; echo err >&2; printf rest", "log = { file = \"@site@/talk.log\" }"));
    let arbiter = site.start();
    let log = site.path("talk.log");
    site.wait_for("lines", || (text(&log) == "out\nerr\n").then_some(()));
    arbiter.done(&["restart", "companion", "talk"]);
    site.wait_for("more lines", || (text(&log) == "out\nerr\nrest\nout\nerr\n").then_some(()));
    arbiter.done(&["stop", "companion", "talk"]);
    site.wait_for("the rest", || (text(&log) == "out\nerr\nrest\nout\nerr\nrest").then_some(()));
}

#[test]
fn standard_error_can_be_captured_alone() {
    let site = Site::new(&talk(
        "echo out; echo err >&2",
        "stderr = \"capture\"\nlog = { file = \"@site@/talk.log\" }\nstdout = \"null\"",
    ));
    let _arbiter = site.start();
    site.wait_for("the line", || (text(&site.path("talk.log")) == "err\n").then_some(()));
}

#[test]
fn what_a_companion_says_last_is_there_when_arbiter_has_gone() {
    let site = Site::new(&talk(
        "trap \"echo bye; exit 0\" TERM; sleep 3600 & until grep -q sleep /proc/$!/comm; do :; done; echo hello; wait",
        "log = { file = \"@site@/talk.log\" }\nstop_group = true",
    ));
    let arbiter = site.start();
    site.wait_for("the line", || (text(&site.path("talk.log")) == "hello\n").then_some(()));
    arbiter.stop();
    assert_eq!(text(&site.path("talk.log")), "hello\nbye\n");
}

#[test]
fn without_a_file_the_last_lines_are_in_memory_and_stay_there_over_a_dead_manager() {
    let site = Site::new(&talk("seq 1 400000; echo end", "stdout = \"capture\""));
    let arbiter = site.start();
    let last = |lines: &str| site.ctl(&["logs", "companion", "talk", "-n", lines]).stdout;
    site.wait_for("the end", || (last("1") == "end\n").then_some(()));
    assert_eq!(last("3"), "399999\n400000\nend\n");
    let kept = site.ctl(&["logs", "companion", "talk"]).stdout;
    assert!(kept.len() > 900_000 && kept.len() <= 1 << 20, "{} bytes", kept.len());
    let first: usize = kept.lines().next().unwrap().parse().expect("a whole line");
    let expected: String = (first..=400_000).map(|number| format!("{number}\n")).collect();
    assert!(kept == expected + "end\n", "the lines between are whole");
    arbiter.kill_manager();
    assert!(site.ctl(&["logs", "companion", "talk"]).stdout == kept, "it is the same afterwards");
}

#[test]
fn a_file_that_is_moved_away_is_left_alone_once_logs_are_reopened() {
    let site = Site::new(&talk(
        "echo one; while ! [ -e go ]; do sleep 0.05; done; echo two",
        "cwd = \"@site@\"\nlog = { file = \"@site@/talk.log\" }",
    ));
    let arbiter = site.start();
    let (log, moved) = (site.path("talk.log"), site.path("moved"));
    site.wait_for("the first line", || (text(&log) == "one\n").then_some(()));
    fs::rename(&log, &moved).unwrap();
    arbiter.done(&["reopen-logs"]);
    site.write("go", "");
    site.wait_for("the second line", || (text(&log) == "two\n").then_some(()));
    assert_eq!(text(&moved), "one\n");
}

#[test]
fn a_file_that_refuses_costs_nothing_below_a_mebibyte_even_if_the_manager_dies() {
    let site = Site::new(&talk(
        "echo first; while ! [ -e go ]; do sleep 0.05; done; seq 1 100000; touch written; while ! [ -e more ]; do sleep 0.05; done; echo last",
        "cwd = \"@site@\"\nlog = { file = \"@site@/logs/talk.log\" }",
    ));
    fs::create_dir(site.path("logs")).unwrap();
    let arbiter = site.start();
    site.wait_for("the first line", || (text(&site.path("logs/talk.log")) == "first\n").then_some(()));
    fs::rename(site.path("logs"), site.path("away")).unwrap();
    arbiter.done(&["reopen-logs"]);
    site.write("go", "");
    site.wait_for("the companion to go on", || site.path("written").exists().then_some(()));
    arbiter.kill_manager();
    fs::create_dir(site.path("logs")).unwrap();
    site.write("more", "");
    let log = site.path("logs/talk.log");
    site.wait_for("the last line", || text(&log).ends_with("last\n").then_some(()));
    let expected: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
    assert!(text(&log) == expected + "last\n", "nothing is missing, doubled or torn");
    assert!(site.log().contains("it is kept in memory until that works"), "{}", site.tail());
}

#[test]
fn beyond_a_mebibyte_the_oldest_lines_go_and_are_counted_in_the_file_and_the_child_does_not_wait() {
    let site = Site::new(&talk(
        "while ! [ -e go ]; do sleep 0.05; done; seq 1 1000000; touch written",
        "cwd = \"@site@\"\nlog = { file = \"@site@/logs/talk.log\" }",
    ));
    fs::create_dir(site.path("logs")).unwrap();
    let arbiter = site.start();
    fs::rename(site.path("logs"), site.path("away")).unwrap();
    arbiter.done(&["reopen-logs"]);
    site.write("go", "");
    site.wait_for("the companion to have written all", || site.path("written").exists().then_some(()));
    fs::create_dir(site.path("logs")).unwrap();
    let log = site.path("logs/talk.log");
    site.wait_for("the last line", || text(&log).ends_with("1000000\n").then_some(()));
    let written = text(&log);
    let (mark, rest) = written.split_once('\n').expect("lines");
    let lost: usize =
        mark.strip_prefix("[arbiter: ").and_then(|mark| mark.split(' ').next()?.parse().ok()).expect(mark);
    let all: String = (1..=1_000_000).map(|number| format!("{number}\n")).collect();
    assert_eq!(lost + rest.len(), all.len());
    assert!(all.ends_with(rest) && rest.len() > 900_000, "{} bytes are left", rest.len());
    assert_eq!(site.log().matches("output is dropped from now on").count(), 1);
}

#[test]
fn a_grandchild_that_keeps_the_pipe_holds_up_no_stop_and_is_heard_until_the_companion_is_removed() {
    let text_of = talk(
        "setsid sh -c \"echo escaped; while ! [ -e go ]; do sleep 0.05; done; echo late; while ! [ -e gone ]; do sleep 0.05; done\" & echo here",
        "cwd = \"@site@\"\nlog = { file = \"@site@/talk.log\" }",
    );
    let site = Site::new(&text_of);
    let arbiter = site.start();
    let log = site.path("talk.log");
    site.wait_for("both", || (text(&log).lines().count() == 2).then_some(()));
    arbiter.done(&["stop", "companion", "talk"]);
    assert_eq!(arbiter.status().companion("talk").state, "STOPPED");
    arbiter.kill_manager();
    site.write("go", "");
    site.wait_for("what it says late", || text(&log).ends_with("late\n").then_some(()));
    site.write("gone", "");
    site.wait_for("it to end", || {
        (site.processes().iter().all(|(_, name)| !name.contains("setsid"))).then_some(())
    });
}

#[test]
fn who_follows_is_shown_each_line_once_over_rotations_restarts_and_dead_managers() {
    let site = Site::new(&talk(
        "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i; sleep 0.01; done",
        "log = { file = \"@site@/talk.log\", max_size = 100, keep = 100 }",
    ));
    let arbiter = site.start();
    let follower = Follower::start(&site, "100000");
    for number in 1..=60 {
        assert_eq!(follower.next(), number.to_string());
    }
    arbiter.kill_manager();
    arbiter.kill_manager();
    for number in 61..=300 {
        assert_eq!(follower.next(), number.to_string());
    }
    assert!(site.path("talk.log.5").exists(), "it was rotated");
    arbiter.done(&["restart", "companion", "talk"]);
    assert_eq!(follower.next(), "1");
}

#[test]
fn lines_of_a_log_with_timestamps_begin_with_the_time() {
    let site = Site::new(&talk(
        "echo one; echo two; printf rest; sleep 0.1; echo ed",
        "log = { file = \"@site@/talk.log\", timestamps = true }",
    ));
    let _arbiter = site.start();
    let log = site.path("talk.log");
    site.wait_for("three lines", || (text(&log).lines().count() == 3).then_some(()));
    for (line, expected) in text(&log).lines().zip(["one", "two", "rested"]) {
        let (time, said) = line.split_once(' ').expect("a time");
        assert!(said == expected && time.len() == 24 && time.ends_with('Z'), "{line}");
    }
}

#[test]
fn a_log_with_timestamps_does_not_grow_above_its_bound_either() {
    let site = Site::new(&talk(
        "seq 1 3000; echo end",
        "log = { file = \"@site@/talk.log\", max_size = \"32KiB\", keep = 9, timestamps = true }",
    ));
    let _arbiter = site.start();
    let log = site.path("talk.log");
    site.wait_for("the end", || text(&log).ends_with(" end\n").then_some(()));
    let written = with_rotated(&log);
    let said: Vec<&str> = written.lines().map(|line| line.split_once(' ').expect("a time").1).collect();
    assert!(said.iter().take(3000).zip(1..).all(|(line, number)| *line == number.to_string()), "{said:?}");
    assert_eq!(said.len(), 3001);
    for age in 1..3 {
        let length = fs::metadata(site.path(&format!("talk.log.{age}"))).unwrap().len();
        assert!(length <= 32 << 10 && length > (32 << 10) - 30, "file {age} has {length} bytes");
    }
}

#[test]
fn a_line_of_megabytes_and_bytes_that_are_no_text_are_kept_as_they_are() {
    let site = Site::new(&talk(
        "head -c 3000000 /dev/zero; echo; echo after",
        "log = { file = \"@site@/talk.log\" }",
    ));
    let arbiter = site.start();
    let log = site.path("talk.log");
    site.wait_for("the line after", || {
        fs::read(&log).unwrap_or_default().ends_with(b"\nafter\n").then_some(())
    });
    let bytes = fs::read(&log).unwrap();
    assert_eq!(bytes.len(), 3_000_000 + 7);
    assert!(bytes[..3_000_000].iter().all(|&byte| byte == 0));
    drop(arbiter);
}

#[test]
fn what_is_not_captured_is_not_shown_and_the_key_is_named() {
    let site = Site::new(&talk("echo one", ""));
    let _arbiter = site.start();
    let output = site.ctl(&["logs", "companion", "talk"]);
    assert_eq!((output.code, output.stdout.as_str()), (1, ""));
    assert!(output.stderr.contains("stdout = \"capture\""), "{}", output.stderr);
    assert_eq!(site.ctl(&["logs", "companion", "nobody"]).code, 4);
}

#[test]
fn a_reload_moves_the_log_of_a_process_that_runs_on_and_a_removed_companion_is_let_go() {
    let counting = |file: &str| {
        let script = "i=0; while true; do i=$((i+1)); echo $i; sleep 0.02; done";
        format!(
            "[companion.talk]\ncommand = [\"sh\", \"-c\", '{script}']\nready = \"started\"\nstart_seconds = 0\n\
             log = {{ file = \"@site@/{file}\" }}\n"
        )
    };
    let site = Site::new(&counting("old.log"));
    let arbiter = site.start();
    site.wait_for("the first lines", || text(&site.path("old.log")).contains("5\n").then_some(()));
    let pid = arbiter.status().pid_of("talk");
    site.configure(&counting("new.log"));
    arbiter.done(&["reload"]);
    site.wait_for("lines in the new file", || {
        (text(&site.path("new.log")).lines().count() > 5).then_some(())
    });
    assert_eq!(arbiter.status().pid_of("talk"), pid);
    let all = text(&site.path("old.log")) + &text(&site.path("new.log"));
    for (line, expected) in all.lines().zip(1..) {
        assert_eq!(line, expected.to_string());
    }
    site.configure("");
    arbiter.done(&["reload"]);
    let manager = arbiter.status().manager().expect("there is one");
    for process in [arbiter.pid(), manager] {
        site.wait_for("its pipe to be closed", || (open_under(process, "new.log") == 0).then_some(()));
    }
}

/// How many descriptors of a process lead to a file of that name.
fn open_under(pid: i32, name: &str) -> usize {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.filter(|entry| fs::read_link(entry.path()).is_ok_and(|target| target.ends_with(name))).count()
}
