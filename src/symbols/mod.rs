//! Names of functions, from Breakpad symbol files on the disk of whoever
//! asks. Nothing is fetched, and nothing but the file at the expected place is
//! opened: `FOLDER/app.pdb/DEBUGID/app.sym`, `FOLDER/libapp.so/DEBUGID/libapp.so.sym`.
//!
//! A file counts only when its own first line has the id that the dump has of
//! the module: the names of another build would be wrong ones.

mod file;
mod needed;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::crash::{Frame, Module, Trust};
use crate::dump::{self, DebugId, Dump};
use crate::evidence::Evidence;

/// A function of the source, as a symbol file names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symbol {
    /// Its name.
    pub function: String,
    /// Bytes from its first instruction.
    pub offset: u64,
    /// Source file and line; of the call, when what was called there is inlined.
    pub source: Option<(String, u32)>,
    /// What the compiler put into it at this place, the innermost first.
    pub inlined: Vec<Inlined>,
}

/// A call that the compiler replaced by the body of the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inlined {
    /// Its name.
    pub function: String,
    /// Source file.
    pub file: Option<String>,
    /// Line in it.
    pub line: Option<u32>,
}

/// What the symbol files say about the frames of a crash.
#[derive(Debug, Default)]
pub struct Symbols {
    /// A symbol a frame, in their order.
    pub frames: Vec<Option<Symbol>>,
    /// The files that gave names, or could have.
    pub used: Vec<PathBuf>,
    /// Files that no folder has, as `app.pdb/DEBUGID/app.sym`.
    pub missing: Vec<String>,
    /// Files that are not used, and modules that have no file to look for.
    pub issues: Vec<SymbolIssue>,
}

/// Why a file or module gives no names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolIssue {
    /// The symbol file, or the name of the module.
    pub of: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for SymbolIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.of, self.what)
    }
}

/// Looks each frame up, in the first of `folders` that has the right file of
/// its module. One file at a time is in memory.
pub fn look_up(
    folders: &[PathBuf],
    dump: &Dump<'_>,
    evidence: &Evidence,
    frames: &[Frame],
) -> Symbols {
    let mut found = Symbols { frames: vec![None; frames.len()], ..Symbols::default() };
    // Frames by module, each with what is looked up, from the module's base.
    let mut modules: BTreeMap<u32, Vec<(usize, u64)>> = BTreeMap::new();
    for (at, frame) in frames.iter().enumerate() {
        let Some(Module::Image(image)) = frame.place.module else { continue };
        let image = usize::try_from(image).ok().and_then(|image| evidence.images.get(image));
        let Some(index) = image.and_then(|image| image.module) else { continue };
        let Some(module) = module(dump, index) else { continue };
        if let Some(offset) = frame.instruction.checked_sub(module.base) {
            modules.entry(index).or_default().push((at, offset));
        }
    }
    for (index, wanted) in modules {
        if let Some(module) = module(dump, index) {
            of_module(folders, module, frames, &wanted, &mut found);
        }
    }
    found
}

fn module<'d>(dump: &'d Dump<'_>, index: u32) -> Option<&'d dump::Module<'d>> {
    dump.modules.modules.get(usize::try_from(index).ok()?)
}

fn of_module(
    folders: &[PathBuf],
    module: &dump::Module<'_>,
    frames: &[Frame],
    wanted: &[(usize, u64)],
    found: &mut Symbols,
) {
    let name = debug_name(module);
    let place = match (module.debug_id.as_ref(), is_file_name(name)) {
        (Some(id), true) => (breakpad_id(id), name),
        (None, _) => return found.issue(module.name(), "the dump has no debug id of it"),
        (_, false) => {
            return found.issue(name, "no name of a file: its symbols are not looked for");
        }
    };
    let relative = relative(&place.0, place.1);
    // The return address may be the first byte of the next function or line.
    let before = |(at, offset): &(usize, u64)| match frames.get(*at).map(|frame| frame.trust) {
        Some(Trust::Context) | None => *offset,
        Some(_) => offset.saturating_sub(1),
    };
    let addresses: Vec<u64> = wanted.iter().map(before).collect();
    let mut seen = false;
    for folder in folders {
        let path = folder.join(&relative);
        match file::read(&path, &place.0, &addresses) {
            Ok(None) => {}
            Ok(Some(symbols)) => {
                for (((at, offset), looked_up), symbol) in
                    wanted.iter().zip(&addresses).zip(symbols)
                {
                    let back = offset.saturating_sub(*looked_up);
                    let symbol = symbol.map(|symbol| Symbol {
                        offset: symbol.offset.saturating_add(back),
                        ..symbol
                    });
                    if let Some(frame) = found.frames.get_mut(*at) {
                        *frame = symbol;
                    }
                }
                found.used.push(path);
                return;
            }
            Err(what) => {
                seen = true;
                found.issue(&path.to_string_lossy(), &what);
            }
        }
    }
    if !seen {
        found.missing.push(slashed(&relative));
    }
}

impl Symbols {
    fn issue(&mut self, of: &str, what: &str) {
        self.issues.push(SymbolIssue { of: of.to_owned(), what: what.to_owned() });
    }
}

/// The name under which the symbols are kept: that of the PDB, else that of
/// the module.
fn debug_name<'d>(module: &'d dump::Module<'_>) -> &'d str {
    let pdb = module.debug_file.as_deref().map(dump::file_name).filter(|name| !name.is_empty());
    pdb.unwrap_or_else(|| module.name())
}

/// Whether a name from a dump stays in the folder that it is joined to, on any
/// system: no separator, no drive, no stream, no step up.
fn is_file_name(name: &str) -> bool {
    let steers = |c: char| c.is_control() || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"');
    // Windows takes dots and blanks off the end of a name.
    let ends = name.ends_with(['.', ' ']);
    !name.is_empty() && name.len() <= 255 && !ends && !name.contains(steers)
}

fn relative(id: &str, name: &str) -> PathBuf {
    let stem = match name.len().checked_sub(4).and_then(|at| name.split_at_checked(at)) {
        Some((stem, end)) if end.eq_ignore_ascii_case(".pdb") => stem,
        _ => name,
    };
    Path::new(name).join(id).join(format!("{stem}.sym"))
}

fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// The id as Breakpad's tools write it. Of a build id the first 16 bytes, read
/// as a GUID, and age 0.
fn breakpad_id(id: &DebugId) -> String {
    match id {
        DebugId::Build(bytes) => {
            let mut guid = [0; 16];
            guid.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            DebugId::Pdb70 { guid, age: 0 }.to_string()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_symbol_files() {
        let place = |name| slashed(&relative("ABC1", name));
        assert_eq!(place("app.pdb"), "app.pdb/ABC1/app.sym");
        assert_eq!(place("App.PDB"), "App.PDB/ABC1/App.sym");
        assert_eq!(place("libc.so.6"), "libc.so.6/ABC1/libc.so.6.sym");
        assert_eq!(place("ärä"), "ärä/ABC1/ärä.sym");
    }

    #[test]
    fn names_that_lead_elsewhere_are_none() {
        for name in ["", ".", "..", "a/b", "..\\a", "C:a", "a.pdb.", "a ", "a\0b", "a\nb"] {
            assert!(!is_file_name(name), "{name:?}");
        }
        assert!(!is_file_name(&"a".repeat(256)));
        assert!(is_file_name("..app.pdb") && is_file_name("libc-2.31.so"));
    }

    #[test]
    fn build_ids_are_read_as_guids() {
        let bytes: Vec<u8> = (1..=20).collect();
        let id = breakpad_id(&DebugId::Build(bytes.into()));
        assert_eq!(id, "0403020106050807090A0B0C0D0E0F100");
        assert_eq!(
            breakpad_id(&DebugId::Build(Box::new([0xab]))),
            "000000AB0000000000000000000000000"
        );
    }
}
