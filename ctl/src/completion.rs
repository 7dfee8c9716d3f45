//! Completion of command lines in shells.
//!
//! The script that a shell reads calls arbiterctl itself for each completion, so that it knows what this version
//! knows, and what the running arbiter calls its companions.

use crate::cli::{Cli, Shell};
use crate::client::{Audience, Client};
use crate::exit_code;
use crate::locate::Surroundings;
use crate::problem::Problem;
use clap::CommandFactory;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{CompleteEnv, Shells};
use proto::control::{Answer, Chunk, Progress, Status, Verb};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Set by the scripts: what is asked for is a completion, for the shell that it names.
const VARIABLE: &str = "ARBITERCTL_COMPLETE";
/// How long a person at a prompt is kept waiting for names.
const PATIENCE: Duration = Duration::from_millis(200);
/// Bash takes words apart at colons and equals signs, also NAME:SLOT. Before a completion they are put together
/// again; from what is offered then, the part that bash does not look at is taken away.
const BASH: &str = r#"
_arbiterctl() {
    local word words=() glue= given=
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        if [[ ${#words[@]} -gt 0 && ( -n $glue || $word == [:=]* ) ]]; then
            words[${#words[@]}-1]+=$word
        else
            words+=("$word")
        fi
        glue=
        [[ $word == *[:=] && $COMP_WORDBREAKS == *"${word: -1}"* ]] && glue=yes
    done
    local COMP_WORDS=("${words[@]}") COMP_CWORD=$((${#words[@]} - 1))
    local current=${COMP_WORDS[COMP_CWORD]} before=
    [[ $COMP_CWORD -gt 0 ]] && before=${COMP_WORDS[COMP_CWORD-1]}
    [[ $current == *[:=]* ]] && given=${current%"${current##*[:=]}"}
    _clap_complete_arbiterctl arbiterctl "$current" "$before"
    [[ $COMP_WORDBREAKS == *:* ]] && COMPREPLY=("${COMPREPLY[@]#"$given"}")
    return 0
}
complete -o nospace -o bashdefault -o nosort -F _arbiterctl arbiterctl 2>/dev/null ||
    complete -o nospace -o bashdefault -F _arbiterctl arbiterctl
"#;
/// The program's name.
const NAME: &str = "arbiterctl";

/// Answers a script; `None`: this is a command line like any other.
pub(crate) fn answer(args: &[OsString]) -> Option<ExitCode> {
    let directory = std::env::current_dir().ok();
    let complete = CompleteEnv::with_factory(Cli::command).var(VARIABLE).completer(NAME);
    match complete.try_complete(args.iter().cloned(), directory.as_deref()) {
        Ok(false) => None,
        Ok(true) => Some(ExitCode::from(exit_code::DONE)),
        // Whatever is wrong, a prompt is no place to say it.
        Err(_) => Some(ExitCode::from(exit_code::FAILED)),
    }
}

/// The script for a shell.
///
/// # Errors
/// It cannot be put together.
pub(crate) fn script(shell: Shell) -> Result<Vec<u8>, Problem> {
    let shells = Shells::builtins();
    let mut script = Vec::new();
    let name = match shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
    };
    shells
        .completer(name)
        .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::Unsupported))
        .and_then(|known| known.write_registration(VARIABLE, NAME, NAME, NAME, &mut script))
        .map_err(|error| {
            let message = format!("cannot make the script for {name}: {error}; choose another shell");
            Problem::new(exit_code::FAILED, message)
        })?;
    if shell == Shell::Bash {
        script.extend_from_slice(BASH.as_bytes());
    }
    Ok(script)
}

/// Full names of companions, and of their processes where a slot is asked for.
pub(crate) fn companions(current: &OsStr) -> Vec<CompletionCandidate> {
    let companions = status().map(|status| status.companions).unwrap_or_default();
    let of_slots = current.to_string_lossy().contains(':');
    let names = companions.into_iter().flat_map(|companion| {
        let slots = companion.processes.iter().filter(|process| of_slots && !process.oneoff);
        let slots: Vec<String> =
            slots.map(|process| format!("{}:{}", companion.name, process.process.slot)).collect();
        if of_slots { slots } else { vec![companion.name] }
    });
    candidates(names, current)
}

/// Slots of workers.
pub(crate) fn workers(current: &OsStr) -> Vec<CompletionCandidate> {
    let workers = status().map(|status| status.workers.processes).unwrap_or_default();
    candidates(workers.into_iter().map(|worker| worker.process.slot.to_string()), current)
}

/// Instances of arbiter on this machine.
pub(crate) fn instances(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(Surroundings::read().instances().into_iter(), current)
}

/// Names of signals, short ones unless a long one is begun.
pub(crate) fn signals(current: &OsStr) -> Vec<CompletionCandidate> {
    let long = current.to_string_lossy().starts_with("SIG");
    let names = proto::supervise::signal_names();
    candidates(names.map(|name| if long { name } else { &name["SIG".len()..] }.to_owned()), current)
}

/// Streams of the companion that the command line names.
pub(crate) fn streams(current: &OsStr) -> Vec<CompletionCandidate> {
    let words: Vec<String> = std::env::args().collect();
    let named = words.iter().skip_while(|word| *word != "companion").nth(1);
    let name = named.map(|name| name.split(':').next().unwrap_or(name).to_owned()).unwrap_or_default();
    match ask(Verb::Info(name)) {
        Some(Answer::Info(info)) => candidates(streams_of(&info.settings).into_iter(), current),
        _ => Vec::new(),
    }
}

/// The streams in settings as `info` gives them: `streams = ["a", "b"]`.
fn streams_of(settings: &str) -> Vec<String> {
    let list = settings.lines().find_map(|line| line.strip_prefix("streams = ["));
    let names = list.unwrap_or_default().split('"').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}

fn candidates(names: impl Iterator<Item = String>, current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    names.filter(|name| name.starts_with(&*current)).map(CompletionCandidate::new).collect()
}

/// What the arbiter that the words before are for says of itself.
fn status() -> Option<Status> {
    match ask(Verb::Status(Vec::new()))? {
        Answer::Status(status) => Some(*status),
        _ => None,
    }
}

/// What the arbiter that the words before are for answers; nothing where it does not at once.
fn ask(question: Verb) -> Option<Answer> {
    let (socket, instance) = whose(std::env::args_os());
    let socket = Surroundings::read().locate(socket.as_deref(), instance.as_deref()).ok()?;
    let client = Client { socket, timeout: Some(PATIENCE) };
    client.ask(question, true, &mut Nobody).ok()
}

/// `--socket` and `--instance` of a command line that is not finished yet.
fn whose(words: impl Iterator<Item = OsString>) -> (Option<PathBuf>, Option<String>) {
    let (mut socket, mut instance) = (None, None);
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    for (word, next) in words.iter().zip(words.iter().skip(1).map(Some).chain([None])) {
        let value = |short: &str, long: &str| match word {
            word if word == short || word == long => next.cloned(),
            word if word.starts_with("--") => word.strip_prefix(long)?.strip_prefix('=').map(str::to_owned),
            word => word.strip_prefix(short).map(str::to_owned),
        };
        socket = value("-s", "--socket").map(PathBuf::from).or(socket);
        instance = value("-i", "--instance").or(instance);
    }
    (socket, instance)
}

/// Nobody hears how a question comes along.
struct Nobody;

impl Audience for Nobody {
    fn progress(&mut self, _: &Progress) {}

    fn chunk(&mut self, _: &Chunk) -> Result<(), Problem> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_found_in_settings() {
        assert_eq!(streams_of("count = 1\nstreams = [\"a\", \"b-c\"]\n"), ["a", "b-c"]);
        assert!(streams_of("count = 1\n").is_empty());
    }

    #[test]
    fn the_words_before_say_whose_names_are_meant() {
        let whose = |line: &str| whose(line.split(' ').map(OsString::from));
        let socket = |path: &str| (Some(PathBuf::from(path)), None);
        assert_eq!(whose("arbiterctl start companion"), (None, None));
        for line in ["-s /a start", "--socket /a start", "--socket=/a start", "-s/a start", "start -s /a"] {
            assert_eq!(whose(&format!("arbiterctl {line} companion")), socket("/a"), "{line}");
        }
        assert_eq!(whose("arbiterctl -i web pid"), (None, Some("web".into())));
        assert_eq!(whose("arbiterctl stop -s"), (None, None));
    }
}
