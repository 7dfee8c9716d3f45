//! Whom to ask.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use crate::listener::Address;

/// The port of a URL without one.
const HTTP_PORT: u16 = 80;

/// What is connected to, and what is asked for there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Tried one after the other: `localhost` has two.
    pub(super) addresses: VecDeque<Address>,
    /// The whole request; `None`: that somebody accepts is enough.
    pub(super) request: Option<String>,
}

/// A text that names nobody who could be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}: {1}")]
pub struct TargetError(String, &'static str);

impl Target {
    /// Reads `IP:PORT`, `unix:PATH` or `unix:@NAME`.
    ///
    /// # Errors
    /// It is none of these.
    pub fn tcp(text: &str) -> Result<Self, TargetError> {
        let address = match text.strip_prefix("unix:") {
            Some(name) if name.starts_with('@') && name.len() > 1 => {
                Address::Abstract(name.as_bytes()[1..].to_vec())
            }
            Some(path) if path.starts_with('/') => Address::Unix(PathBuf::from(path)),
            Some(_) => return Err(TargetError(text.to_owned(), "the path has to begin with / or @")),
            None => match text.parse::<SocketAddr>() {
                Ok(address) if address.port() != 0 => Address::Tcp(address),
                _ => return Err(TargetError(text.to_owned(), "this is not IP:PORT")),
            },
        };
        Ok(Self { addresses: VecDeque::from([address]), request: None })
    }

    /// Reads a URL of the kind `http://HOST:PORT/PATH?QUERY` whose host is an IP address or localhost.
    ///
    /// # Errors
    /// It is none.
    pub fn http(url: &str) -> Result<Self, TargetError> {
        let error = |what| TargetError(url.to_owned(), what);
        let rest = url.strip_prefix("http://").ok_or(error("this is not an http:// address"))?;
        // A fragment is the client's own affair (RFC 9110, section 4.2.5).
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if url.contains(|character: char| character.is_whitespace() || character.is_control()) {
            return Err(error("a blank cannot be asked for: write %20"));
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse::<u16>().ok().filter(|&port| port != 0);
                (host, port.ok_or(error("the port has to be a number from 1 to 65535"))?)
            }
            _ => (authority, HTTP_PORT),
        };
        let addresses = addresses(host).ok_or(error("the host has to be an IP address or localhost"))?;
        let addresses = addresses.into_iter().map(|ip| Address::Tcp(SocketAddr::new(ip, port))).collect();
        let slash = if path.starts_with('/') { "" } else { "/" };
        let agent = concat!("arbiter/", env!("CARGO_PKG_VERSION"));
        let request = format!(
            "GET {slash}{path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n\
             Connection: close\r\n\r\n"
        );
        Ok(Self { addresses, request: Some(request) })
    }
}

fn addresses(host: &str) -> Option<Vec<IpAddr>> {
    if host.eq_ignore_ascii_case("localhost") {
        return Some(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(bare) => Some(vec![bare.parse::<Ipv6Addr>().ok()?.into()]),
        None => Some(vec![host.parse::<Ipv4Addr>().ok()?.into()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(target: &Target) -> Vec<String> {
        target.addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_address_is_a_number_and_a_port_or_a_path() {
        for text in ["127.0.0.1:6379", "[::1]:6379", "unix:/run/app.sock", "unix:@app"] {
            let target = Target::tcp(text).unwrap();
            assert_eq!((shown(&target), target.request), (vec![text.to_owned()], None));
        }
        for text in ["redis:6379", "127.0.0.1", "127.0.0.1:0", "unix:app", "unix:", "unix:@", ""] {
            assert!(Target::tcp(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_url_tells_whom_to_ask_and_for_what() {
        let cases = [
            ("http://127.0.0.1", "127.0.0.1:80", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"),
            ("http://127.0.0.1:81/a?b=c#d", "127.0.0.1:81", "GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:81\r\n"),
            ("http://[::1]:81?b", "[::1]:81", "GET /?b HTTP/1.1\r\nHost: [::1]:81\r\n"),
            ("http://[::1]/", "[::1]:80", "GET / HTTP/1.1\r\nHost: [::1]\r\n"),
        ];
        for (url, address, begin) in cases {
            let target = Target::http(url).unwrap();
            assert_eq!(shown(&target), [address]);
            let request = target.request.unwrap();
            assert!(request.starts_with(begin) && request.ends_with("\r\n\r\n"), "{request}");
        }
        assert_eq!(shown(&Target::http("http://localhost:8/").unwrap()), ["127.0.0.1:8", "[::1]:8"]);
    }

    #[test]
    fn what_cannot_be_asked_says_why() {
        let error = |url| Target::http(url).unwrap_err().to_string();
        assert_eq!(error("https://127.0.0.1/"), "https://127.0.0.1/: this is not an http:// address");
        assert!(error("http://example.com/").contains("IP address or localhost"));
        assert!(error("http://127.0.0.1:0/").contains("port"));
        assert!(error("http://127.0.0.1/a b").contains("%20"));
        assert!(error("http://127.0.0.1/a\r\nX:").contains("blank"));
    }
}
