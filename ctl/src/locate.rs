//! Where the control socket is.
//!
//! What was said comes first: `--socket`, `--instance`, `ARBITER_SOCKET`. Otherwise the places where an
//! arbiter puts its socket by default are tried in its own order, and the first that exists as a socket is
//! taken.

use crate::exit_code;
use crate::problem::{Problem, words};
use proto::nearest::nearest;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Where `-i NAME` looks: the runtime directories of instances are below it.
const RUN: &str = "/run/arbiter";

/// What the search depends on beside the command line.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// `$ARBITER_SOCKET`, unless empty.
    pub(crate) socket: Option<OsString>,
    /// `$RUNTIME_DIRECTORY`, unless empty.
    pub(crate) runtime_directory: Option<OsString>,
    /// `$XDG_RUNTIME_DIR`, unless empty.
    pub(crate) xdg_runtime_dir: Option<OsString>,
    /// The effective user id; `None` where /proc cannot be read.
    pub(crate) uid: Option<u32>,
    /// Where system services keep their sockets: `/run/arbiter`.
    pub(crate) run: PathBuf,
    /// Where users without a runtime directory keep theirs: `/tmp`.
    pub(crate) tmp: PathBuf,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn read() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            socket: variable("ARBITER_SOCKET"),
            runtime_directory: variable("RUNTIME_DIRECTORY"),
            xdg_runtime_dir: variable("XDG_RUNTIME_DIR"),
            // The owner of /proc/self is the process's effective user (proc(5)).
            uid: std::fs::metadata("/proc/self").ok().map(|metadata| metadata.uid()),
            run: PathBuf::from(RUN),
            tmp: PathBuf::from("/tmp"),
        }
    }

    /// The control socket to connect to.
    ///
    /// # Errors
    ///
    /// When nothing was said and no default place holds a socket, or an instance's name is none.
    pub(crate) fn locate(&self, socket: Option<&Path>, instance: Option<&str>) -> Result<PathBuf, Problem> {
        if let Some(path) = socket {
            return Ok(path.to_owned());
        }
        if let Some(name) = instance {
            if name.is_empty() || name.contains('/') || name == "." || name == ".." {
                return Err(Problem::new(
                    exit_code::USAGE,
                    format!("`{name}` is not the name of an instance; use --socket for a path"),
                ));
            }
            let path = self.run.join(name).join("control.sock");
            let unknown =
                std::fs::metadata(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
            return if unknown { Err(self.no_instance(name)) } else { Ok(path) };
        }
        if let Some(path) = &self.socket {
            return Ok(PathBuf::from(path));
        }
        self.first_default()
    }

    /// The instances that have a control socket, in the order of their names.
    pub(crate) fn instances(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.run) else { return Vec::new() };
        let with_socket = entries.flatten().filter(|entry| entry.path().join("control.sock").exists());
        let mut names: Vec<String> =
            with_socket.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    fn no_instance(&self, name: &str) -> Problem {
        let known = self.instances();
        let hint = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean -i {near}?"),
            None if known.is_empty() => {
                "there is none at all: start arbiter, or name its socket with -s PATH".into()
            }
            None => format!("there are {}", known.join(", ")),
        };
        let run = self.run.display();
        Problem::new(
            exit_code::NOTHING_LISTENS,
            format!("no instance is called {name}: nothing at {run}/{name}/control.sock; {hint}"),
        )
    }

    fn first_default(&self) -> Result<PathBuf, Problem> {
        let mut denied = None;
        let candidates = self.candidates();
        for path in &candidates {
            match std::fs::metadata(path) {
                Ok(metadata) if metadata.file_type().is_socket() => return Ok(path.clone()),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    denied.get_or_insert_with(|| not_permitted(path));
                }
                Ok(_) | Err(_) => {}
            }
        }
        Err(denied.unwrap_or_else(|| {
            let tried: Vec<_> = candidates.iter().map(|path| path.display().to_string()).collect();
            let tried = tried.join(", ");
            Problem::new(
                exit_code::NOTHING_LISTENS,
                format!(
                    "no arbiter found (tried {tried}); start arbiter, or name its control socket with -s PATH"
                ),
            )
        }))
    }

    /// The default places, first choice first.
    fn candidates(&self) -> Vec<PathBuf> {
        let mut directories = Vec::new();
        if let Some(list) = &self.runtime_directory {
            // systemd separates several directories by colons; arbiter uses the first.
            directories.extend(std::env::split_paths(list).next());
        }
        if self.uid == Some(0) {
            directories.push(self.run.clone());
        }
        if let Some(directory) = &self.xdg_runtime_dir {
            directories.push(Path::new(directory).join("arbiter"));
        }
        if let Some(uid) = self.uid {
            let directory = self.tmp.join(format!("arbiter-{uid}"));
            // Anybody may create this name in /tmp: a directory that is not the caller's own may hold a trap.
            let trap = std::fs::symlink_metadata(&directory)
                .is_ok_and(|metadata| !metadata.is_dir() || metadata.uid() != uid);
            if !trap {
                directories.push(directory);
            }
        }
        directories.push(self.run.clone());
        let mut candidates: Vec<PathBuf> = Vec::new();
        for directory in directories {
            let path = directory.join("control.sock");
            if !candidates.contains(&path) {
                candidates.push(path);
            }
        }
        candidates
    }
}

/// The problem of a socket on which nobody listens: says what is there instead.
pub(crate) fn nothing_listens(socket: &Path) -> Problem {
    let path = socket.display();
    let below = socket.join("control.sock");
    let message = match std::fs::metadata(socket) {
        Ok(found) if found.file_type().is_socket() => format!(
            "nothing listens on {path}: the arbiter that made it has gone; start it again, or name another \
             control socket with -s PATH"
        ),
        Ok(found) if found.is_dir() && below.exists() => {
            format!("{path} is a directory; name the socket in it: -s {}", below.display())
        }
        Ok(found) => {
            let what = if found.is_dir() { "a directory" } else { "a file" };
            format!("{path} is {what}, not a socket; name the control socket of an arbiter with -s PATH")
        }
        Err(error) => format!(
            "nothing listens on {path}: {}; start arbiter, or name its control socket with -s PATH",
            words(&error).to_lowercase()
        ),
    };
    Problem::new(exit_code::NOTHING_LISTENS, message)
}

/// The problem of a socket that exists and may not be opened: names what stands in the way, with its owner
/// and mode.
pub(crate) fn not_permitted(socket: &Path) -> Problem {
    let closed = socket.ancestors().find_map(|path| Some((path, std::fs::metadata(path).ok()?)));
    let owner = match closed {
        Some((path, metadata)) => format!(
            " ({} belongs to uid {} gid {}, mode {:04o})",
            if path == socket { "it".into() } else { path.display().to_string() },
            metadata.uid(),
            metadata.gid(),
            metadata.mode() & 0o7777
        ),
        None => String::new(),
    };
    Problem::new(
        exit_code::NOT_PERMITTED,
        format!(
            "not permitted to open {}{owner}; run arbiterctl as its owner or root, or widen control.mode",
            socket.display()
        ),
    )
}

#[cfg(test)]
#[path = "locate_tests.rs"]
mod tests;
