//! A program at a terminal of its own, and somebody who reads and types there.

use crate::wait::{PATIENCE, wait_for};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// A program that runs at a terminal. script(1) makes the terminal, and passes on both ways.
pub struct Terminal {
    script: Child,
    keys: ChildStdin,
    written: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Runs `program`, with its surroundings, at a terminal of this size.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn run(program: &Command, columns: usize, rows: usize) -> Self {
        let mut words = vec![program.get_program()];
        words.extend(program.get_args());
        let quoted = words.iter().map(|word| {
            let word = word.to_str().expect("words of scenarios are text");
            assert!(!word.contains('\''), "{word}");
            format!("'{word}'")
        });
        let line = quoted.collect::<Vec<_>>().join(" ");
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--flush", "--command"]);
        command.arg(format!("stty cols {columns} rows {rows}; exec {line}")).arg("/dev/null");
        command.env("TERM", "xterm").env_remove("NO_COLOR");
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(directory) = program.get_current_dir() {
            command.current_dir(directory);
        }
        command.env("SHELL", "/bin/sh");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = command.spawn().expect("script(1) can be started");
        let keys = script.stdin.take().expect("it is piped");
        let mut output = script.stdout.take().expect("it is piped");
        let written = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&written);
        let reader = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes[..length]);
            }
        });
        Self { script, keys, written, reader: Some(reader) }
    }

    /// Everything that was written to the terminal.
    #[must_use]
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Forgets what was written so far.
    pub fn look_away(&self) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Waits until `text` has been written.
    ///
    /// # Panics
    /// It is not in time.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let tail = || self.written();
        wait_for(text, PATIENCE, tail, || self.written().contains(text).then_some(()));
    }

    /// Presses keys: Ctrl-C is `\x03`.
    ///
    /// # Panics
    /// The program has gone.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("somebody reads keys");
    }

    /// Waits for the program's end: its exit code, 128 and the number where a signal ended it.
    ///
    /// # Panics
    /// It does not end in time.
    pub fn end(&mut self) -> i32 {
        let Self { script, written, .. } = self;
        let tail =
            || String::from_utf8_lossy(&written.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
        let status = wait_for("the end of what runs at the terminal", PATIENCE, tail, || {
            script.try_wait().expect("a child can be waited for")
        });
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader only reads");
        }
        status.code().unwrap_or(-1)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It is our own child; what runs at its terminal is hung up on.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}
