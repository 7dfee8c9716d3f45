use crate::fake_manager::{FakeManager, Place, Script, replying};
use proto::codec;
use proto::control::{Failure, FailureKind, Reply, Response};
use proto::hello::{HIGHEST, Hello};
use std::os::unix::net::UnixListener;

#[test]
fn where_nothing_listens_the_socket_is_named() {
    let place = Place::new();
    let socket = place.socket();
    let path = socket.to_str().unwrap();
    place.run(&["status"]).fails(5, &[path, "start arbiter", "-s PATH"]);
    place.run(&["status", "-s", "/nonexistent/x.sock"]).fails(5, &["/nonexistent/x.sock"]);
    drop(UnixListener::bind(&socket).unwrap());
    place.run(&["--json", "shutdown"]).fails(5, &[path]);
}

#[test]
fn where_no_default_place_holds_a_socket_all_are_named() {
    let place = Place::new();
    let output = place
        .command(&["ping"])
        .env_remove("ARBITER_SOCKET")
        .env("RUNTIME_DIRECTORY", place.path())
        .env("XDG_RUNTIME_DIR", place.path())
        .output()
        .unwrap();
    let outcome = crate::fake_manager::Outcome::from(output);
    let tried = place.socket();
    if !std::path::Path::new("/run/arbiter/control.sock").exists() {
        outcome.fails(5, &[tried.to_str().unwrap(), "/run/arbiter/control.sock", "/tmp/arbiter-"]);
    }
}

#[test]
fn each_refusal_has_its_exit_status() {
    for (kind, code) in [
        (FailureKind::Refused, 1),
        (FailureKind::NotImplemented, 1),
        (FailureKind::BadRequest, 1),
        (FailureKind::NotFound, 4),
        (FailureKind::NotPermitted, 6),
    ] {
        let failure = Failure::new(kind, "no companion is called rq;\nsee `arbiterctl status`");
        let mut manager = FakeManager::play(vec![replying(vec![Reply::Failed(failure)])]);
        let line = "no companion is called rq; see `arbiterctl status`\n";
        manager.run(&["--json", "stop", "companion", "rq"]).fails(code, &[line]);
    }
}

#[test]
fn a_caller_who_is_refused_before_anything_is_read_is_told_so() {
    let script: Script = Box::new(|conversation, _| {
        conversation.write(&Hello::ours().encode());
        let reply = Reply::Failed(Failure::new(FailureKind::NotPermitted, "uid 7 may not ask; run as root"));
        conversation.write(&codec::encode(&Response { id: 0, reply }));
    });
    FakeManager::play(vec![script]).run(&["status"]).fails(6, &["uid 7 may not ask"]);
}

#[test]
fn another_protocol_is_told_in_words() {
    let newer = Hello { lowest: HIGHEST + 1, highest: HIGHEST + 2, program: "9.9".into() };
    for (hello, words) in [(newer.encode(), "version 9.9"), (b"HTTP/1.1 400".to_vec(), "does not speak")] {
        let script: Script = Box::new(move |conversation, _| {
            conversation.write(&hello);
            conversation.until_silent();
        });
        FakeManager::play(vec![script]).run(&["status"]).fails(1, &[words]);
    }
}

#[test]
fn a_wrong_command_line_is_one_line_and_nothing_is_asked() {
    let place = Place::new();
    place.run(&["frobnicate"]).fails(2, &["frobnicate"]);
    place.run(&["start", "redis"]).fails(2, &["start companion NAME..."]);
    place.run(&["-s", "a", "-i", "b", "ping"]).fails(2, &["--instance"]);
    place.run(&["-i", "../x", "ping"]).fails(2, &["../x"]);
    place.run(&[]).fails(2, &["arbiterctl --help"]);
    place.run(&["completions", "bash"]).fails(1, &["not implemented in this version"]);
}

#[test]
fn help_and_version_are_answers() {
    let place = Place::new();
    let help = place.run(&["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    assert!(help.stdout.contains("Exit status: 0 done;"), "{help:?}");
    place.run(&["--version"]).answers(&format!("arbiterctl {}\n", env!("CARGO_PKG_VERSION")));
}
