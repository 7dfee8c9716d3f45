//! Memory for what a process reads between clone and exec.
//!
//! It lies apart from the heap, which a child does not have ([`crate::memory::withhold_heap`]), and in as few pages as
//! can be.

use std::cell::RefCell;
use std::ffi::CStr;
use std::io;
use std::ptr::NonNull;

use libc::c_char;

/// What is asked of the kernel at once; only what is used takes memory.
const REGION: usize = 64 << 10;
/// As good as any type wants it.
const ALIGNMENT: usize = 16;

/// Pieces of memory that live as long as it does.
#[derive(Default)]
pub(super) struct Arena {
    regions: RefCell<Vec<Region>>,
}

struct Region {
    start: NonNull<u8>,
    size: usize,
    used: usize,
}

impl Arena {
    /// The parts, one after the other.
    #[expect(clippy::mut_from_ref, reason = "each piece is handed out once")]
    pub(super) fn bytes(&self, parts: &[&[u8]]) -> io::Result<&mut [u8]> {
        let size = parts.iter().map(|part| part.len()).sum();
        let start = self.piece(size)?;
        let mut end = start;
        for part in parts {
            // SAFETY: all parts together fit into the piece, which is nobody else's.
            end = unsafe {
                end.copy_from_nonoverlapping(NonNull::from(*part).cast(), part.len());
                end.add(part.len())
            };
        }
        // SAFETY: all bytes have been written; the piece stays until the arena is dropped and is handed out once.
        Ok(unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), size) })
    }

    /// A copy of a C string.
    pub(super) fn c_string(&self, text: &CStr) -> io::Result<*const c_char> {
        Ok(self.bytes(&[text.to_bytes_with_nul()])?.as_ptr().cast())
    }

    /// The items, in order.
    #[expect(clippy::mut_from_ref, reason = "each piece is handed out once")]
    pub(super) fn list<T: Copy>(&self, items: impl Iterator<Item = T> + Clone) -> io::Result<&mut [T]> {
        const { assert!(align_of::<T>() <= ALIGNMENT) };
        let count = items.clone().count();
        let start = self.piece(count.saturating_mul(size_of::<T>()))?.cast::<T>();
        for (at, item) in items.take(count).enumerate() {
            // SAFETY: within the piece, which is aligned for any type and nobody else's.
            unsafe { start.add(at).write(item) };
        }
        // SAFETY: all items have been written; the piece stays until the arena is dropped and is handed out once.
        Ok(unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), count) })
    }

    fn piece(&self, size: usize) -> io::Result<NonNull<u8>> {
        let size = size.next_multiple_of(ALIGNMENT);
        let mut regions = self.regions.borrow_mut();
        let has_room = |region: &Region| region.size - region.used >= size;
        if !regions.last().is_some_and(has_room) {
            regions.push(Region::map(size.max(REGION))?);
        }
        let region = regions.last_mut().expect("there is one with room");
        // SAFETY: within the region.
        let piece = unsafe { region.start.add(region.used) };
        region.used += size;
        Ok(piece)
    }
}

impl Region {
    fn map(size: usize) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: new memory wherever the kernel likes.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), size, access, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).expect("the kernel maps nothing at address 0 unasked");
        Ok(Self { start, size, used: 0 })
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`; whatever was handed out borrows the arena, which is being dropped.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.size) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_apart_aligned_and_of_any_size() {
        let arena = Arena::default();
        let odd = arena.bytes(&[b"ab", b"", b"c"]).unwrap();
        let wide = arena.list([1u64, 2, 3].into_iter()).unwrap();
        let huge = arena.list(b"0123456789".iter().copied().cycle().take(REGION)).unwrap();
        let text = arena.c_string(c"text").unwrap();
        odd.fill(b'x');
        wide[2] = 7;
        assert!(wide.as_ptr().is_aligned() && arena.list(std::iter::empty::<u64>()).unwrap().is_empty());
        assert_eq!((&*odd, &*wide), (&b"xxx"[..], &[1, 2, 7][..]));
        assert!(huge.len() == REGION && huge.starts_with(b"0123456789") && huge.ends_with(b"345"));
        // SAFETY: the arena's own C string.
        assert_eq!(unsafe { CStr::from_ptr(text) }, c"text");
    }
}
