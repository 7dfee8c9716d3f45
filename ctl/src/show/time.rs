//! Moments and durations as text.

use std::time::Duration;

const DAY: u64 = 24 * 60 * 60;

/// `2026-01-01T00:00:00Z`: a moment given since the Unix epoch, in RFC 3339's form.
pub(crate) fn rfc3339_seconds(since_epoch: Duration) -> String {
    format!("{}Z", date_and_time(since_epoch))
}

/// `2026-01-01T00:00:00.000Z`: the same with milliseconds.
pub(crate) fn rfc3339_millis(since_epoch: Duration) -> String {
    format!("{}.{:03}Z", date_and_time(since_epoch), since_epoch.subsec_millis())
}

fn date_and_time(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (year, month, day) = civil_from_days(seconds / DAY);
    let (hour, minute, second) = clock(seconds % DAY);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// Year, month and day of the day that is `days` after 1970-01-01, in the Gregorian calendar. The method is
/// Howard Hinnant's "chrono-compatible low-level date algorithms": years begin in March, so that the day
/// that leap years add is the last.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    const DAYS_IN_ERA: u64 = 146_097;
    let days_since_0000_03_01 = days + 719_468;
    let era = days_since_0000_03_01 / DAYS_IN_ERA;
    let day_of_era = days_since_0000_03_01 % DAYS_IN_ERA;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

fn clock(seconds: u64) -> (u64, u64, u64) {
    (seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `0:00:12`, `1 day, 3:12:44`: how long something has lasted, as supervisord writes it.
pub(super) fn uptime(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hour, minute, second) = clock(seconds % DAY);
    let clock = format!("{hour}:{minute:02}:{second:02}");
    match seconds / DAY {
        0 => clock,
        1 => format!("1 day, {clock}"),
        days => format!("{days} days, {clock}"),
    }
}

/// `0.2 s`, `4 s`, `1:02:03`: how long something lasts, for a sentence.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds >= 100.0 {
        uptime(duration)
    } else if seconds >= 10.0 {
        format!("{seconds:.0} s")
    } else {
        let text = format!("{seconds:.1}");
        format!("{} s", text.strip_suffix(".0").unwrap_or(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates_of_the_gregorian_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339_seconds(Duration::from_secs(seconds)), expected);
        }
        assert_eq!(rfc3339_millis(Duration::from_millis(1_767_225_600_007)), "2026-01-01T00:00:00.007Z");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut previous = civil_from_days(0);
        for day in 1..200_000 {
            let next = civil_from_days(day);
            let (year, month, date) = previous;
            let follows = next == (year, month, date + 1)
                || next == (year, month + 1, 1) && date >= 28
                || next == (year + 1, 1, 1) && (month, date) == (12, 31);
            assert!(follows, "{next:?} after {previous:?}");
            previous = next;
        }
    }

    #[test]
    fn an_uptime_reads_as_supervisord_writes_it() {
        for (seconds, expected) in [
            (12, "0:00:12"),
            (3_600 * 11 + 60 * 5 + 9, "11:05:09"),
            (DAY + 60, "1 day, 0:01:00"),
            (2 * DAY + 3 * 3_600 + 12 * 60 + 44, "2 days, 3:12:44"),
        ] {
            assert_eq!(uptime(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn a_span_is_as_exact_as_it_is_short() {
        for (millis, expected) in
            [(200, "0.2 s"), (4_000, "4 s"), (42_400, "42 s"), (99_999, "100 s"), (100_000, "0:01:40")]
        {
            assert_eq!(span(Duration::from_millis(millis)), expected);
        }
    }
}
