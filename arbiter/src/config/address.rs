//! Addresses to listen on.

use super::context::Context;
use super::diagnostic::Fault;
use super::value::Reading;
use proto::spec::AddressSpec;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// sockaddr_un holds 108 bytes; a path ends with a NUL, an abstract name begins with one (unix(7)).
pub(crate) const UNIX_MAX: usize = 107;

/// How an address is written, for advice.
const FORMS: &str = "write \"127.0.0.1:8000\", \"[::1]:8000\", \":8000\", \"localhost:8000\", \"unix:/run/app.sock\" or \"unix:@name\"";

/// The address that `text` means, and how it is written from anywhere.
pub(crate) fn parse(text: &str, context: &Context<'_>) -> Reading<(AddressSpec, String)> {
    if let Some(name) = text.strip_prefix("unix:@") {
        return abstract_name(name).map(|address| (address, text.to_owned()));
    }
    if let Some(path) = text.strip_prefix("unix:") {
        let path = unix_path(path, context)?;
        let written = format!("unix:{path}");
        return Ok((AddressSpec::Unix(path), written));
    }
    tcp(text, context).map(|address| (AddressSpec::Tcp(address), text.to_owned()))
}

fn abstract_name(name: &str) -> Reading<AddressSpec> {
    if name.is_empty() {
        return Err(Fault::new("the abstract socket has no name").help("write \"unix:@name\""));
    }
    if name.len() > UNIX_MAX {
        return Err(Fault::new(format!("an abstract socket's name has {UNIX_MAX} bytes at most")));
    }
    Ok(AddressSpec::Abstract(name.to_owned()))
}

fn unix_path(path: &str, context: &Context<'_>) -> Reading<String> {
    if path.is_empty() {
        return Err(Fault::new("the socket has no path").help("write \"unix:/run/app.sock\""));
    }
    // "unix:///run/app.sock" is how a URL would say it.
    let path =
        if path.starts_with("//") { format!("/{}", path.trim_start_matches('/')) } else { path.into() };
    socket_path(&context.absolute(&path))
}

/// A path where a socket can be: short enough, in a directory that is there.
pub(crate) fn socket_path(path: &str) -> Reading<String> {
    if path.len() > UNIX_MAX {
        let length = path.len();
        return Err(Fault::new(format!(
            "the socket's path has {length} bytes, and {UNIX_MAX} at most are possible"
        ))
        .help("use a shorter path"));
    }
    new_file(path)?;
    Ok(path.to_owned())
}

/// Whether a file can be made at a path: its directory is there, and it is none itself.
pub(crate) fn new_file(path: &str) -> Reading<()> {
    parent_directory(path)?;
    no_directory(path)
}

/// Whether a path is not a directory's.
pub(crate) fn no_directory(path: &str) -> Reading<()> {
    if Path::new(path).is_dir() {
        return Err(Fault::new(format!("\"{path}\" is a directory")).help("name a file in it"));
    }
    Ok(())
}

/// Whether the directory a file is to be made in is there.
pub(crate) fn parent_directory(path: &str) -> Reading<()> {
    let Some(directory) = Path::new(path).parent() else {
        return Err(Fault::new(format!("\"{path}\" is not a file")));
    };
    match std::fs::metadata(directory) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Fault::new(format!("\"{}\" is not a directory", directory.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Fault::new(format!("the directory \"{}\" does not exist", directory.display()))
                .help("create it, or choose another path"))
        }
        Err(error) => {
            Err(Fault::new(format!("the directory \"{}\" cannot be used: {error}", directory.display())))
        }
    }
}

fn tcp(text: &str, context: &Context<'_>) -> Reading<SocketAddr> {
    let fault = |message: String| Fault::new(message).help(FORMS);
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(match text.parse::<u16>() {
            Ok(port) => {
                Fault::new(format!("\"{text}\" is not an address")).help(format!("did you mean \":{port}\"?"))
            }
            Err(_) => fault(format!("\"{text}\" has no port")),
        });
    };
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let bare = bracketed.unwrap_or(text);
    if bare.parse::<Ipv6Addr>().is_ok() {
        return Err(Fault::new(format!("\"{text}\" has no port")).help(format!("write \"[{bare}]:8000\"")));
    }
    if bracketed.is_some() {
        return Err(fault(format!("\"{text}\" is not an IPv6 address")));
    }
    if host.contains(':') && !host.starts_with('[') {
        return Err(fault(format!("\"{text}\" is not an address")));
    }
    let Ok(number) = port.parse::<u16>() else {
        return Err(fault(format!("\"{port}\" is not a port from 0 to 65535")));
    };
    match host {
        "" => Ok((Ipv4Addr::UNSPECIFIED, number).into()),
        "*" => Err(Fault::new("\"*\" is not a host").help(format!("did you mean \":{number}\"?"))),
        _ if host.starts_with('[') => Err(fault(format!("\"{host}\" is not an IPv6 address"))),
        _ => look_up(host, number, context),
    }
}

/// The first IPv4 address of a name, else its first one: what most clients of a name without an address
/// family get.
fn look_up(host: &str, port: u16, context: &Context<'_>) -> Reading<SocketAddr> {
    let found = context
        .accounts
        .host(host, port)
        .map_err(|error| Fault::new(format!("the host \"{host}\" cannot be found: {error}")).help(FORMS))?;
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| Fault::new(format!("the host \"{host}\" has no address")))
}

/// Whether both cannot be bound at the same time.
pub(crate) fn overlap(a: (&AddressSpec, bool), b: (&AddressSpec, bool)) -> bool {
    let ((AddressSpec::Tcp(first), first_v6only), (AddressSpec::Tcp(second), second_v6only)) = (a, b) else {
        return a.0 == b.0;
    };
    if first.port() != second.port() || first.port() == 0 {
        return false;
    }
    let takes_all = |one: &SocketAddr, v6only: bool, other: &SocketAddr| {
        one.ip().is_unspecified() && (one.is_ipv4() == other.is_ipv4() || (one.is_ipv6() && !v6only))
    };
    first == second || takes_all(first, first_v6only, second) || takes_all(second, second_v6only, first)
}
