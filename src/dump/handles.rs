//! Open handles. Source: MINIDUMP_HANDLE_DATA_STREAM (12), descriptors of any
//! size from 32 bytes.

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

pub(super) fn read(_reader: &mut super::StreamReader<'_, '_>) -> HandleData {
    HandleData::default()
}
