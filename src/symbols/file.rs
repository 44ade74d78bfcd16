//! One Breakpad symbol file. Format:
//! <https://chromium.googlesource.com/breakpad/breakpad/+/HEAD/docs/symbol_files.md>.
//!
//! The crate `breakpad-symbols` reads the records. It is given those that the
//! wanted addresses need: no unwinding rules, and lines only of functions
//! that hold one of them. So memory is bounded by the names.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use breakpad_symbols::{FrameSymbolizer, SimpleModule, SymbolError, SymbolFile};

use super::{Inlined, Symbol};

/// Bytes of a file: what is larger is no symbol file of a real program.
const FILE: u64 = 1 << 30;
/// Records that are kept of one file, and their bytes.
const KEPT: u64 = 8_000_000;
const KEPT_BYTES: u64 = 512 << 20;
/// Bytes of one line: names of templates are long.
const LINE: u64 = 1 << 20;
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
    let unread = |error: io::Error| format!("cannot read the file: {error}");
    // Nothing but a file is opened: a pipe would wait for ever.
    let len = match fs::metadata(path) {
        Ok(of) if !of.is_file() => return Err("no regular file".to_owned()),
        Ok(of) => of.len(),
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
                _ => Err(unread(error)),
            };
        }
    };
    if len > FILE {
        return Err(format!("{len} bytes: more than the {FILE} that are read"));
    }
    let file = File::open(path).map_err(unread)?;
    let input = BufReader::with_capacity(1 << 16, file.take(FILE));
    // The parser is not ours, and the file may be anything.
    catch_unwind(AssertUnwindSafe(|| symbols(input, id, addresses)))
        .unwrap_or_else(|_| Err("the parser of symbol files failed on it".to_owned()))
        .map(Some)
}

fn symbols(
    input: impl BufRead,
    id: &str,
    addresses: &[u64],
) -> Result<Vec<Option<Symbol>>, String> {
    let mut wanted = addresses.to_vec();
    wanted.sort_unstable();
    let records = Records {
        input,
        id,
        wanted,
        line: Vec::new(),
        given: 0,
        number: 0,
        kept: 0,
        kept_bytes: 0,
        inside: true,
    };
    let file = SymbolFile::parse(records, |_| ()).map_err(|error| match error {
        SymbolError::LoadError(error) => error.to_string(),
        // Its number of the line counts only those that it was given.
        SymbolError::ParseError(what, _) => format!("no good symbol file: {what}"),
        other => other.to_string(),
    })?;
    Ok(addresses.iter().map(|address| symbol(&file, *address)).collect())
}

/// The lines of a symbol file that the parser is given.
struct Records<'i, R> {
    input: R,
    id: &'i str,
    /// Addresses from the module's base, sorted.
    wanted: Vec<u64>,
    line: Vec<u8>,
    /// Bytes of the line that the parser has.
    given: usize,
    number: u64,
    kept: u64,
    kept_bytes: u64,
    /// Whether the function that the line is in holds a wanted address.
    inside: bool,
}

impl<R: BufRead> Read for Records<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.given == self.line.len() {
            self.given = 0;
            while self.next()? && !self.is_kept()? {}
        }
        let mut rest = self.line.get(self.given..).unwrap_or(&[]);
        let read = rest.read(out)?;
        self.given += read;
        Ok(read)
    }
}

impl<R: BufRead> Records<'_, R> {
    /// Whether there is another line.
    fn next(&mut self) -> io::Result<bool> {
        self.line.clear();
        self.number += 1;
        let number = self.number;
        self.input.by_ref().take(LINE).read_until(b'\n', &mut self.line)?;
        if number == 1 {
            check_id(&self.line, self.id).map_err(io::Error::other)?;
        }
        match self.line.last() {
            None => Ok(false),
            Some(b'\n') => Ok(true),
            Some(_) if self.line.len() as u64 == LINE => {
                Err(io::Error::other(format!("line {number}: longer than {LINE} bytes")))
            }
            Some(_) => Err(io::Error::other(format!("the file is cut in line {number}"))),
        }
    }

    /// Whether the parser needs the line.
    fn is_kept(&mut self) -> io::Result<bool> {
        match kind(&self.line) {
            Kind::Unwinding => return Ok(false),
            Kind::Function(range) => {
                self.inside = range.is_none_or(|range| holds(range, &self.wanted));
            }
            Kind::InFunction if !self.inside => return Ok(false),
            Kind::InFunction | Kind::Other => {}
        }
        self.kept += 1;
        self.kept_bytes += self.line.len() as u64;
        if self.kept > KEPT || self.kept_bytes > KEPT_BYTES {
            let what = format!("line {}: more records than are read: {KEPT}", self.number);
            return Err(io::Error::other(what));
        }
        Ok(true)
    }
}

/// `MODULE system cpu id name`.
fn check_id(line: &[u8], id: &str) -> Result<(), String> {
    let line = String::from_utf8_lossy(line.get(..512).unwrap_or(line));
    let mut words = line.split_ascii_whitespace();
    match (words.next(), words.nth(2)) {
        (Some("MODULE"), Some(of)) if of.eq_ignore_ascii_case(id) => Ok(()),
        (Some("MODULE"), Some(of)) => {
            Err(format!("not used: it is of the build {of}, the dump has {id}"))
        }
        _ => Err("no Breakpad symbol file: it does not begin with a MODULE line".to_owned()),
    }
}

/// What a line is, as far as it matters which are left out.
enum Kind {
    /// `STACK`: how to unwind, which nobody asks here.
    Unwinding,
    /// `FUNC`: address and size.
    Function(Option<(u64, u64)>),
    /// `INLINE`, or a line record: `1000 5 42 7`.
    InFunction,
    /// Whatever else: left to the parser.
    Other,
}

fn kind(line: &[u8]) -> Kind {
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    match word {
        b"STACK" => Kind::Unwinding,
        b"FUNC" => Kind::Function(range(rest)),
        b"INLINE" => Kind::InFunction,
        [_, ..] if word.iter().all(u8::is_ascii_hexdigit) => Kind::InFunction,
        _ => Kind::Other,
    }
}

/// `[m] address size …`
fn range(rest: &[u8]) -> Option<(u64, u64)> {
    let words = rest.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let mut words = words.skip_while(|word| *word == b"m");
    let mut number = || u64::from_str_radix(std::str::from_utf8(words.next()?).ok()?, 16).ok();
    Some((number()?, number()?))
}

fn holds((start, size): (u64, u64), sorted: &[u64]) -> bool {
    let next = sorted.partition_point(|address| *address < start);
    sorted.get(next).is_some_and(|address| address - start < size)
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
