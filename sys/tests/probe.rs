//! Checks against real sockets and programs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::ffi::CString;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use sys::launch::Program;
use sys::probe::{Question, Target, Tries};
use sys::reactor::{Reactor, Token};
use sys::spawn::Command;

type Verdict = Result<(), String>;

/// Asks and waits for the answer; `None` when there is none within `patience`.
fn ask_within(question: Question<'_>, patience: Duration) -> Option<Verdict> {
    let mut reactor = Reactor::new().unwrap();
    let mut tries = Tries::default();
    if let Some(verdict) = tries.begin(1, question, &reactor, Token(7)) {
        return Some(verdict);
    }
    let end = sys::clock::monotonic() + patience;
    loop {
        let left = end.checked_sub(sys::clock::monotonic())?;
        reactor.wait(Some(left)).unwrap();
        let events: Vec<_> = reactor.events().collect();
        for event in events {
            assert_eq!(event.token, Token(7));
            if let Some(verdict) = tries.handle(1, &reactor, Token(7)) {
                return Some(verdict);
            }
        }
    }
}

fn ask(target: Target) -> Verdict {
    ask_within(Question::Contact(target), Duration::from_secs(20)).expect("an answer in time")
}

fn run(script: &str) -> Verdict {
    ask_within(question(script), Duration::from_secs(20)).expect("an end in time")
}

fn question(script: &str) -> Question<'static> {
    let c_string = |text: &str| CString::new(text).unwrap();
    let command = Command {
        candidates: vec![c_string("/bin/sh")],
        argv: ["sh", "-c", script].map(c_string).to_vec(),
        env: std::iter::once(c_string("PATH=/usr/bin:/bin")).collect(),
        ..Command::default()
    };
    Question::Run(Box::new(command), Program { name: "sh".into(), ..Program::default() })
}

/// A server that reads a request and answers so, once.
fn server(answer: &'static [u8]) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).unwrap();
        for part in answer.chunks(3) {
            stream.write_all(part).unwrap();
            stream.flush().unwrap();
        }
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    (address, thread)
}

/// An address at which nobody listens.
fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn a_listener_is_well_and_a_closed_port_is_not() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    assert_eq!(ask(Target::tcp(&listener.local_addr().unwrap().to_string()).unwrap()), Ok(()));
    assert_eq!(ask(Target::tcp(&nobody()).unwrap()), Err("connection refused".into()));
}

#[test]
fn a_unix_listener_is_well_and_a_missing_one_is_not() {
    let path = std::env::temp_dir().join(format!("sys-probe-{}", std::process::id()));
    let target = Target::tcp(&format!("unix:{}", path.display())).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    assert_eq!(ask(target.clone()), Ok(()));
    drop(listener);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(ask(target), Err("no such file or directory".into()));
}

#[test]
fn a_url_is_asked_once_and_judged_by_its_status() {
    let (address, thread) = server(b"HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(ask(Target::http(&format!("http://{address}/health?deep=1")).unwrap()), Ok(()));
    let request = thread.join().unwrap();
    assert!(request.starts_with("GET /health?deep=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("\r\nHost: {address}\r\n")), "{request}");
    for (answer, failure) in [
        (&b"HTTP/1.1 503 Service Unavailable\r\n\r\n"[..], "it answered 503"),
        (b"hello\n", "its answer is no HTTP"),
        (b"HTTP/1.1 2", "it closed the connection without an answer"),
    ] {
        let (address, _thread) = server(answer);
        assert_eq!(ask(Target::http(&format!("http://{address}")).unwrap()), Err(failure.into()));
    }
}

#[test]
fn localhost_is_found_at_either_of_its_addresses() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        println!("this machine has no IPv6");
        return;
    };
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    });
    assert_eq!(ask(Target::http(&format!("http://localhost:{port}/")).unwrap()), Ok(()));
    thread.join().unwrap();
}

#[test]
fn one_that_accepts_and_never_answers_leaves_the_question_open() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let question = Question::Contact(Target::http(&url).unwrap());
    assert_eq!(ask_within(question, Duration::from_millis(300)), None);
}

#[test]
fn a_command_is_judged_by_its_exit_status() {
    assert_eq!(run("exit 0"), Ok(()));
    assert_eq!(run("exit 3"), Err("it exited with status 3".into()));
    assert_eq!(run("kill -SEGV $$"), Err("it was killed by SIGSEGV".into()));
    let command = Command {
        candidates: vec![c"/nonexistent/check".into()],
        argv: vec![c"check".into()],
        ..Command::default()
    };
    let program = Program { name: "/nonexistent/check".into(), ..Program::default() };
    let verdict = ask_within(Question::Run(Box::new(command), program), Duration::from_secs(20));
    assert_eq!(verdict, Some(Err("cannot execute /nonexistent/check: No such file or directory".into())));
}

#[test]
fn a_command_that_is_given_up_is_killed_with_all_its_group_and_reaped() {
    let mut reactor = Reactor::new().unwrap();
    let mut tries = Tries::default();
    assert_eq!(tries.begin(1, question("sleep 1000 & sleep 1000"), &reactor, Token(1)), None);
    let pid = tries.pids().next().unwrap();
    assert!(tries.knows(pid));
    // Both of its children are there.
    let mut members = HashMap::new();
    while members.len() < 3 {
        members = sys::procfs::group_of(pid).into_iter().map(|pid| (pid, ())).collect();
        std::thread::yield_now();
    }
    tries.abandon(1, &reactor);
    while tries.knows(pid) {
        reactor.wait(Some(Duration::from_secs(20))).unwrap();
        let events: Vec<_> = reactor.events().collect();
        assert!(!events.is_empty(), "it was not killed");
        for _ in events {
            assert_eq!(tries.handle(1, &reactor, Token(1)), None, "nobody waits for it");
        }
    }
    let is_alive = |pid: i32| sys::procfs::stat(pid).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'));
    let begun = sys::clock::monotonic();
    while members.keys().any(|&pid| is_alive(pid)) {
        assert!(sys::clock::monotonic() - begun < Duration::from_secs(20), "its group lives on");
        std::thread::yield_now();
    }
}
