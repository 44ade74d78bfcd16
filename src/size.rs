//! Sizes for people, as they read and write them, in binary units; counts.

/// `61.9 MiB`, `64 MiB`, `1.90 GiB`, `512 B`. One KiB is 2^10 bytes.
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let scale = bytes.ilog2() / 10;
    let (unit, shift) = (UNITS[scale as usize - 1], 10 * scale);
    let whole = bytes >> shift;
    if whole << shift == bytes {
        return format!("{whole} {unit}");
    }
    match whole {
        0..10 => {
            let hundredths = rounded(bytes, 100, shift);
            format!("{}.{:02} {unit}", hundredths / 100, hundredths % 100)
        }
        10..100 => {
            let tenths = rounded(bytes, 10, shift);
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        _ => format!("{} {unit}", rounded(bytes, 1, shift)),
    }
}

/// `parts` in each 2^`shift` bytes, rounded to the nearest, halves to even.
fn rounded(bytes: u64, parts: u64, shift: u32) -> u128 {
    let scaled = u128::from(bytes) * u128::from(parts);
    let (down, rest, half) = (scaled >> shift, scaled & ((1 << shift) - 1), 1 << (shift - 1));
    down + u128::from(rest > half || (rest == half && down % 2 == 1))
}

/// `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun: `1 thread`, `12 threads`.
pub fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

/// `64M` (M = MiB = 2^20), `1.5GiB`, `0x4000`, `65536`.
///
/// # Errors
/// It is something else; the text says what sizes look like.
pub fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text} is no size; write 64M (M = MiB = 2^20), 1.5GiB or 0x4000");
    if let Some(digits) = text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        return u64::from_str_radix(digits, 16).map_err(|_| wrong());
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let shift = match unit.trim().to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        _ => return Err(wrong()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let one_dot = number.ends_with('.') || !all_digits(fraction);
    if (whole.is_empty() && fraction.is_empty()) || one_dot || fraction.len() > 9 {
        return Err(wrong());
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| wrong())? };
    let parts: u128 =
        if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| wrong())? };
    let scale = 10_u128.pow(fraction.len() as u32);
    let bytes = whole
        .checked_mul(scale)
        .and_then(|whole| whole.checked_add(parts))
        .and_then(|number| number.checked_mul(1 << shift))
        .map(|bytes| bytes / scale);
    bytes.and_then(|bytes| u64::try_from(bytes).ok()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_read_well() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(123_456_789), "123,456,789");
        assert_eq!(count(1, "thread"), "1 thread");
        assert_eq!(count(1_200, "thread"), "1,200 threads");
    }

    #[test]
    fn sizes_read_well() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (4096, "4 KiB"),
            (64 << 20, "64 MiB"),
            (64_946_176, "61.9 MiB"),
            (2_040_000_000, "1.90 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(human(bytes), text);
        }
    }

    /// What floating point makes of a size.
    fn in_floating_point(bytes: u64) -> String {
        let scale = bytes.ilog2() / 10;
        let value = bytes as f64 / 1024_f64.powi(scale as i32);
        let digits = match value {
            value if value == value.trunc() => 0,
            value if value < 10.0 => 2,
            value if value < 100.0 => 1,
            _ => 0,
        };
        let unit = ["B", "KiB", "MiB", "GiB", "TiB"][scale as usize];
        format!("{value:.digits$} {unit}")
    }

    #[test]
    fn sizes_are_rounded_as_numbers_are() {
        let mut bytes = 1_u64;
        while bytes < 1 << 49 {
            for near in
                [bytes - 1, bytes, bytes + 1, bytes | 0x200, bytes | 0x280].map(|b| b.max(1))
            {
                assert_eq!(human(near), in_floating_point(near), "{near}");
            }
            bytes += bytes / 97 + 1;
        }
    }

    #[test]
    fn sizes_as_people_write_them() {
        let cases = [
            ("64M", 64 << 20),
            ("64 MiB", 64 << 20),
            ("1.5GiB", 3 << 29),
            ("0x4000", 0x4000),
            ("65536", 65536),
            (".5k", 512),
            ("2t", 2 << 40),
            ("0", 0),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "1.2.3M", "1.M", "-1", "1e3", "0xzz", "99999999T", "1Q", "."] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
