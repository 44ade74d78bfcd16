//! Dates without a time zone database: UTC only.

/// `2026-11-22T09:36:12Z` for seconds since 1970.
pub fn iso(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// `2026-11-22 09:36:12 UTC` from the form of [`iso`].
pub fn for_people(iso: &str) -> String {
    iso.replace('T', " ").replace('Z', " UTC")
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar
/// carried to both sides. In years that begin in March the leap day comes
/// last, and every month has a fixed place.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const ERA: u64 = 146_097;
    let day = days + DAYS_TO_1970;
    let (era, day_of_era) = (day / ERA, day % ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
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
            (u64::from(u32::MAX), "2106-02-07T06:28:15Z"),
        ];
        for (seconds, text) in cases {
            assert_eq!(iso(seconds), text);
        }
        assert_eq!(for_people("2026-11-22T09:36:12Z"), "2026-11-22 09:36:12 UTC");
    }
}
