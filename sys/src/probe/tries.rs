//! All tries of a daemon.

use std::collections::HashMap;

use super::command::Running;
use super::contact::{Contact, Progress};
use super::question::Question;
use super::target::Target;
use crate::children::Children;
use crate::reactor::{Interest, Reactor, Token};

/// The most commands that may still be there after SIGKILL (sleeping in the kernel) before no more are started.
const UNKILLABLE_MAX: usize = 32;

/// Tries by the caller's numbers.
#[derive(Default)]
pub struct Tries {
    contacts: HashMap<u64, Contact>,
    pub(super) commands: HashMap<u64, Running>,
    pub(super) children: Children<u64>,
}

impl Tries {
    /// Begins a try, whose events come under `token`. `Some`: it is over already.
    pub fn begin(
        &mut self,
        number: u64,
        question: Question<'_>,
        reactor: &Reactor,
        token: Token,
    ) -> Option<Result<(), String>> {
        let begun = match question {
            Question::Contact(target) => self.contact(number, target, reactor, token),
            Question::Run(..) if self.unwanted() >= UNKILLABLE_MAX => {
                Err(format!("{UNKILLABLE_MAX} commands of checks are still there after SIGKILL"))
            }
            Question::Run(command, program) => {
                let name = program.name.clone();
                self.run(number, &command, program, reactor, token)
                    .map_err(|error| format!("cannot start {name}: {error}"))
            }
        };
        begun.err().map(Err)
    }

    fn contact(
        &mut self,
        number: u64,
        target: Target,
        reactor: &Reactor,
        token: Token,
    ) -> Result<(), String> {
        let contact = Contact::begin(target)?;
        reactor.register(&contact, token, Interest::WRITE).map_err(|error| error.to_string())?;
        self.contacts.insert(number, contact);
        Ok(())
    }

    /// An event of a try's token. `Some`: it is over.
    pub fn handle(&mut self, number: u64, reactor: &Reactor, token: Token) -> Option<Result<(), String>> {
        if self.commands.contains_key(&number) {
            return self.command_ended(number, reactor);
        }
        let mut contact = self.contacts.remove(&number)?;
        // Before it may be closed or replaced: a child on its way to exec may hold a copy.
        let deregistered = reactor.deregister(&contact);
        match contact.advance() {
            Progress::Done(result) => Some(result),
            Progress::Pending(interest) => {
                let registered = deregistered.and_then(|()| reactor.register(&contact, token, interest));
                if let Err(error) = registered {
                    return Some(Err(format!("it cannot be waited for: {error}")));
                }
                self.contacts.insert(number, contact);
                None
            }
        }
    }

    /// Nobody waits for this try any more.
    pub fn abandon(&mut self, number: u64, reactor: &Reactor) {
        if let Some(contact) = self.contacts.remove(&number) {
            let _ = reactor.deregister(&contact);
        }
        self.kill(number);
    }

    /// The processes of commands under way.
    pub fn pids(&self) -> impl Iterator<Item = i32> + '_ {
        self.children.keys().filter_map(|number| self.children.pid(number))
    }

    /// Whether this is such a process.
    #[must_use]
    pub fn knows(&self, pid: i32) -> bool {
        self.children.key_of(pid).is_some()
    }

    fn unwanted(&self) -> usize {
        self.commands.values().filter(|running| !running.wanted).count()
    }
}
