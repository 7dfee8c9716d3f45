//! Whoever reads a page and does what it says.

use crate::form::{self, ANY};
use crate::page::{ExampleFile, Step};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU8, Ordering};
use tests::{Output, PATIENCE, Site, program, wait_for};

/// Commands that only look: they are run again until they show what the page shows, as a person would.
const QUESTIONS: [&str; 6] =
    ["arbiterctl status", "arbiterctl logs", "arbiterctl info", "curl ", "cat ", "tail "];

/// Where the pages say that their files are.
const WRITTEN_DIRECTORY: &str = "/srv/app";
/// The host of the pages' addresses.
const WRITTEN_HOST: &str = "127.0.0.1:";

/// A reader in a copy of a page's files.
pub(crate) struct Reader<'s> {
    site: &'s Site,
    addresses: Vec<(String, String)>,
    /// The exit status of the last command, which `$?` tells the next one.
    last: i32,
    /// What goes on running, each with the place that started it.
    running: Vec<(String, Child)>,
}

impl<'s> Reader<'s> {
    pub(crate) fn new(site: &'s Site, files: Vec<ExampleFile>) -> Self {
        let mut reader = Self { site, addresses: Vec::new(), last: 0, running: Vec::new() };
        for file in files {
            site.write(&file.name, &reader.moved(&file.text));
            fs::set_permissions(site.path(&file.name), file.mode).expect("it was written");
        }
        reader
    }

    /// Does one step, which has to print what the page shows.
    pub(crate) fn take(&mut self, step: &Step) {
        let command = self.moved(&step.command);
        assert!(self.last == 0 || command.contains("$?"), "before {}: exit status {}", step.place, self.last);
        let stays = command.split(' ').next() == Some("arbiter");
        if stays && step.shown.last().is_some_and(|line| line == ANY) {
            self.leave_running(step, &command);
        } else {
            self.run(step, &command);
        }
    }

    /// Waits for the end of all that goes on.
    pub(crate) fn finish(mut self) {
        assert_eq!(self.last, 0, "the last command failed");
        for (place, child) in &mut self.running {
            let ended = || child.try_wait().expect("a child can be waited for");
            let status = self.site.wait_for(&format!("the end of what {place} started"), ended);
            assert!(status.success(), "{place}: {status}");
        }
        // What went to the background has said that it is done, and is about to end.
        let gone = || self.site.processes().is_empty().then_some(());
        self.site.wait_for("the end of everything", gone);
    }

    /// A command line, to be run by bash where the page's files are.
    pub(crate) fn command(&self, line: &str) -> Command {
        let programs = program("arbiter").parent().expect("a program lies in a directory").to_owned();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = self.site.marked(Command::new("bash"));
        command.env("PATH", format!("{}:{}:{path}", programs.display(), peers().display()));
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("NO_COLOR", "1");
        command.args(["-c", line]);
        command
    }

    fn run(&mut self, step: &Step, line: &str) {
        let question = QUESTIONS.iter().any(|start| line.starts_with(start));
        let mut printed = String::new();
        let mut once = || {
            let output =
                Output::of(self.command(&format!("exec 2>&1; (exit {}); {line}", self.last)), PATIENCE * 2);
            printed = self.as_written(&output.stdout);
            let same = form::same(&step.shown, &printed.lines().collect::<Vec<_>>());
            (same || !question).then_some((output.code, same))
        };
        let found = once();
        let (code, same) = found.unwrap_or_else(|| {
            let tail = || format!("it shows:\n{}", step.shown.join("\n"));
            wait_for(&format!("what {} shows", step.place), PATIENCE, tail, once)
        });
        assert!(same, "{}: {line} printed:\n{printed}\nand not:\n{}", step.place, step.shown.join("\n"));
        self.last = code;
    }

    fn leave_running(&mut self, step: &Step, line: &str) {
        let log = self.site.path(&format!("terminal-{}", self.running.len()));
        let file = File::create(&log).expect("a file can be written");
        let errors = file.try_clone().expect("a descriptor is to be had");
        let child = self.command(&format!("exec {line}")).stdout(file).stderr(errors).spawn();
        self.running.push((step.place.clone(), child.expect("bash can be started")));
        let read = || fs::read_to_string(&log).unwrap_or_default();
        let tail = || format!("it printed:\n{}", read());
        wait_for(&format!("what {} shows", step.place), PATIENCE, tail, || {
            form::same(&step.shown, &self.as_written(&read()).lines().collect::<Vec<_>>()).then_some(())
        });
    }

    /// `text` with the page's directory and each of its addresses moved to this reader's own.
    fn moved(&mut self, text: &str) -> String {
        let text = text.replace(WRITTEN_DIRECTORY, self.site.directory());
        let mut moved = String::new();
        let mut rest = text.as_str();
        while let Some(start) = rest.find(WRITTEN_HOST) {
            let digits = &rest[start + WRITTEN_HOST.len()..];
            let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
            moved.push_str(&rest[..start]);
            moved.push_str(&self.address(&digits[..end]));
            rest = &digits[end..];
        }
        moved + rest
    }

    /// What was printed, as if the page's directory were this reader's own. (Addresses differ as other numbers do.)
    fn as_written(&self, text: &str) -> String {
        text.replace(self.site.directory(), WRITTEN_DIRECTORY)
    }

    fn address(&mut self, port: &str) -> String {
        let known = self.addresses.iter().find(|(written, _)| written == port);
        let free = known.map_or_else(free_address, |(_, free)| free.clone());
        if known.is_none() {
            self.addresses.push((port.to_owned(), free.clone()));
        }
        free
    }
}

/// An address that is free and that nobody else will be given: the loopback network is large.
fn free_address() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let host = format!("127.{}.{high}.{low}:0", NEXT.fetch_add(1, Ordering::Relaxed));
    let socket = TcpListener::bind(host).expect("an address of the loopback network is to be had");
    socket.local_addr().expect("it is bound").to_string()
}

/// Where the servers are that the guide starts.
fn peers() -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/.venv/bin");
    assert!(
        directory.join("gunicorn").exists(),
        "the servers are not installed: run scripts/install-test-deps"
    );
    directory
}
