//! A thread that speaks the control protocol and does what a test's script says.

use proto::codec;
use proto::control::{Answer, Reply, Request, Response};
use proto::frame::{FrameReader, MAX_HELLO, MAX_REQUEST, frame};
use proto::hello::Hello;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// The longest a peer may keep a thread waiting: a test that hangs fails instead.
const PATIENCE: Duration = Duration::from_secs(20);

/// A directory of a test's own, removed with everything in it.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("arbiterctl-test-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// `arbiterctl` with `arguments`, and nothing of the test's own environment that it would look at.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_arbiterctl"));
        command.env_clear().env("ARBITER_SOCKET", self.socket()).args(arguments).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::from(self.command(arguments).output().unwrap())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How a run of `arbiterctl` ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Outcome {
    /// It succeeded, wrote `stdout` and complained about nothing.
    #[track_caller]
    pub(crate) fn answers(&self, stdout: &str) {
        assert_eq!((self.code, self.stdout.as_str(), self.stderr.as_str()), (Some(0), stdout, ""));
    }

    /// It failed with `code`, an empty standard output and one line that holds `words`.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{self:?}");
        self.complains(words);
    }

    /// It wrote one line to standard error, and in it are `words`.
    #[track_caller]
    pub(crate) fn complains(&self, words: &[&str]) {
        assert!(self.stderr.starts_with("arbiterctl: ") && self.stderr.ends_with('\n'), "{self:?}");
        assert_eq!(self.stderr.matches('\n').count(), 1, "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "{word} is missing: {self:?}");
        }
    }
}

/// One accepted connection.
pub(crate) struct Conversation {
    stream: UnixStream,
    frames: FrameReader,
}

impl Conversation {
    fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, frames: FrameReader::default() }
    }

    /// The manager's half of the hellos, and the client's.
    pub(crate) fn hello(&mut self) {
        self.write(&Hello::ours().encode());
        let theirs = self.read(MAX_HELLO).expect("the client says hello");
        assert!(Hello::decode(&theirs).is_ok());
    }

    /// The manager's hello to a client that can write nothing.
    pub(crate) fn hello_without_listening(&mut self) {
        self.stream.shutdown(Shutdown::Read).unwrap();
        self.write(&Hello::ours().encode());
    }

    pub(crate) fn write(&mut self, payload: &[u8]) {
        // A client that has gone is the test's business.
        let _ = self.stream.write_all(&frame(payload));
    }

    fn read(&mut self, limit: usize) -> Option<Vec<u8>> {
        let mut bytes = [0; 4096];
        loop {
            if let Some(payload) = self.frames.next_frame(limit).unwrap() {
                return Some(payload);
            }
            match self.stream.read(&mut bytes) {
                Ok(0) | Err(_) => return None,
                Ok(length) => self.frames.push(&bytes[..length]),
            }
        }
    }

    /// The next request; `None` when the client has gone.
    pub(crate) fn request(&mut self) -> Option<Request> {
        self.read(MAX_REQUEST).map(|payload| codec::decode(&payload).unwrap())
    }

    pub(crate) fn reply(&mut self, request: &Request, reply: Reply) {
        self.write(&codec::encode(&Response { id: request.id, reply }));
    }

    /// Says nothing and listens to nothing until the client closes.
    pub(crate) fn until_silent(&mut self) {
        let mut bytes = [0; 4096];
        while self.stream.read(&mut bytes).is_ok_and(|length| length > 0) {}
    }

    /// Waits until the client closes.
    pub(crate) fn until_closed(&mut self) {
        while self.request().is_some() {}
    }
}

/// A manager that plays one script for each connection, in order.
pub(crate) struct FakeManager {
    pub(crate) place: Place,
    requests: Receiver<Request>,
    thread: Option<JoinHandle<()>>,
}

/// What happens on one connection. The second argument notes a request for the test.
pub(crate) type Script = Box<dyn FnOnce(&mut Conversation, &dyn Fn(&Request)) + Send>;

impl FakeManager {
    pub(crate) fn play(scripts: Vec<Script>) -> Self {
        let place = Place::new();
        let listener = UnixListener::bind(place.socket()).unwrap();
        let socket = place.socket();
        let (sender, requests) = channel();
        let thread = std::thread::spawn(move || {
            for script in scripts {
                let (stream, _) = listener.accept().unwrap();
                script(&mut Conversation::new(stream), &|request| sender.send(request.clone()).unwrap());
            }
            // Whoever stops listening takes the socket away, as arbiter does.
            std::fs::remove_file(socket).unwrap();
        });
        Self { place, requests, thread: Some(thread) }
    }

    /// One that answers one request with `replies`.
    pub(crate) fn replying(replies: Vec<Reply>) -> Self {
        Self::play(vec![replying(replies)])
    }

    /// One that answers one request with `answer`.
    pub(crate) fn answering(answer: Answer) -> Self {
        Self::replying(vec![Reply::Done(answer)])
    }

    /// Runs `arbiterctl`, then waits for the scripts' end.
    pub(crate) fn run(&mut self, arguments: &[&str]) -> Outcome {
        let outcome = self.place.run(arguments);
        self.finish();
        outcome
    }

    pub(crate) fn finish(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// The requests that were noted.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.try_iter().collect()
    }
}

/// Hello, one request, its replies, and the client closes.
pub(crate) fn replying(replies: Vec<Reply>) -> Script {
    Box::new(move |conversation, note| {
        conversation.hello();
        let request = conversation.request().expect("the client asks");
        note(&request);
        for reply in replies {
            conversation.reply(&request, reply);
        }
        conversation.until_closed();
    })
}

/// Hello, one request, and the connection is gone.
pub(crate) fn dying() -> Script {
    Box::new(|conversation, note| {
        conversation.hello();
        note(&conversation.request().expect("the client asks"));
    })
}
