//! The control socket among strangers: whatever a client does, all others are served.

use proto::codec;
use proto::control::{Answer, FailureKind, Reply, Request, Response, Verb};
use proto::frame::{FrameReader, MAX_ANSWER, MAX_HELLO, frame};
use proto::hello::{HIGHEST, Hello};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use tests::{Arbiter, Output, PATIENCE, Peer, Site};

const CLOCK: &str = r#"
    [companion.clock]
    command = ["@companion@"]
    ready = "started"
    start_seconds = 0
"#;

/// Asserts that a new client is answered.
#[track_caller]
fn assert_served(site: &Site, arbiter: &Arbiter<'_>) {
    let reply = Peer::connect(&site.socket()).ask(Verb::Ping);
    assert!(matches!(reply, Reply::Done(Answer::Done)), "{reply:?}");
    assert_eq!(arbiter.status().manager_restarts(), 0);
}

#[test]
fn the_socket_is_its_owners_alone() {
    let site = Site::new(CLOCK);
    let _arbiter = site.start();
    let mode = std::fs::metadata(site.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn the_manager_says_hello_first() {
    let site = Site::new(CLOCK);
    let _arbiter = site.start();
    let mut peer = Peer::silent(&site.socket());
    let hello = Hello::decode(&peer.next_frame().unwrap()).unwrap();
    assert!(hello.lowest <= HIGHEST && hello.highest >= HIGHEST);
}

#[test]
fn garbage_ends_its_own_connection_only() {
    let site = Site::new(CLOCK);
    let arbiter = site.start();
    let garbage: [&[u8]; 4] =
        [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &[0xff; 4096], &frame(&[0; 100]), &[0; 65536]];
    for bytes in garbage {
        let mut peer = Peer::silent(&site.socket());
        peer.send(bytes);
        peer.until_closed();
        let mut peer = Peer::connect(&site.socket());
        peer.send(bytes);
        peer.until_closed();
    }
    assert_served(&site, &arbiter);
}

#[test]
fn a_request_over_one_mebibyte_is_refused_without_being_read() {
    let site = Site::new(CLOCK);
    let arbiter = site.start();
    for length in [(1 << 20) + 1, u32::MAX] {
        let mut peer = Peer::connect(&site.socket());
        peer.send(&length.to_le_bytes());
        peer.until_closed();
    }
    assert_served(&site, &arbiter);
}

#[test]
fn a_malformed_request_is_answered_with_an_error_and_the_end() {
    let site = Site::new(CLOCK);
    let arbiter = site.start();
    // A request whose verb does not exist: id, token, wait, then the number of a verb.
    let mut unknown = vec![1, 0, 0, 0, 0, 0, 0, 0];
    unknown.extend([0; 16]);
    unknown.push(1);
    unknown.extend(9999u32.to_le_bytes());
    let truncated = &unknown[..10];
    let mut trailing = codec::encode(&Request { id: 1, token: [0; 16], wait: true, verb: Verb::Ping });
    trailing.push(0);
    for payload in [&unknown[..], truncated, b"", &trailing] {
        let mut peer = Peer::connect(&site.socket());
        peer.send(&frame(payload));
        let frames = peer.until_closed();
        let last = frames.last().expect("an error comes before the end");
        let response: Response = codec::decode(last).unwrap();
        assert!(matches!(response.reply, Reply::Failed(_)), "{response:?}");
    }
    assert_served(&site, &arbiter);
}

#[test]
fn a_hello_of_a_version_nobody_speaks_is_answered_with_a_hello_and_the_end() {
    let site = Site::new(CLOCK);
    let arbiter = site.start();
    let mut peer = Peer::silent(&site.socket());
    let hello = Hello { lowest: HIGHEST + 1, highest: HIGHEST + 9, program: "9.9.9".into() };
    peer.send(&frame(&hello.encode()));
    let frames = peer.until_closed();
    assert!(Hello::decode(&frames[0]).is_ok());
    assert_served(&site, &arbiter);
}

#[test]
fn a_hello_of_a_later_version_that_still_speaks_ours_is_welcome() {
    let site = Site::new(CLOCK);
    let _arbiter = site.start();
    let mut peer = Peer::silent(&site.socket());
    let mut hello = Hello { lowest: 1, highest: HIGHEST + 9, program: "9.9.9".into() }.encode();
    hello.extend(b"what later versions may add");
    peer.send(&frame(&hello));
    assert!(Hello::decode(&peer.next_frame().unwrap()).is_ok());
    assert!(matches!(peer.ask(Verb::Ping), Reply::Done(_)));
}

#[test]
fn silent_clients_and_halves_of_frames_keep_nobody_waiting() {
    let site = Site::new(CLOCK);
    let arbiter = site.start();
    let mut silent: Vec<_> = (0..3).map(|_| Peer::silent(&site.socket())).collect();
    silent[1].send(&frame(&Hello::ours().encode())[..7]);
    let mut half = Peer::connect(&site.socket());
    half.send(&[200, 0, 0, 0, 1, 2, 3]);
    assert_served(&site, &arbiter);
    silent.iter_mut().for_each(|peer| {
        peer.until_closed();
    });
    assert_served(&site, &arbiter);
}

#[test]
fn requests_that_trickle_in_byte_by_byte_are_answered_and_keep_nobody_waiting() {
    let site = Site::new(CLOCK);
    let arbiter = site.start();
    let mut slow: Vec<_> = (0..4).map(|_| Peer::connect(&site.socket())).collect();
    let request = frame(&codec::encode(&Request { id: 1, token: [0; 16], wait: true, verb: Verb::Ping }));
    for (number, byte) in request.iter().enumerate() {
        slow.iter_mut().for_each(|peer| peer.send(&[*byte]));
        if number % 10 == 0 {
            assert_served(&site, &arbiter);
        }
    }
    for peer in &mut slow {
        let response: Response = codec::decode(&peer.next_frame().expect("an answer comes")).unwrap();
        assert!(matches!(response.reply, Reply::Done(Answer::Done)), "{response:?}");
    }
}

#[test]
fn two_hundred_idle_clients_are_no_burden() {
    let site = Site::new(CLOCK);
    let arbiter = site.start();
    let mut idle: Vec<_> = (0..200).map(|_| Peer::connect(&site.socket())).collect();
    assert_served(&site, &arbiter);
    for peer in &mut idle {
        assert!(matches!(peer.ask(Verb::Ping), Reply::Done(_)), "each of them is still served");
    }
}

#[test]
fn a_thousand_and_twenty_four_clients_are_served_and_the_next_one_when_there_is_room() {
    sys::process::raise_nofile().expect("the limit of open files can be raised");
    let site = Site::new(CLOCK);
    let _arbiter = site.start();
    let connect = || {
        let mut peer = Peer::connect(&site.socket());
        assert!(matches!(peer.ask(Verb::Ping), Reply::Done(Answer::Done)));
        peer
    };
    let mut clients: Vec<_> = (0..1024).map(|_| connect()).collect();
    let mut waiting = Peer::silent(&site.socket());
    waiting.send(&frame(&Hello::ours().encode()));
    assert!(matches!(clients[1023].ask(Verb::Ping), Reply::Done(_)), "the last one is served on");
    drop(clients.pop());
    assert!(Hello::decode(&waiting.next_frame().expect("its turn has come")).is_ok());
    assert!(matches!(waiting.ask(Verb::Ping), Reply::Done(_)));
}

#[test]
fn a_client_that_asks_and_never_reads_costs_nobody_anything() {
    let site = Site::new(&format!("{CLOCK}\ncount = 50"));
    let arbiter = site.start();
    arbiter.wait_for_status("all clocks", |status| status.companion("clock").pids().len() == 50);
    let mut greedy: Vec<_> = (0..20).map(|_| Peer::connect(&site.socket())).collect();
    for (number, peer) in greedy.iter_mut().enumerate() {
        for id in 0..200 {
            peer.request(id, Verb::Status(Vec::new()));
        }
        if number % 5 == 0 {
            assert_served(&site, &arbiter);
        }
    }
    assert_served(&site, &arbiter);
    let manager = arbiter.status().manager().unwrap();
    let resident = sys::procfs::stat(manager).unwrap().rss_pages * sys::process::page_size();
    assert!(resident < 128 << 20, "the manager has grown to {resident} bytes");
}

/// `arbiterctl ping` as a user who is nobody here, with these groups; `None` where this test is not root's, who alone
/// can become somebody else: then only the rule by itself is tested, with the manager's.
fn as_one_of(site: &Site, socket: &str, primary: u32, groups: &[u32]) -> Option<Output> {
    if !tests::is_root() {
        return None;
    }
    // The stranger has to get at the program and the socket.
    std::fs::set_permissions(site.path(""), PermissionsExt::from_mode(0o755)).expect("it is ours");
    tests::copy_program(&tests::program("arbiterctl"), &site.path("arbiterctl"));
    let mut command = site.marked(Command::new("setpriv"));
    command.args(["--reuid", "65534", "--regid", &primary.to_string()]);
    if groups.is_empty() {
        command.arg("--clear-groups");
    } else {
        let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
        command.args(["--groups", &groups.join(",")]);
    }
    command.arg(site.path("arbiterctl")).args(["-s", socket, "ping"]);
    Some(Output::of(command, PATIENCE))
}

/// `arbiterctl ping` as a user who is nobody here.
fn as_a_stranger(site: &Site, socket: &str) -> Option<Output> {
    as_one_of(site, socket, 65534, &[])
}

#[test]
fn a_stranger_is_refused_by_uid_even_where_the_mode_lets_everybody_in() {
    let site = Site::new("[control]\nsocket = \"@site@/c.sock\"\nmode = \"0666\"\n");
    let arbiter = site.launch();
    let socket = site.path("c.sock");
    site.wait_for("the socket", || socket.exists().then_some(()));
    if let Some(output) = as_a_stranger(&site, &socket.to_string_lossy()) {
        output.failed_with(6);
    }
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn a_stranger_is_kept_out_by_the_default_mode() {
    let site = Site::new("[control]\nsocket = \"@site@/c.sock\"\n");
    let arbiter = site.launch();
    let socket = site.path("c.sock");
    site.wait_for("the socket", || socket.exists().then_some(()));
    if let Some(output) = as_a_stranger(&site, &socket.to_string_lossy()) {
        output.failed_with(6);
    }
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn a_user_who_is_named_is_let_in() {
    let site =
        Site::new("[control]\nsocket = \"@site@/c.sock\"\nmode = \"0666\"\nallow_users = [\"nobody\"]\n");
    let arbiter = site.launch();
    let socket = site.path("c.sock");
    site.wait_for("the socket", || socket.exists().then_some(()));
    if let Some(output) = as_a_stranger(&site, &socket.to_string_lossy()) {
        assert_eq!(output.code, 0, "{output:?}");
    }
    assert_eq!(arbiter.stop(), 0);
}

#[test]
fn members_of_a_named_group_are_let_in_by_their_first_group_and_by_any_other() {
    let site =
        Site::new("[control]\nsocket = \"@site@/c.sock\"\nmode = \"0666\"\nallow_groups = [4711, 4712]\n");
    let arbiter = site.launch();
    let socket = site.path("c.sock");
    site.wait_for("the socket", || socket.exists().then_some(()));
    let socket = socket.to_string_lossy();
    for (primary, groups, code) in [
        (4711, &[][..], 0),
        (65534, &[4712], 0),
        (65534, &[1, 2, 3, 4711, 5], 0),
        (65534, &[4710, 4713], 6),
        (65534, &[], 6),
    ] {
        if let Some(output) = as_one_of(&site, &socket, primary, groups) {
            assert_eq!(output.code, code, "{primary} {groups:?}: {output:?}");
        }
    }
    assert_eq!(arbiter.stop(), 0);
}

/// Becomes nobody (only now: nobody may not get at root's own interpreter), sends what it is given and prints what comes until the end, both as hexadecimal digits.
const TALK: &str = r#"
import os, socket, sys
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
peer.settimeout(20)
peer.connect(sys.argv[1])
try:
    peer.sendall(bytes.fromhex(sys.argv[2]))
except OSError:
    pass
received = b""
while True:
    piece = peer.recv(65536)
    if not piece:
        break
    received += piece
print(received.hex())
"#;

#[test]
fn a_refused_client_gets_a_hello_not_permitted_and_the_end_and_nothing_it_says_counts() {
    let site = Site::new(&format!("[control]\nsocket = \"@site@/c.sock\"\nmode = \"0666\"\n{CLOCK}"));
    let arbiter = site.launch();
    let socket = site.path("c.sock");
    let clock = site.wait_for_start("clock", 1);
    let verb = Verb::Shutdown { force: true };
    let shutdown = Request { id: 1, token: [7; 16], wait: true, verb };
    let hello = frame(&Hello::ours().encode());
    // A request it may not make, and what would be malformed if anybody read it.
    for said in [&[&hello[..], &frame(&codec::encode(&shutdown))].concat(), &vec![0xff; 4096], &Vec::new()] {
        if !tests::is_root() {
            break;
        }
        std::fs::set_permissions(site.path(""), PermissionsExt::from_mode(0o755)).expect("it is ours");
        let digits: String = said.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut command = site.marked(Command::new("python3"));
        command.args(["-c", TALK]).arg(&socket).arg(digits);
        let output = Output::of(command, PATIENCE);
        assert_eq!(output.code, 0, "{output:?}");
        let line = output.stdout.trim();
        let bytes = (0..line.len()).step_by(2).map(|at| u8::from_str_radix(&line[at..at + 2], 16).unwrap());
        let mut reader = FrameReader::default();
        reader.push(&bytes.collect::<Vec<u8>>());
        let hello = reader.next_frame(MAX_HELLO).unwrap().expect("a hello comes first");
        assert_eq!(Hello::decode(&hello), Ok(Hello::ours()));
        let refusal = reader.next_frame(MAX_ANSWER).unwrap().expect("then why it ends");
        let response: Response = codec::decode(&refusal).unwrap();
        let Reply::Failed(failure) = response.reply else { panic!("{response:?}") };
        assert_eq!((response.id, failure.kind), (0, FailureKind::NotPermitted));
        assert!(failure.message.contains("not permitted"), "{failure:?}");
        assert_eq!(reader.pending(), 0, "nothing more is said");
    }
    assert!(tests::processes::is_alive(clock), "nothing was stopped");
    assert_eq!(arbiter.stop(), 0);
}
