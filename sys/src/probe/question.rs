//! From a configured check to what is asked.

use proto::spec::Check;

use super::target::{Target, TargetError};
use crate::launch::{Launch, LaunchError, Program};
use crate::spawn::Command;

/// What is asked.
#[derive(Debug)]
pub enum Question<'a> {
    /// Somebody over a socket.
    Contact(Target),
    /// A command by its exit status.
    Run(Box<Command<'a>>, Program),
}

/// Why a check cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// Its command, or a placeholder.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// Whom it asks.
    #[error(transparent)]
    Target(#[from] TargetError),
}

impl<'a> Question<'a> {
    /// What `check` asks, with placeholders as a process launched so has them; a command is that launch's own
    /// ([`Check::process`]).
    ///
    /// # Errors
    /// A placeholder has no value, or nobody can be asked so.
    pub fn new(check: &Check, launch: Launch<'a>) -> Result<Self, QuestionError> {
        Ok(match check {
            Check::Exec(_) => {
                let (command, program) = launch.command()?;
                Self::Run(Box::new(command), program)
            }
            Check::Tcp(text) => Self::Contact(Target::tcp(&launch.fill_in(text)?)?),
            Check::Http(text) => Self::Contact(Target::http(&launch.fill_in(text)?)?),
        })
    }
}
