//! Whatever a companion writes: whole lines go to its file, none is torn or lost, and it is always either written or
//! the file rotated.
#![no_main]

use companion_manager::capture::lines::{Fit, fit, whole};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&[max_size, size, in_line, stamp], bytes)) = bytes.split_first_chunk::<4>() else { return };
    let stamp = usize::from(stamp);
    let mut rest = &bytes[..whole(bytes)];
    assert!(!bytes[rest.len()..].contains(&b'\n'), "a whole line is left out");
    let (mut size, mut in_line) = (u64::from(size), in_line % 2 == 1);
    let mut written: Vec<u8> = Vec::new();
    while !rest.is_empty() {
        match fit(rest, in_line, size, u64::from(max_size), stamp) {
            Fit::Write(length) => {
                assert!(length > 0 && rest[..length].ends_with(b"\n"), "a torn line");
                let is_one = rest[..length - 1].iter().all(|&byte| byte != b'\n');
                let count =
                    rest[..length].iter().filter(|&&byte| byte == b'\n').count() - usize::from(in_line);
                let size_then = size + (length + count * stamp) as u64;
                let fits = max_size == 0 || size_then <= u64::from(max_size);
                assert!(fits || (is_one && (in_line || size == 0)), "the file grows above its bound");
                written.extend(&rest[..length]);
                size = size_then;
                rest = &rest[length..];
                in_line = false;
            }
            Fit::Rotate => {
                assert!(size > 0 && !in_line, "an empty file is rotated, or a begun line torn");
                size = 0;
            }
        }
    }
    assert_eq!(written, bytes[..whole(bytes)]);
});
