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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::tests::{Bytes, messages, read, words};

    fn text(bytes: &mut Bytes, text: &str) -> u32 {
        let size = u32::try_from(text.len()).unwrap();
        bytes.data([&size.to_le_bytes(), text.as_bytes()].concat())
    }

    /// Data with its size and place, as a location descriptor.
    fn located_data(bytes: &mut Bytes, data: &[u8]) -> [u32; 2] {
        [u32::try_from(data.len()).unwrap(), bytes.data(data)]
    }

    #[test]
    fn annotations_of_the_process_and_of_modules() {
        let mut bytes = Bytes::new();
        let [a, b, c, d] = ["ver", "1.2", "ptype", "gpu"].map(|word| text(&mut bytes, word));
        let simple = located_data(&mut bytes, &words([1, a, b]));
        // A string, another type, and one whose value lies outside.
        let objects = words([3, c, 1, d, c, 2, d, c, 1, 0x7fff_ffff]);
        let objects = located_data(&mut bytes, &objects);
        let module = words([1, 0, 0, simple[0], simple[1], objects[0], objects[1]]);
        let module = located_data(&mut bytes, &module);
        let links = words([3, 0, module[0], module[1], 1, 0, 0, 2, 28, 0x7fff_ffff]);
        let links = located_data(&mut bytes, &links);
        let mut stream = words([1]);
        stream.extend((0..16).chain([0; 16]));
        stream.extend(words([simple[0], simple[1], links[0], links[1]]));
        read(&bytes.stream(KIND, stream).finish(), |dump| {
            let found: Vec<_> = dump
                .notes
                .annotations
                .iter()
                .map(|annotation| (annotation.key.as_str(), annotation.value.as_str()))
                .collect();
            assert_eq!(found, [("ver", "1.2"), ("ver", "1.2"), ("ptype", "gpu")]);
            let id = dump.notes.report_id.as_deref();
            assert_eq!(id, Some("03020100-0504-0706-0809-0a0b0c0d0e0f"));
            assert_eq!(messages(dump).len(), 2, "{:?}", messages(dump));
        });
    }

    #[test]
    fn many_links_to_one_dictionary_stay_bounded() {
        let mut bytes = Bytes::new();
        let key = text(&mut bytes, "key");
        let many = [words([1000]), words([key; 2000])].concat();
        let many = located_data(&mut bytes, &many);
        let module = located_data(&mut bytes, &words([1, 0, 0, many[0], many[1], 0, 0]));
        let links = [words([1000]), words([0, module[0], module[1]]).repeat(1000)].concat();
        let links = located_data(&mut bytes, &links);
        let mut stream = words([1]);
        stream.resize(0x2c, 0);
        stream.extend(words(links));
        read(&bytes.stream(KIND, stream).finish(), |dump| {
            assert_eq!((dump.notes.annotations.len(), messages(dump).len()), (MOST, 1));
        });
    }

    #[test]
    fn cut_streams() {
        for size in 0..0x34 {
            let dump = Bytes::new().stream(KIND, vec![0xff; size]).finish();
            read(&dump, |dump| assert!(dump.notes.annotations.is_empty()));
        }
    }
}
