//! Why `arbiterctl` ends without having done what it was asked.

use crate::exit_code;
use proto::control::{Failure, FailureKind};

/// What the system says of an error, without its number.
pub(crate) fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// An exit status and the one line that explains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// One of [`exit_code`]'s.
    pub(crate) code: u8,
    /// What is wrong and what to do: a lower-case fragment without the program's name. Empty: say nothing.
    pub(crate) message: String,
}

impl Problem {
    /// A problem with an exit status of [`exit_code`] and its line.
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The reader of standard output has gone: there is nothing left to do and nothing to complain about.
    pub(crate) fn reader_gone() -> Self {
        Self::new(exit_code::DONE, "")
    }

    /// What the manager said, with the exit status for its kind.
    pub(crate) fn refused(failure: &Failure) -> Self {
        let code = match failure.kind {
            FailureKind::Refused | FailureKind::NotImplemented | FailureKind::BadRequest => exit_code::FAILED,
            FailureKind::NotFound => exit_code::NOT_FOUND,
            FailureKind::NotPermitted => exit_code::NOT_PERMITTED,
            FailureKind::Unknown => exit_code::OUTCOME_UNKNOWN,
        };
        Self::new(code, failure.message.clone())
    }

    /// The line for standard error, without its newline. Line breaks become `; `, other control characters
    /// are left out: a message may quote what a child said, and must not drive the terminal.
    pub(crate) fn line(&self) -> String {
        let mut line = String::from("arbiterctl: ");
        // A caret says nothing once what it stands below is somewhere else.
        let says_something = |part: &&str| part.contains(|c| c != '^');
        let parts = self.message.lines().map(str::trim).filter(says_something);
        for (number, part) in parts.enumerate() {
            if number > 0 {
                line.push_str(if line.ends_with([';', ':', ',']) { " " } else { "; " });
            }
            line.extend(part.chars().filter(|c| !c.is_control()));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_several_lines_becomes_one() {
        let problem = Problem::new(
            1,
            "web.toml:3:1: unknown key\n  wrokers = 4\n  ^^^^^^^\n\nfix it:\n\x1b[31mthen reload\n",
        );
        assert_eq!(
            problem.line(),
            "arbiterctl: web.toml:3:1: unknown key; wrokers = 4; fix it: [31mthen reload"
        );
    }

    #[test]
    fn each_kind_of_failure_has_its_exit_status() {
        let code = |kind| Problem::refused(&Failure::new(kind, "no")).code;
        assert_eq!(code(FailureKind::Refused), 1);
        assert_eq!(code(FailureKind::NotImplemented), 1);
        assert_eq!(code(FailureKind::BadRequest), 1);
        assert_eq!(code(FailureKind::NotFound), 4);
        assert_eq!(code(FailureKind::NotPermitted), 6);
        assert_eq!(code(FailureKind::Unknown), 8);
    }
}
