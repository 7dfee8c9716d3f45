//! Requests.

use super::{Sample, texts};
use proto::control::{
    CompanionUntil, LogRequest, ReloadScope, Request, RunRequest, ScaleChange, ScaleTarget, SendRequest,
    SignalTarget, Token, Verb,
};
use proto::spec::Load;

/// The token of the page's conversation.
pub(crate) const TOKEN: Token =
    [0x5a, 0x01, 0xc3, 0x7e, 0x90, 0x44, 0x0b, 0xf2, 0x6d, 0x38, 0xa9, 0xe1, 0x17, 0xc0, 0x82, 0xfd];

pub(crate) fn requests() -> Vec<Sample<Request>> {
    let mut id = 0;
    questions()
        .into_iter()
        .map(|(name, verb)| (name, verb, Token::default()))
        .chain(changes().into_iter().map(|(name, verb)| (name, verb, TOKEN)))
        .chain([("logs_gone_on_with", gone_on_with(), Token::default())])
        .map(|(name, verb, token)| {
            id += 1;
            (name, Request { id, token, wait: id % 2 == 1, verb })
        })
        .collect()
}

fn gone_on_with() -> Verb {
    Verb::Logs(LogRequest { name: "redis".into(), follow: true, lines: None, after: Some(vec![7, 8]) })
}

fn questions() -> Vec<Sample<Verb>> {
    let logs = |follow, lines| Verb::Logs(LogRequest { name: "redis".into(), follow, lines, after: None });
    let wait = |until| Verb::Wait { name: "redis".into(), until };
    vec![
        ("version", Verb::Version),
        ("ping", Verb::Ping),
        ("status", Verb::Status(texts(&[]))),
        ("status_of_some", Verb::Status(texts(&["redis", "batch.*"]))),
        ("reload_dry_run", Verb::Reload(ReloadScope::DryRun)),
        ("info", Verb::Info("batch.mail".into())),
        ("stats", Verb::Stats(texts(&["redis"]))),
        ("pids", Verb::Pids(texts(&["redis:1"]))),
        ("logs", logs(false, Some(1000))),
        ("logs_all_and_more", logs(true, None)),
        ("events", Verb::Events { patterns: texts(&["companion.redis", "worker.*"]), after: Some(17) }),
        ("wait_until_ready", wait(CompanionUntil::Ready)),
        ("wait_until_stopped", wait(CompanionUntil::Stopped)),
        ("receive", receive("shell:1", "control", Some(vec![7, 8]))),
        ("outcome", Verb::Outcome(TOKEN)),
    ]
}

fn receive(name: &str, stream: &str, after: Option<Vec<u8>>) -> Verb {
    Verb::Receive { name: name.into(), stream: stream.into(), follow: true, after }
}

fn changes() -> Vec<Sample<Verb>> {
    let mut verbs = vec![
        ("reload", Verb::Reload(ReloadScope::All)),
        ("reload_companions", Verb::Reload(ReloadScope::Companions)),
        ("upgrade", Verb::Upgrade),
        ("shutdown", Verb::Shutdown { force: false }),
        ("shutdown_by_force", Verb::Shutdown { force: true }),
        ("start", Verb::Start(texts(&["redis"]))),
        ("stop", Verb::Stop { names: texts(&["*"]), force: true }),
        ("restart", Verb::Restart(texts(&["redis", "größe"]))),
        ("restart_workers", Verb::RestartWorkers),
        ("restart_worker", Verb::RestartWorker { slot: 3 }),
        ("restart_manager", Verb::RestartManager),
        ("reload_companion", Verb::ReloadCompanion(texts(&["redis"]))),
        ("unload", Verb::Unload(texts(&["redis"]))),
        ("reopen_logs", Verb::ReopenLogs),
    ];
    verbs.extend(numbers());
    verbs.extend(texts_and_bytes());
    verbs
}

fn numbers() -> Vec<Sample<Verb>> {
    let scale = |target, change| Verb::Scale { target, change };
    let signal = |target, signal| Verb::Signal { target, signal };
    vec![
        ("scale_workers", scale(ScaleTarget::Workers, ScaleChange::To(8))),
        ("scale_companion", scale(ScaleTarget::Companion("mail".into()), ScaleChange::By(-2))),
        ("signal_companions", signal(SignalTarget::Companions(texts(&["redis"])), 10)),
        ("signal_workers", signal(SignalTarget::Workers, 12)),
        ("signal_worker", signal(SignalTarget::Worker(2), 1)),
    ]
}

fn texts_and_bytes() -> Vec<Sample<Verb>> {
    vec![
        (
            "run",
            Verb::Run(RunRequest {
                name: "mail".into(),
                env: vec![("DRY".into(), "1".into()), ("TO".into(), String::new())],
                args: texts(&["--once"]),
            }),
        ),
        (
            "send",
            Verb::Send(SendRequest {
                name: "shell".into(),
                stream: None,
                data: b"\x00\xffhello\n".to_vec(),
                eof: true,
            }),
        ),
        (
            "send_to_a_stream",
            Verb::Send(SendRequest {
                name: "shell:1".into(),
                stream: Some("control".into()),
                data: Vec::new(),
                eof: false,
            }),
        ),
        (
            "load",
            Verb::Load(Load {
                origin: "x.toml".into(),
                toml: "[companion.x]\ncommand = \"true\"\n".into(),
                session: Some("batch".into()),
                start: true,
                replace: false,
            }),
        ),
        (
            "load_into_no_session",
            Verb::Load(Load {
                origin: "-".into(),
                toml: String::new(),
                session: None,
                start: false,
                replace: true,
            }),
        ),
    ]
}
