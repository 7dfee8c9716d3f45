//! Where a companion's output goes.

use super::address;
use super::context::Context;
use super::diagnostic::Fault;
use super::keys;
use super::quantity;
use super::section::Section;
use super::tree::Node;
use super::value::{self, Reading};
use proto::nearest::nearest;
use proto::spec::{LogSpec, Output};

/// Above this a captured file is rotated, where nothing else is said.
pub(crate) const MAX_SIZE: u64 = 10 << 20;

/// How many rotated files are kept, where nothing else is said.
pub(crate) const KEEP: u32 = 10;

/// `stdout`, `stderr` and `log`.
pub(crate) struct Read {
    /// Standard output.
    pub(crate) stdout: Output,
    /// Standard error; `None`: wherever standard output goes.
    pub(crate) stderr: Option<Output>,
    /// How what is captured is kept.
    pub(crate) log: LogSpec,
}

/// Reads the three keys.
pub(crate) fn read(section: &Section<'_>, context: &Context<'_>) -> Read {
    let table = section.sub("log", keys::COMPANION_LOG, "log");
    let log = LogSpec {
        file: table.value_or("file", String::new(), |node| {
            let text = value::text(node)?;
            if text.is_empty() { Ok(text) } else { file(&text, context) }
        }),
        max_size: table.value_or("max_size", MAX_SIZE, quantity::size),
        keep: table.value_or("keep", KEEP, |node| value::integer(node, 0..=10_000)),
        timestamps: table.value_or("timestamps", false, value::boolean),
    };
    let otherwise = if section.has("log") { Output::Capture } else { Output::Inherit };
    let stdout = section.value_or("stdout", otherwise, |node| output(node, false, context));
    let stderr = section.value("stderr", |node| output(node, true, context));
    if section.has("log") && stdout != Output::Capture && stderr != Some(Output::Capture) {
        let fault = Fault::new("`log` has no effect: neither stdout nor stderr is captured")
            .help("set stdout = \"capture\", or remove `log`");
        section.contradiction(&["stdout", "log"], fault);
    }
    Read { stdout, stderr, log }
}

fn output(node: &Node, is_stderr: bool, context: &Context<'_>) -> Reading<Output> {
    let text = value::word(node)?;
    match text.as_str() {
        "inherit" => return Ok(Output::Inherit),
        "null" => return Ok(Output::Null),
        "capture" => return Ok(Output::Capture),
        "stdout" if is_stderr => return Ok(Output::Stdout),
        "stdout" | "stderr" => {
            return Err(Fault::new(format!("\"{text}\" is not a place where this can go"))
                .help("use \"inherit\", \"null\", \"capture\" or a file's path"));
        }
        _ => {}
    }
    let words = ["inherit", "null", "capture", "stdout"];
    let words = if is_stderr { &words[..] } else { &words[..3] };
    if let Some(near) = nearest(&text, words.iter().copied()).filter(|_| !text.contains(['/', '.'])) {
        return Err(Fault::new(format!("\"{text}\" is no word that is known here"))
            .help(format!("did you mean \"{near}\"? A file here is written \"./{text}\"")));
    }
    file(&text, context).map(Output::File)
}

/// A file that can be made: its directory is there, as far as that is known before placeholders are filled.
fn file(text: &str, context: &Context<'_>) -> Reading<String> {
    let path = context.absolute(text);
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    if !directory.contains('{') {
        address::parent_directory(&path)?;
    }
    address::no_directory(&path)?;
    Ok(path)
}
