//! Whether the process makes code at run time as its business: then memory
//! that is private and executable is what to expect.

use super::Facts;
use crate::addr::AddressRange;

/// Modules of run-times that compile while they run, or that host one. File
/// names without their extension and version, in lower case.
const ENGINES: [&str; 37] = [
    "clr",
    "coreclr",
    "mscorwks",
    "mscorsvr",
    "clrjit",
    "mono",
    "monosgen",
    "mono-2.0-bdwgc",
    "jvm",
    "jscript9",
    "chakra",
    "chakracore",
    "v8",
    "node",
    "electron",
    "libcef",
    "chrome",
    "chrome_elf",
    "msedge",
    "chromium",
    "xul",
    "mozjs",
    "javascriptcore",
    "libjavascriptcoregtk",
    "libwebkit2gtk",
    "qt5webenginecore",
    "qt6webenginecore",
    "luajit",
    "lua51",
    "pypy",
    "libpypy",
    "libv8",
    "libnode",
    "libxul",
    "libcoreclr",
    "libjvm",
    "libclrjit",
];

/// The first module of such a run-time. A .NET program in a single file has
/// its run-time in the program.
pub(super) fn engine<'a>(facts: Facts<'a>) -> Option<&'a str> {
    let managed = facts.evidence.managed.iter().flat_map(|managed| &managed.runtimes);
    let runtimes = managed.map(|runtime| name_of(&runtime.path));
    let names = facts.dump.modules.modules.iter().map(|module| module.name());
    let images = facts.evidence.images.iter().map(|image| image.name());
    let by_name = names.chain(images).filter(|name| is_engine(name));
    runtimes.chain(by_name).next()
}

fn name_of(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or(path)
}

fn is_engine(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let stem = lower.split(".so").next().unwrap_or(&lower);
    let stem = stem.strip_suffix(".dll").or_else(|| stem.strip_suffix(".exe")).unwrap_or(stem);
    // `mozjs-102`, `libmonosgen-2.0`: what follows a hyphen is a version.
    let versioned = |engine: &&str| {
        let rest = stem.strip_prefix("lib").unwrap_or(stem).strip_prefix(*engine);
        rest.is_some_and(|rest| rest.starts_with('-'))
    };
    ENGINES.contains(&stem) || ENGINES.iter().any(|engine| versioned(&engine))
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
        for name in ["app.exe", "clrview.dll", "nodes.exe", "libc.so.6", ""] {
            assert!(!is_engine(name), "{name}");
        }
    }
}
