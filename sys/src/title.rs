//! The process title: what ps(1) shows.
//!
//! The kernel reads it from where it once put the arguments (proc(5), `/proc/PID/cmdline`). That room is written
//! over; where it is too small, so is the beginning of the room behind it, where the kernel once put the
//! environment: when the last byte of the arguments is not zero any more, it reads on to the first zero. The
//! environment is moved away before. After [`set`] the arguments cannot be read any more, neither by
//! `std::env::args`: keep a copy before. The environment can, but `/proc/PID/environ` lacks what was written over.

use std::ffi::{CStr, c_char};
use std::fs;
use std::ops::Range;
use std::sync::Mutex;

/// What the kernel shows of a title at most: a page, the smallest there is.
const MOST: usize = 4096;

unsafe extern "C" {
    /// The C library's list of variables, ended by a null pointer.
    static mut environ: *mut *mut c_char;
}

/// The room, once it was asked for. Only one may write to it.
static ROOM: Mutex<Option<Room>> = Mutex::new(None);

/// Shows `title`, cut to the room there is. Where that cannot be found (no `/proc`), only the short name is set.
/// Not to be called while another thread reads arguments or environment.
pub fn set(title: &str) {
    let Ok(mut known) = ROOM.lock() else { return };
    let Some(room) = known.or_else(Room::find) else { return set_name(title) };
    let has_moved = known.is_some_and(|room| room.has_moved);
    let room = Room { has_moved, ..room };
    *known = Some(room.show(title.as_bytes()));
}

/// Sets the short name (`/proc/PID/comm`, at most 15 bytes): a program started from a descriptor is otherwise
/// called by its number.
pub fn set_name(name: &str) {
    let mut bytes = [0u8; 16];
    for (place, byte) in bytes.iter_mut().zip(name.bytes().take(15)) {
        *place = byte;
    }
    // SAFETY: sixteen valid bytes that end with a NUL.
    unsafe { libc::prctl(libc::PR_SET_NAME, bytes.as_ptr(), 0, 0, 0) };
}

/// Where the arguments lie, and the environment right behind them.
#[derive(Clone, Copy)]
struct Room {
    start: usize,
    arguments: usize,
    environment: usize,
    /// Whether the environment has been moved away.
    has_moved: bool,
}

impl Room {
    /// From fields 48 to 51 of proc(5)'s stat.
    fn find() -> Option<Self> {
        let content = fs::read("/proc/self/stat").ok()?;
        let after = content.iter().rposition(|&byte| byte == b')')? + 1;
        let text = std::str::from_utf8(&content[after..]).ok()?;
        let mut fields = text.split_ascii_whitespace().skip(48 - 3).map(str::parse);
        let mut next = || fields.next()?.ok();
        let (start, end, variables, variables_end): (usize, usize, usize, usize) =
            (next()?, next()?, next()?, next()?);
        let arguments = end.checked_sub(start).filter(|&length| start != 0 && length > 1)?;
        // The kernel reads on only where nothing is between the two.
        let environment = if variables == end { variables_end.saturating_sub(variables) } else { 0 };
        Some(Self { start, arguments, environment, has_moved: false })
    }

    /// Writes a title. At least one NUL is left at the end.
    fn show(mut self, title: &[u8]) -> Self {
        if title.len() >= self.arguments && !self.has_moved && self.environment > 0 {
            let variables = self.start + self.arguments;
            move_environment(variables..variables + self.environment);
            self.has_moved = true;
        }
        let behind = if self.has_moved { self.environment } else { 0 };
        let room = (self.arguments + behind).min(self.arguments.max(MOST));
        let shown = &title[..title.len().min(room - 1)];
        // What is shown of an earlier title has to go; of the environment not more than is needed.
        let cleared = self.arguments.max(shown.len() + 1);
        let start: *mut u8 = std::ptr::with_exposed_provenance_mut(self.start);
        // SAFETY: the kernel itself named these bytes as this process's arguments and environment, on its own
        // writable stack; nothing of this program holds a reference into them (std hands out copies, and the C
        // library's list of variables points elsewhere where any of theirs are written over).
        unsafe {
            std::ptr::copy_nonoverlapping(shown.as_ptr(), start, shown.len());
            std::ptr::write_bytes(start.add(shown.len()), 0, cleared - shown.len());
        }
        self
    }
}

/// Points the C library's list to copies of all variables that lie in `room`. They are never freed: anybody may
/// hold what getenv(3) returned.
fn move_environment(room: Range<usize>) {
    // SAFETY: the list is as long as its null pointer says, each entry a string that ends with a NUL; whoever
    // calls `set` warrants that no other thread reads it meanwhile.
    unsafe {
        let mut entry = environ;
        while !entry.is_null() && !(*entry).is_null() {
            if room.contains(&(*entry).addr()) {
                *entry = CStr::from_ptr(*entry).to_owned().into_raw();
            }
            entry = entry.add(1);
        }
    }
}
