use super::*;
use crate::cli::Cli;
use clap::Parser;
use proto::control::ScaleChange;

fn parse(line: &str) -> Result<Task, Problem> {
    let cli = Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
    task(cli.command, cli.options.no_wait)
}

fn verb(line: &str) -> Verb {
    match parse(&format!("arbiterctl {line}")) {
        Ok(Task::Ask { verb, .. }) => verb,
        other => panic!("{line}: {other:?}"),
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.into()).collect()
}

#[test]
fn each_command_line_is_one_request() {
    let rq = || "rq".to_owned();
    let companion = || ScaleTarget::Companion(rq());
    for (line, expected) in [
        ("status", Verb::Status(vec![])),
        ("status redis batch.*", Verb::Status(names(&["redis", "batch.*"]))),
        ("start companion redis rq:2", Verb::Start(names(&["redis", "rq:2"]))),
        ("stop companion rq", Verb::Stop { names: names(&["rq"]), force: false }),
        ("stop --force companion *", Verb::Stop { names: names(&["*"]), force: true }),
        ("stop companion --force *", Verb::Stop { names: names(&["*"]), force: true }),
        ("restart companion rq", Verb::Restart(names(&["rq"]))),
        ("restart workers", Verb::RestartWorkers),
        ("restart worker 3", Verb::RestartWorker { slot: 3 }),
        ("restart manager", Verb::RestartManager),
        ("reload", Verb::Reload(ReloadScope::All)),
        ("reload --dry-run", Verb::Reload(ReloadScope::DryRun)),
        ("reload companions", Verb::Reload(ReloadScope::Companions)),
        ("reload workers", Verb::RestartWorkers),
        ("reload companion rq redis", Verb::ReloadCompanion(names(&["rq", "redis"]))),
        ("scale companion rq 4", Verb::Scale { target: companion(), change: ScaleChange::To(4) }),
        ("scale companion rq +1", Verb::Scale { target: companion(), change: ScaleChange::By(1) }),
        ("scale companion rq -1", Verb::Scale { target: companion(), change: ScaleChange::By(-1) }),
        ("scale workers -2", Verb::Scale { target: ScaleTarget::Workers, change: ScaleChange::By(-2) }),
        ("signal companion rq HUP", Verb::Signal { target: SignalTarget::Companions(vec![rq()]), signal: 1 }),
        ("signal workers SIGUSR1", Verb::Signal { target: SignalTarget::Workers, signal: 10 }),
        ("signal worker 2 15", Verb::Signal { target: SignalTarget::Worker(2), signal: 15 }),
        ("info companion rq", Verb::Info(rq())),
        ("stats rq", Verb::Stats(vec![rq()])),
        ("pid", Verb::Pids(vec![])),
        (
            "logs companion rq -f -n 5",
            Verb::Logs(LogRequest { name: rq(), follow: true, lines: Some(5), after: None }),
        ),
        ("events companion.rq", Verb::Events { patterns: names(&["companion.rq"]), after: None }),
        ("wait companion rq stopped", Verb::Wait { name: rq(), until: CompanionUntil::Stopped }),
        (
            "recv companion rq --stream s -f",
            Verb::Receive { name: rq(), stream: "s".into(), follow: true, after: None },
        ),
        ("unload companion rq", Verb::Unload(vec![rq()])),
        ("reopen-logs", Verb::ReopenLogs),
        ("upgrade", Verb::Upgrade),
        ("shutdown", Verb::Shutdown { force: false }),
        ("shutdown --force", Verb::Shutdown { force: true }),
        ("ping", Verb::Ping),
        ("version", Verb::Version),
    ] {
        assert_eq!(verb(line), expected, "{line}");
    }
}

#[test]
fn a_run_carries_variables_and_what_follows_the_dashes() {
    let line = "run companion rq --env A=1 --env B=x=y -- --flag --json -v";
    let expected = RunRequest {
        name: "rq".into(),
        env: vec![("A".into(), "1".into()), ("B".into(), "x=y".into())],
        args: names(&["--flag", "--json", "-v"]),
    };
    assert_eq!(verb(line), Verb::Run(expected));
}

#[test]
fn verbs_wait_unless_told_not_to_and_a_run_only_when_told_to() {
    let waits = |line: &str| match parse(&format!("arbiterctl {line}")) {
        Ok(Task::Ask { wait, .. }) => wait,
        other => panic!("{line}: {other:?}"),
    };
    assert!(waits("start companion rq"));
    assert!(!waits("start companion rq --no-wait"));
    assert!(!waits("--no-wait start companion rq"));
    assert!(!waits("run companion rq"));
    assert!(waits("run companion rq --wait"));
    assert!(waits("wait companion rq ready"));
}

#[test]
fn text_is_sent_with_a_newline_and_without_text_standard_input_is() {
    let request = SendRequest { name: "rq".into(), stream: None, data: b"hello\n".to_vec(), eof: false };
    assert_eq!(verb("send companion rq hello"), Verb::Send(request));
    let pour = SendRequest { name: "rq".into(), stream: Some("s".into()), data: vec![], eof: true };
    assert_eq!(parse("arbiterctl send companion rq --stream s --eof"), Ok(Task::Pour(pour)));
}

#[test]
fn a_plan_is_for_the_whole_reload_only() {
    assert_eq!(parse("arbiterctl reload --dry-run workers").unwrap_err().code, exit_code::USAGE);
}

#[test]
fn a_script_is_for_a_shell_that_is_known() {
    assert_eq!(parse("arbiterctl completions zsh"), Ok(Task::Script(Shell::Zsh)));
    assert!(Cli::try_parse_from(["arbiterctl", "completions", "csh"]).is_err());
}

#[test]
fn a_file_to_load_that_cannot_be_read_is_named() {
    let problem = parse("arbiterctl load /nonexistent/companions.toml").unwrap_err();
    assert_eq!(problem.code, exit_code::FAILED);
    assert!(problem.message.contains("/nonexistent/companions.toml"), "{}", problem.message);
}
