//! How large a page of the process was. Sources: AT_PAGESZ of Linux'
//! auxiliary vector, SystemMemoryInfo (stream 21), else the processor.

use super::{Arch, Dump, Platform};

/// Bytes of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize {
    /// A power of two.
    pub bytes: u64,
    /// How that is known.
    pub source: PageSizeSource,
}

/// How the size of a page is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PageSizeSource {
    /// AT_PAGESZ.
    AuxiliaryVector,
    /// Stream 21.
    SystemMemory,
    /// All systems of this kind on this processor have it.
    Processor,
    /// Not at all: kernels for this processor are built with several.
    Assumed,
}

impl PageSizeSource {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            PageSizeSource::AuxiliaryVector => "auxiliary-vector",
            PageSizeSource::SystemMemory => "system-memory",
            PageSizeSource::Processor => "processor",
            PageSizeSource::Assumed => "assumed",
        }
    }
}

/// Pages of x86, and of Windows everywhere.
const SMALL: u64 = 0x1000;
/// Of macOS and iOS on ARM64.
const APPLE: u64 = 0x4000;

impl Dump<'_> {
    /// How large a page was. Sizes that no system has are not believed.
    pub fn page_size(&self) -> PageSize {
        const AT_PAGESZ: u64 = 6;
        let is_sound = |bytes: &u64| bytes.is_power_of_two() && (SMALL..=1 << 20).contains(bytes);
        let pairs = || self.linux.auxv.iter();
        let auxv = pairs().find(|(kind, _)| *kind == AT_PAGESZ).map(|(_, value)| *value);
        let system = self.system_memory.map(|memory| u64::from(memory.page_size));
        let size = |bytes, source| PageSize { bytes, source };
        if let Some(bytes) = auxv.filter(is_sound) {
            return size(bytes, PageSizeSource::AuxiliaryVector);
        }
        if let Some(bytes) = system.filter(is_sound) {
            return size(bytes, PageSizeSource::SystemMemory);
        }
        match (self.system.platform, self.system.arch) {
            (_, Arch::X86 | Arch::Amd64) => size(SMALL, PageSizeSource::Processor),
            (Platform::Windows, Arch::Arm | Arch::Arm64) => size(SMALL, PageSizeSource::Processor),
            (Platform::MacOs | Platform::Ios, Arch::Arm64) => {
                size(APPLE, PageSizeSource::Processor)
            }
            _ => size(SMALL, PageSizeSource::Assumed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::source::Source;
    use crate::synth::{self, DumpBuilder};

    fn of(dump: &DumpBuilder) -> (u64, PageSizeSource) {
        let source = Source::from_bytes(dump.build());
        let size = Dump::read(&source, &Limits::default()).unwrap().page_size();
        (size.bytes, size.source)
    }

    #[test]
    fn who_says_how_large_pages_are() {
        let on = |arch, platform| DumpBuilder::with_system(arch, platform, (1, 0, 0));
        let arm = || on(synth::Architecture::Arm64, synth::Platform::Linux);
        assert_eq!(of(&arm()), (0x1000, PageSizeSource::Assumed));
        let auxv = |size| arm().linux_auxv(&[(3, 0x40), (6, size)]);
        assert_eq!(of(&auxv(0x1_0000)), (0x1_0000, PageSizeSource::AuxiliaryVector));
        for wrong in [0, 0x800, 0x1001, 1 << 40] {
            assert_eq!(of(&auxv(wrong)), (0x1000, PageSizeSource::Assumed));
        }
        let mac = on(synth::Architecture::Arm64, synth::Platform::MacOs);
        assert_eq!(of(&mac), (0x4000, PageSizeSource::Processor));
        assert_eq!(of(&DumpBuilder::windows_arm64()), (0x1000, PageSizeSource::Processor));
        assert_eq!(of(&DumpBuilder::windows_x86()), (0x1000, PageSizeSource::Processor));
    }
}
