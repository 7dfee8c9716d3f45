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
fn what_is_there_instead_of_a_socket_is_said() {
    let place = Place::new();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("file"), "").unwrap();
    place.run(&["ping", "-s", &path("file")]).fails(5, &["/file is a file, not a socket", "-s PATH"]);
    std::fs::create_dir(path("empty")).unwrap();
    place.run(&["ping", "-s", &path("empty")]).fails(5, &["/empty is a directory, not a socket", "-s PATH"]);
    std::fs::create_dir(path("web")).unwrap();
    drop(UnixListener::bind(path("web/control.sock")).unwrap());
    let within = format!("-s {}", path("web/control.sock"));
    place.run(&["ping", "-s", &path("web")]).fails(5, &["is a directory; name the socket in it", &within]);
    let left = path("web/control.sock");
    place.run(&["ping", "-s", &left]).fails(5, &["the arbiter that made it has gone; start it again"]);
    place.run(&["ping", "-s", &path("file/x")]).fails(5, &["not a directory; start arbiter"]);
    place.run(&["ping", "-s", &path(&"x".repeat(120))]).fails(1, &["at most 107 bytes", "-s PATH"]);
    place.run(&["ping", "-i", "no-such"]).fails(5, &["no instance is called no-such", "/control.sock"]);
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
    let other = "speaks another protocol version: arbiter 9.9 speaks versions 2 to 3, this arbiterctl version 1; \
                 use the arbiterctl of version 9.9";
    let stranger = "does not speak arbiter's control protocol; name the control socket";
    for (hello, words) in [(newer.encode(), other), (b"HTTP/1.1 400".to_vec(), stranger)] {
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
    place
        .run(&["start", "redis"])
        .fails(2, &["`arbiterctl start companion redis`", "start companion NAME..."]);
    place.run(&["signal", "workers", "TREM"]).fails(2, &["did you mean TERM?"]);
    place.run(&["statsu"]).fails(2, &["'status'"]);
    place.run(&[]).fails(2, &["`arbiterctl status`"]);
    place.run(&["-s", "a", "-i", "b", "ping"]).fails(2, &["--instance"]);
    place.run(&["-i", "../x", "ping"]).fails(2, &["../x"]);
    place.run(&[]).fails(2, &["arbiterctl --help"]);
    place.run(&["completions", "csh"]).fails(2, &["csh", "bash, zsh, fish"]);
}

#[test]
fn help_and_version_are_answers() {
    let place = Place::new();
    let help = place.run(&["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    assert!(help.stdout.contains("Exit status: 0 done;"), "{help:?}");
    place.run(&["--version"]).answers(&format!("arbiterctl {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn help_about_a_verb_is_what_the_verb_says_of_itself() {
    let place = Place::new();
    for verb in [&[][..], &["status"], &["restart", "worker"], &["help"]] {
        let asked = place.run(&[verb, &["--help"]].concat());
        assert!(asked.stdout.contains("Usage: arbiterctl"), "{asked:?}");
        place.run(&[&["help"], verb].concat()).answers(&asked.stdout);
    }
    place.run(&["help", "stauts"]).fails(2, &["stauts", "status"]);
    place.run(&["help", "run", "companion", "rq", "--", "--"]).fails(2, &["arbiterctl help run"]);
}
