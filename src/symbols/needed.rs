//! The lines of a symbol file that some addresses need: the functions that
//! hold one of them, with their lines and what is inlined; the last function
//! and the last `PUBLIC` before each; the names of files and of inlined
//! functions that these use. So memory is bounded by the question, however
//! many functions the file has.

use std::collections::HashSet;
use std::io::{self, BufRead, Read};

/// Bytes of all lines that are kept.
const KEPT: usize = 64 << 20;
/// Bytes of one line: names of templates are long.
const LINE: u64 = 1 << 20;

/// Reads the file twice, as `open` gives it: the functions stand behind the
/// names that they use. The second time only as far as names are missing.
///
/// # Errors
/// It cannot be read, is cut, is of another build, or has more lines of the
/// addresses than are kept.
pub(super) fn read<R: BufRead>(
    open: impl Fn() -> io::Result<R>,
    id: &str,
    addresses: &[u64],
) -> io::Result<Vec<u8>> {
    let mut wanted = addresses.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let mut needed = Needed::of(&wanted);
    let mut lines = Lines::of(open()?, id);
    while lines.next()? {
        needed.add(&lines)?;
    }
    needed.finish()?;
    let mut lines = Lines::of(open()?, id);
    while needed.lacks_names() && lines.next()? {
        needed.add_name(&lines)?;
    }
    Ok(needed.kept)
}

/// The lines of a symbol file.
struct Lines<'i, R> {
    input: R,
    id: &'i str,
    line: Vec<u8>,
    number: u64,
}

impl<'i, R: BufRead> Lines<'i, R> {
    fn of(input: R, id: &'i str) -> Lines<'i, R> {
        Lines { input, id, line: Vec::new(), number: 0 }
    }

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

struct Needed<'w> {
    /// Sorted, none twice.
    wanted: &'w [u64],
    kept: Vec<u8>,
    /// Whether the function that the line is in holds a wanted address.
    inside: bool,
    functions: Before,
    publics: Before,
    files: HashSet<u32>,
    origins: HashSet<u32>,
}

/// Of the records between two wanted addresses the last, by address.
struct Before(Vec<Option<Record>>);

struct Record {
    address: u64,
    /// Empty when it is kept already.
    line: Vec<u8>,
}

impl Before {
    fn add(&mut self, wanted: &[u64], address: u64, line: &[u8]) {
        let place = wanted.partition_point(|of| *of < address);
        let Some(slot) = self.0.get_mut(place) else { return };
        match slot {
            Some(known) if (known.address, &*known.line) >= (address, line) => {}
            Some(known) => {
                known.address = address;
                known.line.clear();
                known.line.extend_from_slice(line);
            }
            None => *slot = Some(Record { address, line: line.to_vec() }),
        }
    }
}

impl<'w> Needed<'w> {
    fn of(wanted: &'w [u64]) -> Needed<'w> {
        let none = || Before(wanted.iter().map(|_| None).collect());
        Needed {
            wanted,
            kept: Vec::new(),
            inside: false,
            functions: none(),
            publics: none(),
            files: HashSet::new(),
            origins: HashSet::new(),
        }
    }

    /// Keeps the line, or its place among those that may be needed.
    fn add<R>(&mut self, lines: &Lines<'_, R>) -> io::Result<()> {
        let line = &lines.line[..];
        match kind(line) {
            Kind::Left => return Ok(()),
            Kind::Function(range @ (address, _)) => {
                self.inside = holds(range, self.wanted);
                self.functions.add(self.wanted, address, if self.inside { b"" } else { line });
                if !self.inside {
                    return Ok(());
                }
            }
            Kind::Public(address) => {
                self.publics.add(self.wanted, address, line);
                return Ok(());
            }
            Kind::InFunction if !self.inside => return Ok(()),
            Kind::InFunction => self.note_names(line),
            Kind::Other => {}
        }
        self.keep(line, lines.number)
    }

    fn keep(&mut self, line: &[u8], number: u64) -> io::Result<()> {
        if self.kept.len() + line.len() > KEPT {
            let what = format!("line {number}: more than {KEPT} bytes of lines for these frames");
            return Err(io::Error::other(what));
        }
        self.kept.extend_from_slice(line);
        Ok(())
    }

    /// `INLINE depth line file origin …`, `address size line file`.
    fn note_names(&mut self, line: &[u8]) {
        let mut words = words(line);
        let first = words.next();
        let file = words.nth(2).and_then(number);
        self.files.extend(file);
        if first == Some(b"INLINE") {
            self.origins.extend(words.next().and_then(number));
        }
    }

    /// Keeps what stands before the wanted addresses.
    fn finish(&mut self) -> io::Result<()> {
        for before in [std::mem::take(&mut self.functions.0), std::mem::take(&mut self.publics.0)] {
            for record in before.into_iter().flatten() {
                self.keep(&record.line, 0)?;
            }
        }
        Ok(())
    }

    fn lacks_names(&self) -> bool {
        !self.files.is_empty() || !self.origins.is_empty()
    }

    /// Keeps a name that is used.
    fn add_name<R>(&mut self, lines: &Lines<'_, R>) -> io::Result<()> {
        let mut words = words(&lines.line);
        let first = words.next();
        let Some(id) = words.next().and_then(number) else { return Ok(()) };
        let is_used = match first {
            Some(b"FILE") => self.files.remove(&id),
            Some(b"INLINE_ORIGIN") => self.origins.remove(&id),
            _ => false,
        };
        if is_used { self.keep(&lines.line, lines.number) } else { Ok(()) }
    }
}

/// What a line is, as far as it matters which are left out.
enum Kind {
    /// `STACK`: how to unwind, which nobody asks here. `FILE` and
    /// `INLINE_ORIGIN`: read later.
    Left,
    /// `FUNC`: address and size.
    Function((u64, u64)),
    /// `PUBLIC`: address.
    Public(u64),
    /// `INLINE`, or a line record: `1000 5 42 7`.
    InFunction,
    /// Whatever else, or has no good numbers: left to the parser.
    Other,
}

fn kind(line: &[u8]) -> Kind {
    let mut words = words(line);
    let first = words.next().unwrap_or(b"");
    let mut words = words.skip_while(|word| *word == b"m");
    let mut number = || {
        let word = std::str::from_utf8(words.next()?).ok()?;
        u64::from_str_radix(word, 16).ok()
    };
    match first {
        b"STACK" | b"FILE" | b"INLINE_ORIGIN" => Kind::Left,
        b"FUNC" => number().zip(number()).map_or(Kind::Other, Kind::Function),
        b"PUBLIC" => number().map_or(Kind::Other, Kind::Public),
        b"INLINE" => Kind::InFunction,
        [_, ..] if first.iter().all(u8::is_ascii_hexdigit) => Kind::InFunction,
        _ => Kind::Other,
    }
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

fn number(word: &[u8]) -> Option<u32> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn holds((start, size): (u64, u64), sorted: &[u64]) -> bool {
    let next = sorted.partition_point(|address| *address < start);
    sorted.get(next).is_some_and(|address| address - start < size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str, wanted: &[u64]) -> Vec<String> {
        let read = read(|| Ok(text.as_bytes()), "1F", wanted).unwrap();
        String::from_utf8(read).unwrap().lines().map(str::to_owned).collect()
    }

    const TEXT: &str = "MODULE Linux x86_64 1F a\nFILE 0 a.c\nFILE 1 b.h\nFILE 2 c.c\n\
        INLINE_ORIGIN 0 unused\nINLINE_ORIGIN 1 push\n\
        FUNC 100 10 0 first\n100 10 1 2\nFUNC m 200 20 0 second\nINLINE 0 7 0 1 208 8\n\
        200 20 5 1\nFUNC 300 10 0 third\n300 10 9 2\nPUBLIC 180 0 far\nPUBLIC 400 0 entry\n\
        PUBLIC 380 0 before\nPUBLIC 600 0 behind\nSTACK CFI INIT 100 10 .cfa: $rsp 8 +\n";

    #[test]
    fn what_holds_an_address_and_what_stands_before_it() {
        let lines = [
            "MODULE Linux x86_64 1F a",
            "FUNC m 200 20 0 second",
            "INLINE 0 7 0 1 208 8",
            "200 20 5 1",
            "FUNC 300 10 0 third",
            "PUBLIC 180 0 far",
            "PUBLIC 400 0 entry",
            "FILE 0 a.c",
            "FILE 1 b.h",
            "INLINE_ORIGIN 1 push",
        ];
        assert_eq!(kept(TEXT, &[0x500, 0x210, 0x210]), lines);
        assert_eq!(kept(TEXT, &[]), lines[..1]);
        assert_eq!(kept(TEXT, &[0x50]), lines[..1], "before everything");
    }
}
