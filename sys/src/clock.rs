//! Two clocks: one to decide by, one to show.

use std::time::Duration;

/// Time since boot on the monotonic clock: the only clock a deadline may use. Every process of the machine
/// reads the same value, so a point in time may be handed to another process or to the next image.
#[must_use]
pub fn monotonic() -> Duration {
    read(libc::CLOCK_MONOTONIC)
}

/// Wall-clock time since the Unix epoch: for display only, it may jump in either direction.
#[must_use]
pub fn wall() -> Duration {
    read(libc::CLOCK_REALTIME)
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut spec = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `spec` is valid for the write; both clock ids exist on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut spec) };
    from_parts(spec.tv_sec, spec.tv_nsec)
}

fn from_parts(seconds: i64, nanoseconds: i64) -> Duration {
    // A wall clock set to before 1970 reads as the epoch itself.
    Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanoseconds).unwrap_or(0))
}

/// `2026-01-01T00:00:00.000Z`: RFC 3339 in UTC with milliseconds (rounded down) of a time since the epoch.
#[must_use]
pub fn rfc3339(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (year, month, day) = civil_from_days(seconds / 86_400);
    let of_day = seconds % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60,
        since_epoch.subsec_millis()
    )
}

/// The proleptic Gregorian date of a day number since 1970-01-01: Howard Hinnant's `civil_from_days`, for
/// days that are not before the epoch. Years begin in March inside, so that the leap day is the last one.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_never_runs_backwards() {
        let first = monotonic();
        assert!(first > Duration::ZERO);
        assert!(monotonic() >= first);
    }

    #[test]
    fn known_dates_are_rendered_to_the_letter() {
        for (seconds, millis, text) in [
            (0, 0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, 999, "2000-02-28T23:59:59.999Z"),
            (951_782_400, 0, "2000-02-29T00:00:00.000Z"),
            (951_868_800, 0, "2000-03-01T00:00:00.000Z"),
            (1_767_225_600, 7, "2026-01-01T00:00:00.007Z"),
            (4_107_542_399, 0, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(Duration::from_millis(seconds * 1000 + millis)), text);
        }
    }

    #[test]
    fn a_clock_set_before_the_epoch_reads_as_the_epoch() {
        assert_eq!(from_parts(-5, 10).as_secs(), 0);
    }
}
