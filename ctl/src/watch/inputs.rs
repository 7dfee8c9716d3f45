//! What may happen while something is watched, and the threads that wait for it.

use crate::client::{Audience, Client};
use crate::problem::Problem;
use proto::control::{Answer, Chunk, Progress, Verb};
use proto::supervise::signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH};
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;
use sys::reactor::{Interest, Reactor, Token};
use sys::signals::Signals;

const SIGNALS: Token = Token(1);
const KEYS: Token = Token(2);

/// Something that happened.
#[derive(Debug)]
pub(super) enum Input {
    /// The answer to what was asked.
    Answer(Result<Box<Answer>, Problem>),
    /// arbiter or a process has done something.
    Event,
    /// A key was pressed.
    Key(u8),
    /// The terminal has another size.
    Resized,
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-Z: by this signal.
    Suspended(i32),
    /// A signal that ends programs.
    Ended(i32),
}

/// Everything that may happen, one after the other.
#[derive(Debug)]
pub(super) struct Inputs {
    inputs: Receiver<Input>,
    questions: Sender<()>,
}

impl Inputs {
    /// Begins to wait, for events too if they are asked for. The threads end with the process.
    ///
    /// # Errors
    /// Signals cannot be caught.
    pub(super) fn start(client: &Client, verb: &Verb, events: bool) -> io::Result<Self> {
        let (sender, inputs) = channel();
        let (questions, asked) = channel();
        let signals = Signals::install(&[SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH])?;
        let told = sender.clone();
        thread::spawn(move || wait_for_signals_and_keys(signals, &told));
        if events {
            let (client, told) = (Client { timeout: None, ..client.clone() }, sender.clone());
            // Whatever ends it: the next answer tells, and is asked for now and then anyway.
            thread::spawn(move || {
                let everything = Verb::Events { patterns: Vec::new(), after: None };
                drop(client.ask(everything, true, &mut Bell(told)));
            });
        }
        let (client, verb) = (client.clone(), verb.clone());
        thread::spawn(move || {
            while asked.recv().is_ok() {
                let answer = client.ask(verb.clone(), true, &mut Bell(sender.clone()));
                if sender.send(Input::Answer(answer.map(Box::new))).is_err() {
                    break;
                }
            }
        });
        Ok(Self { inputs, questions })
    }

    /// Asks the question; its answer is an input.
    pub(super) fn ask(&self) {
        // The thread that asks lives as long as this.
        let _ = self.questions.send(());
    }

    /// What happens next; `None` when nothing does in time.
    pub(super) fn next(&self, patience: Duration) -> Option<Input> {
        self.inputs.recv_timeout(patience).ok()
    }
}

/// Rings at each event.
struct Bell(Sender<Input>);

impl Audience for Bell {
    fn progress(&mut self, _: &Progress) {}

    fn chunk(&mut self, chunk: &Chunk) -> Result<(), Problem> {
        let rings = matches!(chunk, Chunk::Event(_) | Chunk::Lost(_));
        if rings && self.0.send(Input::Event).is_err() {
            return Err(Problem::reader_gone());
        }
        Ok(())
    }
}

/// Passes signals and keys on until nobody takes them, or the system refuses to wait.
fn wait_for_signals_and_keys(mut signals: Signals, told: &Sender<Input>) {
    let Ok(mut reactor) = Reactor::new() else { return };
    if reactor.register(&signals, SIGNALS, Interest::READ).is_err() {
        return;
    }
    let stdin = io::stdin();
    let keys = stdin.is_terminal().then(|| stdin.as_fd().try_clone_to_owned().ok().map(File::from)).flatten();
    let mut keys = keys.filter(|keys| reactor.register(keys, KEYS, Interest::READ).is_ok());
    loop {
        if reactor.wait(None).is_err() {
            return;
        }
        let ready: Vec<Token> = reactor.events().map(|event| event.token).collect();
        let mut found: Vec<Input> = signals.take().into_iter().map(|(signal, _)| meaning(signal)).collect();
        if ready.contains(&KEYS) {
            let mut pressed = [0; 64];
            match keys.as_mut().map(|keys| keys.read(&mut pressed)) {
                Some(Ok(count)) if count > 0 => {
                    found.extend(pressed[..count].iter().map(|&key| Input::Key(key)))
                }
                // The terminal has gone: SIGHUP follows.
                _ => {
                    if let Some(keys) = keys.take() {
                        drop(reactor.deregister(&keys));
                    }
                }
            }
        }
        if found.into_iter().any(|input| told.send(input).is_err()) {
            return;
        }
    }
}

fn meaning(signal: i32) -> Input {
    match signal {
        SIGWINCH => Input::Resized,
        SIGINT => Input::Interrupted,
        SIGTSTP => Input::Suspended(signal),
        _ => Input::Ended(signal),
    }
}
