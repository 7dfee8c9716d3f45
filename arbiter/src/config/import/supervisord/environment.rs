//! `environment = KEY="value",KEY2=value`.

/// The pairs, or `None` where the text is none of that form. Quotes go round a whole value; within them everything
/// stands for itself.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = value(after.trim_start())?;
        pairs.push((name.trim().trim_matches(['"', '\'']).to_owned(), value));
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(pairs)
}

/// The value at the beginning of a text, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    for quote in ['"', '\''] {
        if let Some(inside) = text.strip_prefix(quote) {
            let (value, after) = inside.split_once(quote)?;
            return Some((value.to_owned(), after));
        }
    }
    let end = text.find(',').unwrap_or(text.len());
    Some((text[..end].trim().to_owned(), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_may_go_round_values_and_lines_may_break_after_commas() {
        let read = |text| {
            let pairs = pairs(text)?;
            Some(pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>())
        };
        let cases: [(&str, &[&str]); 5] = [
            ("A=1,B=2", &["A=1", "B=2"]),
            ("A=\"x,y=z\",\nB='it \"is\"' ,", &["A=x,y=z", "B=it \"is\""]),
            ("PATH=/a:/b", &["PATH=/a:/b"]),
            ("A=,B=\"\"", &["A=", "B="]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
        for text in ["A", "A=\"x", "A=\"x\"y,B=1"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
