//! What could be better than what was read, and what could go wrong with it.

use super::plan::Program;
use crate::config::placeholders;
use proto::spec::template::{Piece, pieces};
use std::path::Path;

/// Servers that take a socket by its number, and how.
const SERVERS: [(&str, &str); 5] = [
    ("uvicorn", "--fd {http} in place of --host and --port"),
    ("gunicorn", "--workers 1 --preload, without --bind"),
    ("hypercorn", "--bind fd://{http}"),
    ("daphne", "--fd {http} in place of -b and -p"),
    ("chaussette", "--fd {http}"),
];

/// A server that could be the workers, and that it could.
pub(super) fn server(program: &Program) -> Option<String> {
    // One that is given a socket is as good as can be.
    if program.is_workers || !program.sockets.is_empty() {
        return None;
    }
    let is = |word: &String, name: &str| {
        Path::new(word).file_name().is_some_and(|file| file.to_string_lossy() == name)
    };
    let mut found =
        SERVERS.iter().filter(|(name, _)| program.command.iter().take(4).any(|word| is(word, name)));
    let (name, how) = found.next()?;
    Some(format!(
        "it runs as it did. {name} could also be [workers], on a [[listener]] named http that arbiter holds, so that \
         a reload loses no request: {how}"
    ))
}

/// Braces of a foreign text that would be taken for placeholders of our own.
pub(super) fn braces(text: &str) -> Option<String> {
    let taken = pieces(text).find_map(|piece| match piece {
        Piece::Placeholder(word) if placeholders::is_known(word) => Some(word),
        _ => None,
    })?;
    Some(format!("{{{taken}}} means something here, and cannot be written otherwise: let a script say it"))
}
