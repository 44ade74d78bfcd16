//! One region: what VirtualQuery says of a run of pages.

use std::fmt;

use crate::addr::AddressRange;
use crate::dump::RawRegion;

/// Committed, reserved or free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Backed by memory or a file.
    Commit,
    /// Set aside, without memory.
    Reserve,
    /// Not in use.
    Free,
    /// The dump does not say.
    Unknown,
}

impl State {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Commit => "commit",
            State::Reserve => "reserve",
            State::Free => "free",
            State::Unknown => "unknown",
        }
    }
}

/// What backs the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemoryType {
    /// MEM_IMAGE: a view of an image section.
    Image,
    /// MEM_MAPPED: a view of another section. Whether of a file or of the
    /// pagefile, a dump does not say.
    Mapped,
    /// MEM_PRIVATE: this process alone has it.
    Private,
}

impl MemoryType {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            MemoryType::Image => "image",
            MemoryType::Mapped => "mapped",
            MemoryType::Private => "private",
        }
    }
}

/// PAGE_* bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Protection(pub u32);

impl Protection {
    /// PAGE_NOACCESS.
    pub const NO_ACCESS: Protection = Protection(0x01);
    /// PAGE_READONLY.
    pub const READ_ONLY: Protection = Protection(0x02);
    /// PAGE_READWRITE.
    pub const READ_WRITE: Protection = Protection(0x04);
    /// PAGE_WRITECOPY.
    pub const WRITE_COPY: Protection = Protection(0x08);
    /// PAGE_EXECUTE.
    pub const EXECUTE: Protection = Protection(0x10);
    /// PAGE_EXECUTE_READ.
    pub const EXECUTE_READ: Protection = Protection(0x20);
    /// PAGE_EXECUTE_READWRITE.
    pub const EXECUTE_READ_WRITE: Protection = Protection(0x40);

    const GUARD: u32 = 0x100;
    const NO_CACHE: u32 = 0x200;
    const WRITE_COMBINE: u32 = 0x400;

    /// Whether PAGE_GUARD is set.
    pub fn is_guard(self) -> bool {
        self.0 & Self::GUARD != 0
    }

    /// Whether code in it can run.
    pub fn is_executable(self) -> bool {
        self.0 & 0xf0 != 0
    }

    /// Whether it can be written, copy-on-write included.
    pub fn is_writable(self) -> bool {
        self.0 & 0xcc != 0
    }

    /// Whether it can be read, guard pages aside.
    pub fn is_readable(self) -> bool {
        self.0 & 0xee != 0
    }

    /// PAGE_* names joined by `|`, an unknown value in hex; empty for 0,
    /// which reserved and free regions have.
    pub fn name(self) -> String {
        let base = match self.0 & 0xff {
            0 => None,
            0x01 => Some("PAGE_NOACCESS"),
            0x02 => Some("PAGE_READONLY"),
            0x04 => Some("PAGE_READWRITE"),
            0x08 => Some("PAGE_WRITECOPY"),
            0x10 => Some("PAGE_EXECUTE"),
            0x20 => Some("PAGE_EXECUTE_READ"),
            0x40 => Some("PAGE_EXECUTE_READWRITE"),
            0x80 => Some("PAGE_EXECUTE_WRITECOPY"),
            _ => return format!("{:#x}", self.0),
        };
        let known = 0xff | Self::GUARD | Self::NO_CACHE | Self::WRITE_COMBINE;
        let flags = [
            (Self::GUARD, "PAGE_GUARD"),
            (Self::NO_CACHE, "PAGE_NOCACHE"),
            (Self::WRITE_COMBINE, "PAGE_WRITECOMBINE"),
        ];
        let set = flags.iter().filter(|(bit, _)| self.0 & bit != 0).map(|(_, name)| *name);
        let rest = self.0 & !known;
        let rest = (rest != 0).then(|| format!("{rest:#x}"));
        let mut names: Vec<String> = base.into_iter().chain(set).map(String::from).collect();
        names.extend(rest);
        names.join("|")
    }

    /// VMMap's words: `Read/Write`, `Execute/Read`, with `/Guard` and the
    /// like; empty for 0.
    pub fn words(self) -> &'static str {
        let guard = self.is_guard();
        match (self.0 & 0xff, guard) {
            (0, _) => "",
            (0x01, _) => "No access",
            (0x02, false) => "Read",
            (0x02, true) => "Read/Guard",
            (0x04, false) => "Read/Write",
            (0x04, true) => "Read/Write/Guard",
            (0x08, false) => "Copy on write",
            (0x08, true) => "Copy on write/Guard",
            (0x10, _) => "Execute",
            (0x20, false) => "Execute/Read",
            (0x20, true) => "Execute/Read/Guard",
            (0x40, false) => "Execute/Read/Write",
            (0x40, true) => "Execute/Read/Write/Guard",
            (0x80, _) => "Execute/Copy on write",
            _ => "?",
        }
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// Where a region comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A record of MemoryInfoList, by index in the stream.
    Record(u32),
    /// A line of the maps text, by index in [`LinuxMaps`](crate::dump::LinuxMaps).
    LinuxMap(u32),
    /// An entry of the module list, by index.
    Module(u32),
    /// Captured memory.
    Captured,
    /// No record: the bytes between two regions.
    Gap,
}

/// A run of pages with one state, type, protection and allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its addresses.
    pub range: AddressRange,
    /// Committed, reserved, free or unknown.
    pub state: State,
    /// What backs it; `None` where the dump does not say, and for free
    /// memory.
    pub memory_type: Option<MemoryType>,
    /// Protection now; 0 unless committed, where it is undefined.
    pub protect: Protection,
    /// First address of its allocation; `None` for free and unknown memory.
    pub allocation_base: Option<u64>,
    /// Protection when it was allocated; 0 where there is no allocation.
    pub allocation_protect: Protection,
    /// Where it comes from.
    pub origin: Origin,
}

impl Region {
    /// A region of which only range and state are known.
    pub(crate) fn bare(range: AddressRange, state: State, origin: Origin) -> Region {
        Region {
            range,
            state,
            memory_type: None,
            protect: Protection(0),
            allocation_base: None,
            allocation_protect: Protection(0),
            origin,
        }
    }

    /// The region of a record at `index` of the stream, with `base` already
    /// masked. `None` when the record has no bytes or wraps.
    ///
    /// Free records keep nothing but range and state: VirtualQuery leaves the
    /// other fields undefined. So is the protection of reserved ones.
    #[inline]
    pub(crate) fn from_record(raw: &RawRegion, index: usize, base: u64) -> Option<Region> {
        let range = AddressRange::new(base, raw.size)?;
        // Writers that mask nothing store the allocation base sign-extended
        // as the base is; the same shift brings it back.
        let allocation_base = raw.allocation_base.wrapping_sub(raw.base.wrapping_sub(base));
        Some(Region::decode(raw, index, range, allocation_base))
    }

    /// The region of a record that [`RegionMap::build`](super::RegionMap::build)
    /// has found sound.
    #[inline]
    pub(crate) fn from_sound_record(raw: &RawRegion, index: usize) -> Region {
        let last = raw.base.wrapping_add(raw.size.wrapping_sub(1));
        Region::decode(raw, index, AddressRange::ordered(raw.base, last), raw.allocation_base)
    }

    #[inline]
    fn decode(raw: &RawRegion, index: usize, range: AddressRange, allocation: u64) -> Region {
        let state = match raw.state {
            0x1000 => State::Commit,
            0x2000 => State::Reserve,
            0x10000 => State::Free,
            _ => State::Unknown,
        };
        let memory_type = match raw.kind {
            0x0100_0000 => Some(MemoryType::Image),
            0x0004_0000 => Some(MemoryType::Mapped),
            0x0002_0000 => Some(MemoryType::Private),
            _ => None,
        };
        let free = state == State::Free;
        Region {
            range,
            state,
            memory_type: if free { None } else { memory_type },
            protect: Protection(if state == State::Commit { raw.protect } else { 0 }),
            allocation_base: if free { None } else { Some(allocation) },
            allocation_protect: Protection(if free { 0 } else { raw.allocation_protect }),
            origin: Origin::Record(u32::try_from(index).unwrap_or(u32::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protections_have_the_names_of_windows() {
        let cases = [
            (0, ""),
            (0x04, "PAGE_READWRITE"),
            (0x104, "PAGE_READWRITE|PAGE_GUARD"),
            (0x604, "PAGE_READWRITE|PAGE_NOCACHE|PAGE_WRITECOMBINE"),
            (0x4000_0020, "PAGE_EXECUTE_READ|0x40000000"),
            (0x33, "0x33"),
        ];
        for (bits, name) in cases {
            assert_eq!(Protection(bits).name(), name);
        }
        assert!(Protection(0x104).is_guard());
    }
}
