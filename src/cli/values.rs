//! Sizes and ranges as people write them.

use dumpmap::addr::AddressRange;
use dumpmap::analysis::Analysis;
use dumpmap::report::AddressText;

/// `64M` (M = MiB = 2^20), `1.5GiB`, `0x4000`, `65536`.
pub(super) fn size(text: &str) -> Result<u64, String> {
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

/// `A-B`, B not included.
pub(super) fn range(text: &str, analysis: &Analysis<'_>) -> Result<AddressRange, String> {
    let wrong = || format!("{text} is no range; write 0x10000-0x20000");
    let (start, end) = text.split_once('-').ok_or_else(wrong)?;
    let address = |text| AddressText::parse(text).and_then(|text| text.resolve(analysis));
    AddressRange::between(address(start)?, address(end)?).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "1.2.3M", "1.M", "-1", "1e3", "0xzz", "99999999T", "1Q", "."] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
