//! Where lines end, and what of them a file takes.

/// What is done next with whole lines that are to go to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// So many bytes of them are written.
    Write(usize),
    /// The file is rotated first.
    Rotate,
}

/// How many bytes of `bytes` are whole lines.
#[must_use]
pub fn whole(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1)
}

/// How long the first line is, its end included; all of it where it has none.
#[must_use]
pub fn first(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |at| at + 1)
}

/// What is done with `lines`, which end where a line does, before a file of `size` bytes grows above `max_size`; zero
/// is no bound. `in_line`: the file ends within a line, which the first of them completes. Each other line is written
/// with a stamp of `stamp` bytes in front. A line that is longer than a whole file has one to itself.
#[must_use]
pub fn fit(lines: &[u8], in_line: bool, size: u64, max_size: u64, stamp: usize) -> Fit {
    let room = usize::try_from(max_size.saturating_sub(size)).unwrap_or(usize::MAX);
    if max_size == 0 {
        return Fit::Write(lines.len());
    }
    match whole_within(lines, in_line, room, stamp) {
        0 if in_line || size == 0 => Fit::Write(first(lines)),
        0 => Fit::Rotate,
        length => Fit::Write(length),
    }
}

/// How many bytes of `lines` are whole lines of which no more than `room` bytes are written.
fn whole_within(lines: &[u8], in_line: bool, room: usize, stamp: usize) -> usize {
    if stamp == 0 {
        return whole(&lines[..room.min(lines.len())]);
    }
    let (mut taken, mut written, mut begun) = (0, 0, in_line);
    while taken < lines.len() {
        let line = first(&lines[taken..]);
        written += line + if begun { 0 } else { stamp };
        if written > room {
            break;
        }
        taken += line;
        begun = false;
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_last_line_end_is_no_line() {
        assert_eq!(whole(b""), 0);
        assert_eq!(whole(b"abc"), 0);
        assert_eq!(whole(b"a\nbc"), 2);
        assert_eq!(whole(b"a\n\n"), 3);
        assert_eq!((first(b"a\nb\n"), first(b"abc")), (2, 3));
    }

    #[test]
    fn as_many_lines_go_to_a_file_as_fit_whole() {
        let lines = b"one\ntwo\nthree\n";
        assert_eq!(fit(lines, false, 1 << 40, 0, 0), Fit::Write(14));
        assert_eq!(fit(lines, false, 0, 14, 0), Fit::Write(14));
        assert_eq!(fit(lines, false, 0, 13, 0), Fit::Write(8));
        assert_eq!(fit(lines, false, 6, 13, 0), Fit::Write(4));
        assert_eq!(fit(lines, false, 10, 13, 0), Fit::Rotate);
        assert_eq!(fit(lines, false, 99, 13, 0), Fit::Rotate);
    }

    /// Files with timestamps grew far above their bound.
    #[test]
    fn stamps_take_room_too() {
        let lines = b"one\ntwo\nthree\n";
        assert_eq!(fit(lines, false, 0, 44, 10), Fit::Write(14));
        assert_eq!(fit(lines, false, 0, 43, 10), Fit::Write(8));
        assert_eq!(fit(lines, true, 10, 44, 10), Fit::Write(14));
        assert_eq!(fit(lines, false, 10, 23, 10), Fit::Rotate);
        assert_eq!(fit(lines, false, 0, 13, 10), Fit::Write(4));
        assert_eq!(fit(lines, false, 1 << 40, 0, 10), Fit::Write(14));
    }

    #[test]
    fn a_line_longer_than_a_file_has_one_to_itself_and_a_begun_one_stays_where_it_is() {
        assert_eq!(fit(b"longer\nb\n", false, 0, 3, 0), Fit::Write(7));
        assert_eq!(fit(b"longer\nb\n", false, 1, 3, 0), Fit::Rotate);
        assert_eq!(fit(b"rest\nb\n", true, 99, 3, 0), Fit::Write(5));
    }
}
