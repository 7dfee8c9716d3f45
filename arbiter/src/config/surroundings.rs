//! What a process needs to be there before it is started: its program, its directory, its file of variables.

use super::context::{self, Context, Environment};
use super::diagnostic::Fault;
use super::value;
use proto::spec::env_file::{self, LONGEST, Variables};
use proto::spec::template::{self, Piece};
use proto::spec::{EnvFile, Identity, ProcessSpec};
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
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
    /// About lines of that which are passed over.
    pub(crate) ignored: Option<Fault>,
}

/// Looks at what `process`, called `name`, needs. Texts whose placeholders are only known at the spawn are not
/// judged.
pub(crate) fn check(process: &ProcessSpec, name: &str, context: &Context<'_>) -> Missing {
    let mut missing = Missing::default();
    let mut content = Content::default();
    if let Some(file) = &process.env_file {
        (content, missing.env_file, missing.ignored) = look_at(file);
    }
    let env = environment(process, &content, context);
    // What a file sets that cannot be read now is not known: only what cannot depend on it is judged.
    let is_sure = |text: &&str| matches!(content, Content::Known(_)) || !text.contains("{env.");
    let cwd = match Some(process.cwd.as_str()).filter(is_sure).map(|cwd| known(cwd, name, &env)) {
        Some(Ok(cwd)) => cwd,
        Some(Err(fault)) => {
            missing.cwd = Some(fault);
            None
        }
        None => None,
    };
    missing.cwd = missing.cwd.or(cwd.as_ref().and_then(|cwd| directory(cwd).err()));
    let words = process.command.iter().map(String::as_str).filter(is_sure);
    missing.command = value::all(words.map(|word| fill(word, name, &env))).err();
    let program = process.command.first().map(String::as_str).filter(is_sure);
    let program = program.and_then(|program| known(program, name, &env).ok().flatten());
    let cwd = cwd.filter(|_| missing.cwd.is_none());
    if let (Some(program), None) = (program, &missing.command) {
        // Only a path that begins nowhere needs the working directory.
        let is_relative = program.contains('/') && !program.starts_with('/');
        let Some(cwd) = cwd.or((!is_relative).then(|| "/".to_owned())) else { return missing };
        let is_path_sure =
            !matches!(content, Content::Unknown) || process.env.iter().any(|(name, _)| name == "PATH");
        if program.contains('/') || is_path_sure {
            let path = env.get(OsStr::new("PATH")).cloned().unwrap_or_else(|| DEFAULT_PATH.into());
            missing.command = find(&program, &path, Path::new(&cwd), process.identity.as_ref()).err();
        }
    }
    missing
}

/// What a file of variables sets, as far as that is known before a process reads it.
enum Content {
    /// These.
    Known(Vec<(String, String)>),
    /// Not before it is there and can be read, which was reported.
    Missing,
    /// Not before a process reads it.
    Unknown,
}

impl Default for Content {
    fn default() -> Self {
        Self::Known(Vec::new())
    }
}

/// What a file of variables sets, what is wrong with it, and what is doubtful in it.
fn look_at(file: &EnvFile) -> (Content, Option<Fault>, Option<Fault>) {
    let path = &file.path;
    match variables(path) {
        Ok(None) => (Content::Unknown, None, None),
        Ok(Some(Variables { set, ignored })) => {
            let lines = ignored.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let message = format!("the env_file \"{path}\" has no valid name in front of = in line {lines}");
            let help = "write NAME=value with letters, digits and _, without export";
            (Content::Known(set), None, (!ignored.is_empty()).then(|| Fault::new(message).help(help)))
        }
        Err(error) if file.optional && error.kind() == std::io::ErrorKind::NotFound => {
            (Content::default(), None, None)
        }
        Err(error) => {
            let fault = Fault::new(format!("the env_file \"{path}\" cannot be read: {error}"));
            let is_missing = error.kind() == std::io::ErrorKind::NotFound;
            let help = "create it, or begin the path with \"-\" if it may be missing";
            (Content::Missing, Some(if is_missing { fault.help(help) } else { fault }), None)
        }
    }
}

/// What a file of variables holds now. What is no plain file is not read, and the answer is `None`: a process may
/// read it, once, when it starts.
pub(crate) fn variables(path: &str) -> std::io::Result<Option<Variables>> {
    let mut content = Vec::new();
    let found = std::fs::metadata(path)?;
    if found.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    if !found.is_file() {
        return Ok(None);
    }
    std::fs::File::open(path)?.take(LONGEST).read_to_end(&mut content)?;
    let invalid = |error| std::io::Error::new(std::io::ErrorKind::InvalidData, error);
    env_file::parse(&content).map(Some).map_err(invalid)
}

/// The variables of a process as far as they are known before its spawn.
fn environment(process: &ProcessSpec, file: &Content, context: &Context<'_>) -> Environment {
    let mut env = context.env.clone();
    for name in &process.unset_env {
        env.remove(OsStr::new(name));
    }
    for (name, value) in process.identity.iter().flat_map(Identity::variables) {
        env.insert(name.into(), value.into());
    }
    let from_file = match file {
        Content::Known(set) => &set[..],
        Content::Missing | Content::Unknown => &[],
    };
    for (name, value) in process.top_env.iter().chain(from_file).chain(&process.env) {
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
            Ok(metadata) if is_executable(&metadata, identity) => interpreter(Path::new(&file)),
            Ok(_) => Err(not_executable(&file)),
            Err(error) => Err(Fault::new(format!("the program \"{file}\" cannot be started: {error}"))
                .help("install it, or correct its path")),
        };
    }
    let mut refused: Option<PathBuf> = None;
    for directory in std::env::split_paths(path) {
        let file = cwd.join(directory).join(program);
        match std::fs::metadata(&file) {
            Ok(metadata) if is_executable(&metadata, identity) => return interpreter(&file),
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

/// How much of a script's first line the kernel reads.
const FIRST_LINE: u64 = 256;

/// Whether the program that a script's first line names is there. Without it the kernel says that the script itself
/// does not exist, which nobody believes who sees it lying there.
fn interpreter(script: &Path) -> Result<(), Fault> {
    let mut begin = Vec::new();
    // What may be executed and not read is no script.
    let opened = std::fs::File::open(script);
    if opened.is_ok_and(|file| file.take(FIRST_LINE).read_to_end(&mut begin).is_err()) {
        return Ok(());
    }
    let line = begin.strip_prefix(b"#!").and_then(|rest| rest.split(|&byte| byte == b'\n').next());
    let word = line.and_then(|line| line.split(|byte| b" \t".contains(byte)).find(|word| !word.is_empty()));
    let Some(word) = word.filter(|word| word.starts_with(b"/")) else { return Ok(()) };
    match std::fs::metadata(OsStr::from_bytes(word)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let (word, script) = (String::from_utf8_lossy(word), script.display());
            let text = format!(
                "the first line of \"{script}\" names \"{}\", which does not exist",
                word.escape_debug()
            );
            Err(Fault::new(text).help("install it, or correct that line"))
        }
        _ => Ok(()),
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
