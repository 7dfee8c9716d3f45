//! The exit statuses of `arbiterctl`. Scripts rely on them: a number never changes its meaning.

/// It is done.
pub(crate) const DONE: u8 = 0;
/// It was refused or failed.
pub(crate) const FAILED: u8 = 1;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;
/// `status --check`: not everything is as configured.
pub(crate) const NOT_AS_CONFIGURED: u8 = 3;
/// There is no such companion or worker.
pub(crate) const NOT_FOUND: u8 = 4;
/// Nothing listens on the control socket.
pub(crate) const NOTHING_LISTENS: u8 = 5;
/// The caller may not ask this, or may not open the control socket.
pub(crate) const NOT_PERMITTED: u8 = 6;
/// The time given was over before the answer came. The work goes on.
pub(crate) const TIMED_OUT: u8 = 7;
/// The connection was lost, and what became of the request cannot be found out.
pub(crate) const OUTCOME_UNKNOWN: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_never_change() {
        let numbers = [
            DONE,
            FAILED,
            USAGE,
            NOT_AS_CONFIGURED,
            NOT_FOUND,
            NOTHING_LISTENS,
            NOT_PERMITTED,
            TIMED_OUT,
            OUTCOME_UNKNOWN,
        ];
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
