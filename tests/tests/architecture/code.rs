//! Rust source without what is said in it: comments, texts and characters are left out.

/// `source` with each comment and literal replaced by a space.
pub(crate) fn code(source: &str) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = literal(rest, code.chars().next_back());
        if skipped > 0 {
            code.push(' ');
            rest = &rest[skipped..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// How many bytes at the start of `rest` are a comment or literal.
fn literal(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return comment(rest);
    }
    if rest.starts_with('"') {
        return text(rest);
    }
    if rest.starts_with('r') && !before.is_some_and(|c| c != 'b' && (c.is_alphanumeric() || c == '_')) {
        return raw_text(rest);
    }
    if rest.starts_with('\'') { character(rest) } else { 0 }
}

/// Comments can contain comments.
fn comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn text(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw_text(rest: &str) -> usize {
    let hashes = rest[1..].bytes().take_while(|&byte| byte == b'#').count();
    if !rest[1 + hashes..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let start = 2 + hashes;
    rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len())
}

/// A character, not a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => rest[3..].find('\'').map_or(0, |at| 3 + at + 1),
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

/// The names in `code`, in order.
pub(crate) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Whether `code` names the module or item at `path` below `std`, alone or in braces.
pub(crate) fn names_std(code: &str, path: &str) -> bool {
    let packed: String = code.split_whitespace().collect();
    let alone = format!("std::{path}");
    let is_end = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    packed.match_indices(&alone).any(|(at, _)| is_end(&packed[at + alone.len()..]))
        || packed.match_indices("std::{").any(|(at, _)| braces(&packed[at + 6..]).any(|name| name == path))
}

/// The first names of the paths in a list in braces, whose opening one is before `rest`.
fn braces(rest: &str) -> impl Iterator<Item = &str> {
    let mut depth = 1;
    let end = rest.find(|c| {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        depth == 0
    });
    rest[..end.unwrap_or(rest.len())].split([',', '{']).filter_map(|path| words(path).next())
}

#[test]
fn comments_and_literals_are_no_code() {
    let source = r####"
        // unsafe
        /* unsafe /* unsafe */ unsafe */
        let a = "unsafe \" unsafe"; let b = r#"un"safe"#; let c = b"unsafe";
        let d = '"'; let e = '\''; fn f<'a>(x: &'a str) { safe(x) } "unsafe"
    "####;
    let found = code(source);
    assert!(!words(&found).any(|word| word == "unsafe"), "{found}");
    assert!(words(&found).any(|word| word == "safe"), "{found}");
}

#[test]
fn a_name_of_the_standard_library_is_seen_however_it_is_written() {
    for source in
        ["std::fs::read(x)", "use std::fs;", "use std::{fmt, fs};", "use std::{fs::{self, File}, io};"]
    {
        assert!(names_std(source, "fs"), "{source}");
    }
    for source in ["std::fspath", "use std::fmt;", "use std::{fmt::{self, Write}, io};", "self::fs"] {
        assert!(!names_std(source, "fs"), "{source}");
    }
}
