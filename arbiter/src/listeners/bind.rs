//! Opening a socket.

use proto::spec::{AddressSpec, ListenerSpec};
use sys::listener::{Address, Listener, Options};

/// Binds and listens.
///
/// # Errors
/// A sentence that names the address, what is wrong with it and what to do.
pub(super) fn bind(spec: &ListenerSpec) -> Result<Listener, String> {
    let address = match &spec.address {
        AddressSpec::Tcp(address) => Address::Tcp(*address),
        AddressSpec::Unix(path) => Address::Unix(path.into()),
        AddressSpec::Abstract(name) => Address::Abstract(name.clone().into_bytes()),
    };
    let options = Options {
        backlog: spec.backlog,
        reuse_port: spec.reuse_port,
        v6only: spec.v6only,
        unix_mode: spec.mode,
        unix_owner: spec.owner.map_or((None, None), |owner| (owner.uid, owner.gid)),
        nonblocking: false,
    };
    Listener::bind(&address, &options).map_err(|error| {
        let remedy = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                ": another program listens there; stop it or choose another address"
            }
            std::io::ErrorKind::AddrNotAvailable => ": this machine does not have that address",
            std::io::ErrorKind::PermissionDenied => {
                ": ports below 1024 and foreign directories need privileges"
            }
            std::io::ErrorKind::NotFound => ": create the directory first",
            _ => "",
        };
        format!("cannot listen on {} ({}): {error}{remedy}", spec.written, spec.name)
    })
}
