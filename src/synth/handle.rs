//! Streams of kernel objects and code: handles (12), dynamic function tables (13), tokens (19).

use super::Name;
use super::bytes::{Out, Record};

/// Stream 12, MINIDUMP_HANDLE_DATA_STREAM.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HandleData {
    /// Which descriptor is written.
    pub descriptor: HandleDescriptor,
    /// The handles.
    pub handles: Vec<Handle>,
}

/// The two handle descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HandleDescriptor {
    /// MINIDUMP_HANDLE_DESCRIPTOR, 32 bytes: no object information.
    V1,
    /// MINIDUMP_HANDLE_DESCRIPTOR_2, 40 bytes.
    #[default]
    V2,
}

/// One handle.
#[derive(Debug, Clone, PartialEq)]
pub struct Handle {
    /// The handle's value.
    pub value: u64,
    /// TypeName: `Event`, `File`, `Section`…
    pub type_name: Name,
    /// ObjectName.
    pub object_name: Name,
    /// Attributes.
    pub attributes: u32,
    /// GrantedAccess.
    pub access: u32,
    /// HandleCount.
    pub handle_count: u32,
    /// PointerCount.
    pub pointer_count: u32,
    /// ObjectInfoRva chain, as (type, data); [`HandleDescriptor::V2`] only.
    pub information: Vec<(u32, Vec<u8>)>,
}

impl Handle {
    /// A handle without a name.
    pub fn new(value: u64, type_name: impl Into<Name>) -> Self {
        Handle {
            value,
            type_name: type_name.into(),
            object_name: Name::None,
            attributes: 0,
            access: 0x1f_0003,
            handle_count: 2,
            pointer_count: 1,
            information: Vec::new(),
        }
    }

    /// A handle of a named object.
    pub fn named(value: u64, type_name: impl Into<Name>, object_name: impl Into<Name>) -> Self {
        Handle { object_name: object_name.into(), ..Handle::new(value, type_name) }
    }
}

pub(super) fn write_handles(data: &HandleData, out: &mut Out) -> Vec<u8> {
    let size = match data.descriptor {
        HandleDescriptor::V1 => 32,
        HandleDescriptor::V2 => 40,
    };
    let mut record = out.record();
    record.u32s(&[16, size, data.handles.len() as u32, 0]);
    for handle in &data.handles {
        let type_name = out.name(&handle.type_name);
        let object_name = out.name(&handle.object_name);
        record
            .u64(handle.value)
            .u32s(&[type_name, object_name, handle.attributes, handle.access])
            .u32s(&[handle.handle_count, handle.pointer_count]);
        if data.descriptor == HandleDescriptor::V2 {
            let information = write_information(&handle.information, out);
            record.u32s(&[information, 0]);
        }
    }
    record.bytes
}

/// MINIDUMP_HANDLE_OBJECT_INFORMATION records, the last one first, so that each knows its successor.
fn write_information(chain: &[(u32, Vec<u8>)], out: &mut Out) -> u32 {
    let mut next = 0;
    for (kind, data) in chain.iter().rev() {
        let mut record = out.record();
        record.u32s(&[next, *kind, data.len() as u32 + 12]).raw(data);
        next = out.put(&record.bytes).rva;
    }
    next
}

/// One descriptor of stream 13, MINIDUMP_FUNCTION_TABLE_DESCRIPTOR: code made at run time on x64.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FunctionTable {
    /// MinimumAddress.
    pub minimum: u64,
    /// MaximumAddress, exclusive.
    pub maximum: u64,
    /// BaseAddress: what the entries' offsets are relative to.
    pub base: u64,
    /// RUNTIME_FUNCTION: begin, end and unwind offset.
    pub entries: Vec<[u32; 3]>,
}

pub(super) fn write_function_tables(tables: &[FunctionTable], out: &mut Out) -> Vec<u8> {
    const NATIVE: usize = 0x88; // DYNAMIC_FUNCTION_TABLE as dbghelp copies it
    let mut record = out.record();
    record.u32s(&[24, 32, NATIVE as u32, 12]).u32s(&[tables.len() as u32, 0]);
    for table in tables {
        let size = 32 + NATIVE + 12 * table.entries.len();
        let padding = size.next_multiple_of(8) - size;
        record
            .u64s(&[table.minimum, table.maximum, table.base])
            .u32s(&[table.entries.len() as u32, padding as u32])
            .zeros(NATIVE);
        for entry in &table.entries {
            record.u32s(entry);
        }
        record.zeros(padding);
    }
    record.bytes
}

/// One element of stream 19, MINIDUMP_TOKEN_INFO_LIST.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Token {
    /// TokenId: a process or thread id.
    pub id: u32,
    /// TokenHandle.
    pub handle: u64,
    /// What follows the 0x48-byte element header.
    pub data: Vec<u8>,
}

/// TokenSize counts the element with its header of 0x48 bytes, as dbghelp's dumps do.
pub(super) fn write_tokens(tokens: &[Token], out: &mut Out) -> Vec<u8> {
    const HEADER: usize = 0x48;
    let mut elements: Record = out.record();
    for token in tokens {
        let start = elements.bytes.len();
        elements
            .u32s(&[(HEADER + token.data.len()) as u32, token.id])
            .u64(token.handle)
            .fill_to(start + HEADER)
            .raw(&token.data);
    }
    let mut record = out.record();
    record
        .u32s(&[16 + elements.bytes.len() as u32, tokens.len() as u32])
        .u32s(&[16, HEADER as u32])
        .raw(&elements.bytes);
    record.bytes
}
