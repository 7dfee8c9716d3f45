//! A scenario's own place.

use crate::announce::{self, Event, What};
use crate::wait::{PATIENCE, wait_for};
use crate::{Arbiter, MARK, Output, processes, program};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Variables of whoever runs the suite that would change what the programs do.
const FOREIGN: [&str; 9] = [
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "WEB_CONCURRENCY",
    "ARBITER_SOCKET",
    "JOURNAL_STREAM",
];
/// How much of a log a failed scenario shows.
const TAIL_LINES: usize = 60;

/// A directory with a configuration, a runtime directory and a log, and a mark that all processes of the
/// scenario carry. Dropping it asserts that nothing is left; after a failure it ends what is left instead.
#[derive(Debug)]
pub struct Site {
    directory: TempDir,
    mark: String,
    /// Something was killed that could not clean up.
    untidy: AtomicBool,
}

impl Site {
    /// A place whose `arbiter.toml` is `text` ([`Site::expand`]).
    ///
    /// # Panics
    /// The disk is full, or the programs cannot be built.
    #[must_use]
    pub fn new(text: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let directory = tempfile::Builder::new().prefix("arb").tempdir().expect("a directory is to be had");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}-{number}-{}", std::process::id(), directory.path().display());
        let site = Self { directory, mark, untidy: AtomicBool::new(false) };
        // Children of other users get through to what is theirs, as below /run.
        fs::set_permissions(site.path(""), Permissions::from_mode(0o711)).expect("it is ours");
        fs::create_dir(site.path("run")).expect("a directory can be made");
        site.write("announcements", "");
        site.configure(text);
        site
    }

    /// A path in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory itself, as text.
    #[must_use]
    pub fn directory(&self) -> &str {
        self.directory.path().to_str().expect("temporary directories have plain names")
    }

    /// The control socket's default path here.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path("run/control.sock")
    }

    /// `@worker@`, `@companion@`, `@hook@` (the fakes) and `@site@` (the directory) replaced by their paths.
    #[must_use]
    pub fn expand(&self, text: &str) -> String {
        let fake = |name: &str| program(name).to_string_lossy().into_owned();
        text.replace("@worker@", &fake("fake-worker"))
            .replace("@companion@", &fake("fake-companion"))
            .replace("@hook@", &fake("fake-hook"))
            .replace("@site@", self.directory())
    }

    /// Writes `arbiter.toml` anew.
    pub fn configure(&self, text: &str) {
        self.write("arbiter.toml", &self.expand(text));
    }

    /// Writes a file in it.
    ///
    /// # Panics
    /// The disk is full.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file can be written");
    }

    /// Removes a file in it.
    ///
    /// # Panics
    /// It is not there.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("the file is there");
    }

    /// One of our programs, to be run here, marked.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        self.marked(Command::new(program(name)))
    }

    /// Any program, to be run here, marked.
    #[must_use]
    pub fn marked(&self, mut command: Command) -> Command {
        command.current_dir(self.directory.path());
        for name in FOREIGN {
            command.env_remove(name);
        }
        command.env(MARK, &self.mark).env(announce::VARIABLE, self.path("announcements"));
        command.env("RUNTIME_DIRECTORY", self.path("run")).env("XDG_RUNTIME_DIR", self.path("run"));
        command.stdin(std::process::Stdio::null());
        command
    }

    /// An `arbiter` that ends by itself: `--check-config`, or a start that fails.
    ///
    /// # Panics
    /// It does not end.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command("arbiter");
        command.args(arguments.iter().map(|argument| self.expand(argument)));
        Output::of(command, PATIENCE)
    }

    /// `arbiterctl` on this site's socket.
    ///
    /// # Panics
    /// It does not end.
    #[must_use]
    pub fn ctl(&self, arguments: &[&str]) -> Output {
        Output::of(self.ctl_command(arguments), PATIENCE * 2)
    }

    /// `arbiterctl` on this site's socket, not yet started.
    #[must_use]
    pub fn ctl_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("arbiterctl");
        command.arg("--socket").arg(self.socket()).args(arguments);
        command
    }

    /// Starts `arbiter` with this site's configuration, without waiting for anything.
    #[must_use]
    pub fn launch(&self) -> Arbiter<'_> {
        self.launch_with(&["-c", "arbiter.toml"])
    }

    /// Starts `arbiter` with these arguments, without waiting for anything.
    #[must_use]
    pub fn launch_with(&self, arguments: &[&str]) -> Arbiter<'_> {
        let mut command = self.command("arbiter");
        command.args(arguments.iter().map(|argument| self.expand(argument)));
        self.launch_command(command)
    }

    /// As [`Site::launch`], with an ear for [`Site::fail_at`].
    ///
    /// # Panics
    /// The directory cannot be made.
    #[must_use]
    pub fn launch_to_fail(&self) -> Arbiter<'_> {
        fs::create_dir_all(self.path("fail")).expect("a directory can be made");
        let mut command = self.command("arbiter");
        command.args(["-c", "arbiter.toml"]).env("ARBITER_FAIL_POINTS", self.path("fail"));
        self.launch_command(command)
    }

    /// Whoever comes first to a step, of all that [`Site::launch_to_fail`] has started, does so: `kill`, `stop`, `exit`.
    /// Answers the file that is gone from then on.
    ///
    /// # Panics
    /// Nobody was started so.
    pub fn fail_at(&self, step: &str, how: &str) -> PathBuf {
        let name = format!("fail/{step}.{how}");
        self.write(&name, "");
        self.path(&name)
    }

    /// Starts an `arbiter` that was made with [`Site::command`], without waiting for anything.
    #[must_use]
    pub fn launch_command(&self, command: Command) -> Arbiter<'_> {
        Arbiter::launch(self, command)
    }

    /// Starts `arbiter` and waits until it is running: every worker has been ready.
    #[must_use]
    pub fn start(&self) -> Arbiter<'_> {
        let arbiter = self.launch();
        arbiter.wait_until_running();
        arbiter
    }

    /// [`wait_for`] with this site's log, for as long as anything may take.
    pub fn wait_for<T>(&self, what: &str, probe: impl FnMut() -> Option<T>) -> T {
        wait_for(what, PATIENCE, || self.tail(), probe)
    }

    /// What fakes have announced so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        announce::read(&self.path("announcements"))
    }

    /// The processes that a companion's (or the workers') name has had so far, in the order of their starts.
    #[must_use]
    pub fn started(&self, name: &str) -> Vec<i32> {
        let events = self.events().into_iter();
        events
            .filter(|event| event.what == What::Started && event.name == name)
            .map(|event| event.pid)
            .collect()
    }

    /// Waits until a name has had so many processes; the newest one's pid.
    pub fn wait_for_start(&self, name: &str, count: usize) -> i32 {
        self.wait_for(&format!("start number {count} of {name}"), || {
            self.started(name).get(count - 1).copied()
        })
    }

    /// The live processes of the site.
    #[must_use]
    pub fn processes(&self) -> Vec<(i32, String)> {
        processes::marked(&self.mark)
    }

    /// Whether a live process belongs to the site.
    #[must_use]
    pub fn owns(&self, pid: i32) -> bool {
        processes::environment(pid).get(MARK).is_some_and(|mark| *mark == self.mark)
    }

    /// Says that something was killed that could not clean up: files may be left, and the processes may
    /// take a moment to go.
    pub(crate) fn expect_untidiness(&self) {
        self.untidy.store(true, Ordering::Relaxed);
    }

    /// The last lines of the log.
    #[must_use]
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let events = self.events().into_iter().map(|event| format!("{event:?}\n")).collect::<String>();
        format!(
            "--- announced ---\n{events}--- log of {} ---\n{}",
            self.directory(),
            lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
        )
    }

    /// What arbiter and the manager have logged, and their children written to standard error or output.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("log")).unwrap_or_default()).into_owned()
    }

    /// Files of arbiter's that are there: sockets, pidfiles, locks, lists of what runs and notify directories.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        leftovers(self.directory.path())
    }

    /// Asserts that nothing is left.
    fn assert_tidy(&self) {
        let patience = if self.untidy.load(Ordering::Relaxed) { PATIENCE } else { Duration::ZERO };
        wait_for(
            "all processes of the site to be gone",
            patience,
            || format!("{:#?}\n{}", self.processes(), self.tail()),
            || self.processes().is_empty().then_some(()),
        );
        if !self.untidy.load(Ordering::Relaxed) {
            let left = self.files();
            assert!(left.is_empty(), "left behind: {left:#?}\n{}", self.tail());
        }
    }

    /// Ends what a failed scenario has left.
    fn end_all(&self) {
        for _ in 0..100 {
            let processes = self.processes();
            if processes.is_empty() {
                return;
            }
            for (pid, _) in processes {
                // It may have ended in this moment.
                let _ = sys::process::send_signal(pid, crate::signal::KILL);
            }
            std::thread::yield_now();
        }
    }
}

/// Sockets, pidfiles, locks, lists of what runs and notify directories under `directory`.
fn leftovers(directory: &Path) -> Vec<PathBuf> {
    use std::os::unix::fs::FileTypeExt;
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let is_socket = entry.file_type().is_ok_and(|kind| kind.is_socket());
        let name = name.to_string_lossy();
        if is_socket
            || name.starts_with("notify-")
            || [".pid", ".pid.2", ".lock", ".running"].iter().any(|end| name.ends_with(end))
        {
            found.push(path.clone());
        }
        if path.is_dir() && !path.is_symlink() {
            found.extend(leftovers(&path));
        }
    }
    found
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.end_all();
        } else {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.assert_tidy()));
            if let Err(panic) = outcome {
                self.end_all();
                std::panic::resume_unwind(panic);
            }
        }
    }
}
