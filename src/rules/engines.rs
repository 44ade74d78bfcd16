//! Whether the process makes code at run time as its business: then memory
//! that is private and executable is what to expect.

use super::Facts;
use crate::addr::AddressRange;

/// Modules of run-times that compile while they run, or that host one. File
/// names without `lib`, extension and what follows a hyphen, in lower case.
const ENGINES: [&str; 29] = [
    "cef",
    "chakra",
    "chakracore",
    "chrome",
    "chrome_elf",
    "chromium",
    "clr",
    "clrjit",
    "coreclr",
    "electron",
    "javascriptcore",
    "javascriptcoregtk",
    "jscript9",
    "jvm",
    "lua51",
    "luajit",
    "mono",
    "monosgen",
    "mozjs",
    "mscorsvr",
    "mscorwks",
    "msedge",
    "node",
    "pypy",
    "qt5webenginecore",
    "qt6webenginecore",
    "v8",
    "webkit2gtk",
    "xul",
];

/// The first module of such a run-time. A .NET program in a single file has
/// its run-time in the program.
pub(super) fn engine<'a>(facts: Facts<'a>) -> Option<&'a str> {
    let managed = facts.evidence.managed.iter().flat_map(|managed| &managed.runtimes);
    let runtimes = managed.map(|runtime| runtime.path.name());
    let images = facts.evidence.images.iter().map(|image| image.name());
    runtimes.chain(images.filter(|name| is_engine(name))).next()
}

fn is_engine(name: &str) -> bool {
    let end = name.bytes().position(|byte| matches!(byte, b'-' | b'.'));
    let (stem, rest) = name.split_at(end.unwrap_or(name.len()));
    let ends = |suffix: &str| rest.eq_ignore_ascii_case(suffix);
    let library = rest.starts_with('-') || rest.starts_with(".so") || ends(".dll") || ends(".exe");
    let stem = match stem.get(..3) {
        Some(lib) if lib.eq_ignore_ascii_case("lib") => &stem[3..],
        _ => stem,
    };
    (rest.is_empty() || library) && is_listed(stem)
}

/// Whether [`ENGINES`], which is sorted, has a name, whatever its case.
fn is_listed(stem: &str) -> bool {
    let lower = stem.bytes().map(|byte| byte.to_ascii_lowercase());
    ENGINES.binary_search_by(|known| known.bytes().cmp(lower.clone())).is_ok()
}

/// Code that its maker told the system of: the function tables of stream 13.
pub(super) struct RegisteredCode {
    /// First byte, and the highest last byte up to here; by first byte.
    tables: Vec<(u64, u64)>,
}

impl RegisteredCode {
    pub(super) fn of(facts: Facts<'_>) -> RegisteredCode {
        let ranges = facts.dump.function_tables.iter().map(|table| table.range);
        let mut tables: Vec<(u64, u64)> =
            ranges.map(|range| (range.start(), range.last())).collect();
        tables.sort_unstable();
        let mut highest = 0;
        for (_, last) in &mut tables {
            highest = highest.max(*last);
            *last = highest;
        }
        RegisteredCode { tables }
    }

    /// Whether a table covers part of a range.
    pub(super) fn overlaps(&self, range: AddressRange) -> bool {
        let after = self.tables.partition_point(|(first, _)| *first <= range.last());
        let before = after.checked_sub(1).and_then(|at| self.tables.get(at));
        before.is_some_and(|(_, last)| *last >= range.start())
    }
}

#[cfg(test)]
mod tests {
    use super::is_engine;

    #[test]
    fn the_list_is_sorted() {
        assert!(super::ENGINES.is_sorted());
    }

    #[test]
    fn names_of_run_times() {
        for name in [
            "clr.dll",
            "CoreCLR.dll",
            "mozjs-102.dll",
            "libjvm.so",
            "node.exe",
            "libcoreclr.so",
            "libv8.so.7.1",
            "node",
        ] {
            assert!(is_engine(name), "{name}");
        }
        for name in ["app.exe", "clrview.dll", "nodes.exe", "Mono.Cecil.dll", "libc.so.6", ""] {
            assert!(!is_engine(name), "{name}");
        }
    }
}
