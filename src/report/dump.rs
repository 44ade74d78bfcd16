//! The head of every document: which dump, of which process.

use std::borrow::Cow;

use serde::Serialize;

use super::{Hex, Input, time};
use crate::crash;
use crate::dump::{Arch, Dump, Platform, stream_type};

/// The dump and its process.
#[derive(Clone, Debug, Serialize)]
pub struct DumpView<'a> {
    /// Path as it was given, U+FFFD where it is not Unicode; `-` for standard
    /// input.
    pub path: String,
    /// The path's bytes in hex (WTF-8 on Windows), only where it is not
    /// Unicode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
    /// Bytes of the file.
    pub file_size: u64,
    /// Operating system.
    pub platform: &'static str,
    /// Its version.
    pub os_version: Option<Cow<'a, str>>,
    /// Processor architecture.
    pub arch: &'static str,
    /// 32 or 64.
    pub pointer_bits: u32,
    /// `memory-info`, `linux-maps` or `rebuilt`.
    pub map_source: &'static str,
    /// How much memory content was read.
    pub depth: &'static str,
    /// Process id.
    pub process_id: Option<u32>,
    /// File name of the program.
    pub process_name: Option<Cow<'a, str>>,
    /// When the dump was written, UTC.
    pub time: Option<String>,
    /// Who wrote it, where its streams tell.
    pub writer: Option<&'static str>,
    /// MINIDUMP_TYPE bits of the header; several writers leave 0.
    pub flags: String,
    /// The comment streams.
    pub comment: Option<Cow<'a, str>>,
    /// How many threads.
    pub threads: usize,
    /// How many modules.
    pub modules: usize,
    /// How many modules that were unloaded.
    pub unloaded_modules: usize,
    /// Bytes of captured memory.
    pub captured: u64,
    /// Why the process died; null when no crash was recorded.
    pub exception: Option<ExceptionView>,
}

/// A recorded crash.
#[derive(Clone, Debug, Serialize)]
pub struct ExceptionView {
    /// Exception code or signal.
    pub code: u32,
    /// Its name.
    pub name: String,
    /// The address that it is about.
    pub address: Option<Hex>,
    /// Which thread.
    pub thread_id: u32,
}

impl<'a> DumpView<'a> {
    /// The head for one analysis.
    pub fn of(input: &Input<'a>) -> DumpView<'a> {
        let dump = &input.analysis.dump;
        let lossy = input.path.to_string_lossy().into_owned();
        DumpView {
            path: input.owned(lossy),
            path_bytes: input.path.to_str().is_none().then(|| {
                input.path.as_encoded_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
            }),
            file_size: dump.source.len(),
            platform: platform(dump.system.platform),
            os_version: os_version(dump),
            arch: arch(dump.system.arch),
            pointer_bits: dump.system.width.bits(),
            map_source: input.analysis.map.source.as_str(),
            depth: dump.limits.depth.as_str(),
            process_id: dump.process.id,
            process_name: input.analysis.process_name().map(|name| input.text(name)),
            time: Some(dump.header.time).filter(|time| *time != 0).and_then(time::iso),
            writer: writer(dump),
            flags: format!("{:#x}", dump.header.flags),
            comment: dump.notes.comment.as_deref().map(|comment| input.text(comment)),
            threads: dump.threads.len(),
            modules: dump.modules.modules.len(),
            unloaded_modules: dump.unloaded_modules.len(),
            captured: dump.captured.bytes,
            exception: dump.exception.as_ref().filter(|exception| exception.is_crash).map(
                |exception| ExceptionView {
                    code: exception.code,
                    name: crash::name(dump, exception),
                    address: exception.crash_address.map(|address| input.hex(address)),
                    thread_id: exception.thread_id,
                },
            ),
        }
    }

    /// The same, without anything borrowed from the dump.
    pub fn into_owned(self) -> DumpView<'static> {
        let owned = |text: Option<Cow<'a, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        DumpView {
            os_version: owned(self.os_version),
            process_name: owned(self.process_name),
            comment: owned(self.comment),
            path: self.path,
            path_bytes: self.path_bytes,
            file_size: self.file_size,
            platform: self.platform,
            arch: self.arch,
            pointer_bits: self.pointer_bits,
            map_source: self.map_source,
            depth: self.depth,
            process_id: self.process_id,
            time: self.time,
            writer: self.writer,
            flags: self.flags,
            threads: self.threads,
            modules: self.modules,
            unloaded_modules: self.unloaded_modules,
            captured: self.captured,
            exception: self.exception,
        }
    }

    /// The part of the path after the last separator.
    pub fn file_name(&self) -> &str {
        crate::dump::file_name(&self.path)
    }
}

pub(super) fn os_version<'a>(dump: &'a Dump<'_>) -> Option<Cow<'a, str>> {
    let (major, minor, build) = dump.system.version;
    match dump.system.description.as_deref().filter(|text| !text.is_empty()) {
        _ if !dump.system.present => None,
        Some(text) if (major, minor, build) == (0, 0, 0) => Some(Cow::Borrowed(text)),
        None if (major, minor, build) == (0, 0, 0) => None,
        _ => Some(Cow::Owned(format!("{major}.{minor}.{build}"))),
    }
}

pub(super) fn platform(platform: Platform) -> &'static str {
    match platform {
        Platform::Windows => "windows",
        Platform::MacOs => "macos",
        Platform::Ios => "ios",
        Platform::Linux => "linux",
        Platform::Android => "android",
        Platform::Solaris => "solaris",
        Platform::Fuchsia => "fuchsia",
        Platform::Unknown(_) => "unknown",
    }
}

pub(super) fn arch(arch: Arch) -> &'static str {
    match arch {
        Arch::X86 => "x86",
        Arch::Amd64 => "amd64",
        Arch::Arm => "arm",
        Arch::Arm64 => "arm64",
        Arch::Ppc => "ppc",
        Arch::Ppc64 => "ppc64",
        Arch::Sparc => "sparc",
        Arch::Mips => "mips",
        Arch::Mips64 => "mips64",
        Arch::Riscv => "riscv",
        Arch::Riscv64 => "riscv64",
        Arch::Ia64 => "ia64",
        Arch::Unknown(_) => "unknown",
    }
}

/// Who wrote the dump, as far as streams that only one writer makes tell. The
/// high half of the header's version is dbghelp's build; the others leave 0.
pub(super) fn writer(dump: &Dump<'_>) -> Option<&'static str> {
    const WINE: u32 = 0xfff0;
    const UNREAL: u32 = 0x1_0000;
    let has = |kind| dump.directory.has(kind);
    let linux = matches!(dump.system.platform, Platform::Linux | Platform::Android);
    let comment = dump.notes.comment.as_deref().unwrap_or("");
    if has(stream_type::CRASHPAD_INFO) {
        Some("crashpad")
    } else if comment.contains("procdump") {
        Some("procdump")
    } else if has(UNREAL) {
        Some("unreal")
    } else if has(WINE) {
        Some("wine-dbghelp")
    } else if has(stream_type::MEMORY_INFO_LIST) && has(stream_type::LINUX_MAPS) {
        Some("minidump-writer")
    } else if dump.header.version >> 16 != 0 {
        Some("dbghelp")
    } else if linux && has(stream_type::LINUX_MAPS) || has(stream_type::BREAKPAD_INFO) {
        Some("breakpad")
    } else {
        None
    }
}
