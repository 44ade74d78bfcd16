//! Crashpad's annotations. Source: MinidumpCrashpadInfo (0x43500001): the
//! simple ones of the process, and of each module the simple ones and the
//! objects of type string. Every structure is reached by size and offset, and
//! many may share one place: the number of annotations is bounded.

use super::bytes::{array_at, length, u16_at, u32_at};
use super::notes::{Annotation, Notes};
use super::strings::{self, NameAt, located, location};
use super::{StreamReader, stream_type};

const KIND: u32 = stream_type::CRASHPAD_INFO;
/// Far more than Chrome's about 200.
const MOST: usize = 10_000;
/// The type of annotation objects that hold text.
const STRING: u16 = 1;

/// Reads the stream into `notes`.
pub(super) fn read(reader: &mut StreamReader<'_, '_>, notes: &mut Notes) {
    let Some(stream) = reader.stream(KIND) else { return };
    let id = array_at::<16>(stream.bytes, 4).filter(|id| *id != [0; 16]);
    notes.report_id = id.and_then(|id| strings::guid(&id));
    simple(reader, location(stream.bytes, 0x24), notes);
    let Some(list) = list_at::<12>(reader, location(stream.bytes, 0x2c), "modules") else {
        return;
    };
    for (_, link) in list {
        let Some(module) = location(link, 4) else { continue };
        let Some(module) = located(reader, module) else {
            outside(reader, module, "a module's annotations");
            continue;
        };
        simple(reader, location(module, 0xc), notes);
        objects(reader, location(module, 0x14), notes);
        if notes.annotations.len() >= MOST {
            reader.issue(KIND, stream.offset, || {
                format!("only the first {MOST} annotations are read")
            });
            return;
        }
    }
}

/// MinidumpSimpleStringDictionary: file offsets of key and value.
fn simple(reader: &mut StreamReader<'_, '_>, at: Option<(u32, u32)>, notes: &mut Notes) {
    let Some(entries) = list_at::<8>(reader, at, "annotations") else { return };
    for (place, entry) in entries {
        let (key, value) = (u32_at(entry, 0), u32_at(entry, 4));
        add(reader, place, key, value, notes);
    }
}

/// MinidumpAnnotationList: name, type, value.
fn objects(reader: &mut StreamReader<'_, '_>, at: Option<(u32, u32)>, notes: &mut Notes) {
    let Some(entries) = list_at::<12>(reader, at, "annotation objects") else { return };
    for (place, entry) in entries {
        if u16_at(entry, 4) == Some(STRING) {
            add(reader, place, u32_at(entry, 0), u32_at(entry, 8), notes);
        }
    }
}

fn add(
    reader: &mut StreamReader<'_, '_>,
    place: u64,
    key: Option<u32>,
    value: Option<u32>,
    notes: &mut Notes,
) {
    if notes.annotations.len() >= MOST {
        return;
    }
    let mut text = |what, rva: Option<u32>| {
        strings::utf8(reader, NameAt { kind: KIND, place, what, rva: rva?.into() })
    };
    if let (Some(key), Some(value)) =
        (text("annotation's key", key), text("annotation's value", value))
    {
        notes.annotations.push(Annotation { key, value });
    }
}

/// `u32 count` and the records that are there.
fn list_at<'s, const N: usize>(
    reader: &mut StreamReader<'_, 's>,
    at: Option<(u32, u32)>,
    what: &'static str,
) -> Option<impl Iterator<Item = (u64, &'s [u8; N])> + use<'s, N>> {
    let at = at?;
    let Some(bytes) = located(reader, at) else {
        outside(reader, at, what);
        return None;
    };
    let promised = super::bytes::index(u32_at(bytes, 0)?);
    let records = bytes.get(4..)?.as_chunks::<N>().0;
    let first = u64::from(at.1).saturating_add(4);
    if records.len() < promised {
        let there = records.len();
        reader.issue(KIND, at.1.into(), || {
            format!("the list of {what} promises {promised} entries, {there} are there and used")
        });
    }
    let placed = records.iter().take(promised.min(MOST)).enumerate();
    Some(placed.map(move |(number, record)| {
        (first.saturating_add(length(number.saturating_mul(N))), record)
    }))
}

fn outside(reader: &mut StreamReader<'_, '_>, (size, rva): (u32, u32), what: &str) {
    reader.issue(KIND, rva.into(), || {
        format!("{what}, {size} bytes at {rva:#x}, lie outside the file; left out")
    });
}
