//! Placeholders in commands and paths.

use std::fmt;

/// A placeholder without a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unset {
    /// The environment variable that is not set.
    pub variable: String,
}

impl fmt::Display for Unset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{env.{0}}}: the environment variable {0} is not set", self.variable)
    }
}

impl std::error::Error for Unset {}

/// One piece of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text that stays.
    Text(&'a str),
    /// The name between braces.
    Placeholder(&'a str),
}

/// Cuts `template` into text and `{name}` pieces. Braces around anything that cannot be a name are text.
pub fn pieces(template: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut from = 0;
        while let Some(open) = rest[from..].find('{').map(|at| from + at) {
            let name_length = rest[open + 1..].find(|c: char| !is_name_character(c)).unwrap_or(0);
            let close = open + 1 + name_length;
            if name_length > 0 && rest[close..].starts_with('}') {
                if open > 0 {
                    let (text, after) = rest.split_at(open);
                    rest = after;
                    return Some(Piece::Text(text));
                }
                let name = &rest[1..close];
                rest = &rest[close + 1..];
                return Some(Piece::Placeholder(name));
            }
            from = open + 1;
        }
        Some(Piece::Text(std::mem::take(&mut rest)))
    })
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// `template` with every placeholder that `value` knows replaced. Unknown ones stay as they are, except
/// `{env.NAME}`, which is an error when `value` has none for it. Values are not looked into again.
///
/// # Errors
///
/// When an environment variable is not set.
pub fn expand(template: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, Unset> {
    let mut text = String::with_capacity(template.len());
    for piece in pieces(template) {
        match piece {
            Piece::Text(plain) => text.push_str(plain),
            Piece::Placeholder(name) => match (value(name), name.strip_prefix("env.")) {
                (Some(value), _) => text.push_str(&value),
                (None, Some(variable)) => return Err(Unset { variable: variable.to_owned() }),
                (None, None) => {
                    text.push('{');
                    text.push_str(name);
                    text.push('}');
                }
            },
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> Option<String> {
        match name {
            "http" => Some("3".into()),
            "slot" => Some("{http}".into()),
            "env.HOME" => Some("/root".into()),
            _ => None,
        }
    }

    #[test]
    fn known_names_are_replaced_once_and_other_braces_stay() {
        let cases = [
            ("--fd {http}", "--fd 3"),
            ("{http}{http}", "33"),
            ("{slot}", "{http}"),
            ("{env.HOME}/x", "/root/x"),
            ("{htp} {} {a b} {\"json\": {http}}", "{htp} {} {a b} {\"json\": 3}"),
            ("{{http}}", "{3}"),
            ("{http", "{http"),
            ("ä{http}ö", "ä3ö"),
            ("$HOME ${http}", "$HOME $3"),
            ("", ""),
        ];
        for (template, expected) in cases {
            assert_eq!(expand(template, value).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn an_unset_variable_is_an_error_that_names_it() {
        let error = expand("{env.NOPE}", value).unwrap_err();
        assert_eq!(error.to_string(), "{env.NOPE}: the environment variable NOPE is not set");
    }
}
