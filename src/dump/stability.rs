//! Chromium's stability report: a protocol buffer that Electron and Chrome on
//! Windows add to their dumps. Only the system's commit counters are read:
//! field 7 (system memory), 1 (Windows), 1 (commit limit) and 2 (what could
//! still be committed), both in 4 KiB pages. Source: `stability_report.rs` of
//! the `minidump` crate, made from Chromium's stability_report.proto.

use super::{StreamReader, stream_type};

/// Pages of the report, whatever pages the system has.
const PAGE: u64 = 4096;

/// What the stability report says of the system. Sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StabilityReport {
    /// Commit limit of the system.
    pub commit_limit: u64,
    /// What the system could still commit.
    pub commit_left: u64,
}

pub(super) fn read(reader: &mut StreamReader<'_, '_>) -> Option<StabilityReport> {
    const KIND: u32 = stream_type::STABILITY_REPORT;
    let stream = reader.stream(KIND)?;
    let Ok(report) = report(stream.bytes) else {
        reader.issue(KIND, stream.offset, || {
            format!("{} bytes that are no stability report; not used", stream.bytes.len())
        });
        return None;
    };
    report
}

/// Bytes that do not follow the format.
#[derive(Debug, PartialEq, Eq)]
struct Malformed;

fn report(bytes: &[u8]) -> Result<Option<StabilityReport>, Malformed> {
    let Some(Value::Bytes(system)) = field(bytes, 7)? else { return Ok(None) };
    let Some(Value::Bytes(windows)) = field(system, 1)? else { return Ok(None) };
    let pages = |number| {
        Ok(match field(windows, number)? {
            Some(Value::Number(pages)) => Some(pages.saturating_mul(PAGE)),
            _ => None,
        })
    };
    let (limit, left) = (pages(1)?, pages(2)?);
    Ok(limit
        .zip(left)
        .map(|(commit_limit, commit_left)| StabilityReport { commit_limit, commit_left }))
}

#[derive(Clone, Copy, Debug)]
enum Value<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

/// The last field of that number, as the format asks for; `None` when there is
/// none.
fn field(mut bytes: &[u8], number: u64) -> Result<Option<Value<'_>>, Malformed> {
    let mut found = None;
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Some(Value::Number(varint(&mut bytes)?)),
            1 => take(&mut bytes, 8).map(|_| None)?,
            2 => {
                let size = varint(&mut bytes)?;
                Some(Value::Bytes(take(&mut bytes, size)?))
            }
            5 => take(&mut bytes, 4).map(|_| None)?,
            _ => return Err(Malformed),
        };
        if key >> 3 == number {
            found = value;
        }
    }
    Ok(found)
}

fn take<'b>(bytes: &mut &'b [u8], size: u64) -> Result<&'b [u8], Malformed> {
    let size = usize::try_from(size).map_err(|_| Malformed)?;
    let (taken, rest) = bytes.split_at_checked(size).ok_or(Malformed)?;
    *bytes = rest;
    Ok(taken)
}

/// Seven bits a byte, the lowest first; ten bytes at most.
fn varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::tests::{Bytes, messages, read};

    /// 16 MiB and 8 MiB, after a field of each other kind.
    const REPORT: [u8; 28] = [
        0x08, 0x81, 0x01, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x1d, 1, 2, 3, 4, 0x3a, 0x08, 0x0a, 0x06,
        0x08, 0x80, 0x20, 0x10, 0x80, 0x10, 0x18,
    ];

    #[test]
    fn commit_counters_are_pages() {
        let bytes = &REPORT[..27];
        let found = report(bytes).unwrap().unwrap();
        assert_eq!((found.commit_limit, found.commit_left), (16 << 20, 8 << 20));
        assert_eq!(report(&[]), Ok(None));
        read(&Bytes::new().stream(stream_type::STABILITY_REPORT, bytes).finish(), |dump| {
            assert_eq!(dump.stability, Some(found));
        });
    }

    #[test]
    fn what_is_no_report_is_an_issue() {
        for size in 1..27 {
            let cut = report(&REPORT[..size]);
            assert!(matches!(cut, Err(Malformed) | Ok(None)), "{size}: {cut:?}");
        }
        assert_eq!(report(&REPORT), Err(Malformed));
        assert_eq!(report(&[0xff; 11]), Err(Malformed));
        read(&Bytes::new().stream(stream_type::STABILITY_REPORT, [0xff; 11]).finish(), |dump| {
            assert_eq!((dump.stability, messages(dump).len()), (None, 1));
        });
    }
}
