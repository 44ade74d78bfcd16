//! Process parameters: image path, command line, and where the environment
//! block is. The block itself is never read: it holds secrets.

use super::Parameters;
use super::layout::{PARAMETERS32, PARAMETERS64, ParametersLayout, pointer_at};
use crate::addr::AddressRange;
use crate::dump::bytes::{index, u16_at, u32_at, utf16_lossy};
use crate::dump::{CapturedMemory, PointerWidth};

/// Process parameters and where they are.
#[derive(Debug)]
pub(super) struct ParametersAt {
    pub(super) range: AddressRange,
    pub(super) parameters: Parameters,
}

/// The parameters at `address`; `None` unless their header is captured and
/// sound.
pub(super) fn read(
    memory: &CapturedMemory<'_>,
    address: u64,
    width: PointerWidth,
) -> Option<ParametersAt> {
    let layout = match width {
        PointerWidth::Bits32 => &PARAMETERS32,
        PointerWidth::Bits64 => &PARAMETERS64,
    };
    let bytes = memory.bytes_at(address, layout.read);
    let (maximum, length) = (u32_at(&bytes, 0)?, u32_at(&bytes, 4)?);
    // The structure carries its strings: from a few hundred bytes on, and at
    // most what four UNICODE_STRINGs of 64 KiB and the rest can need.
    if !(0x200..=0x10_0000).contains(&length) || maximum < length {
        return None;
    }
    let range = AddressRange::new(address, u64::from(length))?;
    let at = Place { memory, address, bytes: &bytes, layout };
    let parameters = Parameters {
        image_path: at.string(layout.image_path),
        command_line: at.string(layout.command_line),
        environment: at.environment(length),
    };
    Some(ParametersAt { range, parameters })
}

struct Place<'a, 's> {
    memory: &'a CapturedMemory<'s>,
    address: u64,
    bytes: &'a [u8],
    layout: &'a ParametersLayout,
}

impl Place<'_, '_> {
    /// A pointer; an offset from the structure while the parameters are not
    /// normalized (flag 1).
    fn pointer(&self, offset: usize) -> Option<u64> {
        let pointer = pointer_at(self.bytes, offset, self.layout.width)?;
        let normalized = u32_at(self.bytes, 8)? & 1 != 0;
        match pointer {
            0 => None,
            pointer if normalized => Some(pointer),
            offset => self.address.checked_add(offset),
        }
    }

    /// The text of a UNICODE_STRING; `None` unless all of it is captured.
    fn string(&self, offset: usize) -> Option<String> {
        let length = index(u16_at(self.bytes, offset)?);
        let buffer = self.pointer(offset.checked_add(self.layout.width.bytes())?)?;
        let text = self.memory.bytes_at(buffer, length);
        (length > 0 && text.len() == length).then(|| utf16_lossy(&text))
    }

    /// Where the environment block is. EnvironmentSize came with Vista:
    /// before, the structure was shorter and the size is not known.
    fn environment(&self, length: u32) -> Option<AddressRange> {
        const LARGEST: u64 = 16 << 20;
        if index(length) < self.layout.read {
            return None;
        }
        let start = pointer_at(self.bytes, self.layout.environment, self.layout.width)?;
        let size = pointer_at(self.bytes, self.layout.environment_size, self.layout.width)?;
        (start != 0 && size <= LARGEST).then(|| AddressRange::new(start, size))?
    }
}
