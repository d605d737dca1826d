//! Times as the store compares them: RFC 3339 texts in UTC with milliseconds, whose order is the order in time.

use jiff::Timestamp;

/// The text of a moment given in Unix milliseconds.
pub fn timestamp(unix_ms: i64) -> String {
    let moment = Timestamp::from_millisecond(unix_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{moment:.3}")
}

/// Any RFC 3339 time in the stored form. `None` when it is no time, or one outside the years 0 to 9999.
pub fn normalised(text: &str) -> Option<String> {
    let moment: Timestamp = text.parse().ok()?;
    let text = timestamp(moment.as_millisecond());
    // Years outside 0 to 9999 are written with a sign and six digits, and would not sort as text.
    (text.len() == "2026-01-01T00:00:00.000Z".len()).then_some(text)
}

/// The Unix milliseconds of a moment, which is any RFC 3339 time. `None` when it is no time.
pub fn unix_ms(text: &str) -> Option<i64> {
    Some(text.parse::<Timestamp>().ok()?.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_moment_becomes_the_same_text() {
        for text in [
            "2026-11-23T09:00:00Z",
            "2026-11-23T10:00:00+01:00",
            "2026-11-23t09:00:00.0004z",
            "2026-11-23T09:00:00.000Z",
        ] {
            assert_eq!(normalised(text).as_deref(), Some("2026-11-23T09:00:00.000Z"), "{text}");
            assert_eq!(unix_ms(text), Some(1_795_424_400_000), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "today",
            "2026-11-23",
            "2026-02-30T00:00:00Z",
            "2026-11-23T09:00:00",
            "-000001-01-01T00:00:00Z",
        ] {
            assert_eq!(normalised(text), None, "{text}");
        }
    }
}
