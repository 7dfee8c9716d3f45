//! `--init`: a configuration to start from.

use super::exit;
use super::flags::Flags;
use super::{Input, files};
use proto::spec::Resolution;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

/// It can be started as it is. What users need first is in it; what else there is, `--print-config` shows.
pub(crate) const TEXT: &str = include_str!("starter.toml");

/// Writes it to where the configuration will be looked for: the file of `-c`, else `./arbiter.toml`. What is there
/// already stays.
pub(crate) fn write(flags: &Flags, input: &Input) -> Resolution {
    let (path, name) = match &flags.config {
        Some(given) => (input.cwd.join(given), given.display().to_string()),
        None => (input.cwd.join(files::NAME), files::NAME.to_owned()),
    };
    let written = OpenOptions::new().write(true).create_new(true).open(&path);
    match written.and_then(|mut file| file.write_all(TEXT.as_bytes())) {
        Ok(()) => {
            let named = if flags.config.is_some() { format!(" -c {name}") } else { String::new() };
            exit::success(
                format!("wrote {name}; put your server into it, then try it: arbiter{named}\n"),
                String::new(),
            )
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => exit::failure(
            format!(
                "arbiter: {name} exists and is left as it is\n    \
                 help: write the new one elsewhere with arbiter --init -c FILE\n"
            ),
            exit::FAILED,
        ),
        Err(error) => exit::failure(
            format!(
                "arbiter: {name} cannot be written: {error}\n    help: name another place with -c FILE\n"
            ),
            exit::FAILED,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line that is a setting once its first character is gone.
    fn is_setting(line: &str) -> bool {
        line.starts_with('#') && !line.starts_with("# ") && line != "#"
    }

    /// The text with the settings of those lines taken in.
    fn with(lines: impl Fn(usize) -> bool) -> String {
        let shown = TEXT.lines().enumerate().map(|(number, line)| match line.strip_prefix('#') {
            Some(setting) if is_setting(line) && lines(number) => setting,
            _ => line,
        });
        shown.collect::<Vec<_>>().join("\n")
    }

    #[track_caller]
    fn assert_good(text: &str) {
        let (stdout, stderr, code) = crate::config::tests::checked(text);
        assert_eq!((stdout.as_str(), stderr.as_str(), code), ("a.toml: ok\n", "", 0), "{text}");
    }

    #[test]
    fn the_starter_file_is_good_as_it_is_and_with_another_server() {
        assert_good(TEXT);
        let server =
            TEXT.replace(r#"command = ["sleep", "infinity"]"#, r#"command = ["./server", "{http}"]"#);
        assert_good(&server.replace("\nready = \"started\"\n", "\n"));
    }

    #[test]
    fn every_setting_of_the_starter_file_is_good_once_it_is_taken_in() {
        // The programs of the example need not be here.
        let here = |text: String| text.replace("\"redis-server\"", "\"sh\"").replace("\"python3\"", "\"sh\"");
        assert_good(&here(with(|_| true).replace("#requires", "requires")));
        // Tables by themselves, and settings of the tables that are there by themselves.
        let lines: Vec<&str> = TEXT.lines().collect();
        let mut number = 0;
        let mut tried = 0;
        while number < lines.len() {
            let length = if lines[number].starts_with("#[") {
                lines[number..].iter().take_while(|line| !line.is_empty()).count()
            } else {
                1
            };
            let block = number..number + length;
            if is_setting(lines[number]) {
                tried += 1;
                // What a line refers to comes with it.
                let refers = lines[block.clone()].iter().any(|line| line.contains("\"redis\""));
                let redis = lines.iter().position(|line| *line == "#[companion.redis]").unwrap();
                assert_good(&here(with(|at| {
                    block.contains(&at) || (refers && (redis..redis + 3).contains(&at))
                })));
            }
            number += length;
        }
        assert!(tried >= 8, "{tried}");
    }
}
