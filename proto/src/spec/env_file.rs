//! Files of environment variables, in the grammar that systemd.exec(5) gives `EnvironmentFile=`.
//!
//! One assignment a line. Empty lines, lines that begin with `#` or `;` and lines without `=` are passed over. White
//! space around name and value goes; inside it stays. In plain text a backslash keeps the next character as it is;
//! between `'` nothing is special; between `"` a backslash keeps `"`, `\`, `` ` `` and `$` and otherwise stays
//! itself. Outside of `'`, a backslash at the end of a line joins the next one to it. A quote opens only where a
//! value, or a further part of it behind a closed quote, begins. `export` is not known.

/// The longest file that is read, in bytes: more than exec could pass on.
pub const LONGEST: u64 = 4 << 20;

/// The content is not UTF-8, or has a NUL byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not UTF-8 text without NUL bytes")]
pub struct NotText;

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// Names and values in the order of the file; of equal names the last one counts.
    pub set: Vec<(String, String)>,
    /// The numbers, from 1, of lines that look like an assignment and are passed over: what is left of `=` cannot
    /// be a name (ASCII letters, digits and `_`, no digit first).
    pub ignored: Vec<usize>,
}

/// Where in its line a character stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spot {
    /// Before a name.
    Start,
    /// In a name.
    Name,
    /// Before a value, or between its parts.
    Gap,
    /// In plain text.
    Plain,
    /// In plain text behind a backslash.
    PlainEscape,
    /// Between `'`.
    Single,
    /// Between `"`.
    Double,
    /// Between `"` behind a backslash.
    DoubleEscape,
    /// In a comment.
    Comment,
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_newline(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

struct Parser {
    spot: Spot,
    name: String,
    value: String,
    /// How much of `value` stays even where white space at its end goes: what was quoted or escaped.
    kept: usize,
    line: usize,
    begun: usize,
    found: Variables,
}

/// Reads the content of a file.
///
/// # Errors
/// [`NotText`]. Everything that is text has a meaning.
pub fn parse(content: &[u8]) -> Result<Variables, NotText> {
    let text = std::str::from_utf8(content).map_err(|_| NotText)?;
    if text.contains('\0') {
        return Err(NotText);
    }
    let mut parser = Parser {
        spot: Spot::Start,
        name: String::new(),
        value: String::new(),
        kept: 0,
        line: 1,
        begun: 1,
        found: Variables::default(),
    };
    for c in text.chars() {
        parser.take(c);
        parser.line += usize::from(c == '\n');
    }
    if !matches!(parser.spot, Spot::Start | Spot::Name | Spot::Comment) {
        parser.finish();
    }
    Ok(parser.found)
}

impl Parser {
    fn take(&mut self, c: char) {
        self.spot = match self.spot {
            Spot::Start if is_space(c) => Spot::Start,
            Spot::Start if matches!(c, '#' | ';') => Spot::Comment,
            Spot::Start | Spot::Name => self.take_of_name(c),
            Spot::Gap => match c {
                '\'' => Spot::Single,
                '"' => Spot::Double,
                '\\' => Spot::PlainEscape,
                c if is_newline(c) => self.finish(),
                c if is_space(c) => Spot::Gap,
                c => self.push(c, Spot::Plain),
            },
            Spot::Plain => match c {
                '\\' => Spot::PlainEscape,
                c if is_newline(c) => self.finish(),
                c => self.push(c, Spot::Plain),
            },
            Spot::PlainEscape if is_newline(c) => Spot::Plain,
            Spot::PlainEscape => self.keep(c, Spot::Plain),
            Spot::Single if c == '\'' => Spot::Gap,
            Spot::Single => self.keep(c, Spot::Single),
            Spot::Double => match c {
                '"' => Spot::Gap,
                '\\' => Spot::DoubleEscape,
                c => self.keep(c, Spot::Double),
            },
            Spot::DoubleEscape if c == '\n' => Spot::Double,
            Spot::DoubleEscape => {
                if !matches!(c, '"' | '\\' | '`' | '$') {
                    self.keep('\\', Spot::Double);
                }
                self.keep(c, Spot::Double)
            }
            Spot::Comment if is_newline(c) => Spot::Start,
            Spot::Comment => Spot::Comment,
        };
    }

    fn take_of_name(&mut self, c: char) -> Spot {
        if self.spot == Spot::Start {
            self.begun = self.line;
        }
        if is_newline(c) {
            self.name.clear();
            return Spot::Start;
        }
        if c == '=' {
            return Spot::Gap;
        }
        self.name.push(c);
        Spot::Name
    }

    fn push(&mut self, c: char, spot: Spot) -> Spot {
        self.value.push(c);
        spot
    }

    fn keep(&mut self, c: char, spot: Spot) -> Spot {
        self.value.push(c);
        self.kept = self.value.len();
        spot
    }

    /// The end of an assignment.
    fn finish(&mut self) -> Spot {
        let mut value = std::mem::take(&mut self.value);
        let plain = value[self.kept..].trim_end_matches(is_space).len();
        value.truncate(self.kept + plain);
        self.kept = 0;
        let name = std::mem::take(&mut self.name);
        let name = name.trim_end_matches(is_space);
        if is_name(name) {
            self.found.set.push((name.to_owned(), value));
        } else {
            self.found.ignored.push(self.begun);
        }
        Spot::Start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, String)> {
        parse(text.as_bytes()).unwrap().set
    }

    #[test]
    fn each_line_means_what_the_manual_says() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("A=1", &[("A", "1")]),
            ("A=1\r\nB=2\r\n", &[("A", "1"), ("B", "2")]),
            ("  A = a  b \t\n", &[("A", "a  b")]),
            ("A=\nB=''\nC=\"\"", &[("A", ""), ("B", ""), ("C", "")]),
            ("# A=1\n  ; B=2\n\nno assignment\nC=3 # part of it\n", &[("C", "3 # part of it")]),
            ("#comment \\\nA=1\n", &[("A", "1")]),
            ("A=one \\\ntwo\n", &[("A", "one two")]),
            ("A=\\\n x\n", &[("A", " x")]),
            ("A=a\\ \\\\\\'b\\ \n", &[("A", "a \\'b ")]),
            ("A='$x \\ \"\n two' \nB=1", &[("A", "$x \\ \"\n two"), ("B", "1")]),
            (r#"A="\$x \` \" \\ \n""#, &[("A", "$x ` \" \\ \\n")]),
            ("A=\"one \\\ntwo\n three \"\n", &[("A", "one two\n three ")]),
            ("A='one' \"two\" three \n", &[("A", "onetwothree")]),
            ("A=it's \"so\"", &[("A", "it's \"so\"")]),
            ("A='not closed\nB=2", &[("A", "not closed\nB=2")]),
            ("A=1=2\nA=3", &[("A", "1=2"), ("A", "3")]),
            ("A=ä€", &[("A", "ä€")]),
            ("A=$HOME ${B} {env.C}", &[("A", "$HOME ${B} {env.C}")]),
        ];
        for (text, expected) in cases {
            let expected: Vec<_> =
                expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(values(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_passed_over_and_its_line_known() {
        let parsed = parse(b"A='\n'\nexport B=1\n1C=2\n=3\nD-E=4\n_f9=5\n").unwrap();
        assert_eq!(parsed.set, [("A".into(), "\n".into()), ("_f9".into(), "5".into())]);
        assert_eq!(parsed.ignored, [3, 4, 5, 6]);
    }

    #[test]
    fn only_what_is_no_text_is_an_error() {
        assert_eq!(parse(b"A=\xff"), Err(NotText));
        assert_eq!(parse(b"A=\0"), Err(NotText));
    }
}
