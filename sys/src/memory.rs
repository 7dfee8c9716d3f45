//! Giving memory back, and not giving it to children.

use std::fs;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use supervise::Monotonic;

use crate::reactor::Reactor;

/// How long a daemon has to be quiet before it gives memory back.
const QUIET: Duration = Duration::from_secs(1);

/// Where the heap ended when the program began.
static HEAP: OnceLock<usize> = OnceLock::new();

/// To be called first thing in `main` of a daemon: what its heap grows by from here on is no child's
/// ([`crate::spawn::spawn`]). What is there already may be the C library's own, which a child needs.
pub fn begin() {
    crate::fail_point::prepare();
    HEAP.get_or_init(|| {
        let page = usize::try_from(crate::process::page_size()).unwrap_or(1 << 16);
        heap_end().next_multiple_of(page)
    });
}

/// Keeps the heap out of the next clone: its pages are not copied, and writing to them afterwards costs no fault. A
/// daemon that has much to remember starts a process as fast as one that has little.
pub(crate) fn withhold_heap() {
    let Some(&start) = HEAP.get() else { return };
    let Some(length) = heap_end().checked_sub(start).filter(|length| *length > 0) else { return };
    // SAFETY: no page is changed, and what a child does between clone and exec needs nothing of the heap (its plan is
    // in an arena). Where the kernel refuses, the child has it as ever.
    unsafe { libc::madvise(std::ptr::with_exposed_provenance_mut(start), length, libc::MADV_DONTFORK) };
}

fn heap_end() -> usize {
    // SAFETY: an increment of 0 changes nothing.
    unsafe { libc::sbrk(0) }.expose_provenance()
}

/// When a daemon rests: once, a while after it was last busy, and then not again until it has been busy anew.
#[derive(Debug, Default)]
pub struct Rest {
    at: Option<Monotonic>,
}

impl Rest {
    /// Something was done.
    pub fn stir(&mut self, now: Monotonic) {
        self.at = Some(now + QUIET);
    }

    /// Waits for events until `deadline`. Where it stays quiet for long enough meanwhile, memory is given back
    /// once, and as little as can be is touched again before the wait goes on.
    ///
    /// # Errors
    /// As [`Reactor::wait`].
    pub fn wait(&mut self, reactor: &mut Reactor, deadline: Option<Monotonic>) -> io::Result<()> {
        if let Some(at) = self.at.filter(|at| deadline.is_none_or(|deadline| *at < deadline)) {
            reactor.wait(Some(left(at)))?;
            if reactor.events().next().is_some() {
                return Ok(());
            }
            self.at = None;
            shrink();
        }
        reactor.wait(deadline.map(left))
    }
}

fn left(until: Monotonic) -> Duration {
    until.since(Monotonic::from_boot(crate::clock::monotonic()))
}

/// Returns what nobody needs soon: free heap pages, and the resident pages of mapped files
/// (program and libraries) that this process has never changed. The latter come back from the page cache one by
/// one as they are touched. Answers how many KiB of mappings were let go.
fn shrink() -> u64 {
    trim_heap();
    let Ok(maps) = fs::read_to_string("/proc/self/smaps") else { return 0 };
    // The program comes first and libraries after it: what does this is touched again least when it goes last.
    parse(&maps).into_iter().rev().filter(let_go).map(|region| region.resident_kib).sum()
}

#[cfg(target_env = "gnu")]
fn trim_heap() {
    // SAFETY: the allocator's own call, made from a thread that holds none of its locks.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(target_env = "gnu"))]
fn trim_heap() {}

#[derive(Debug, PartialEq, Eq)]
struct Region {
    start: usize,
    length: usize,
    resident_kib: u64,
}

fn let_go(region: &Region) -> bool {
    let start = std::ptr::with_exposed_provenance_mut(region.start);
    // SAFETY: the region is a private mapping of a file that this process may only read and has no page of its
    // own in (`parse` takes no other), so that dropping its pages loses nothing: the next access reads the same
    // bytes from the file.
    unsafe { libc::madvise(start, region.length, libc::MADV_DONTNEED) == 0 }
}

/// The regions of a `/proc/PID/smaps` that are read-only, private, of a file, resident, and never written to.
/// Relocated data are read-only too but hold pages of the process's own ("Anonymous"): those must stay.
fn parse(smaps: &str) -> Vec<Region> {
    let mut regions = Vec::new();
    let mut current: Option<Region> = None;
    for line in smaps.lines() {
        if let Some(found) = header(line) {
            current = found;
        } else if let (Some(region), Some(kib)) = (&mut current, amount(line, "Rss:")) {
            region.resident_kib = kib;
        } else if let Some(kib) = amount(line, "Anonymous:") {
            regions.extend(current.take().filter(|region| kib == 0 && region.resident_kib > 0));
        }
    }
    regions
}

/// `None`: not the first line of a region. `Some(None)`: a region that is not to be touched.
fn header(line: &str) -> Option<Option<Region>> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    let fits =
        matches!(words.next()?, "r--p" | "r-xp") && words.nth(3).is_some_and(|path| path.starts_with('/'));
    Some(fits.then(|| Region { start, length: end.saturating_sub(start), resident_kib: 0 }))
}

fn amount(line: &str, key: &str) -> Option<u64> {
    line.strip_prefix(key)?.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_untouched_read_only_file_pages_are_let_go() {
        let smaps = "\
00400000-00402000 r-xp 00000000 08:01 12 /bin/x\nSize: 8 kB\nRss:   8 kB\nAnonymous: 0 kB\n\
00500000-00501000 r--p 00000000 08:01 12 /bin/x\nRss: 4 kB\nAnonymous: 4 kB\n\
00600000-00601000 rw-p 00000000 08:01 12 /bin/x\nRss: 4 kB\nAnonymous: 0 kB\n\
00700000-00701000 r--p 00000000 00:00 0 [vvar]\nRss: 4 kB\nAnonymous: 0 kB\n\
00800000-00801000 r--p 00000000 08:01 13 /lib/y (deleted)\nRss: 0 kB\nAnonymous: 0 kB\n";
        assert_eq!(parse(smaps), [Region { start: 0x40_0000, length: 0x2000, resident_kib: 8 }]);
    }

    #[test]
    fn a_daemon_rests_once_after_it_was_busy() {
        let mut reactor = Reactor::new().unwrap();
        let mut rest = Rest::default();
        let now = || Monotonic::from_boot(crate::clock::monotonic());
        let busy = now();
        rest.stir(busy);
        rest.wait(&mut reactor, Some(busy + Duration::from_millis(1))).unwrap();
        assert!(rest.at.is_some(), "it has not been quiet for long enough");
        rest.wait(&mut reactor, Some(busy + QUIET + Duration::from_millis(1))).unwrap();
        assert!(now().since(busy) > QUIET, "it waits on");
        assert_eq!(rest.at, None);
    }

    #[test]
    fn the_process_goes_on_after_shrinking() {
        assert!(shrink() > 0);
        assert!(std::env::current_exe().is_ok());
    }
}
