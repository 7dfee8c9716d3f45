//! Opening a socket.

use proto::spec::{AddressSpec, ListenerSpec};
use sys::listener::{Address, Listener, Options};

/// What a new socket has to take into account.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beside {
    /// Others of ours have the address, or a part of it, and have said that they share it.
    pub(super) others: bool,
    /// Nobody may begin a connection to it yet.
    pub(super) held_back: bool,
}

/// Binds and listens.
///
/// # Errors
/// A sentence that names the address, what is wrong with it and what to do.
pub(super) fn bind(spec: &ListenerSpec, beside: Beside) -> Result<Listener, String> {
    let address = match &spec.address {
        AddressSpec::Tcp(address) => Address::Tcp(*address),
        AddressSpec::Unix(path) => Address::Unix(path.into()),
        AddressSpec::Abstract(name) => Address::Abstract(name.clone().into_bytes()),
    };
    let options = Options {
        backlog: spec.backlog,
        reuse_port: beside.others,
        held_back: beside.held_back,
        v6only: spec.v6only,
        unix_mode: spec.mode,
        unix_owner: spec.owner.map_or((None, None), |owner| (owner.uid, owner.gid)),
        nonblocking: false,
    };
    Listener::bind(&address, &options).map_err(|error| {
        let remedy = match error.kind() {
            // What is wrong with a path is said already.
            std::io::ErrorKind::AddrInUse if matches!(address, Address::Unix(_)) => "",
            std::io::ErrorKind::AddrInUse => {
                ": another program listens there (`ss -ltnp` says which); stop it or choose another address"
            }
            std::io::ErrorKind::AddrNotAvailable => {
                ": this machine does not have that address (`ip address` says which it has)"
            }
            std::io::ErrorKind::PermissionDenied if matches!(address, Address::Tcp(_)) => {
                ": ports below 1024 need CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=) or a socket that \
                 systemd passes; or choose a higher port"
            }
            std::io::ErrorKind::PermissionDenied => ": choose a directory that arbiter's user may write to",
            std::io::ErrorKind::NotFound => ": create the directory first",
            _ => "",
        };
        format!("cannot listen on {} ({}): {error}{remedy}", spec.written, spec.name)
    })
}
