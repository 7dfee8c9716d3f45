//! The control socket.

use super::base::prepare_base;
use anyhow::Context;
use proto::spec::ControlSpec;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use sys::control::ControlListener;
use sys::fd::FileId;
use sys::listener::Address;

/// The control socket. Its file goes with it, also when a start fails half-way, unless another master holds
/// the socket too.
#[derive(Debug)]
pub struct Control {
    socket: ControlListener,
    is_shared: bool,
}

impl Control {
    /// The socket of another master, handed to this one.
    ///
    /// # Errors
    /// It is no listening socket.
    pub(crate) fn handed_over(socket: OwnedFd, file: FileId) -> io::Result<Self> {
        Ok(Self { socket: ControlListener::from_fd(socket, Some(file))?, is_shared: true })
    }

    /// The socket.
    #[must_use]
    pub fn listener(&self) -> &sys::listener::Listener {
        self.socket.listener()
    }

    /// Whether another master holds it as well: then its file stays.
    pub(crate) fn set_shared(&mut self, is_shared: bool) {
        self.is_shared = is_shared;
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self.listener().address() {
            Address::Unix(path) => path.to_str(),
            Address::Tcp(_) | Address::Abstract(_) => None,
        }
    }

    /// Lets those connect whom `new` lets, where `old` was in force.
    ///
    /// # Errors
    /// The file may not be given to that group.
    pub fn change_access(&self, old: &ControlSpec, new: &ControlSpec) -> anyhow::Result<()> {
        // Without a group the file is arbiter's own, as it would be had it been made so.
        let own = old.group.map(|_| sys::process::effective_gid());
        let changed = self.listener().set_file_access(new.mode, (None, new.group.or(own)));
        changed.with_context(|| {
            let path = self.path().unwrap_or_default();
            format!("cannot change mode and group of the control socket {path}")
        })
    }
}

/// What a new configuration makes of the control socket.
#[derive(Debug)]
pub enum Change {
    /// It is the same one, for those whom this lets in.
    Access(ControlSpec),
    /// It is another one, or there is none any more.
    Replaced(Option<Control>),
}

/// Prepares the control socket for `new`, where `old` is in force and `current` is open: another one is opened
/// beside it, the same one is opened to those whom `new` lets in. `None`: it stays as it is.
///
/// # Errors
/// As [`open_control`]; everything is as before.
pub fn prepare_control(
    current: Option<&Control>,
    old: &ControlSpec,
    new: &ControlSpec,
) -> anyhow::Result<Option<Change>> {
    let is_there = |control: &&Control| {
        control.path().is_some()
            && control.path() == new.socket.as_deref()
            && control.listener().is_in_place()
    };
    if current.is_none() && new.socket.is_none() {
        return Ok(None);
    }
    match current.filter(is_there) {
        Some(_) if old == new => Ok(None),
        Some(control) => {
            control.change_access(old, new)?;
            Ok(Some(Change::Access(new.clone())))
        }
        None => Ok(Some(Change::Replaced(open_control(new)?))),
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if self.is_shared {
            return;
        }
        if let Err(error) = self.listener().unlink_if_ours() {
            tracing::warn!("cannot remove the control socket: {error}");
        }
    }
}

/// Opens the control socket.
///
/// # Errors
/// A given path cannot be used; for a default path that is only a warning, and there is no socket.
pub fn open_control(control: &ControlSpec) -> anyhow::Result<Option<Control>> {
    let Some(path) = control.socket.as_deref().map(Path::new) else { return Ok(None) };
    let opened = prepare_control_directory(path, control.explicit).and_then(|()| {
        ControlListener::bind(path, control.mode, control.group).map_err(|error| explain(&error, path))
    });
    match opened {
        Ok(socket) => Ok(Some(Control { socket, is_shared: false })),
        Err(error) if control.explicit => Err(error),
        Err(error) => {
            tracing::warn!("no control socket: {error:#}; give one with --control-socket");
            Ok(None)
        }
    }
}

fn prepare_control_directory(path: &Path, explicit: bool) -> anyhow::Result<()> {
    match path.parent() {
        Some(directory) if !explicit => prepare_base(directory),
        _ => Ok(()),
    }
}

fn explain(error: &io::Error, path: &Path) -> anyhow::Error {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow::anyhow!(
                "another arbiter serves the control socket {path}: stop it, or choose another path"
            )
        }
        io::ErrorKind::NotFound => {
            anyhow::anyhow!("the directory of the control socket {path} does not exist")
        }
        io::ErrorKind::AlreadyExists => {
            anyhow::anyhow!("{path} exists and is not a socket: remove it, or choose another path")
        }
        _ => anyhow::anyhow!("cannot open the control socket {path}: {error}"),
    }
}
