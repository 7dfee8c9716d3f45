//! Whose configuration a text is.

use super::procfile;
use toml_edit::Document;

/// Whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// supervisord's.
    Supervisord,
    /// foreman's, honcho's, Heroku's.
    Procfile,
    /// circus'.
    Circus,
    /// Our own.
    Own,
}

/// Sections that nobody else has.
const SUPERVISORD: [&str; 10] = [
    "supervisord",
    "supervisorctl",
    "unix_http_server",
    "inet_http_server",
    "program:",
    "fcgi-program:",
    "eventlistener:",
    "group:",
    "rpcinterface:",
    "ctlplugin:",
];

/// As above.
const CIRCUS: [&str; 6] = ["circus", "watcher:", "socket:", "plugin:", "env:", "env"];

/// Tables of our own.
const OWN: [&str; 5] = ["workers", "companion", "listener", "control", "hooks"];

/// What `text` is, by what stands in it; where that says nothing, by the file's name.
pub(super) fn of(name: &str, text: &str) -> Option<Kind> {
    let headers = || text.lines().filter_map(|line| line.trim_start().strip_prefix('[')?.split(']').next());
    let is = |header: &str, known: &[&str]| {
        known.iter().any(|known| match known.strip_suffix(':') {
            Some(_) => header.starts_with(known),
            None => header == *known,
        })
    };
    if let Ok(document) = Document::parse(text) {
        if OWN.iter().any(|table| document.as_table().contains_key(table)) {
            return Some(Kind::Own);
        }
    }
    for header in headers() {
        if is(header, &SUPERVISORD) {
            return Some(Kind::Supervisord);
        }
        if is(header, &CIRCUS) {
            return Some(Kind::Circus);
        }
    }
    let file = name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    if procfile::is_one(text) || (file.starts_with("procfile") && headers().next().is_none()) {
        return Some(Kind::Procfile);
    }
    file.starts_with("supervisord").then_some(Kind::Supervisord)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_whose_it_is_and_its_name_where_it_does_not() {
        for (name, text, kind) in [
            ("x", "; hello\n[program:a]\ncommand=b", Some(Kind::Supervisord)),
            ("x", "[include]\nfiles=x\n[supervisord]", Some(Kind::Supervisord)),
            ("supervisord.conf", "[include]\nfiles=x", Some(Kind::Supervisord)),
            ("circus.ini", "[watcher:a]\ncmd=b", Some(Kind::Circus)),
            ("x", "# hello\n\nweb: a b\nrelease: c\n", Some(Kind::Procfile)),
            ("dir/Procfile.dev", "web: a\nwhat\n", Some(Kind::Procfile)),
            ("x.toml", "name = \"x\"\n[workers]\ncommand = \"a\"", Some(Kind::Own)),
            ("x", "", None),
            ("x.service", "[Unit]\nAfter=a\n[Service]\nExecStart=b", None),
            ("compose.yml", "services:\n  web:\n    image: x\n", None),
        ] {
            assert_eq!(of(name, text), kind, "{name}: {text}");
        }
    }
}
