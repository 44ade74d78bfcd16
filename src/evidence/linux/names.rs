//! The names that the kernel, libraries and runtimes give to memory.
//!
//! Sources: proc(5); PR_SET_VMA_ANON_NAME as bionic, ART, scudo, glibc and
//! Chromium use it; names seen in dumps of Android, Firefox OS and Linux.

use crate::dump::LinuxMap;
use crate::evidence::RegionKind::{
    self, Heap, Image, ManagedHeap, MappedFile, Private, Shareable, Stack,
};

/// Names in brackets that the kernel gives; what the use is called.
const KERNEL: &[(&str, RegionKind, &str)] = &[
    ("[heap]", Heap, "brk heap"),
    ("[stack]", Stack, "main thread's stack"),
    ("[vdso]", Image, "vdso"),
    ("[vvar]", Private, "kernel data (vvar)"),
    ("[vvar_vclock]", Private, "kernel data (vvar)"),
    ("[vsyscall]", Private, "kernel code (vsyscall)"),
    ("[vectors]", Private, "kernel code (vectors)"),
    ("[sigpage]", Private, "kernel code (sigpage)"),
    ("[uprobes]", Private, "kernel code (uprobes)"),
    ("[timer]", Private, "kernel data (timer)"),
];

/// Prefixes of the names in `[anon:…]` whose memory is not just private. The
/// first that fits decides.
const ANONYMOUS: &[(&str, RegionKind)] = &[
    (".bss", Image),
    ("libc_malloc", Heap),
    ("malloc", Heap),
    ("scudo:", Heap),
    ("scudo_", Heap),
    ("GWP-ASan", Heap),
    ("bionic_alloc", Heap),
    ("linker_alloc", Heap),
    ("jemalloc", Heap),
    ("partition_alloc", Heap),
    ("tcmalloc", Heap),
    ("mimalloc", Heap),
    ("glibc: malloc", Heap),
    ("glibc: loader malloc", Heap),
    ("glibc: pthread stack", Stack),
    ("stack_and_tls:", Stack),
    ("js-gc-heap", ManagedHeap),
    ("v8", ManagedHeap),
    ("blink_gc", ManagedHeap),
    ("hermes-", ManagedHeap),
    ("Go: heap", ManagedHeap),
];

/// Files that are no files: shared memory under a name. The first that fits
/// decides.
const SHARED: &[&str] = &[
    "/memfd:",
    "/dev/shm/",
    "/run/shm/",
    "/SYSV",
    "/dev/zero",
    "/dev/ashmem",
    "/anon_hugepage",
    "/dmabuf:",
    "[anon_shmem:",
    "anon_inode:",
];

/// Drivers whose mappings are memory of a device, or of the kernel for it.
const DEVICES: &[&str] = &[
    "/dev/kgsl",
    "/dev/mali",
    "/dev/dri/",
    "/dev/nvidia",
    "/dev/dxg",
    "/dev/kfd",
    "/dev/pvr",
    "/dev/dma_heap",
    "/dev/ion",
    "/dev/binder",
    "/dev/hwbinder",
    "/dev/vndbinder",
    "/dev/snd/",
    "/dev/video",
    "/dev/fb",
    "/dev/mem",
];

/// The kind of a named line, and what its use is called where that is not the
/// name itself.
pub(super) fn meaning(line: &LinuxMap) -> (RegionKind, Option<&'static str>) {
    let name = line.name.as_str();
    if let Some((_, kind, usage)) = KERNEL.iter().find(|(known, ..)| *known == name) {
        return (*kind, Some(usage));
    }
    if name.starts_with("[stack:") {
        return (Stack, None);
    }
    let anonymous = name.strip_prefix("[anon:").map(str::trim_start);
    if let Some(inside) = anonymous.or_else(|| name.strip_prefix("/dev/ashmem/")) {
        // Before 2018 Android named memory by files of ashmem.
        let inside = inside.strip_suffix(']').unwrap_or(inside);
        if let Some(runtime) = inside.strip_prefix("dalvik-") {
            return (if is_java_heap(runtime) { ManagedHeap } else { rest(line) }, None);
        }
        let known = ANONYMOUS.iter().find(|(prefix, _)| inside.starts_with(prefix));
        return (known.map_or(rest(line), |(_, kind)| *kind), None);
    }
    if SHARED.iter().any(|prefix| name.starts_with(prefix)) {
        return (Shareable, None);
    }
    if DEVICES.iter().any(|prefix| name.starts_with(prefix)) {
        return (MappedFile, Some("device memory"));
    }
    match (name.starts_with('/') || line.inode != 0, line.deleted) {
        (true, true) => (MappedFile, Some("deleted file")),
        (true, false) => (MappedFile, None),
        (false, _) => (rest(line), None),
    }
}

/// Memory whose name decides nothing.
fn rest(line: &LinuxMap) -> RegionKind {
    if line.shared || line.name.starts_with('/') { Shareable } else { Private }
}

/// Whether ART keeps Java objects there, by the name after `dalvik-`: spaces,
/// not the bitmaps and tables about them.
fn is_java_heap(name: &str) -> bool {
    const ABOUT: [&str; 8] =
        ["bitmap", " map", "table", "info", "mark", "card", "stack", "remembered"];
    let space = name.contains(" space") || name.starts_with("allocspace") || name == "heap";
    space && !ABOUT.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::AddressRange;

    fn check(text: &str, expected: (RegionKind, Option<&'static str>)) {
        let (name, deleted) = match text.strip_suffix(" (deleted)") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let line = LinuxMap {
            range: AddressRange::new(0x1000, 0x1000).unwrap(),
            read: true,
            write: true,
            execute: false,
            shared: false,
            offset: 0,
            device: (0, 0),
            inode: u64::from(name.starts_with('/')),
            name: name.into(),
            deleted,
        };
        assert_eq!(meaning(&line), expected, "{text}");
    }

    #[test]
    fn names_have_kinds() {
        check("[heap]", (Heap, Some("brk heap")));
        check("[stack]", (Stack, Some("main thread's stack")));
        check("[stack:1234]", (Stack, None));
        check("[vdso]", (Image, Some("vdso")));
        check("[vvar_vclock]", (Private, Some("kernel data (vvar)")));
        check("[something new]", (Private, None));
        check("/usr/lib/locale/locale-archive", (MappedFile, None));
        check("/tmp/gone (deleted)", (MappedFile, Some("deleted file")));
        check("/memfd:pulseaudio (deleted)", (Shareable, None));
        check("/SYSV00000000 (deleted)", (Shareable, None));
        check("/dev/shm/org.chromium.Chromium.abc", (Shareable, None));
        check("/dev/zero (deleted)", (Shareable, None));
        check("/dev/kgsl-3d0", (MappedFile, Some("device memory")));
        check("/dev/__properties__/u:object_r:log_prop:s0", (MappedFile, None));
        check("anon_inode:[perf_event]", (Shareable, None));
        check("[anon_shmem:shm]", (Shareable, None));
    }

    #[test]
    fn anonymous_names_have_kinds() {
        check("[anon:libc_malloc]", (Heap, None));
        check("[anon:scudo:primary]", (Heap, None));
        check("[anon: glibc: malloc arena]", (Heap, None));
        check("[anon:.bss]", (Image, None));
        check("[anon:thread signal stack]", (Private, None));
        check("[anon:stack_and_tls:4711]", (Stack, None));
        check("[anon:js-gc-heap]", (ManagedHeap, None));
        check("[anon:v8]", (ManagedHeap, None));
        check("[anon:atexit handlers]", (Private, None));
    }

    #[test]
    fn java_objects_are_in_spaces() {
        check("[anon:dalvik-main space (region space)]", (ManagedHeap, None));
        check("[anon:dalvik-zygote / non moving space]", (ManagedHeap, None));
        check("[anon:dalvik-free list large object space]", (ManagedHeap, None));
        check("[anon:dalvik-large object space allocation]", (ManagedHeap, None));
        check("/dev/ashmem/dalvik-main space 1 (deleted)", (ManagedHeap, None));
        check("[anon:dalvik-allocspace main rosalloc space live-bitmap 0]", (Private, None));
        check("[anon:dalvik-large object free list space allocation info map]", (Private, None));
        check("[anon:dalvik-card table]", (Private, None));
        check("[anon:dalvik-LinearAlloc]", (Private, None));
        check("/dev/ashmem/dalvik-jit-code-cache (deleted)", (Shareable, None));
    }
}
