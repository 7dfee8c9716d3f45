//! Durations and sizes.

use super::diagnostic::Fault;
use super::tree::{Data, Node};
use super::value::{Reading, wrong_type};
use std::time::Duration;

/// The longest duration: a year. What is longer is a slip of the unit.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Units of durations in seconds.
const TIME: &[(&str, f64)] = &[
    ("us", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("sec", 1.0),
    ("m", 60.0),
    ("min", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
    ("w", 604_800.0),
];

/// Units of sizes in bytes: a single letter counts by 1024, as memory does.
const BYTES: &[(&str, u64)] = &[
    ("B", 1),
    ("K", 1 << 10),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("KB", 1_000),
    ("M", 1 << 20),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("G", 1 << 30),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("T", 1 << 40),
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
];

/// A duration: seconds as a number, or text with units. Not negative, at most a year, in whole microseconds
/// (finer ones would not survive being written as a number and read again).
pub(crate) fn duration(node: &Node) -> Reading<Duration> {
    let seconds = match &node.data {
        #[expect(clippy::cast_precision_loss, reason = "what is too large to be exact is refused below")]
        Data::Integer(number) => *number as f64,
        Data::Float(number) => *number,
        Data::Text(text) => text_seconds(text)?,
        _ => return Err(wrong_type("a duration (seconds, or text as \"1m 30s\")", node)),
    };
    if seconds.is_nan() {
        return Err(no_duration("nan"));
    }
    if seconds < 0.0 {
        return Err(Fault::new("a duration cannot be negative"));
    }
    if seconds > LONGEST.as_secs_f64() {
        return Err(Fault::new("a duration can be a year at most"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just above")]
    let micros = (seconds * 1e6).round() as u64;
    Ok(Duration::from_micros(micros))
}

/// As [`duration`], but longer than nothing.
pub(crate) fn some_time(node: &Node) -> Reading<Duration> {
    let duration = duration(node)?;
    if duration.is_zero() { Err(Fault::new("this has to be longer than 0")) } else { Ok(duration) }
}

fn no_duration(written: &str) -> Fault {
    Fault::new(format!("{written} is not a duration")).help("write seconds as 0.5, or \"500ms\", \"1m 30s\"")
}

fn text_seconds(text: &str) -> Reading<f64> {
    let fault = || no_duration(&format!("\"{text}\""));
    let trimmed = text.trim();
    if let Ok(seconds) = trimmed.parse::<f64>() {
        return if seconds.is_finite() { Ok(seconds) } else { Err(fault()) };
    }
    if trimmed.is_empty() || trimmed.starts_with('-') {
        return Err(fault());
    }
    let (mut seconds, mut rest) = (0.0, trimmed);
    while !rest.is_empty() {
        let (number, unit, after) = quantity(rest).ok_or_else(fault)?;
        let Some((_, factor)) = TIME.iter().find(|(name, _)| *name == unit) else {
            let known = TIME.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
            return Err(Fault::new(format!("\"{text}\" is not a duration: its units are {known}")));
        };
        seconds += number * factor;
        rest = after.trim_start();
    }
    Ok(seconds)
}

/// A number, the letters after it, and the rest.
fn quantity(text: &str) -> Option<(f64, &str, &str)> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim_start();
    let letters = unit.find(|c: char| !c.is_alphabetic()).unwrap_or(unit.len());
    (letters > 0).then(|| (number, &unit[..letters], &unit[letters..]))
}

/// A size in bytes: a number, or text with a unit.
pub(crate) fn size(node: &Node) -> Reading<u64> {
    match &node.data {
        Data::Integer(number) => u64::try_from(*number).map_err(|_| Fault::new("a size cannot be negative")),
        Data::Text(text) => text_size(text),
        _ => Err(wrong_type("a size (bytes, or text as \"64MiB\")", node)),
    }
}

/// The bytes that text means.
pub(crate) fn text_size(text: &str) -> Reading<u64> {
    let fault =
        || Fault::new(format!("\"{text}\" is not a size")).help("write bytes as 1048576, or \"64MiB\"");
    let trimmed = text.trim();
    if let Ok(bytes) = trimmed.parse::<u64>() {
        return Ok(bytes);
    }
    let (number, unit, rest) = quantity(trimmed).ok_or_else(fault)?;
    let factor = BYTES.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let Some(factor) = factor.filter(|_| rest.is_empty()) else {
        return Err(fault().suggest(unit, BYTES.iter().map(|(name, _)| *name)));
    };
    #[expect(clippy::cast_precision_loss, reason = "the units are powers that a float holds exactly")]
    let bytes = (number * factor as f64).round();
    // Far above any memory or disk, and below what "infinity" stands for.
    if bytes > 9e18 {
        return Err(Fault::new(format!("\"{text}\" is too large")));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just above")]
    Ok(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostic::Place;
    use proto::written::{duration as write_duration, size as write_size};

    fn node(data: Data) -> Node {
        Node { place: Place::new(0, 0..0), data }
    }

    #[test]
    fn durations_are_numbers_of_seconds_or_text_with_units() {
        let cases = [
            (Data::Integer(30), 30_000_000),
            (Data::Float(0.5), 500_000),
            (Data::Text("500ms".into()), 500_000),
            (Data::Text("1m 30s".into()), 90_000_000),
            (Data::Text("1m30s".into()), 90_000_000),
            (Data::Text("1.5h".into()), 5_400_000_000),
            (Data::Text("250us".into()), 250),
            (Data::Text("30".into()), 30_000_000),
            (Data::Text("365d".into()), 31_536_000_000_000),
            (Data::Integer(0), 0),
        ];
        for (data, micros) in cases {
            let text = format!("{data:?}");
            assert_eq!(duration(&node(data)), Ok(Duration::from_micros(micros)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in ["", "-1s", "1 fortnight", "s", "1s 2", "366d", "1,5s", "inf", "NaN", "1..5s", "1e99"] {
            assert!(duration(&node(Data::Text(text.into()))).is_err(), "{text}");
        }
        for data in [
            Data::Integer(-1),
            Data::Integer(31_536_001),
            Data::Float(f64::NAN),
            Data::Float(f64::INFINITY),
            Data::Float(-0.1),
            Data::Boolean(true),
        ] {
            assert!(duration(&node(data)).is_err());
        }
        assert!(some_time(&node(Data::Integer(0))).is_err());
    }

    #[test]
    fn sizes_are_bytes_or_text_with_a_unit() {
        for (text, bytes) in [
            ("64MiB", 64 << 20),
            ("64M", 64 << 20),
            ("1.5 GiB", 3 << 29),
            ("10kB", 10_000),
            ("512", 512),
            ("0", 0),
            ("7B", 7),
        ] {
            assert_eq!(text_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1XB", "1MiB 2", "99999999TiB", "1e3"] {
            assert!(text_size(text).is_err(), "{text}");
        }
        let fault = text_size("64mib").unwrap_err();
        assert_eq!(fault.help.as_deref(), Some("did you mean \"MiB\"?"));
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for micros in [0, 1, 250, 500_000, 1_000_000, 1_100_000, 90_000_001, 31_535_999_999_999] {
            let expected = Duration::from_micros(micros);
            let written = write_duration(expected);
            let number = written.parse::<f64>().unwrap();
            assert_eq!(duration(&node(Data::Float(number))), Ok(expected), "{written}");
        }
        for (bytes, written) in [(0, "0"), (1000, "1000"), (10 << 20, "\"10MiB\""), (1 << 30, "\"1GiB\"")] {
            assert_eq!(write_size(bytes), written);
        }
    }
}
