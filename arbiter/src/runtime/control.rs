//! The control socket.

use super::base::prepare_base;
use proto::spec::ControlSpec;
use std::path::Path;
use sys::control::ControlListener;

/// The control socket. Its file goes with it, also when a start fails half-way.
#[derive(Debug)]
pub struct Control(ControlListener);

impl Control {
    /// The socket.
    #[must_use]
    pub fn listener(&self) -> &sys::listener::Listener {
        self.0.listener()
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Err(error) = self.0.listener().unlink_if_ours() {
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
        Ok(listener) => Ok(Some(Control(listener))),
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

fn explain(error: &std::io::Error, path: &Path) -> anyhow::Error {
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            anyhow::anyhow!(
                "another arbiter serves the control socket {path}: stop it, or choose another path"
            )
        }
        std::io::ErrorKind::NotFound => {
            anyhow::anyhow!("the directory of the control socket {path} does not exist")
        }
        std::io::ErrorKind::AlreadyExists => {
            anyhow::anyhow!("{path} exists and is not a socket: remove it, or choose another path")
        }
        _ => anyhow::anyhow!("cannot open the control socket {path}: {error}"),
    }
}
