//! Which .NET runtimes a process has: by the names of its modules, and for
//! programs with the runtime linked in, by the name of the PDB or of a thread.

use crate::addr::AddressRange;
use crate::dump::{Dump, FilePath, Module, PointerWidth};
use crate::evidence::images::Image;

/// A file's version: four numbers.
pub type Version = (u32, u32, u32, u32);

/// Which runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// .NET Core and .NET 5 or later: coreclr.
    CoreClr,
    /// The same, linked into the program: a single-file program, or one that
    /// was compiled ahead of time.
    SingleFile,
    /// .NET Framework: clr or mscorwks.
    Framework,
    /// Mono.
    Mono,
}

impl Family {
    /// The words in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Family::CoreClr => ".NET",
            Family::SingleFile => ".NET, linked into the program",
            Family::Framework => ".NET Framework",
            Family::Mono => "Mono",
        }
    }
}

/// Names of the modules that are a runtime.
const RUNTIMES: [(&str, Family); 14] = [
    ("coreclr.dll", Family::CoreClr),
    ("libcoreclr.so", Family::CoreClr),
    ("libcoreclr.dylib", Family::CoreClr),
    ("clr.dll", Family::Framework),
    ("mscorwks.dll", Family::Framework),
    ("mscorsvr.dll", Family::Framework),
    ("mono.dll", Family::Mono),
    ("mono-2.0.dll", Family::Mono),
    ("mono-2.0-sgen.dll", Family::Mono),
    ("mono-2.0-bdwgc.dll", Family::Mono),
    ("libmonosgen-2.0.so", Family::Mono),
    ("libmonobdwgc-2.0.so", Family::Mono),
    ("libmonosgen-2.0.dylib", Family::Mono),
    ("libmonobdwgc-2.0.dylib", Family::Mono),
];

/// Collectors in a module of their own: the variables of the runtime point
/// into them.
const COLLECTORS: [&str; 4] = ["clrgc.dll", "libclrgc.so", "clrgcexp.dll", "libclrgcexp.so"];

/// What the PDB of a program with the runtime linked in is called.
const SINGLE_FILE_PDB: &str = "singlefilehost.pdb";

/// The thread that every .NET since Core 3 names so.
const FINALIZER: &str = ".NET Finalizer";

/// A module that is, or holds, a runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RuntimeModule {
    pub(super) family: Family,
    pub(super) range: AddressRange,
    pub(super) path: FilePath,
    pub(super) version: Option<Version>,
    /// Of the module's code; `None` when nothing says.
    pub(super) width: Option<PointerWidth>,
}

/// The runtimes, and the modules that hold a collector of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Modules {
    pub(super) runtimes: Vec<RuntimeModule>,
    pub(super) collectors: Vec<AddressRange>,
}

/// More runtimes than this in one process are not looked at.
const MOST: usize = 4;

pub(super) fn find(dump: &Dump<'_>, images: &[Image]) -> Modules {
    let mut modules = Modules::default();
    for module in &dump.modules.modules {
        let Some(range) = module.range else { continue };
        let family = family(module.name()).or_else(|| linked_in(module));
        add(&mut modules, module.name(), range, |range| {
            Some(RuntimeModule {
                family: family?,
                range,
                path: module.path.clone(),
                version: module.version,
                width: width(dump, images, range),
            })
        });
    }
    for image in images.iter().filter(|image| image.module.is_none() && !image.path.is_empty()) {
        let name = image.name();
        add(&mut modules, name, image.range, |range| {
            Some(RuntimeModule {
                family: family(name)?,
                range,
                path: image.path.clone(),
                version: None,
                width: width(dump, images, range),
            })
        });
    }
    if modules.runtimes.is_empty() {
        modules.runtimes.extend(by_thread_name(dump, images));
    }
    modules
}

fn add(
    modules: &mut Modules,
    name: &str,
    range: AddressRange,
    runtime: impl FnOnce(AddressRange) -> Option<RuntimeModule>,
) {
    if COLLECTORS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        if modules.collectors.len() < MOST {
            modules.collectors.push(range);
        }
    } else if modules.runtimes.len() < MOST {
        modules.runtimes.extend(runtime(range));
    }
}

fn family(name: &str) -> Option<Family> {
    let known = RUNTIMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map(|(_, family)| *family)
}

fn linked_in(module: &Module<'_>) -> Option<Family> {
    let pdb = crate::dump::file_name(module.debug_file.as_deref()?);
    pdb.eq_ignore_ascii_case(SINGLE_FILE_PDB).then_some(Family::SingleFile)
}

/// A program whose module gives nothing away, but which has a finalizer
/// thread: the runtime is in the program itself, the first module.
fn by_thread_name(dump: &Dump<'_>, images: &[Image]) -> Option<RuntimeModule> {
    dump.threads.iter().find(|thread| thread.name.as_deref() == Some(FINALIZER))?;
    let program = dump.modules.modules.first()?;
    let range = program.range?;
    Some(RuntimeModule {
        family: Family::SingleFile,
        range,
        path: program.path.clone(),
        version: program.version,
        width: width(dump, images, range),
    })
}

/// The machine of the image's header; else the dump's width where only one
/// can be: a 64-bit dump may hold a 32-bit runtime, below 4 GiB.
fn width(dump: &Dump<'_>, images: &[Image], range: AddressRange) -> Option<PointerWidth> {
    let image = images.iter().find(|image| image.range.start() == range.start());
    let machine = image.and_then(|image| image.header).map(|header| header.machine);
    match machine {
        Some(0x8664 | 0xaa64) => Some(PointerWidth::Bits64),
        Some(0x14c | 0x1c4) => Some(PointerWidth::Bits32),
        _ if dump.system.width == PointerWidth::Bits32 => Some(PointerWidth::Bits32),
        _ if range.last() > u64::from(u32::MAX) => Some(PointerWidth::Bits64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_are_known_by_name() {
        let cases = [
            ("CORECLR.DLL", Some(Family::CoreClr)),
            ("clr.dll", Some(Family::Framework)),
            ("mono-2.0-bdwgc.dll", Some(Family::Mono)),
            ("xcoreclr.dll", None),
            ("clrjit.dll", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(family(name), expected, "{name}");
        }
    }
}
