//! Command lines for a shell: as words where a shell would do nothing else with them, else for a shell.

use super::reading::{Quoting, is_variable, split};

/// What a command line comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    /// `command`.
    pub(super) words: Vec<String>,
    /// What it set for itself.
    pub(super) env: Vec<(String, String)>,
}

/// What only a shell knows the meaning of.
const SYNTAX: &str = "|&;<>()$`*?[]{}~!#\n\r";

/// Of those, what joins commands or changes where they read and write.
const JOINTS: &str = "|&;<>()`\n\r";

/// Words that begin what is no program.
const KEYWORDS: [&str; 14] = [
    "if", "for", "while", "until", "case", "cd", "export", ".", "source", "set", "exec", "trap", "wait",
    "eval",
];

/// What `line` would run.
pub(super) fn command(line: &str) -> Command {
    let plain = ports(line);
    let bare = bare(&plain);
    let words = if bare.contains(|c| SYNTAX.contains(c)) { None } else { split(&plain) };
    if let Some((env, words)) = words.map(assignments) {
        let is_program =
            words.first().is_some_and(|first| !first.is_empty() && !KEYWORDS.contains(&first.as_str()));
        // A value can hold no placeholder.
        let is_fixed = env.iter().all(|(_, value)| !value.contains(PORT));
        if is_program && is_fixed {
            return Command {
                words: words.iter().map(|word| word.replace(PORT, "{env.PORT}")).collect(),
                env,
            };
        }
    }
    let first = line.split_whitespace().next().unwrap_or_default();
    // One program in the place of the shell is sent the signals itself.
    let is_one = !bare.contains(|c| JOINTS.contains(c)) && !KEYWORDS.contains(&first) && !first.contains('=');
    let line = if is_one { format!("exec {line}") } else { line.to_owned() };
    Command { words: vec!["/bin/sh".to_owned(), "-c".to_owned(), line], env: Vec::new() }
}

/// Stands for the port in a text that is to be split: no character of it means anything to a shell.
const PORT: &str = "\u{1}PORT\u{1}";

/// `$PORT` and `${PORT}`, which every process has, outside of quotes that keep it from being replaced.
fn ports(line: &str) -> String {
    if line.contains(['\'', '\\', '\u{1}']) {
        return line.to_owned();
    }
    let braced = line.replace("${PORT}", PORT);
    let mut text = String::with_capacity(braced.len());
    let mut rest = braced.as_str();
    while let Some((before, after)) = rest.split_once("$PORT") {
        let is_whole = !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        text.push_str(before);
        text.push_str(if is_whole { PORT } else { "$PORT" });
        rest = after;
    }
    text.push_str(rest);
    text
}

/// What stands outside of single quotes: within them nothing means anything to a shell.
fn bare(line: &str) -> String {
    let mut bare = String::with_capacity(line.len());
    let mut quoting = Quoting::default();
    for character in line.chars() {
        if !quoting.is_single() {
            bare.push(character);
        }
        quoting.pass(character);
    }
    bare
}

/// `NAME=value` in front of a program.
fn assignments(words: Vec<String>) -> (Vec<(String, String)>, Vec<String>) {
    let pair = |word: &String| {
        let (name, value) = word.split_once('=')?;
        let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && is_variable(name);
        is_name.then(|| (name.to_owned(), value.to_owned()))
    };
    let mut env: Vec<(String, String)> = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some((name, value)) = words.peek().and_then(pair) {
        env.retain(|(other, _)| *other != name);
        env.push((name, value));
        words.next();
    }
    (env, words.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, words: &[&str], env: &[(&str, &str)]) {
        let command = command(line);
        assert_eq!(command.words, words, "{line}");
        let env: Vec<_> = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(command.env, env, "{line}");
    }

    #[test]
    fn what_needs_no_shell_has_none() {
        check("bundle exec puma -C 'a b'", &["bundle", "exec", "puma", "-C", "a b"], &[]);
        check("x '$PORT; a | b' c", &["x", "$PORT; a | b", "c"], &[]);
        check("A=1 B='x y' bin/x --c=d", &["bin/x", "--c=d"], &[("A", "1"), ("B", "x y")]);
        check("x -p $PORT -b \"0:${PORT}\"", &["x", "-p", "{env.PORT}", "-b", "0:{env.PORT}"], &[]);
    }

    #[test]
    fn what_needs_a_shell_has_one_and_one_program_takes_its_place() {
        check("x $HOME", &["/bin/sh", "-c", "exec x $HOME"], &[]);
        check("x $PORTAL", &["/bin/sh", "-c", "exec x $PORTAL"], &[]);
        check("x \"it's $HOME\"", &["/bin/sh", "-c", "exec x \"it's $HOME\""], &[]);
        check("cd a && b", &["/bin/sh", "-c", "cd a && b"], &[]);
        check("P=$PORT x", &["/bin/sh", "-c", "P=$PORT x"], &[]);
        check("a | b", &["/bin/sh", "-c", "a | b"], &[]);
        check("exec a", &["/bin/sh", "-c", "exec a"], &[]);
        check("it's", &["/bin/sh", "-c", "exec it's"], &[]);
    }
}
