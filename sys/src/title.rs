//! The process title: what ps(1) shows.
//!
//! The kernel reads it from where it once put the arguments. That room is written over, and only that: the
//! environment behind it is still in use by the C library. After [`set`] the arguments cannot be read any more,
//! neither by `std::env::args`: keep a copy before.

use std::fs;

/// Shows `title`, cut to the room the arguments had. Where they cannot be found (no `/proc`), only the short
/// name is set. Not to be called while another thread reads the arguments.
pub fn set(title: &str) {
    match arguments() {
        Some((start, length)) if length > 1 => {
            let shown = &title.as_bytes()[..title.len().min(length - 1)];
            // SAFETY: the kernel itself named these bytes as this process's arguments, on its own writable stack;
            // nothing of this program holds a reference into them (std hands out copies), and at least one NUL
            // is left at the end.
            unsafe {
                std::ptr::copy_nonoverlapping(shown.as_ptr(), start, shown.len());
                std::ptr::write_bytes(start.add(shown.len()), 0, length - shown.len());
            }
        }
        _ => set_name(title),
    }
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

/// Where the arguments lie: address and length, from fields 48 and 49 of proc(5)'s stat.
fn arguments() -> Option<(*mut u8, usize)> {
    let content = fs::read("/proc/self/stat").ok()?;
    let after = content.iter().rposition(|&byte| byte == b')')? + 1;
    let text = std::str::from_utf8(&content[after..]).ok()?;
    let mut fields = text.split_ascii_whitespace().skip(48 - 3);
    let start: usize = fields.next()?.parse().ok()?;
    let end: usize = fields.next()?.parse().ok()?;
    let length = end.checked_sub(start)?;
    (start != 0).then_some((std::ptr::with_exposed_provenance_mut(start), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_is_what_the_command_line_shows() {
        let room = fs::read("/proc/self/cmdline").unwrap().len();
        let title = "sys: a title";
        set(title);
        let shown = fs::read("/proc/self/cmdline").unwrap();
        let text = String::from_utf8(shown).unwrap();
        assert_eq!(text.trim_end_matches('\0'), &title[..title.len().min(room - 1)]);
        set(&"x".repeat(room * 2));
        let long = fs::read("/proc/self/cmdline").unwrap();
        assert_eq!(long.iter().filter(|&&byte| byte == b'x').count(), room - 1);
    }
}
