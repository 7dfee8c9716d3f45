//! The sockets this process was started with, by the protocol of sd_listen_fds(3).

use super::activation::distinct;
use crate::config::TAKEN;
use anyhow::Context;
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::launch::FIRST_LISTENER;
use sys::listener::Listener;

/// What a socket is called that was passed without a name, as sd_listen_fds_with_names(3) has it.
const UNNAMED: &str = "unknown";

/// A descriptor that was passed as a socket, and its name: different from every other's.
#[derive(Debug)]
pub struct Passed {
    name: String,
    descriptor: OwnedFd,
}

impl Passed {
    /// Takes all that were meant for this process, in their order. To be called first thing in `main`: what
    /// is opened before might be taken for one of them.
    ///
    /// # Errors
    /// The variables that announce them contradict each other, or one of them is not open.
    pub fn take_all() -> anyhow::Result<Vec<Self>> {
        let names =
            announced(sys::process::pid(), |name| std::env::var_os(name)).map_err(anyhow::Error::msg)?;
        let take = |(number, name): (i32, String)| {
            let descriptor = sys::fd::adopt_inherited(&[number])
                .with_context(|| format!("LISTEN_FDS announces descriptor {number}, which is not open"))?
                .pop()
                .context("a descriptor was asked for and none given")?;
            Ok(Self { name, descriptor })
        };
        (FIRST_LISTENER..).zip(names).map(take).collect()
    }

    /// The socket, to be passed on as it is.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Its name, and the socket if it is one that workers can accept on.
    ///
    /// # Errors
    /// It is none.
    pub fn into_listener(self) -> anyhow::Result<(String, Listener)> {
        // Without a file of arbiter's own, so that nobody here ever removes the file of a Unix socket.
        let listener = Listener::from_fd(self.descriptor, None).with_context(|| {
            let name = &self.name;
            format!(
                "cannot use \"{name}\", which systemd passed: give ListenStream= and Accept=no in its unit"
            )
        })?;
        Ok((self.name, listener))
    }
}

/// The names of the sockets that are announced to the process `pid` by its environment, none if they are
/// announced to another: the variables of a process go on to its children, its descriptors do not.
fn announced(pid: i32, variable: impl Fn(&str) -> Option<OsString>) -> Result<Vec<String>, String> {
    let text = |name: &str| variable(name).map(|value| value.to_string_lossy().into_owned());
    let is_ours = text("LISTEN_PID").and_then(|text| text.parse().ok()) == Some(pid);
    let Some(count) = text("LISTEN_FDS").filter(|_| is_ours) else { return Ok(Vec::new()) };
    let count: u16 =
        count.parse().map_err(|_| format!("LISTEN_FDS is \"{count}\", not a number of descriptors"))?;
    let names: Vec<String> = match text("LISTEN_FDNAMES") {
        Some(names) if count > 0 => names.split(':').map(str::to_owned).collect(),
        _ => vec![String::new(); count.into()],
    };
    if names.len() != usize::from(count) {
        return Err(format!("LISTEN_FDS is {count}, but LISTEN_FDNAMES has {} names", names.len()));
    }
    let named = |name: String| if name.is_empty() { UNNAMED.to_owned() } else { name };
    let names: Vec<String> = names.into_iter().map(named).collect();
    Ok(distinct(&names, &TAKEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announced_by(variables: &[(&str, &str)]) -> Result<Vec<String>, String> {
        announced(7, |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn sockets_are_taken_with_their_names() {
        let ours = ("LISTEN_PID", "7");
        let named = [ours, ("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "http:admin")];
        assert_eq!(announced_by(&named).unwrap(), ["http", "admin"]);
        assert_eq!(announced_by(&[ours, ("LISTEN_FDS", "2")]).unwrap(), ["unknown", "unknown2"]);
        let placeholder = [ours, ("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", ":slot")];
        assert_eq!(announced_by(&placeholder).unwrap(), ["unknown", "slot2"]);
        assert!(announced_by(&[ours, ("LISTEN_FDS", "0"), ("LISTEN_FDNAMES", "")]).unwrap().is_empty());
    }

    #[test]
    fn what_is_meant_for_another_process_is_left_alone() {
        for variables in [
            &[][..],
            &[("LISTEN_FDS", "2")],
            &[("LISTEN_PID", "8"), ("LISTEN_FDS", "2")],
            &[("LISTEN_PID", "x"), ("LISTEN_FDS", "nonsense")],
            &[("LISTEN_PID", "7"), ("LISTEN_FDNAMES", "http")],
        ] {
            assert_eq!(announced_by(variables), Ok(vec![]), "{variables:?}");
        }
    }

    #[test]
    fn variables_that_contradict_each_other_are_named() {
        let ours = ("LISTEN_PID", "7");
        for (count, names) in [("-1", ""), ("2", "http"), ("1", "http:admin"), ("99999999999", "http")] {
            let error = announced_by(&[ours, ("LISTEN_FDS", count), ("LISTEN_FDNAMES", names)]).unwrap_err();
            assert!(error.contains("LISTEN_FDS is") && error.contains(count), "{error}");
        }
    }
}
