//! When what a command prints has the form of what a page shows.

/// Stands for any lines, or within a line for any word.
pub(crate) const ANY: &str = "...";

/// Whether `printed` has the form of `shown`.
pub(crate) fn same<S: AsRef<str>>(shown: &[S], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((line, rest)) if line.as_ref() == ANY => {
            (0..=printed.len()).any(|skipped| same(rest, &printed[skipped..]))
        }
        Some((line, rest)) => printed
            .split_first()
            .is_some_and(|(first, others)| same_line(line.as_ref(), first) && same(rest, others)),
    }
}

/// Words are compared, not the space between them: a column is as wide as the longest pid.
fn same_line(shown: &str, printed: &str) -> bool {
    let (shown, printed) = (shown.split_whitespace(), printed.split_whitespace());
    shown.clone().count() == printed.clone().count()
        && shown.zip(printed).all(|(one, other)| one == ANY || blurred(one) == blurred(other))
}

/// A word with each number left out if one of them is of a moment: of three digits and more (process ids, ports,
/// years), or with a point or a colon in it (times, addresses). Other numbers count something, and have to be the same.
fn blurred(word: &str) -> String {
    let number = |letter: char| letter.is_ascii_digit() || ".:".contains(letter);
    // A sentence's own point, or the colon after a name, belongs to the text.
    let numbers = word.split(|letter| !number(letter)).map(|run| run.trim_matches(['.', ':']));
    if !numbers.clone().any(|number| number.len() > 2) {
        return word.to_owned();
    }
    let mut blurred = String::new();
    for letter in word.chars() {
        if !number(letter) {
            blurred.push(letter);
        } else if !blurred.ends_with('#') {
            blurred.push('#');
        }
    }
    blurred
}

#[test]
fn numbers_of_a_moment_may_differ_and_counts_may_not() {
    let same = |shown: &str, printed: &str| same_line(shown, printed);
    assert!(same(
        "worker:1 RUNNING pid 812, uptime 0:00:24",
        "worker:1  RUNNING   pid 20864, uptime 1:02:03"
    ));
    assert!(same("2026-01-01T12:00:00.000Z INFO [4711]", "2026-11-23T01:40:02.050Z INFO [14748]"));
    assert!(same("on 127.0.0.1:8000", "on 127.4.7.1:39123"));
    assert!(!same("worker:1 RUNNING", "worker:2 RUNNING"));
    assert!(!same("generation 1", "generation 2"));
    assert!(!same("RUNNING", "RUNNING pid"));
}

#[test]
fn three_points_stand_for_any_lines_and_for_a_word() {
    assert!(same(&["a", ANY, "b"], &["a", "b"]));
    assert!(same(&["a", ANY, "b", ANY], &["a", "x", "b", "b", "c"]));
    assert!(!same(&["a", ANY, "b"], &["a", "x"]));
    assert!(!same(&["a"], &["a", "b"]));
    assert!(same(&["worker ... ready"], &["worker 2 ready"]));
    assert!(!same(&["worker ... ready"], &["worker 2 of 3 ready"]));
}
