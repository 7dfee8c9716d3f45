//! The answer to `stats`.

use super::processes::process_name;
use super::text::{columns, cut, pad};
use super::time::uptime;
use super::view::View;
use proto::control::Stats;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write;
use sys::terminal::Size;

const HEAD: [&str; 7] = ["NAME", "PID", "CPU%", "CPU TIME", "MEMORY", "FDS", "THREADS"];
/// Between two columns.
const GAP: usize = 2;
/// What a watched table can be told.
const KEYS: &str = "keys: c m n, q to quit";

/// What a watched table is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// Who uses the processor most comes first.
    #[default]
    Cpu,
    /// Who uses most memory comes first.
    Memory,
    /// As without watching.
    Name,
}

impl Order {
    /// The order that a key stands for.
    pub(crate) fn of_key(key: u8) -> Option<Self> {
        match key {
            b'c' => Some(Self::Cpu),
            b'm' => Some(Self::Memory),
            b'n' => Some(Self::Name),
            _ => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Cpu => "processor",
            Self::Memory => "memory",
            Self::Name => "name",
        }
    }

    fn sort(self, list: &mut [&Stats]) {
        match self {
            Self::Cpu => list.sort_by(|one, other| other.cpu.total_cmp(&one.cpu)),
            Self::Memory => list.sort_by_key(|one| Reverse(one.memory)),
            Self::Name => {}
        }
    }
}

/// A table of what each process uses, and the sum where there are several.
pub(super) fn stats(list: &[Stats], view: View) -> String {
    let (mut rows, namesakes) = (vec![HEAD.map(String::from)], namesakes(list));
    rows.extend(list.iter().map(|one| row(one, &namesakes)));
    if list.len() > 1 {
        rows.push(cells("sum".into(), String::new(), &sum(list)));
    }
    align(&rows, view.size.map(|size| size.columns)).fold(String::new(), |mut text, row| {
        let _ = writeln!(text, "{row}");
        text
    })
}

/// The rows of a screen: the sum, then as many processes as fit, in `order`.
pub(super) fn screen(list: &[Stats], order: Order, size: Size) -> Vec<String> {
    let mut sorted: Vec<&Stats> = list.iter().collect();
    order.sort(&mut sorted);
    let (mut rows, namesakes) = (vec![HEAD.map(String::from)], namesakes(list));
    rows.extend(sorted.into_iter().map(|one| row(one, &namesakes)));
    let mut screen: Vec<String> =
        heading(list, order).iter().map(|row| cut(row, size.columns)).take(size.rows).collect();
    let room = size.rows.saturating_sub(screen.len());
    let missing = rows.len().saturating_sub(room);
    let rows = align(&rows, Some(size.columns));
    if missing == 0 {
        screen.extend(rows);
    } else if room > 0 {
        screen.extend(rows.take(room - 1));
        screen.push(cut(&format!("… and {} more", missing + 1), size.columns));
    }
    screen
}

fn heading(list: &[Stats], order: Order) -> [String; 2] {
    let sum = sum(list);
    let processes = match list.len() {
        1 => "1 process".into(),
        count => format!("{count} processes"),
    };
    let (cpu, memory) = (sum.cpu * 100.0, bytes(sum.memory));
    let totals = format!(
        "{processes}: {cpu:.1}% of a processor, {memory}, {} descriptors, {} threads",
        sum.descriptors, sum.threads
    );
    [totals, format!("by {} ({KEYS})", order.word())]
}

/// How many of each name there are.
fn namesakes(list: &[Stats]) -> HashMap<&str, usize> {
    list.iter().fold(HashMap::new(), |mut namesakes, one| {
        *namesakes.entry(&one.name).or_default() += 1;
        namesakes
    })
}

fn row(one: &Stats, namesakes: &HashMap<&str, usize>) -> [String; 7] {
    let name = process_name(&one.name, one.slot, namesakes.get(one.name.as_str()).copied().unwrap_or(1));
    cells(name, one.pid.to_string(), one)
}

fn cells(name: String, pid: String, one: &Stats) -> [String; 7] {
    let cpu = format!("{:.1}", one.cpu * 100.0);
    let (descriptors, threads) = (one.descriptors.to_string(), one.threads.to_string());
    [name, pid, cpu, uptime(one.cpu_time), bytes(one.memory), descriptors, threads]
}

/// Names to the left, numbers to the right; names are cut where a row would be wider than `width`.
fn align(rows: &[[String; 7]], width: Option<usize>) -> impl Iterator<Item = String> {
    let mut widths = [0; 7];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(columns(cell));
        }
    }
    if let Some(width) = width {
        let numbers: usize = widths[1..].iter().map(|width| GAP + width).sum();
        widths[0] = widths[0].min(width.saturating_sub(numbers).max(HEAD[0].len()));
    }
    rows.iter().map(move |[name, numbers @ ..]| {
        let mut text = pad(&cut(name, widths[0]), widths[0]);
        for (cell, width) in numbers.iter().zip(&widths[1..]) {
            let _ = write!(text, "{:GAP$}{cell:>width$}", "");
        }
        text
    })
}

/// The sum of all, without a name.
pub(crate) fn sum(list: &[Stats]) -> Stats {
    Stats {
        name: String::new(),
        slot: None,
        pid: 0,
        cpu: list.iter().map(|one| one.cpu).sum(),
        cpu_time: list.iter().map(|one| one.cpu_time).sum(),
        memory: list.iter().map(|one| one.memory).sum(),
        descriptors: list.iter().map(|one| one.descriptors).sum(),
        threads: list.iter().map(|one| one.threads).sum(),
    }
}

/// `512 B`, `1.5 MiB`.
fn bytes(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, shift) in units {
        if bytes >> shift > 0 {
            // Tenths, rounded down: a size is never shown larger than it is.
            let tenths = (u128::from(bytes) * 10) >> shift;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn one(slot: u32, pid: i32) -> Stats {
        Stats {
            name: "rq".into(),
            slot: Some(slot),
            pid,
            cpu: 0.125,
            cpu_time: Duration::from_secs(61),
            memory: 3 << 19,
            descriptors: 9,
            threads: 2,
        }
    }

    #[test]
    fn stats_are_a_table_with_their_sum() {
        let expected = "\
NAME   PID  CPU%  CPU TIME   MEMORY  FDS  THREADS
rq:1    40  12.5   0:01:01  1.5 MiB    9        2
rq:2  4100  12.5   0:01:01  1.5 MiB    9        2
sum         25.0   0:02:02  3.0 MiB   18        4
";
        assert_eq!(stats(&[one(1, 40), one(2, 4100)], View::FILE), expected);
        let alone = stats(&[one(1, 40)], View::FILE);
        assert!(!alone.contains("sum") && alone.contains("\nrq     40"), "{alone}");
    }

    #[test]
    fn a_name_is_cut_where_a_terminal_is_too_narrow() {
        let long = Stats { name: "batch.import-of-everything-that-came-in-at-night".into(), ..one(1, 40) };
        let expected = "\
NAME                                  PID  CPU%  CPU TIME   MEMORY  FDS  THREADS
batch.import-of-everything-that-cam…   40  12.5   0:01:01  1.5 MiB    9        2
";
        assert_eq!(stats(std::slice::from_ref(&long), View::terminal(80, 24)), expected);
        assert!(stats(&[long], View::terminal(200, 50)).contains("at-night  "));
    }

    #[test]
    fn a_screen_begins_with_the_sum_and_who_uses_most() {
        let busy = Stats { cpu: 0.5, ..one(2, 4100) };
        let big = Stats { memory: 1 << 30, ..one(3, 41) };
        let list = [one(1, 40), busy, big];
        let expected = "\
3 processes: 75.0% of a processor, 1.0 GiB, 27 descriptors, 6 threads
by processor (keys: c m n, q to quit)
NAME   PID  CPU%  CPU TIME   MEMORY  FDS  THREADS
rq:2  4100  50.0   0:01:01  1.5 MiB    9        2
rq:1    40  12.5   0:01:01  1.5 MiB    9        2
rq:3    41  12.5   0:01:01  1.0 GiB    9        2";
        let size = Size { columns: 80, rows: 24 };
        assert_eq!(screen(&list, Order::Cpu, size).join("\n"), expected);
        assert!(screen(&list, Order::Memory, size)[3].starts_with("rq:3"));
        assert!(screen(&list, Order::Name, size)[3].starts_with("rq:1"));
        let low = screen(&list, Order::Cpu, Size { columns: 80, rows: 5 });
        assert_eq!((low.len(), low[4].as_str()), (5, "… and 2 more"));
        for rows in 0..9 {
            assert!(screen(&list, Order::Cpu, Size { columns: 20, rows }).len() <= rows);
        }
    }

    #[test]
    fn sizes_are_in_the_unit_that_fits() {
        for (size, expected) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_048_575, "1023.9 KiB"), (5 << 29, "2.5 GiB")]
        {
            assert_eq!(bytes(size), expected);
        }
        assert_eq!(bytes(u64::MAX), "17179869183.9 GiB");
    }
}
