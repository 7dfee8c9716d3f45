use super::*;

fn line(name: &str, state: State, description: &str) -> Line {
    Line { name: name.into(), word: state.to_string(), state, description: description.into() }
}

/// A site as a demanding one has it.
fn site() -> Table {
    let on = "on 127.0.0.1:8000, [::1]:8000, unix:/srv/shop/shared/run/application.sock";
    let arbiter = format!("pid 104711, uptime 2 days, 3:12:44, shop 0.1.0, generation 12, {on}");
    let failing =
        "exited with status 1 after 0.2 s, third time (database \u{1b}[31mis locked), retrying in 4 s";
    Table {
        daemons: vec![
            line("arbiter", State::Running, &arbiter),
            line("manager", State::Running, "pid 104712"),
        ],
        processes: vec![
            line("worker:1", State::Running, "pid 104713, uptime 0:00:12"),
            line("batch.import-of-everything-nightly:1", State::Backoff, failing),
            line("redis", State::Stopping, "pid 7, uptime 0:00:12, asked to stop, SIGKILL in 48 s"),
        ],
    }
}

const AT_80: &str = "\
arbiter                       RUNNING   pid 104711, uptime 2 days, 3:12:44, shop
                                        0.1.0, generation 12, on 127.0.0.1:8000,
                                        [::1]:8000,
                                        unix:/srv/shop/shared/run/application.so
                                        ck
manager                       RUNNING   pid 104712
worker:1                      RUNNING   pid 104713, uptime 0:00:12
batch.import-of-everything-nightly:1
                              BACKOFF   exited with status 1 after 0.2 s, third
                                        time (database \\u{1b}[31mis locked),
                                        retrying in 4 s
redis                         STOPPING  pid 7, uptime 0:00:12, asked to stop,
                                        SIGKILL in 48 s
";

#[test]
fn at_80_columns_nothing_wraps_by_itself_and_nothing_is_lost() {
    let shown = site().text(View::terminal(80, 24));
    assert_eq!(shown, AT_80);
    assert!(shown.lines().all(|row| columns(row) <= 80));
}

const AT_200: &str = "\
arbiter                               RUNNING   pid 104711, uptime 2 days, 3:12:44, shop 0.1.0, generation 12, on 127.0.0.1:8000, [::1]:8000, unix:/srv/shop/shared/run/application.sock
manager                               RUNNING   pid 104712
worker:1                              RUNNING   pid 104713, uptime 0:00:12
batch.import-of-everything-nightly:1  BACKOFF   exited with status 1 after 0.2 s, third time (database \\u{1b}[31mis locked), retrying in 4 s
redis                                 STOPPING  pid 7, uptime 0:00:12, asked to stop, SIGKILL in 48 s
";

#[test]
fn at_200_columns_a_line_is_a_row() {
    assert_eq!(site().text(View::terminal(200, 50)), AT_200);
}

#[test]
fn in_a_file_a_line_is_a_row_however_long() {
    assert_eq!(site().text(View::FILE), AT_200);
}

#[test]
fn where_a_terminal_shows_only_the_end_that_is_a_summary() {
    let shown = site().text(View::terminal(80, 10));
    let summary = shown.strip_prefix(AT_80).expect("the table is the same");
    let expected = "\
3 processes: 1 RUNNING, 1 STOPPING (redis), 1 BACKOFF
(batch.import-of-everything-nightly:1)
";
    assert_eq!(summary, expected);
}

#[test]
fn a_screen_that_is_high_enough_shows_all_and_a_lower_one_cuts() {
    let rows = |rows| site().screen(Size { columns: 80, rows }, Style::PLAIN);
    let summary = "3 processes: 1 RUNNING, 1 STOPPING (redis), 1 BACKOFF (batch.import-of-everythi…";
    let high = rows(24);
    assert_eq!(high[0], summary);
    assert_eq!(high[1..].join("\n") + "\n", AT_80);
    let expected = "\
arbiter                       RUNNING   pid 104711, uptime 2 days, 3:12:44, sho…
manager                       RUNNING   pid 104712
worker:1                      RUNNING   pid 104713, uptime 0:00:12
batch.import-of-everything-…  BACKOFF   exited with status 1 after 0.2 s, third…
redis                         STOPPING  pid 7, uptime 0:00:12, asked to stop, S…";
    assert_eq!(rows(6)[1..].join("\n"), expected);
    for (size, shown) in (0..40).map(|size| (size, rows(size))) {
        assert!(
            shown.len() <= size.max(1) && shown.iter().all(|row| columns(row) <= 80),
            "{size}: {shown:?}"
        );
    }
}

#[test]
fn of_300_processes_a_screen_shows_first_those_that_do_not_run() {
    let mut table = site();
    let running = |slot| line(&format!("rq:{slot}"), State::Running, "pid 1, uptime 0:00:12");
    table.processes = (1..=300).map(running).collect();
    for (slot, state) in [(17, State::Backoff), (40, State::Backoff), (299, State::Fatal)] {
        table.processes[slot - 1] = line(&format!("rq:{slot}"), state, "exited with status 1");
    }
    let shown = table.screen(Size { columns: 80, rows: 8 }, Style::PLAIN);
    let expected = "\
300 processes: 297 RUNNING, 2 BACKOFF (rq:17, rq:40), 1 FATAL (rq:299)
arbiter     RUNNING   pid 104711, uptime 2 days, 3:12:44, shop 0.1.0, generatio…
manager     RUNNING   pid 104712
rq:17       BACKOFF   exited with status 1
rq:40       BACKOFF   exited with status 1
rq:299      FATAL     exited with status 1
rq:1        RUNNING   pid 1, uptime 0:00:12
… and 296 more";
    assert_eq!(shown.join("\n"), expected);
}

#[test]
fn more_than_three_in_a_state_are_counted_and_not_all_named() {
    let stopped = |slot| line(&format!("rq:{slot}"), State::Stopped, "stopped");
    let table = Table { daemons: vec![], processes: (1..=5).map(stopped).collect() };
    assert_eq!(table.summary(), "5 processes: 5 STOPPED (rq:1, rq:2, rq:3, …)");
    assert_eq!(Table::default().summary(), "no processes");
}

#[test]
fn a_terminal_of_any_width_is_fitted_without_failing() {
    for columns in 1..120 {
        site().text(View::terminal(columns, 1));
        site().screen(Size { columns, rows: 3 }, Style::COLORED);
    }
}
