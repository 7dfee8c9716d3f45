//! Named steps at which a test stops the program that comes to them, or ends it.
//!
//! A test names a directory in the variable `ARBITER_FAIL_POINTS` and puts a file `STEP.kill`, `STEP.stop` or
//! `STEP.exit` there: whoever comes to the step first removes it and is killed, is stopped, or exits. Only programs
//! built for debugging look; a released one has no trace of it.

/// The program has come to this step.
#[inline]
pub fn reach(step: &str) {
    #[cfg(debug_assertions)]
    armed::reach(step);
    let _ = step;
}

/// Reads where to look, before a step is reached where nothing may be read.
#[inline]
pub(crate) fn prepare() {
    #[cfg(debug_assertions)]
    armed::directory();
}

#[cfg(debug_assertions)]
mod armed {
    use std::os::unix::ffi::OsStringExt;
    use std::sync::OnceLock;

    const VARIABLE: &str = "ARBITER_FAIL_POINTS";
    const LONGEST: usize = 512;

    static DIRECTORY: OnceLock<Option<Vec<u8>>> = OnceLock::new();

    pub(super) fn directory() -> Option<&'static [u8]> {
        DIRECTORY.get_or_init(|| std::env::var_os(VARIABLE).map(OsStringExt::into_vec)).as_deref()
    }

    /// No memory is allocated: the caller may be between clone and exec.
    pub(super) fn reach(step: &str) {
        let Some(directory) = directory() else { return };
        if takes(directory, step, b".kill\0") {
            raise(libc::SIGKILL);
        }
        if takes(directory, step, b".stop\0") {
            raise(libc::SIGSTOP);
        }
        if takes(directory, step, b".exit\0") {
            // SAFETY: _exit runs no code of this process.
            unsafe { libc::_exit(1) };
        }
    }

    /// Whether the file was there, and this process is the one that has removed it.
    fn takes(directory: &[u8], step: &str, how: &[u8]) -> bool {
        let mut path = [0u8; LONGEST];
        let parts = [directory, b"/", step.as_bytes(), how];
        let mut room = &mut path[..];
        for part in parts {
            let Some((place, rest)) = room.split_at_mut_checked(part.len()) else { return false };
            place.copy_from_slice(part);
            room = rest;
        }
        // SAFETY: a C string, its end was copied last.
        unsafe { libc::unlink(path.as_ptr().cast()) == 0 }
    }

    fn raise(signal: libc::c_int) {
        // SAFETY: plain integers; the process's own number.
        unsafe { libc::kill(libc::getpid(), signal) };
    }
}
