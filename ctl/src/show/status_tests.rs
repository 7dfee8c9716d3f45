use super::super::style::Style;
use super::super::view::View;
use super::*;
use crate::json::sample;
use proto::control::{CompanionProcess, LastExit};
use proto::supervise::ExitStatus;

fn status(status: &Status, everything: bool, style: Style) -> String {
    table(status, everything).text(View { style, ..View::FILE })
}

fn process(state: State) -> ProcessStatus {
    ProcessStatus {
        slot: 1,
        pid: None,
        state,
        ready: false,
        uptime: None,
        restarts: 0,
        status_text: None,
        last_exit: None,
        retry_in: None,
        reason: None,
    }
}

fn exited(status: Option<ExitStatus>) -> Option<LastExit> {
    Some(LastExit { status, at: Duration::from_secs(1_767_225_600), requested: false, remark: None })
}

#[test]
fn everything_reads_as_a_table_of_name_state_and_description() {
    let mut sample = sample::status();
    sample.strays.push(StrayStatus { pid: 33, command: "sleep".into() });
    let expected = "\
arbiter     RUNNING   pid 10, uptime 0:00:12, web 0.1.0, generation 1, on 127.0.0.1:8000
manager     RUNNING   pid 11
worker:1    RUNNING   pid 12, uptime 0:00:12
redis       RUNNING   pid 16, uptime 0:00:12
[stray]     RUNNING   pid 33, sleep, left behind by a child of arbiter
";
    assert_eq!(status(&sample, true, Style::PLAIN), expected);
}

#[test]
fn companions_that_were_asked_for_are_shown_alone() {
    let shown = status(&sample::status(), false, Style::PLAIN);
    assert_eq!(shown, "redis       RUNNING   pid 16, uptime 0:00:12\n");
}

#[test]
fn processes_carry_their_slot_as_soon_as_there_is_more_than_one() {
    let mut sample = sample::status();
    let companion = &mut sample.companions[0];
    companion.name = "batch.long-queue".into();
    let mut oneoff = process(State::Running);
    (oneoff.slot, oneoff.pid, oneoff.ready, oneoff.uptime) = (0, Some(40), true, Some(Duration::ZERO));
    companion.processes.push(CompanionProcess { oneoff: true, process: oneoff });
    let expected = "\
batch.long-queue:1  RUNNING   pid 16, uptime 0:00:12
batch.long-queue:0  RUNNING   pid 40, uptime 0:00:00, one-off
";
    assert_eq!(status(&sample, false, Style::PLAIN), expected);

    let companion = &mut sample.companions[0];
    companion.processes.truncate(1);
    companion.target = 2;
    assert!(status(&sample, false, Style::PLAIN).starts_with("batch.long-queue:1 "));
}

#[test]
fn a_companion_without_processes_has_a_line_too() {
    let mut sample = sample::status();
    let companion = &mut sample.companions[0];
    companion.processes.clear();
    companion.state = State::Stopped;
    companion.description = String::new();
    assert_eq!(status(&sample, false, Style::PLAIN), "redis       STOPPED   not started\n");
}

#[test]
fn a_worker_of_another_generation_says_of_which() {
    let mut sample = sample::status();
    sample.arbiter.generation = 2;
    let shown = status(&sample, true, Style::PLAIN);
    assert!(shown.contains("worker:1    RUNNING   pid 12, uptime 0:00:12, generation 1\n"), "{shown}");
}

#[test]
fn each_state_is_described_by_what_matters_in_it() {
    let backoff = ProcessStatus {
        retry_in: Some(Duration::from_secs(4)),
        reason: Some("exited with status 1 after 0.2 s, retrying in 4 s".into()),
        ..process(State::Backoff)
    };
    let unready =
        ProcessStatus { pid: Some(5), uptime: Some(Duration::from_secs(3)), ..process(State::Running) };
    let talking =
        ProcessStatus { status_text: Some("loading".into()), pid: Some(5), ..process(State::Starting) };
    let code = |code| Some(ExitStatus::Code(code));
    for (process, expected) in [
        (backoff.clone(), "exited with status 1 after 0.2 s, retrying in 4 s"),
        (
            ProcessStatus { reason: None, last_exit: exited(code(1)), ..backoff.clone() },
            "exited with status 1, retrying in 4 s",
        ),
        (
            ProcessStatus { reason: None, last_exit: exited(None), ..backoff },
            "could not be started, retrying in 4 s",
        ),
        (
            ProcessStatus { reason: Some("waiting for db to be ready".into()), ..process(State::Starting) },
            "waiting for db to be ready",
        ),
        (unready, "pid 5, uptime 0:00:03, not ready"),
        (talking, "pid 5, loading"),
        (process(State::Stopped), "not started"),
        (ProcessStatus { last_exit: exited(code(0)), ..process(State::Stopped) }, "stopped"),
        (
            ProcessStatus { last_exit: exited(code(0)), ..process(State::Exited) },
            "exited with status 0 at 2026-01-01T00:00:00Z",
        ),
        (
            ProcessStatus { reason: Some("gave up after 5 flaps".into()), ..process(State::Fatal) },
            "gave up after 5 flaps",
        ),
    ] {
        assert_eq!(describe(&process), expected);
    }
}

#[test]
fn what_a_child_says_of_itself_does_not_drive_the_terminal() {
    let mut sample = sample::status();
    sample.companions[0].processes[0].process.status_text = Some("\x1b[2Jall is\nwell".into());
    let shown = status(&sample, false, Style::PLAIN);
    assert_eq!(shown, "redis       RUNNING   pid 16, uptime 0:00:12, \\u{1b}[2Jall is well\n");
}

#[test]
fn colours_change_nothing_but_the_colour() {
    let shown = status(&sample::status(), true, Style::COLORED);
    assert!(shown.contains("\x1b[32mRUNNING   \x1b[0mpid 16"), "{shown}");
    let without = shown.replace("\x1b[32m", "").replace("\x1b[0m", "");
    assert_eq!(without, status(&sample::status(), true, Style::PLAIN));
}

#[test]
fn what_is_looked_at_later_has_lasted_longer() {
    let shown = table(&older(&sample::status(), Duration::from_secs(60)), true).text(View::FILE);
    for uptime in ["pid 10, uptime 0:01:12", "pid 12, uptime 0:01:12", "pid 16, uptime 0:01:12"] {
        assert!(shown.contains(uptime), "{shown}");
    }
}
