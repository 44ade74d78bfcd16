//! Sizes and ranges as people write them.

use dumpmap::addr::AddressRange;
use dumpmap::analysis::Analysis;
use dumpmap::report::AddressText;
pub(super) use dumpmap::size::parse as size;

/// `A-B`, B not included.
pub(super) fn range(text: &str, analysis: &Analysis<'_>) -> Result<AddressRange, String> {
    let wrong = || format!("{text} is no range; write 0x10000-0x20000");
    let (start, end) = text.split_once('-').ok_or_else(wrong)?;
    let address = |text| AddressText::parse(text).and_then(|text| text.resolve(analysis));
    AddressRange::between(address(start)?, address(end)?).ok_or_else(wrong)
}
