//! What a process needs to be there before it is started: its program, its directory, its file of variables.

use super::context::{self, Context, Environment};
use super::diagnostic::Fault;
use proto::spec::template::{self, Piece};
use proto::spec::{Identity, ProcessSpec};
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where programs are looked for when a child has no PATH, as execvp(3) does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// What begins the names of variables that are only set at the spawn.
const SET_LATER: [&str; 4] = ["ARBITER_", "LISTEN_", "NOTIFY_SOCKET", "WATCHDOG_"];

/// What is missing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Missing {
    /// About the program.
    pub(crate) command: Option<Fault>,
    /// About the working directory.
    pub(crate) cwd: Option<Fault>,
    /// About the file of variables.
    pub(crate) env_file: Option<Fault>,
}

/// Looks at what `process`, called `name`, needs. Texts whose placeholders are only known at the spawn are not
/// judged.
pub(crate) fn check(process: &ProcessSpec, name: &str, context: &Context<'_>) -> Missing {
    let env = environment(process, context);
    let mut missing = Missing::default();
    if let Some(file) = process.env_file.as_ref().filter(|file| !file.optional) {
        missing.env_file = std::fs::File::open(&file.path).err().map(|error| {
            Fault::new(format!("the env_file \"{}\" cannot be read: {error}", file.path))
                .help("create it, or begin the path with \"-\" if it may be missing")
        });
    }
    // What the file of variables sets is not known here: only what cannot depend on it is judged.
    let is_sure = |text: &&str| process.env_file.is_none() || !text.contains("{env.");
    let cwd = match Some(process.cwd.as_str()).filter(is_sure).map(|cwd| known(cwd, name, &env)) {
        Some(Ok(cwd)) => cwd,
        Some(Err(fault)) => {
            missing.cwd = Some(fault);
            None
        }
        None => None,
    };
    missing.cwd = missing.cwd.or(cwd.as_ref().and_then(|cwd| directory(cwd).err()));
    let mut words = process.command.iter().map(String::as_str).filter(is_sure);
    missing.command = words.find_map(|word| fill(word, name, &env).err());
    let program = process.command.first().map(String::as_str).filter(is_sure);
    let program = program.and_then(|program| known(program, name, &env).ok().flatten());
    let cwd = cwd.filter(|_| missing.cwd.is_none());
    if let (Some(program), None) = (program, &missing.command) {
        // Only a path that begins nowhere needs the working directory.
        let is_relative = program.contains('/') && !program.starts_with('/');
        let Some(cwd) = cwd.or((!is_relative).then(|| "/".to_owned())) else { return missing };
        let is_path_sure = process.env_file.is_none() || process.env.iter().any(|(name, _)| name == "PATH");
        if program.contains('/') || is_path_sure {
            let path = env.get(OsStr::new("PATH")).cloned().unwrap_or_else(|| DEFAULT_PATH.into());
            missing.command = find(&program, &path, Path::new(&cwd), process.identity.as_ref()).err();
        }
    }
    missing
}

/// The variables of a process as far as they are known before its spawn.
fn environment(process: &ProcessSpec, context: &Context<'_>) -> Environment {
    let mut env = context.env.clone();
    for name in &process.unset_env {
        env.remove(OsStr::new(name));
    }
    if let Some((user, home, shell)) = process.identity.as_ref().and_then(|identity| identity.login.as_ref())
    {
        for (name, value) in [("USER", user), ("LOGNAME", user), ("HOME", home), ("SHELL", shell)] {
            env.insert(name.into(), value.into());
        }
    }
    for (name, value) in &process.env {
        env.insert(name.into(), value.into());
    }
    env
}

/// Whether a placeholder has its value only at the spawn.
fn is_open(placeholder: &str) -> bool {
    match placeholder.strip_prefix("env.") {
        Some(variable) => SET_LATER.iter().any(|prefix| variable.starts_with(prefix)),
        None => placeholder != "name",
    }
}

/// `text` with what is known filled in; an error names a variable that nothing sets.
fn fill(text: &str, name: &str, env: &Environment) -> Result<String, Fault> {
    let filled = template::expand(text, |placeholder| match placeholder.strip_prefix("env.") {
        Some(_) if is_open(placeholder) => Some(String::new()),
        Some(variable) => env.get(OsStr::new(variable)).map(|value| value.to_string_lossy().into_owned()),
        None => (placeholder == "name").then(|| name.to_owned()),
    });
    filled.map_err(|unset| Fault::new(unset.to_string()).help("set it in `env`"))
}

/// As [`fill`]; `None` when something in the text stays open until the spawn.
fn known(text: &str, name: &str, env: &Environment) -> Result<Option<String>, Fault> {
    let filled = fill(text, name, env)?;
    let open = template::pieces(text).any(|piece| matches!(piece, Piece::Placeholder(word) if is_open(word)));
    Ok((!open).then_some(filled))
}

/// Whether there is such a directory.
pub(crate) fn directory(path: &str) -> Result<(), Fault> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Fault::new(format!("\"{path}\" is not a directory"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Fault::new(format!("the directory \"{path}\" does not exist"))
                .help("create it, or choose another"))
        }
        Err(error) => Err(Fault::new(format!("the directory \"{path}\" cannot be used: {error}"))),
    }
}

/// As execvp(3) searches: a program with a slash is a path, seen from the working directory.
fn find(program: &str, path: &OsStr, cwd: &Path, identity: Option<&Identity>) -> Result<(), Fault> {
    if program.contains('/') {
        let file = context::absolute(cwd, program);
        return match std::fs::metadata(&file) {
            Ok(metadata) if is_executable(&metadata, identity) => Ok(()),
            Ok(_) => Err(not_executable(&file)),
            Err(error) => Err(Fault::new(format!("the program \"{file}\" cannot be started: {error}"))
                .help("install it, or correct its path")),
        };
    }
    let mut refused: Option<PathBuf> = None;
    for directory in std::env::split_paths(path) {
        let file = cwd.join(directory).join(program);
        match std::fs::metadata(&file) {
            Ok(metadata) if is_executable(&metadata, identity) => return Ok(()),
            Ok(_) => refused = refused.or(Some(file)),
            Err(_) => {}
        }
    }
    match refused {
        Some(file) => Err(not_executable(&file.display().to_string())),
        None => Err(Fault::new(format!(
            "the program \"{program}\" is not found in PATH ({})",
            path.to_string_lossy()
        ))
        .help("install it, give its whole path, or set PATH in `env`")),
    }
}

fn not_executable(file: &str) -> Fault {
    Fault::new(format!("\"{file}\" is not a program that may be executed"))
        .help(format!("try chmod +x {file}"))
}

/// Whether the mode lets the identity execute a file; for arbiter's own identity any right to execute will do,
/// the kernel has the last word.
fn is_executable(metadata: &Metadata, identity: Option<&Identity>) -> bool {
    let mode = metadata.permissions().mode();
    let mask = match identity {
        Some(identity) if identity.uid == 0 => 0o111,
        Some(identity) if identity.uid == metadata.uid() => 0o100,
        Some(identity) if identity.gid == metadata.gid() || identity.groups.contains(&metadata.gid()) => {
            0o010
        }
        Some(_) => 0o001,
        None => 0o111,
    };
    metadata.is_file() && mode & mask != 0
}
