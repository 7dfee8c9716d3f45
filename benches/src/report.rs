//! The table for people and the file for programs.

use crate::figures::{Figure, Part, Row};
use crate::sample::{median, percentile};
use anyhow::Context;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// Prints the table and writes the file.
///
/// # Errors
/// The file cannot be written.
pub fn publish(figures: &[(&str, Figure)], results: &Path) -> anyhow::Result<()> {
    let text = figures.iter().map(|(_, figure)| table(figure)).collect::<Vec<_>>().join("\n");
    std::io::stdout().write_all(text.as_bytes())?;
    let figures: serde_json::Map<String, Value> =
        figures.iter().map(|(name, figure)| ((*name).to_owned(), object(figure))).collect();
    let file = json!({ "schema": 1, "machine": machine(), "figures": figures });
    let text = format!("{file:#}\n");
    std::fs::write(results, text).with_context(|| format!("cannot write {}", results.display()))
}

fn table(figure: &Figure) -> String {
    let mut text = format!("{} [{}]\n", figure.title, figure.unit);
    let _ = writeln!(
        text,
        "  {:<42} {:>9} {:>9} {:>9} {:>4} {:>8} {:>8}",
        "", "median", "p10", "p90", "n", "x limit", "x peer"
    );
    for row in &figure.rows {
        let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        let spread = |percent| (row.values.len() > 1).then(|| percentile(&row.values, percent)).flatten();
        let _ = writeln!(
            text,
            "  {:<42} {:>9} {:>9} {:>9} {:>4} {:>8} {:>8}",
            row.contestant,
            shown(median(&row.values)),
            shown(spread(10)),
            shown(spread(90)),
            row.values.len(),
            shown(figure.ratio(row, Part::Limit)),
            shown(figure.ratio(row, Part::Peer)),
        );
        if !row.counts.is_empty() {
            let counts = row.counts.iter().map(|(word, number)| format!("{word} {number}"));
            let _ = writeln!(text, "  {:<42} {}", "", counts.collect::<Vec<_>>().join(", "));
        }
    }
    text
}

fn object(figure: &Figure) -> Value {
    let rows: Vec<Value> = figure
        .rows
        .iter()
        .map(|row| {
            json!({
                "contestant": row.contestant,
                "median": median(&row.values),
                "p10": percentile(&row.values, 10),
                "p90": percentile(&row.values, 90),
                "samples": row.values.len(),
                "counts": row.counts,
                "ratio_to_limit": figure.ratio(row, Part::Limit),
                "ratio_to_peer": figure.ratio(row, Part::Peer),
            })
        })
        .collect();
    json!({ "title": figure.title, "unit": figure.unit, "rows": rows })
}

impl Figure {
    /// The median of `row` over that of the contestant with `part`. None without one, or over nothing.
    fn ratio(&self, row: &Row, part: Part) -> Option<f64> {
        let other = self.rows.iter().find(|other| other.part == part)?;
        let (value, base) = (median(&row.values)?, median(&other.values)?);
        (base > 0.0).then(|| value / base)
    }
}

/// What a reader needs to know of where it was taken.
fn machine() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    json!({
        "cpus": std::thread::available_parallelism().map_or(0, usize::from),
        "kernel": read("/proc/sys/kernel/osrelease"),
        "load": read("/proc/loadavg"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_medians_and_there_is_none_over_nothing() {
        let row = |part, values: &[f64]| Row { values: values.to_vec(), ..Row::new("x", part) };
        let rows =
            vec![row(Part::Limit, &[2.0]), row(Part::Other, &[1.0, 3.0, 9.0]), row(Part::Peer, &[0.0])];
        let figure = Figure { title: "t", unit: "u", rows };
        assert_eq!(figure.ratio(&figure.rows[1], Part::Limit), Some(1.5));
        assert_eq!(figure.ratio(&figure.rows[1], Part::Peer), None);
        assert_eq!(figure.ratio(&figure.rows[1], Part::Other), Some(1.0));
    }
}
