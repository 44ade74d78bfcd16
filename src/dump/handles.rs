//! Open handles. Source: MINIDUMP_HANDLE_DATA_STREAM (12), descriptors of any
//! size from 32 bytes. The chains of object information that the 40-byte
//! ones start are not followed: nothing of the map is in them, and a damaged
//! chain may be a ring.

use super::bytes::{u32_at, u64_at};
use super::strings::{self, NameAt};
use super::{StreamReader, stream_type};

/// One open handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle {
    /// Its value.
    pub value: u64,
    /// Type: `File`, `Section`, `Event` …
    pub type_name: Option<String>,
    /// Object name, when it has one.
    pub object_name: Option<String>,
    /// OBJ_* attributes.
    pub attributes: u32,
    /// Granted access.
    pub access: u32,
    /// Handles to the object.
    pub handle_count: u32,
    /// Pointers to the object.
    pub pointer_count: u32,
}

/// The handles of the process.
#[derive(Clone, Debug, Default)]
pub struct HandleData {
    /// Whether the dump has the stream.
    pub present: bool,
    /// In stream order.
    pub handles: Vec<Handle>,
}

pub(super) fn read(reader: &mut StreamReader<'_, '_>) -> HandleData {
    const KIND: u32 = stream_type::HANDLE_DATA;
    let Some(stream) = reader.stream(KIND) else { return HandleData::default() };
    let mut data = HandleData { present: true, handles: Vec::new() };
    let field = |at| u32_at(stream.bytes, at);
    let (Some(header), Some(stride), Some(promised)) = (field(0), field(4), field(8)) else {
        reader.issue(KIND, stream.offset, || "too short for its header of 16 bytes".into());
        return data;
    };
    let records = strings::strided::<32>(reader, KIND, &stream, (header, stride, promised));
    for (place, record) in records {
        let word = |at| u32_at(record, at).unwrap_or(0);
        let mut name = |what, rva: u32| {
            let name = NameAt { kind: KIND, place, what, rva: rva.into() };
            (rva != 0).then(|| strings::utf16(reader, name)).flatten()
        };
        data.handles.push(Handle {
            value: u64_at(record, 0).unwrap_or(0),
            type_name: name("handle's type name", word(8)),
            object_name: name("object name", word(0xc)),
            attributes: word(0x10),
            access: word(0x14),
            handle_count: word(0x18),
            pointer_count: word(0x1c),
        });
    }
    data
}

#[cfg(test)]
mod tests {
    use crate::dump::tests::{Bytes, longs, messages, read, words};

    #[test]
    fn descriptors_of_any_size() {
        for size in [32_u32, 40, 48] {
            let mut bytes = Bytes::new();
            let [kind, object] = ["File", "\\Device"].map(|text| bytes.name(text));
            let mut stream = words([16, size, 2, 0]);
            for (value, object) in [(4, object), (8, 0)] {
                let fields = words([kind, object, 0x40, 0x12_0089, 3, 5]);
                let mut descriptor = [longs([value]), fields].concat();
                descriptor.resize(size as usize, 0xee);
                stream.extend(descriptor);
            }
            read(&bytes.stream(12, stream).finish(), |dump| {
                let handles = &dump.handles.handles;
                assert_eq!((handles.len(), messages(dump).len()), (2, 0));
                let first = &handles[0];
                assert_eq!((first.value, first.type_name.as_deref()), (4, Some("File")));
                assert_eq!(
                    (first.object_name.as_deref(), first.access),
                    (Some("\\Device"), 0x12_0089)
                );
                assert_eq!(
                    (first.attributes, first.handle_count, first.pointer_count),
                    (0x40, 3, 5)
                );
                assert_eq!(handles[1].object_name, None);
            });
        }
    }

    #[test]
    fn hostile_headers() {
        for (header, size, count) in
            [(16, 0, u32::MAX), (16, 31, 1), (u32::MAX, 32, 1), (16, 40, u32::MAX)]
        {
            let stream = words([header, size, count, 0]);
            read(&Bytes::new().stream(12, stream).finish(), |dump| {
                assert_eq!((dump.handles.handles.len(), messages(dump).len()), (0, 1));
                assert!(dump.handles.present);
            });
        }
        read(&Bytes::new().stream(12, [16]).finish(), |dump| assert_eq!(messages(dump).len(), 1));
    }

    #[test]
    fn a_bad_name_costs_the_name() {
        let stream =
            [words([16, 32, 1, 0]), longs([4]), words([0x7fff_0000, 0x7fff_0000])].concat();
        let stream = [stream, vec![0; 16]].concat();
        read(&Bytes::new().stream(12, stream).finish(), |dump| {
            let handle = &dump.handles.handles[0];
            assert_eq!((handle.value, &handle.type_name, &handle.object_name), (4, &None, &None));
            assert_eq!(messages(dump).len(), 2);
        });
    }
}
