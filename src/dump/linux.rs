//! The Linux streams. Sources: /proc/PID/maps as text (0x47670009), status
//! (4), command line (6), auxiliary vector (8) and the loader's list of
//! libraries (0xa). One bad line costs that line, never the map.

use crate::addr::AddressRange;

/// One line of /proc/PID/maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinuxMap {
    /// From the first byte up to the second address, which is outside.
    pub range: AddressRange,
    /// Readable.
    pub read: bool,
    /// Writable.
    pub write: bool,
    /// Executable.
    pub execute: bool,
    /// `s`: writes are seen by others. `p`: private, copied on write.
    pub shared: bool,
    /// Offset in the file.
    pub offset: u64,
    /// Device, as major and minor number.
    pub device: (u32, u32),
    /// Inode; 0 when no file is behind it.
    pub inode: u64,
    /// Path or name in brackets, without ` (deleted)`; empty when anonymous.
    pub name: String,
    /// Whether the file was deleted after it was mapped.
    pub deleted: bool,
}

/// The maps text.
#[derive(Clone, Debug, Default)]
pub struct LinuxMaps {
    /// In address order; overlapping lines are kept and left to the map.
    pub maps: Vec<LinuxMap>,
    /// Whether a line was lost or the text cut: then gaps are not known to
    /// be free.
    pub incomplete: bool,
}

/// What the Linux streams say beside the maps.
#[derive(Clone, Debug, Default)]
pub struct LinuxDump {
    /// /proc/PID/maps, when the dump has it.
    pub maps: Option<LinuxMaps>,
    /// `Name:` of /proc/PID/status.
    pub process_name: Option<String>,
    /// `Pid:` of /proc/PID/status.
    pub process_id: Option<u32>,
    /// Auxiliary vector: type and value, up to AT_NULL.
    pub auxv: Vec<(u64, u64)>,
    /// The loader's list: base address and file name of each library.
    pub libraries: Vec<(u64, String)>,
}

pub(super) fn read(_reader: &mut super::StreamReader<'_, '_>) -> LinuxDump {
    LinuxDump::default()
}
impl LinuxDump {
    /// Reads what needs the pointer width: auxv and the loader's list.
    pub(super) fn settle(
        &mut self,
        _reader: &mut super::StreamReader<'_, '_>,
        _system: &super::SystemInfo,
    ) {
    }
}
