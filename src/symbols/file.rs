//! One Breakpad symbol file. Format:
//! <https://chromium.googlesource.com/breakpad/breakpad/+/HEAD/docs/symbol_files.md>.
//!
//! The crate `breakpad-symbols` reads the records. It is given those that the
//! wanted addresses need (`needed`): so memory does not grow with the
//! file.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use breakpad_symbols::{FrameSymbolizer, SimpleModule, SymbolError, SymbolFile};

use super::{Inlined, Symbol, needed};

/// Bytes of a file: what is larger is no symbol file of a real program.
const FILE: u64 = 1 << 30;
/// Inlined functions of one address.
const INLINED: usize = 64;

/// A symbol an address; `None` when there is no such file.
///
/// # Errors
/// The file cannot be used, and why.
pub(super) fn read(
    path: &Path,
    id: &str,
    addresses: &[u64],
) -> Result<Option<Vec<Option<Symbol>>>, String> {
    // Nothing but a file is opened: a pipe would wait for ever.
    let len = match fs::metadata(path) {
        Ok(of) if !of.is_file() => return Err("no regular file".to_owned()),
        Ok(of) => of.len(),
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
                _ => Err(unread(&error)),
            };
        }
    };
    if len > FILE {
        return Err(format!("{len} bytes: more than the {FILE} that are read"));
    }
    // The parser is not ours, and the file may be anything.
    catch_unwind(AssertUnwindSafe(|| symbols(path, id, addresses)))
        .unwrap_or_else(|_| Err("the parser of symbol files failed on it".to_owned()))
        .map(Some)
}

fn symbols(path: &Path, id: &str, addresses: &[u64]) -> Result<Vec<Option<Symbol>>, String> {
    let open = || Ok(BufReader::with_capacity(1 << 16, File::open(path)?.take(FILE)));
    let lines = needed::read(open, id, addresses).map_err(|error| match error.kind() {
        io::ErrorKind::Other => error.to_string(),
        _ => unread(&error),
    })?;
    let file = SymbolFile::from_bytes(&lines).map_err(|error| match error {
        // Its number of the line counts only those that it was given.
        SymbolError::ParseError(what, _) => format!("no good symbol file: {what}"),
        other => other.to_string(),
    })?;
    Ok(addresses.iter().map(|address| symbol(&file, *address)).collect())
}

fn unread(error: &io::Error) -> String {
    format!("cannot read the file: {error}")
}

/// What the file says of one address, from the module's base.
#[derive(Default)]
struct Lookup {
    address: u64,
    found: Option<Symbol>,
}

fn symbol(file: &SymbolFile, address: u64) -> Option<Symbol> {
    let mut lookup = Lookup { address, found: None };
    let module = SimpleModule { base_address: Some(0), ..SimpleModule::default() };
    file.fill_symbol(&module, &mut lookup);
    let mut found = lookup.found?;
    found.inlined.reverse();
    Some(found)
}

impl FrameSymbolizer for Lookup {
    fn get_instruction(&self) -> u64 {
        self.address
    }

    fn set_function(&mut self, name: &str, base: u64, _parameters: u32) {
        let offset = self.address.saturating_sub(base);
        self.found = Some(Symbol { function: name.to_owned(), offset, ..Symbol::default() });
    }

    fn set_source_file(&mut self, file: &str, line: u32, _base: u64) {
        if let Some(found) = &mut self.found {
            // Compilers write line 0 for code that no line has.
            found.source = (line != 0).then(|| (file.to_owned(), line));
        }
    }

    fn add_inline_frame(&mut self, name: &str, file: Option<&str>, line: Option<u32>) {
        if let Some(found) = &mut self.found
            && found.inlined.len() < INLINED
        {
            let file = file.map(str::to_owned);
            found.inlined.push(Inlined { function: name.to_owned(), file, line });
        }
    }
}
