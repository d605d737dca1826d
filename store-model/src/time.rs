//! Timestamps: RFC 3339, UTC, with milliseconds, so that the order of the texts is the order in time.
//!
//! Only the one canonical form is accepted. A second spelling of the same instant would compare as a
//! different value.

const DAYS_IN_MONTH: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Whether a text is a timestamp in the canonical form `2026-11-23T09:00:00.000Z`.
pub fn is_timestamp(text: &str) -> bool {
    parse(text).is_some()
}

/// The day (`2026-11-23`) of a timestamp at an offset from UTC; `None` when it is not a timestamp.
pub fn day(text: &str, offset_minutes: i32) -> Option<String> {
    let (days, minute_of_day) = parse(text)?;
    let shifted = i64::from(minute_of_day) + i64::from(offset_minutes);
    let (year, month, day) = civil_from_days(days + shifted.div_euclid(24 * 60));
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

/// Days since 1970-01-01 and the minute of that day.
fn parse(text: &str) -> Option<(i64, u32)> {
    let bytes = text.as_bytes();
    if bytes.len() != 24 {
        return None;
    }
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
    if separators.iter().any(|(at, separator)| bytes[*at] != *separator) {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to]
            .iter()
            .try_fold(0_u32, |total, byte| byte.is_ascii_digit().then(|| total * 10 + u32::from(byte - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    number(20, 23)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = DAYS_IN_MONTH.get(month.checked_sub(1)? as usize)? + u32::from(leap && month == 2);
    if day == 0 || day > last || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some((days_from_civil(i64::from(year), i64::from(month), i64::from(day)), hour * 60 + minute))
}

/// Howard Hinnant's algorithm: eras of 400 years that start in March, so the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_is_a_timestamp() {
        assert!(is_timestamp("2026-11-23T09:00:00.000Z"));
        assert!(is_timestamp("2024-02-29T23:59:59.999Z"));
        for wrong in [
            "2026-11-23T09:00:00Z",
            "2026-11-23T09:00:00.000+00:00",
            "2026-02-29T09:00:00.000Z",
            "2026-13-01T09:00:00.000Z",
            "2026-11-23T24:00:00.000Z",
            "2026-11-23 09:00:00.000Z",
            "",
        ] {
            assert!(!is_timestamp(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_day_is_shifted_by_the_offset() {
        assert_eq!(day("2026-11-23T23:30:00.000Z", 60).as_deref(), Some("2026-11-24"));
        assert_eq!(day("2026-01-01T00:30:00.000Z", -60).as_deref(), Some("2025-12-31"));
        assert_eq!(day("2024-03-01T00:00:00.000Z", -1).as_deref(), Some("2024-02-29"));
        assert_eq!(day("1969-12-31T12:00:00.000Z", 0).as_deref(), Some("1969-12-31"));
        assert_eq!(day("soon", 0), None);
    }
}
