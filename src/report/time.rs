//! Dates without a time zone database: UTC only.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `2026-11-22T09:36:12Z` for seconds since 1970.
pub fn iso(seconds: u32) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(i64::from(seconds)).ok()?.format(&Rfc3339).ok()
}

/// Seconds since 1970 from the form of [`iso`].
pub fn seconds(iso: &str) -> Option<u32> {
    let time = OffsetDateTime::parse(iso, &Rfc3339).ok()?;
    u32::try_from(time.unix_timestamp()).ok()
}

/// `2026-11-22 09:36:12 UTC` from the form of [`iso`].
pub fn for_people(iso: &str) -> String {
    iso.replace('T', " ").replace('Z', " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_340_172, "2026-11-22T09:36:12Z"),
            (u32::MAX, "2106-02-07T06:28:15Z"),
        ];
        for (seconds, text) in cases {
            assert_eq!(iso(seconds).as_deref(), Some(text));
            assert_eq!(super::seconds(text), Some(seconds));
        }
        assert_eq!(for_people("2026-11-22T09:36:12Z"), "2026-11-22 09:36:12 UTC");
    }
}
