//! Single values: text, numbers, modes, signals, commands. Durations and sizes are in [`super::quantity`].

use super::diagnostic::Fault;
use super::tree::{Data, Node};
use std::ops::RangeInclusive;

/// What reads a value: the value, or what is wrong with it.
pub(crate) type Reading<T> = Result<T, Fault>;

/// The fault of a value of a wrong type.
pub(crate) fn wrong_type(expected: &str, node: &Node) -> Fault {
    Fault::new(format!("expected {expected}, found {}", node.data.kind()))
}

/// Both, or what is wrong with either.
pub(crate) fn both<A, B>(first: Reading<A>, second: Reading<B>) -> Reading<(A, B)> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(first), Err(second)) => Err(first.and(second)),
        (Err(fault), Ok(_)) | (Ok(_), Err(fault)) => Err(fault),
    }
}

/// All of them, or everything that is wrong with any.
pub(crate) fn all<T>(readings: impl IntoIterator<Item = Reading<T>>) -> Reading<Vec<T>> {
    let mut all = Ok(Vec::new());
    for next in readings {
        all = both(all, next).map(|(mut read, next)| {
            read.push(next);
            read
        });
    }
    all
}

/// Each item of an array.
pub(crate) fn each<T>(list: &[Node], mut reading: impl FnMut(&Node) -> Reading<T>) -> Reading<Vec<T>> {
    all(list.iter().map(|item| reading(item).map_err(|fault| fault.at(item.place))))
}

/// A string. A NUL could be handed to no program and to no system call.
pub(crate) fn text(node: &Node) -> Reading<String> {
    match &node.data {
        Data::Text(text) if text.contains('\0') => Err(Fault::new("a NUL character cannot be used here")),
        Data::Text(text) => Ok(text.clone()),
        Data::Integer(number) => {
            Err(wrong_type("a string", node).help(format!("write \"{number}\" in quotes")))
        }
        Data::Boolean(value) => {
            Err(wrong_type("a string", node).help(format!("write \"{value}\" in quotes")))
        }
        _ => Err(wrong_type("a string", node)),
    }
}

/// A string that is not empty.
pub(crate) fn word(node: &Node) -> Reading<String> {
    let text = text(node)?;
    if text.is_empty() { Err(Fault::new("this must not be empty")) } else { Ok(text) }
}

/// True or false.
pub(crate) fn boolean(node: &Node) -> Reading<bool> {
    match &node.data {
        Data::Boolean(value) => Ok(*value),
        Data::Text(text) if matches!(text.as_str(), "true" | "false") => {
            Err(wrong_type("true or false", node).help(format!("write {text} without quotes")))
        }
        _ => Err(wrong_type("true or false", node)),
    }
}

/// A whole number within a range. Text is taken too when it comes from a flag or the environment.
pub(crate) fn integer<T: TryFrom<i64>>(node: &Node, range: RangeInclusive<i64>) -> Reading<T> {
    let number = match &node.data {
        Data::Integer(number) => *number,
        Data::Text(text) => match text.trim().parse::<i64>() {
            Ok(number) => {
                return Err(wrong_type("an integer", node).help(format!("write {number} without quotes")));
            }
            Err(_) => return Err(wrong_type("an integer", node)),
        },
        _ => return Err(wrong_type("an integer", node)),
    };
    let (least, most) = (*range.start(), *range.end());
    if number < least && most == i64::from(u32::MAX) {
        return Err(Fault::new(format!("{number} is too small: it has to be at least {least}")));
    }
    range
        .contains(&number)
        .then(|| T::try_from(number).ok())
        .flatten()
        .ok_or_else(|| Fault::new(format!("{number} is out of range: it has to be {least} to {most}")))
}

/// One of a few words.
pub(crate) fn choice<T: Copy>(node: &Node, choices: &[(&str, T)]) -> Reading<T> {
    let names = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let Data::Text(text) = &node.data else { return Err(wrong_type(&format!("one of {names}"), node)) };
    choices.iter().find(|(name, _)| name == text).map(|(_, value)| *value).ok_or_else(|| {
        Fault::new(format!("\"{text}\" is none of {names}"))
            .suggest(text, choices.iter().map(|(name, _)| *name))
    })
}

/// File permissions as octal text, at most 0777.
pub(crate) fn mode(node: &Node) -> Reading<u32> {
    match &node.data {
        Data::Text(text) => {
            let digits = text.strip_prefix("0o").unwrap_or(text);
            u32::from_str_radix(digits, 8)
                .ok()
                .filter(|mode| *mode <= 0o777 && digits.bytes().all(|byte| byte.is_ascii_digit()))
                .ok_or_else(|| {
                    Fault::new(format!("\"{text}\" is not an octal mode from \"0000\" to \"0777\""))
                })
        }
        Data::Integer(number) => Err(Fault::new("expected octal digits in quotes, found an integer")
            .help(format!("write \"{number:04}\""))),
        _ => Err(wrong_type("octal digits in quotes", node)),
    }
}

/// A signal's number, from its name with or without `SIG`, or from the number.
pub(crate) fn signal(node: &Node) -> Reading<i32> {
    let text = match &node.data {
        Data::Text(text) => text.clone(),
        Data::Integer(number) => number.to_string(),
        _ => return Err(wrong_type("a signal's name or number", node)),
    };
    supervise::signal_number(&text).ok_or_else(|| {
        let upper = text.to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        Fault::new(format!("there is no signal \"{text}\""))
            .suggest(bare, supervise::signal_names().map(|name| name.trim_start_matches("SIG")))
    })
}

/// As [`signal`]; `""` means none.
pub(crate) fn signal_or_none(node: &Node) -> Reading<Option<i32>> {
    match &node.data {
        Data::Text(text) if text.is_empty() => Ok(None),
        _ => signal(node).map(Some),
    }
}

/// A command: an array of words, or a string split by the shell's quoting rules.
pub(crate) fn command(node: &Node) -> Reading<Vec<String>> {
    let words = match &node.data {
        Data::Text(_) => {
            let text = text(node)?;
            shlex::split(&text).ok_or_else(|| {
                Fault::new("a quote or backslash in this command has no end")
                    .help("close it, or write the command as an array of strings")
            })?
        }
        Data::List(list) => each(list, text)?,
        _ => return Err(wrong_type("a command, as an array of strings or one string", node)),
    };
    match words.first() {
        Some(program) if !program.is_empty() => Ok(words),
        _ => Err(Fault::new("the command is empty").help("name a program")),
    }
}

/// The items of what has to be an array of strings.
pub(crate) fn strings(node: &Node) -> Reading<&[Node]> {
    let Data::List(list) = &node.data else {
        let fault = wrong_type("an array of strings", node);
        return Err(match &node.data {
            Data::Text(text) => fault.help(format!("write [\"{text}\"]")),
            _ => fault,
        });
    };
    Ok(list)
}

/// An array of strings, each with its place.
pub(crate) fn words(node: &Node) -> Reading<Vec<(String, super::diagnostic::Place)>> {
    each(strings(node)?, |item| Ok((text(item)?, item.place)))
}

/// An array of exit codes, each as `code` reads it.
pub(crate) fn exit_codes(node: &Node, code: impl Fn(&Node) -> Reading<u8>) -> Reading<Vec<u8>> {
    let Data::List(list) = &node.data else { return Err(wrong_type("an array of exit codes", node)) };
    each(list, code)
}

/// Environment variables, in order.
pub(crate) fn variables(node: &Node) -> Reading<Vec<(String, String)>> {
    let Data::Table(table) = &node.data else {
        return Err(wrong_type("a table of environment variables", node));
    };
    all(table.entries.iter().map(|entry| {
        let name = variable_name(&entry.key).map_err(|fault| fault.at(entry.place));
        let value = text(&entry.node).map_err(|fault| fault.at(entry.node.place));
        both(name, value).map(|((), value)| (entry.key.clone(), value))
    }))
}

/// Whether a name can be an environment variable's.
pub(crate) fn variable_name(name: &str) -> Reading<()> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(Fault::new(format!("\"{}\" cannot name an environment variable", name.escape_default())));
    }
    Ok(())
}

/// Names of listeners, companions and streams: a letter, then letters, digits, `_` and `-`.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The fault of what is not a name.
pub(crate) fn not_a_name(what: &str, text: &str) -> Fault {
    Fault::new(format!("\"{}\" cannot name {what}", text.escape_debug()))
        .help("a name is a letter followed by letters, digits, \"_\" and \"-\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostic::Place;

    fn node(data: Data) -> Node {
        Node { place: Place::new(0, 0..0), data }
    }

    fn texted(text: &str) -> Node {
        node(Data::Text(text.into()))
    }

    #[test]
    fn modes_are_octal_text() {
        for (text, expected) in [("0600", 0o600), ("666", 0o666), ("0o777", 0o777), ("0", 0)] {
            assert_eq!(mode(&texted(text)), Ok(expected), "{text}");
        }
        for text in ["", "0888", "1777", "+600", "rw", "0o"] {
            assert!(mode(&texted(text)).is_err(), "{text}");
        }
        let fault = mode(&node(Data::Integer(600))).unwrap_err();
        assert_eq!(fault.help.as_deref(), Some("write \"0600\""));
    }

    #[test]
    fn a_signal_has_a_name_or_a_number_and_a_near_miss_is_told() {
        assert_eq!(signal(&texted("TERM")), Ok(15));
        assert_eq!(signal(&texted("SIGUSR1")), Ok(10));
        assert_eq!(signal(&node(Data::Integer(9))), Ok(9));
        assert_eq!(signal_or_none(&texted("")), Ok(None));
        let fault = signal(&texted("SIGTREM")).unwrap_err();
        assert_eq!(fault.help.as_deref(), Some("did you mean \"TERM\"?"));
        assert!(signal(&node(Data::Integer(65))).is_err());
    }

    #[test]
    fn a_command_is_split_as_a_shell_would_and_never_empty() {
        let split = command(&texted("sh -c 'echo \"$HOME\"' a\\ b")).unwrap();
        assert_eq!(split, ["sh", "-c", "echo \"$HOME\"", "a b"]);
        assert_eq!(command(&node(Data::List(vec![texted("a b")]))), Ok(vec!["a b".into()]));
        for empty in [texted(""), texted("  "), texted("''"), node(Data::List(vec![])), texted("it's")] {
            assert!(command(&empty).is_err(), "{empty:?}");
        }
    }

    #[test]
    fn a_nul_is_refused_and_a_number_gets_advice() {
        assert!(text(&texted("a\0b")).is_err());
        let fault = text(&node(Data::Integer(8000))).unwrap_err();
        assert_eq!(fault.message, "expected a string, found an integer");
        assert_eq!(fault.help.as_deref(), Some("write \"8000\" in quotes"));
    }
}
